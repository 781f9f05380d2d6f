# Copyright: (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One SSH session to a caching server, over paramiko: connect, run one of our commands, open SFTP, close.

What goes wrong on the way is told in words, with the remedy: unreachable, refused, wrong key, unknown or changed host
key, a line that broke.
"""

from __future__ import annotations

import contextlib
import os
import socket
import typing as t

from ..errors import AccessRefused, ConnectionTrouble, SyncError
from ..options import called
from .conversation import Answer, Conversation, frame
from .settings import Address, Effective, resolve
from .sftp import Sftp

try:
    import paramiko
    from paramiko.hostkeys import HostKeyEntry

    from .bounds import GuardedTransport, first_errors, guard_channel
    from .sftp import BoundedClient, NoSftp
except ImportError:  # reported by the module, with missing_required_lib
    paramiko = None  # type: ignore[assignment]

MAX_ANSWER = 8 * 1024 * 1024  # bytes of the answer of one command; a hash is 65


class Session:
    """A connection that is checked, authenticated and kept alive. Use as a context manager.

    Without ``remember``, a host key that ``accept-new`` takes is not written down: check mode changes nothing.
    """

    def __init__(self, address: Address, *, remember: bool = True) -> None:
        self.address = address
        self._remember = remember
        self.settings: Effective = resolve(address)
        self._client: paramiko.SSHClient | None = None
        self._sftp: Sftp | None = None

    def __enter__(self) -> Session:
        self.connect()
        return self

    def __exit__(self, *_unused: object) -> None:
        self.close()

    @property
    def where(self) -> str:
        """The address in words."""
        return f"{self.settings.user or 'its user'}@{self.settings.hostname} port {self.settings.port}"

    def connect(self) -> None:
        """Connect. Raises :class:`ConnectionTrouble` or :class:`AccessRefused`."""
        settings = self.settings
        client = paramiko.SSHClient()
        known_hosts = self._load_known_hosts(client)
        policies = {"true": _Strict, "false": paramiko.MissingHostKeyPolicy}
        if self.address.host_key_checking == "accept-new":
            client.set_missing_host_key_policy(_AcceptNew(known_hosts, write=self._remember))
        else:
            client.set_missing_host_key_policy(policies[self.address.host_key_checking]())
        try:
            client.connect(
                hostname=settings.host_key_alias or settings.hostname,
                # With a socket of ours, the port is only part of the name in known_hosts. An alias stands there alone.
                port=22 if settings.host_key_alias else settings.port,
                username=settings.user,
                key_filename=list(settings.identity_files) or None,  # type: ignore[arg-type]
                allow_agent=not self.address.private_key_file,
                look_for_keys=False,
                timeout=self.address.connect_timeout,
                banner_timeout=self.address.connect_timeout,
                auth_timeout=self.address.connect_timeout,
                sock=self._socket(),
                transport_factory=GuardedTransport,
            )
        except Exception as error:
            trouble = self._explain(error, known_hosts, client.get_transport())
            client.close()
            raise trouble from error
        transport = client.get_transport()
        if transport is not None:
            transport.set_keepalive(5)
        self._client = client

    def close(self) -> None:
        """End the connection, and with it all that runs on it."""
        if self._client is not None:
            self._client.close()
        self._client = self._sftp = None

    def sftp(self) -> Sftp:
        """Return the SFTP side of the session, opened at the first call. It is for one thread."""
        if self._sftp is None:
            self._sftp = self.new_sftp()
        return self._sftp

    def new_sftp(self) -> Sftp:
        """Open another SFTP channel. Of two threads at one channel, each would read the answers to the other."""
        channel = self._open_channel()
        channel.settimeout(self.address.stall_timeout)
        try:
            channel.invoke_subsystem("sftp")
            return Sftp(BoundedClient(channel))
        except (paramiko.SSHException, paramiko.SFTPError, EOFError, OSError) as error:
            silent = isinstance(error, (socket.timeout, TimeoutError))
            transport = channel.get_transport()
            if not silent:
                transport.join(1)  # when a line breaks, its channels end a moment before it
            if silent or not transport.is_active():
                raise self.broken(self._silence if silent else "") from error
            raise self._no_sftp(error, channel) from error

    def _no_sftp(self, error: Exception, channel: paramiko.Channel) -> SyncError:
        errors = first_errors(channel) or self._refused_command()
        if isinstance(error, NoSftp):
            said = " ".join(error.text.split())
            if not errors:
                # nologin says there why; a .bashrc says something else
                return SyncError(
                    f"no SFTP at {self.where}: the login of that user prints text ({said})",
                    remedy="Let its .bashrc or forced command print nothing where there is no terminal; "
                    "if it has no shell, set Subsystem sftp internal-sftp in sshd_config.",
                )
            errors = f"{errors} {said}"
        if errors:
            return SyncError(
                f"{self.where} lets that user in, but no further: {errors}",
                remedy="Put that right for this user on the caching server.",
            )
        return SyncError(
            f"no SFTP at {self.where} ({error})", remedy="Enable it in sshd_config: Subsystem sftp internal-sftp."
        )

    def _refused_command(self) -> str:
        """Return why nothing can be run there: OpenSSH passes on what a command says, but not what SFTP does."""
        try:
            answer = self.run(":")
        except (SyncError, paramiko.SSHException, EOFError, OSError):
            return ""
        return answer.errors if answer.status is None else ""

    def _open_channel(self) -> paramiko.Channel:
        transport = self._transport()
        try:
            channel = transport.open_session(timeout=self.address.connect_timeout)
        except paramiko.ChannelException as error:
            raise SyncError(
                f"{self.where} opens no further channel ({error.text})",
                remedy="Raise MaxSessions in its sshd_config.",
            ) from error
        except (paramiko.SSHException, EOFError, OSError) as error:  # silence, or the end of the line
            raise self.broken() from error
        guard_channel(channel, transport)
        return channel

    def start(self, script: str, *arguments: str) -> Conversation:
        """Start one of our constant scripts under ``sh``. Arguments are quoted settings or names that we chose."""
        channel = self._open_channel()
        channel.settimeout(self.address.stall_timeout)
        command, mark = frame(script, *arguments)
        channel.exec_command(command)
        return Conversation(channel, mark, self.where)

    def run(self, script: str, *arguments: str, stdin: bytes = b"", timeout: float | None = None) -> Answer:
        """Run one of our scripts to its end.

        ``timeout`` is how long it may take for each line of its answer, in seconds; by default the stall timeout.
        """
        conversation = self.start(script, *arguments)
        try:
            if stdin:
                conversation.say(stdin, self.address.stall_timeout)
            conversation.say_no_more()
            answer = conversation.all_answers(timeout or self.address.stall_timeout, most=MAX_ANSWER)
            if not self.alive():
                raise self.broken()
            return answer
        finally:
            conversation.close()

    def alive(self) -> bool:
        """Tell whether the connection still stands, as far as is known without asking."""
        transport = self._client.get_transport() if self._client else None
        return bool(transport and transport.is_active())

    @property
    def _silence(self) -> str:
        return f"no answer within {self.address.stall_timeout} s: the line, or a disk there, hangs"

    def broken(self, why: str = "") -> ConnectionTrouble:
        """Return the error for a line that broke; ``why`` is what is known of it."""
        transport = self._client.get_transport() if self._client else None
        why = getattr(transport, "violation", "") or why
        return ConnectionTrouble(
            f"the connection broke ({why})" if why else "the connection broke",
            remedy="What arrived is kept; the next run goes on from there.",
        )

    def in_words(self, error: Exception, path: str = "") -> SyncError | None:
        """Return what an error of this session means, or None for a mistake of ours, which is not to be hidden."""
        if isinstance(error, (ConnectionTrouble, AccessRefused)):
            return error
        silent = isinstance(error, (socket.timeout, TimeoutError))
        if silent or isinstance(error, (EOFError, paramiko.SSHException)) or not self.alive():
            return self.broken(self._silence if silent and self.alive() else "")
        if isinstance(error, OSError):
            return SyncError(
                f"the caching server refused something ({error.strerror or error})",
                path=path,
                remedy="Look at the permissions there.",
            )
        return error if isinstance(error, SyncError) else None

    def _transport(self) -> paramiko.Transport:
        transport = self._client.get_transport() if self._client else None
        if transport is None or not transport.is_active():
            raise self.broken()
        return transport

    def _load_known_hosts(self, client: paramiko.SSHClient) -> list[str]:
        names = list(self.settings.known_hosts_files) if self.address.host_key_checking != "false" else []
        known = client._system_host_keys = _KnownHosts()  # type: ignore[attr-defined]
        for name in names:
            try:
                known.read(name)
            except FileNotFoundError:
                continue
            except OSError as error:
                raise SyncError(
                    f"the known hosts file cannot be read ({error.strerror})",
                    path=name,
                    host="netboot server",
                    remedy="Let the user that the module runs as read it.",
                ) from error
        return names

    def _socket(self) -> t.Any:
        settings = self.settings
        if settings.proxy_command:
            return self._proxy(settings.proxy_command)
        source = (settings.bind_address, 0) if settings.bind_address else None
        try:
            connection = socket.create_connection(
                (settings.hostname, settings.port), self.address.connect_timeout, source_address=source
            )
        except UnicodeError as error:  # Python's own codec for names, before any is looked up
            raise SyncError(
                f"{settings.hostname} cannot be the name of a host: a part of it is empty, too long or not allowed",
                remedy=f"Set {called('host')} or ansible_host.",
            ) from error
        # paramiko leaves Nagle's algorithm on: a small request would wait some 30 ms for the answer to the one before.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            # A line that goes silent is then an error, and not a wait of a quarter of an hour.
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, self.address.stall_timeout * 1000)
        return connection

    @staticmethod
    def _proxy(command: str) -> paramiko.ProxyCommand:
        try:
            return paramiko.ProxyCommand(command)
        except (OSError, ValueError) as error:
            words = error.strerror if isinstance(error, OSError) else str(error)
            raise SyncError(
                f"the ProxyCommand or ProxyJump of ssh_config cannot be started ({words}): {command}",
                host="netboot server",
                remedy="Install its program, or mend the ssh_config of the user that the module runs as.",
            ) from error

    def _explain(
        self, error: Exception, known_hosts: t.Sequence[str], transport: paramiko.Transport | None
    ) -> SyncError:
        files = " or ".join(known_hosts) or "the known hosts"
        text = " ".join(str(error).split())
        if isinstance(error, SyncError):
            return error
        violation = getattr(transport, "violation", "")
        if violation:
            return ConnectionTrouble(f"{self.where} is no usable SSH server: {violation}", remedy="Is the port right?")
        if isinstance(error, paramiko.BadHostKeyException):
            return AccessRefused(
                f"the host key of {self.where} is not the known one: it was reinstalled, or somebody is between",
                remedy=f"Ask its keeper, and only then replace the line in {files}.",
            )
        if isinstance(error, _RevokedHostKey):
            return AccessRefused(
                f"the host key of {self.where} is revoked in {files}",
                remedy="Whoever has it may be somebody else: give that machine another key.",
            )
        if isinstance(error, _UnknownHostKey) or "not found in known_hosts" in text:
            return AccessRefused(
                f"the host key of {self.where} is not known",
                remedy=f"Put its line into {files}, or set {called('host_key_checking')} to accept-new.",
            )
        if isinstance(error, paramiko.PasswordRequiredException):
            return AccessRefused("the private key has a passphrase", remedy="Use an agent, or a key without one.")
        if isinstance(error, paramiko.AuthenticationException):
            key = self.address.private_key_file or "the agent's keys"
            said = _banner(transport)
            if said:  # a notice to all, or why this account may not log in: both are for a person to read
                return AccessRefused(
                    f"{self.where} does not accept {key}, and says: {said}",
                    remedy="If it says nothing of the account, put the public key into its authorized_keys.",
                )
            return AccessRefused(
                f"{self.where} does not accept {key}",
                remedy="Put its public key into the authorized_keys of that user.",
            )
        if isinstance(error, OSError) and error.filename:
            return AccessRefused(
                f"the private key cannot be read ({error.strerror})",
                path=str(error.filename),
                host="netboot server",
                remedy=f"Set {called('private_key_file')} to a key that the user of the module may read.",
            )
        if isinstance(error, socket.gaierror):
            return ConnectionTrouble(
                f"the name {self.settings.hostname} is not known", remedy=f"Set {called('host')} or ansible_host."
            )
        if isinstance(error, ConnectionRefusedError):
            return ConnectionTrouble(
                f"{self.where} refused the connection", remedy="Is sshd running, is the port right?"
            )
        if isinstance(error, (socket.timeout, TimeoutError)):
            return ConnectionTrouble(
                f"{self.where} did not answer within {self.address.connect_timeout} s",
                remedy="Is it switched on, and does the line stand?",
            )
        if isinstance(error, OSError):
            return ConnectionTrouble(
                f"{self.where} cannot be reached ({error.strerror or text})",
                remedy="Is it switched on, does the line stand?",
            )
        if isinstance(error, EOFError) or "banner" in text or text == "No existing session":
            return ConnectionTrouble(
                f"{self.where} took the connection, but did not answer as an SSH server",
                remedy="Does the line stand, is its sshd overloaded (MaxStartups), is it the right port?",
            )
        if isinstance(error, ValueError) or ("key" in text.lower() and "private" in text.lower()):
            return AccessRefused(f"the private key is of no use ({text})", remedy=f"Set {called('private_key_file')}.")
        return ConnectionTrouble(f"no SSH session with {self.where} ({text})", remedy="Look at the log of its sshd.")


def _banner(transport: paramiko.Transport | None) -> str:
    """Return the last words of what a server said before the login was over, on one line."""
    banner = transport.get_banner() if transport is not None else None
    words = " ".join((banner or b"")[-4096:].decode("utf-8", "replace").split())
    return words if len(words) <= 300 else "... " + words[-300:]


class _UnknownHostKey(Exception):
    """The host key is not known, and may not be learned."""


class _RevokedHostKey(Exception):
    """The host key is known as one that nobody may accept any more."""


if paramiko is not None:

    class _KnownHosts(paramiko.HostKeys):
        """Known hosts as OpenSSH reads them: it skips a line that it cannot read, where paramiko gives up the file."""

        _entries: list[HostKeyEntry]  # of paramiko's class, which does not declare it

        def __init__(self) -> None:
            super().__init__()
            self._revoked: set[bytes] = set()

        def revokes(self, key: paramiko.PKey) -> bool:
            """Tell whether a key must not be accepted, whatever else is known of it."""
            return key.asbytes() in self._revoked

        def read(self, name: str) -> None:
            """Add what a file says. Raises :class:`OSError`."""
            with open(name, encoding="utf-8", errors="replace") as file:
                for line in file:
                    words = line.split()
                    if not words or words[0].startswith("#"):
                        continue
                    revoked = words[0] == "@revoked"
                    if words[0].startswith("@"):
                        words = words[1:] if revoked else []  # of an authority, paramiko knows nothing
                    with contextlib.suppress(Exception):  # paramiko has a kind for each way to spoil a line
                        entry = HostKeyEntry.from_line(" ".join(words))
                        if entry is not None:
                            # A hashed name is not decoded before it is compared.
                            self._hostname_matches("", entry)  # type: ignore[attr-defined]
                            if revoked:
                                self._revoked.add(entry.key.asbytes())
                            else:
                                self._entries.append(entry)
            self._entries = [entry for entry in self._entries if not self.revokes(entry.key)]

    class _RefuseRevoked(paramiko.MissingHostKeyPolicy):
        """Refuse a key that known hosts revoke; a known host with such a key counts as one that is not known."""

        def missing_host_key(self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey) -> None:
            """Raise :class:`_RevokedHostKey`."""
            if client._system_host_keys.revokes(key):  # type: ignore[attr-defined]
                raise _RevokedHostKey(hostname)

    class _Strict(_RefuseRevoked):
        """Refuse every key that is not known."""

        def missing_host_key(self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey) -> None:
            """Raise :class:`_UnknownHostKey`."""
            super().missing_host_key(client, hostname, key)
            raise _UnknownHostKey(hostname)

    class _AcceptNew(_RefuseRevoked):
        """Take the key of a host seen for the first time, and remember it as OpenSSH's ``accept-new`` does."""

        def __init__(self, known_hosts: t.Sequence[str], *, write: bool) -> None:
            self._write = write
            self._file = known_hosts[0] if known_hosts else os.path.expanduser("~/.ssh/known_hosts")

        def missing_host_key(self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey) -> None:
            """Append the line. A host that has another key already is not one seen for the first time."""
            super().missing_host_key(client, hostname, key)
            if client._system_host_keys.lookup(hostname):  # type: ignore[attr-defined]
                raise _UnknownHostKey(hostname)
            if not self._write:
                return
            try:
                self._append(f"{hostname} {key.get_name()} {key.get_base64()}\n")
            except OSError as error:
                raise SyncError(
                    f"the new host key cannot be remembered ({error.strerror})",
                    path=self._file,
                    host="netboot server",
                    remedy=f"Let the user that the module runs as write it, or set {called('known_hosts_file')}.",
                ) from error

        def _append(self, line: str) -> None:
            os.makedirs(os.path.dirname(self._file) or ".", mode=0o700, exist_ok=True)
            with open(self._file, "ab+") as file:
                if file.seek(0, os.SEEK_END):
                    file.seek(-1, os.SEEK_END)
                    if file.read(1) != b"\n":
                        line = "\n" + line  # or it would be lost at the end of the last one
                file.write(line.encode("utf-8"))
