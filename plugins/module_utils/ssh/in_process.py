# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A session inside this process, by paramiko: for checking many caching servers at once, at a tenth of an ssh's cost.

It must never accept what OpenSSH refuses, so :func:`agrees` leaves every caching server to OpenSSH for which the two
could disagree. A refusal of this session means nothing: OpenSSH decides, and provides the error message.
"""

from __future__ import annotations

import contextlib
import functools
import glob
import os
import socket
import stat
import typing as t

from ..errors import ConnectionTrouble
from .base import BaseSession
from .bounds import run_bounded
from .config_files import config_lines
from .login import Login
from .pipe import Channel
from .settings import Address, Effective

try:
    import paramiko
    from paramiko.hostkeys import HostKeyEntry

    from .bounds import GuardedTransport, first_errors, guard_channel
except ImportError:  # reported by the module, with missing_required_lib
    paramiko = None  # type: ignore[assignment]

# ssh_config options that do not make the two differ: paramiko is told them, or they decide nothing.
_UNDERSTOOD = frozenset(
    """
    host hostname port user identityfile userknownhostsfile globalknownhostsfile bindaddress batchmode
    stricthostkeychecking hashknownhosts sendenv setenv connecttimeout connectionattempts
    serveraliveinterval serveralivecountmax tcpkeepalive compression controlmaster controlpath
    controlpersist loglevel visualhostkey forwardagent forwardx11 forwardx11timeout forwardx11trusted
    xauthlocation escapechar exitonforwardfailure addkeystoagent identitiesonly gssapiauthentication
    gssapidelegatecredentials requesttty updatehostkeys clearallforwardings streamlocalbindmask ipqos
    nohostauthenticationforlocalhost
    """.split()  # noqa: SIM905  # as many lines as names
)
_LONGEST = 64 * 1024  # bytes of a key that are looked through


def agrees(address: Address, settings: Effective) -> bool:
    """Return whether paramiko and OpenSSH are sure to behave the same for this address."""
    if paramiko is None or address.host_key_checking == "false" or settings.host_key_alias or settings.proxy_command:
        return False
    usual = dict(_usual())
    differing = {key for key, value in settings.said if usual.get(key, "") != value} | (
        usual.keys() - {key for key, _value in settings.said}
    )
    if not usual or differing - _UNDERSTOOD or _decides_by_command():
        return False
    agent = bool(os.environ.get("SSH_AUTH_SOCK"))
    if not address.private_key_file and (dict(settings.said).get("identitiesonly") == "yes" or agent):
        return False  # which key comes first, and how many are tried
    known_hosts = _seen(settings.known_hosts_files)
    return all(map(_is_plain_key, settings.identity_files)) and not any(map(_has_marker, known_hosts))


@functools.lru_cache(maxsize=1)
def _usual() -> tuple[tuple[str, str], ...]:
    """Return what OpenSSH does for a host that no file mentions."""
    from .settings import keywords

    options = Address("host").ssh_options()
    try:
        status, output, _errors = run_bounded(["ssh", "-Fnone", "-G", *options, "--", "host"])
    except OSError:
        return ()
    return keywords(os.fsdecode(output)) if status == 0 else ()


@functools.lru_cache(maxsize=1)
def _decides_by_command() -> bool:
    """Return whether an ssh_config runs a program (``Match exec``), or cannot be read completely."""
    waiting = [os.path.expanduser("~/.ssh/config"), "/etc/ssh/ssh_config"]
    for _number in range(100):
        if not waiting:
            return False
        path = waiting.pop()
        try:
            lines = config_lines(path)
        except FileNotFoundError:
            continue
        except OSError:
            return True
        if lines is None:
            return True
        for line in lines:
            if line.keyword == "match" and any("exec" in value.lower() for value in line.values):
                return True
            if line.keyword == "include":
                for name in line.values:
                    waiting += glob.glob(os.path.join(os.path.dirname(path), os.path.expanduser(name)))
    return True


def _is_plain_key(path: str) -> bool:
    """Return whether OpenSSH would use a key file: not readable for others, not a token's, without a certificate."""
    try:
        found = os.stat(path)
    except OSError:
        return False
    private = not stat.S_IMODE(found.st_mode) & 0o077 and found.st_uid in (os.geteuid(), 0)
    with contextlib.suppress(OSError), open(path, "rb") as file:
        return private and not os.path.exists(f"{path}-cert.pub") and b"\r" not in file.read(_LONGEST)
    return False


class _Seen(t.NamedTuple):
    """A known hosts file in a state in which it was seen; a later look at another state reads it again."""

    path: str
    state: tuple[int, int, int] = (0, 0, 0)


def _seen(paths: t.Sequence[str]) -> tuple[_Seen, ...]:
    found = []
    for path in paths:
        try:
            about = os.stat(path)
        except OSError:
            found.append(_Seen(path))
        else:
            found.append(_Seen(path, (about.st_ino, about.st_size, about.st_mtime_ns)))
    return tuple(found)


