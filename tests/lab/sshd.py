# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One caching server: a real OpenSSH server on a loopback address, as the calling user."""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import pwd
import random
import re
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from . import trace
from .process import STANDARD_PATH, LabError, Supervised, find_program

START_TIMEOUT = 10.0  # seconds
_numbers = itertools.count(11)
_given: set[tuple[str, int]] = set()
_chance = random.SystemRandom()  # a seed for repeatable tests must not make ports repeat


def next_address() -> str:
    """A loopback address that no other server of this process has, nor usually one of another process."""
    number = next(_numbers)
    return f"127.{1 + os.getpid() % 250}.{number // 200}.{number % 200}"


def family_of(address: str) -> socket.AddressFamily:
    """Of an IPv4 or IPv6 address."""
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def free_port(address: str) -> int:
    """A TCP port on *address* that is free now, below the range that the kernel gives to outgoing connections.

    None is returned twice by one process: the first caller may not be listening yet.
    """
    for _attempt in range(200):
        port = _chance.randrange(20000, 32000)
        if (address, port) in _given:
            continue
        with socket.socket(family_of(address)) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, port))
            except OSError:
                continue
            _given.add((address, port))
            return port
    raise LabError(f"no free TCP port found on {address}")


@dataclass(frozen=True)
class ClientKey:
    """A key pair that a client logs in with."""

    private: Path
    public: str  # "ssh-ed25519 AAAA..."

    @classmethod
    def create(cls, path: Path) -> ClientKey:
        """Create an ed25519 pair without a passphrase at *path*, or use the existing one."""
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            options = ["-q", "-t", "ed25519", "-N", "", "-C", "netboot-lab", "-f", str(path)]
            subprocess.run([find_program("ssh-keygen", "openssh-client"), *options], check=True)
        fields = path.with_name(path.name + ".pub").read_text(encoding="utf-8").split()
        return cls(private=path, public=" ".join(fields[:2]))