# The fleet shares its known hosts: reading a thousand lines for each of a thousand caching servers would take minutes.
@functools.lru_cache(maxsize=16)
def _has_marker(file: _Seen) -> bool:
    """Return whether a known hosts file marks a key as revoked, or as that of an authority."""
    try:
        with open(file.path, "rb") as lines:
            return any(line.lstrip()[:1] == b"@" for line in lines)
    except FileNotFoundError:
        return False
    except OSError:
        return True


class InProcessSession(BaseSession):
    """A connection that is checked, authenticated and kept alive."""

    def __init__(self, address: Address, settings: Effective) -> None:
        super().__init__(address, settings)
        self._client: paramiko.SSHClient | None = None

    def connect(self) -> None:
        """See :class:`BaseSession`. It does not report what is wrong."""
        settings = self.settings
        client = paramiko.SSHClient()
        client._system_host_keys = _known_hosts(_seen(settings.known_hosts_files))  # type: ignore[attr-defined]
        client.set_missing_host_key_policy(paramiko.RejectPolicy())
        try:
            client.connect(
                hostname=settings.hostname,
                port=settings.port,
                username=settings.user,
                key_filename=list(settings.identity_files) or None,  # type: ignore[arg-type]
                allow_agent=False,
                look_for_keys=False,
                timeout=self.address.connect_timeout,
                banner_timeout=self.address.connect_timeout,
                auth_timeout=self.address.connect_timeout,
                sock=self._socket(),
                transport_factory=GuardedTransport,
            )
        except Exception as error:
            client.close()
            raise ConnectionTrouble(f"no look at {self.where} is possible from inside this process") from error
        transport = client.get_transport()
        if transport is not None:
            transport.set_keepalive(5)
        self._client = client

    def _socket(self) -> socket.socket:
        settings = self.settings
        source = (settings.bind_address, 0) if settings.bind_address else None
        connection = socket.create_connection(
            (settings.hostname, settings.port), self.address.connect_timeout, source_address=source
        )
        # paramiko leaves Nagle's algorithm on: a small request would wait some 30 ms for the answer to the one before.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            # A silent connection is then an error, not a wait of a quarter of an hour.
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, self.address.stall_timeout * 1000)
        return connection

    def close(self) -> None:
        """See :class:`BaseSession`."""
        if self._client is not None:
            self._client.close()
        self._client = self._sftp = None

    def alive(self, patience: float = 0.0) -> bool:
        """See :class:`BaseSession`."""
        transport = self._client.get_transport() if self._client else None
        if transport is not None and patience:
            transport.join(patience)
        return bool(transport and transport.is_active())

    def bulk(self, ciphers: t.Sequence[str] = ()) -> Login:  # noqa: ARG002  # as in the other session
        """See :class:`BaseSession`."""
        raise self.broken("a look sends nothing")

    def drop_bulk(self) -> None:
        """See :class:`BaseSession`."""

    @property
    def violation(self) -> str:
        """See :class:`BaseSession`."""
        transport = self._client.get_transport() if self._client else None
        return getattr(transport, "violation", "")

    def _open(self, command: str, *, subsystem: bool = False) -> Channel:
        transport = self._client.get_transport() if self._client else None
        if transport is None:
            raise self.broken()
        try:
            channel = transport.open_session(timeout=self.address.connect_timeout)
            guard_channel(channel, transport)
            channel.settimeout(self.address.stall_timeout)
            if subsystem:
                channel.invoke_subsystem(command)
            else:
                channel.exec_command(command)
        except (paramiko.SSHException, EOFError, OSError) as error:
            raise self.broken() from error
        return _Channel(channel)


class _Channel:
    """A guarded channel of paramiko, as a :class:`Channel`."""

    def __init__(self, channel: paramiko.Channel) -> None:
        self._channel = channel
        self.settimeout = channel.settimeout
        self.recv = channel.recv
        self.send = channel.send
        self.sendall = channel.sendall
        self.get_name = channel.get_name
        self.close = channel.close
        self.shutdown_write = channel.shutdown_write

    @property
    def errors(self) -> str:
        """See :class:`Channel`."""
        return first_errors(self._channel)

    def lost(self) -> bool:
        """See :class:`Channel`."""
        return not self._channel.get_transport().is_active()


if paramiko is not None:

    class _KnownHosts(paramiko.HostKeys):
        """Known hosts as OpenSSH reads them: it skips a line that it cannot read, while paramiko gives up on the
        file."""

        _entries: list[HostKeyEntry]  # of paramiko's class, which does not declare it

        def __init__(self, files: t.Sequence[_Seen]) -> None:
            super().__init__()
            for file in files:
                with contextlib.suppress(OSError), open(file.path, encoding="utf-8", errors="replace") as lines:
                    for line in lines:
                        self._read(" ".join(line.split()))

        def _read(self, line: str) -> None:
            with contextlib.suppress(Exception):  # paramiko has an exception for each way to break a line
                entry = HostKeyEntry.from_line(line) if line and line[0] not in "#@" else None
                if entry is not None:
                    # A hashed name is not decoded before it is compared.
                    self._hostname_matches("", entry)  # type: ignore[attr-defined]
                    self._entries.append(entry)

    # Sessions only ever look up in it, from many threads.
    _known_hosts = functools.lru_cache(maxsize=8)(_KnownHosts)