class CachingServer:
    """A caching server's SSH side.

    Its directory holds ``assets/`` (what it serves), ``ssh/`` (configuration, host key, authorized keys, log) and
    ``home/``: sessions do not see the calling user's own home, so neither ``~/.bashrc`` nor ``~/.ssh`` plays a part.

    :arg directory: created if missing; existing content is reused, so a server can come back with its state.
    :arg authorized: public keys that may log in.
    :arg address: loopback address, by default one of its own; *port*: by default a free one.
    :arg sftp_only: offers only SFTP, as a hosting company may do (``ForceCommand internal-sftp``).
    :arg hide: names of commands that sessions do not find, e.g. ``{"rsync"}``.
    :arg scripts: commands that sessions find instead of the real ones: name to text of a script.
    :arg trace: where strace writes the system calls that change its file system, if wanted.
    :arg max_startups: OpenSSH's ``MaxStartups``; the default here never refuses.
    :arg max_sessions: OpenSSH's ``MaxSessions``, for each login.
    """

    def __init__(
        self,
        directory: Path,
        *,
        authorized: Collection[str],
        address: str | None = None,
        port: int | None = None,
        sftp_only: bool = False,
        hide: Collection[str] = (),
        scripts: Mapping[str, str] | None = None,
        trace: Path | None = None,
        max_startups: str = "200:30:400",
        max_sessions: int = 50,
    ) -> None:
        self.directory = directory.absolute()
        self.assets = self.directory / "assets"
        self.address = address or next_address()
        self.port = port or free_port(self.address)
        self.user = pwd.getpwuid(os.geteuid()).pw_name
        self.sftp_only = sftp_only
        self.hide = frozenset(hide)
        self.scripts = dict(scripts or {})
        self.trace = trace
        self.max_startups = max_startups
        self.max_sessions = max_sessions
        self._ssh = self.directory / "ssh"
        self._home = self.directory / "home"
        self._server: Supervised | None = None
        for path in (self.assets, self._ssh, self._home):
            path.mkdir(parents=True, exist_ok=True)
        self._host_key = ClientKey.create(self._ssh / "host_key")
        self.authorize(authorized)

    @property
    def running(self) -> bool:
        """Whether the server is up."""
        return self._server is not None and self._server.running

    @property
    def log(self) -> str:
        """What sshd has logged so far, over all starts (``LogLevel VERBOSE``)."""
        path = self._ssh / "log"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    @property
    def host_key(self) -> str:
        """The public host key: ``ssh-ed25519 AAAA...``."""
        return self._host_key.public

    def known_hosts_line(self, *, address: str | None = None, port: int | None = None) -> str:
        """A line for a known_hosts file; *address* and *port* if clients connect through something else (a Line)."""
        return f"[{address or self.address}]:{port or self.port} {self.host_key}\n"

    def session_pids(self) -> list[int]:
        """Process ids of all sessions: the server's own processes for them, and the commands that they run."""
        return self._server.pids()[1:] if self._server is not None else []

    def start(self) -> None:
        """Start the server and wait until it listens. Raises LabError with its log if it does not."""
        if self.running:
            return
        if os.geteuid() == 0:
            os.makedirs("/run/sshd", mode=0o755, exist_ok=True)  # sshd wants it for privilege separation
        self._write_config()
        log = self._ssh / "log"
        with log.open("ab") as stream:
            seen = stream.tell()
            command = [find_program("sshd", "openssh-server"), "-D", "-e", "-f", str(self._ssh / "sshd_config")]
            if self.trace is not None:
                command = [*trace.strace(self.trace), *command]
            self._server = Supervised(command, stdout=stream, stderr=stream)
        deadline = time.monotonic() + START_TIMEOUT
        while b"Server listening on" not in (text := log.read_bytes()[seen:]):
            if not self._server.running or time.monotonic() > deadline:
                self.stop()
                raise LabError(f"sshd on {self.address}:{self.port} did not start: {text.decode(errors='replace')}")
            time.sleep(0.005)

    def stop(self) -> None:
        """Stop the server, all sessions and all that they run. Returns when nothing is left."""
        if self._server is not None:
            self._server.stop()
            self._server = None

    def restart(self) -> None:
        """Stop, then start on the same address and port."""
        self.stop()
        self.start()

    def kill_sessions(self) -> None:
        """End all sessions by SIGKILL, commands included; the server keeps running and accepts new ones."""
        for pid in self.session_pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def __enter__(self) -> CachingServer:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def authorize(self, keys: Collection[str]) -> None:
        """Set the public keys that may log in; effective from the next login."""
        (self._ssh / "authorized_keys").write_text("".join(f"{key}\n" for key in keys), encoding="utf-8")

    def new_host_key(self) -> None:
        """Give the server another host key, as after a reinstallation; restarts it if it runs."""
        for path in (self._host_key.private, self._host_key.private.with_name("host_key.pub")):
            path.unlink()
        self._host_key = ClientKey.create(self._host_key.private)
        if self.running:
            self.restart()

    def run(self, *command: str, key: ClientKey, timeout: float = 30) -> subprocess.CompletedProcess[str]:
        """Run *command* unchanged in a session over a real ssh client: no shell on this side sees it."""
        with tempfile.TemporaryDirectory(prefix="netboot-lab-") as directory:
            known_hosts = Path(directory) / "known_hosts"
            known_hosts.write_text(self.known_hosts_line(), encoding="utf-8")
            # a configuration file, because "-o UserKnownHostsFile" would split a path with spaces
            options = [
                "BatchMode yes",
                "IdentitiesOnly yes",
                f'IdentityFile "{key.private}"',
                f'UserKnownHostsFile "{known_hosts}"',
                "StrictHostKeyChecking yes",
                "LogLevel ERROR",
            ]
            config = Path(directory) / "config"
            config.write_text("\n".join(options) + "\n", encoding="utf-8")
            ssh = [find_program("ssh", "openssh-client"), "-F", str(config), "-p", str(self.port)]
            return subprocess.run(
                [*ssh, f"{self.user}@{self.address}", shlex.join(command)],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=timeout,
                check=False,
            )

    def _write_config(self) -> None:
        host = f"[{self.address}]" if ":" in self.address else self.address
        path = self._command_directory() if self.hide or self.scripts else STANDARD_PATH
        lines = [
            f"ListenAddress {host}:{self.port}",
            f'HostKey "{self._host_key.private}"',
            f'AuthorizedKeysFile "{self._ssh / "authorized_keys"}"',
            "PidFile none",
            "LogLevel VERBOSE",
            "StrictModes no",
            "PasswordAuthentication no",
            "KbdInteractiveAuthentication no",
            "PermitRootLogin prohibit-password",
            "PermitUserRC no",
            "PrintMotd no",
            "UseDNS no",
            f"UsePAM {'yes' if _root_is_locked() else 'no'}",
            f"MaxStartups {self.max_startups}",
            f"MaxSessions {self.max_sessions}",
            f'SetEnv "PATH={path}" "HOME={self._home}"',
            "Subsystem sftp internal-sftp",
        ]
        if self.sftp_only:
            lines.append("ForceCommand internal-sftp")
        if _sshd_version() >= (9, 8):
            lines.append("PerSourcePenalties no")  # a test's refused logins must not lock out the next test
        (self._ssh / "sshd_config").write_text("\n".join(lines) + "\n", encoding="utf-8")

    def _command_directory(self) -> Path:
        """A directory with a link to every command of the machine, without the hidden ones, plus the scripts."""
        directory = self.directory / "bin"
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir()
        for name, text in self.scripts.items():
            (directory / name).write_text(text, encoding="utf-8")
            (directory / name).chmod(0o755)
        taken = self.hide | self.scripts.keys()
        for place in STANDARD_PATH.split(":"):
            if not os.path.isdir(place):
                continue
            for entry in os.scandir(place):
                link = directory / entry.name
                if entry.name not in taken and not link.is_symlink():
                    link.symlink_to(entry.path)
        return directory


def _root_is_locked() -> bool:
    """Whether the caller is root and root's password is locked: without PAM, sshd then refuses keys as well."""
    if os.geteuid() != 0:
        return False
    try:
        lines = Path("/etc/shadow").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    return any(line.startswith("root:!") for line in lines)


@functools.cache
def _sshd_version() -> tuple[int, int]:
    """Major and minor version of the machine's OpenSSH server; (0, 0) if it does not tell."""
    # older servers treat -V as an unknown option, and print their version before the usage
    shown = subprocess.run([find_program("sshd", "openssh-server"), "-V"], capture_output=True, text=True, check=False)
    found = re.search(r"OpenSSH_(\d+)\.(\d+)", shown.stderr + shown.stdout)
    return (int(found[1]), int(found[2])) if found else (0, 0)
