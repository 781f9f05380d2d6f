# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts in network namespaces: each with its own network, root file system, disk of a chosen size, and line.

Needs root. Everything happens inside namespaces that :func:`isolate` creates first: a network with only loopback,
private mounts, and a process tree that ends with its first process. So no packet can leave, and nothing is left behind,
however a run ends.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from .process import STANDARD_PATH, LabError, Supervised, find_program

CLONE_NEWNET = 0x40000000  # setns(2)
OUTER_NETWORK = "NETBOOT_LAB_OUTER_NETWORK"  # environment: the machine's own network namespace
NAMES = Path("/run/netns")  # where ip(8) keeps namespaces that have a name
BURST = "32kb"  # of the token bucket: some packets
QUEUE = "100ms"  # how long a packet may wait before a slow line
START_TIMEOUT = 10.0  # seconds


def faketime_library() -> str:
    """The library that shifts the clock of a program (Debian has it below the machine's own library directory)."""
    for pattern in (
        "lib/*/faketime/libfaketime.so.1",
        "lib64/faketime/libfaketime.so.1",
        "lib/faketime/libfaketime.so.1",
    ):
        for path in Path("/usr").glob(pattern):
            return str(path)
    raise LabError("libfaketime is not installed on this machine: install the package faketime")


def command(*words: str) -> str:
    """Run a program to its end and return its output. Raises LabError with its output."""
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise LabError(f"{' '.join(words)}: {done.stderr.strip() or done.stdout.strip() or done.returncode}")
    return done.stdout


def network_id(of: str = "self") -> int:
    """The id of a network namespace: of a process, of a name, or (``thread-self``) of the calling thread."""
    path = NAMES / of if (NAMES / of).exists() else Path("/proc", of, "ns", "net")
    return path.stat().st_ino


def isolate(module: str, arguments: Sequence[str]) -> None:
    """Replace this process by ``python -m MODULE ARGUMENTS`` in its own namespaces; returns in there.

    Called again in there (which it detects from the environment), it verifies that, and continues as a child of a first
    process that only reaps.
    """
    if OUTER_NETWORK not in os.environ:
        os.environ[OUTER_NETWORK] = str(network_id())
        unshare = [find_program("unshare", "util-linux"), "--net", "--mount", "--ipc", "--pid", "--fork"]
        unshare += ["--kill-child", "--propagation", "private"]
        sys.stdout.flush()
        os.execv(unshare[0], [*unshare, sys.executable, "-m", module, *arguments])  # noqa: S606  # no shell is wanted
    assert_isolated()
    _become_first_process()
    command("mount", "-t", "proc", "proc", "/proc")
    for place, options in (("/run", "mode=755"), ("/dev/shm", "mode=1777")):
        command("mount", "-t", "tmpfs", "-o", options, "tmpfs", place)
    os.makedirs(NAMES)
    os.makedirs("/run/sshd", mode=0o755)
    command("ip", "link", "set", "lo", "up")


def assert_isolated() -> None:
    """Raise LabError unless this is a lab's network, without any way out."""
    outer = os.environ.get(OUTER_NETWORK)
    # some kernels put tunnel devices into every new network; they are down, and lead nowhere
    links = [link["ifname"] for link in json.loads(command("ip", "-j", "link", "show")) if "UP" in link["flags"]]
    if outer is None or outer == str(network_id()) or not set(links) <= {"lo"}:
        raise LabError(f"this is not the lab's own network, nothing is sent: {', '.join(links)}")


def _become_first_process() -> None:
    """Stay as process 1 that reaps orphans; a child continues. Its end ends everything that is left."""
    if os.getpid() != 1:
        raise LabError("this is not the lab's own process tree")
    child = os.fork()
    if child == 0:
        # a shell may have started this in the background, with Ctrl-C ignored; what process 1 is told comes as the same
        signal.signal(signal.SIGINT, signal.default_int_handler)
        return
    # Ctrl-C in a terminal reaches the child as well, which cleans up
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: os.kill(child, signal.SIGINT))
    while True:
        with contextlib.suppress(InterruptedError):
            pid, status = os.wait()
            if pid == child:
                os._exit(os.waitstatus_to_exitcode(status) & 0xFF)


def own_directory(*kept: Path) -> Path:
    """Mount an empty file system in memory, for everything that a lab writes, without hiding any of the *kept*
    paths."""
    for place in (Path("/mnt"), Path("/media"), Path("/srv"), Path("/opt")):
        if place.is_dir() and not any(path.resolve().is_relative_to(place) for path in kept):
            command("mount", "-t", "tmpfs", "-o", "mode=755", "lab", str(place))
            return place
    raise LabError("no directory to mount the lab's file system on: tried /mnt, /media, /srv and /opt")


def add_network(name: str) -> None:
    """Make a network namespace with a name, loopback up."""
    command("ip", "netns", "add", name)
    command("ip", "-n", name, "link", "set", "lo", "up")


def enter_network(name: str) -> None:
    """Move the calling thread, and what it starts from now on, to another network; verify that it is there."""
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = os.open(NAMES / name, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if libc.setns(descriptor, CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"setns to the network {name}")
    finally:
        os.close(descriptor)
    assert_in_network(name)


def assert_in_network(name: str) -> None:
    """Raise LabError unless the calling thread is in this network: called before the first packet."""
    here = network_id("thread-self")
    if here != network_id(name) or str(here) == os.environ.get(OUTER_NETWORK):
        raise LabError(f"not in the network {name}, nothing is sent")


class Line:
    """A line between two networks, an Ethernet pair with a rate (bit/s) in each direction; None for no limit."""

    def __init__(self, near: str, near_address: str, far: str, far_address: str, *, device: str) -> None:
        self.ends = ((near, device), (far, "line"))
        self.near_address, self.far_address = near_address, far_address
        self.rate: int | None = None
        pair = ["link", "add", device, "type", "veth", "peer", "name", "line", "netns", far]
        command("ip", "-n", near, *pair)
        for (network, name), address in zip(self.ends, (near_address, far_address), strict=True):
            command("ip", "-n", network, "addr", "add", f"{address}/30", "dev", name)
            command("ip", "-n", network, "link", "set", name, "up")

    def set_rate(self, rate: int | None) -> None:
        """Set the rate; also ends a stall."""
        self.rate = rate
        for network, device in self.ends:
            subprocess.run(
                ["tc", "-n", network, "qdisc", "del", "dev", device, "root"], capture_output=True, check=False
            )
            if rate is not None:
                shape = ["tbf", "rate", f"{rate}bit", "burst", BURST, "latency", QUEUE]
                command("tc", "-n", network, "qdisc", "add", "dev", device, "root", *shape)

    def cut(self, end: int) -> None:
        """Pull the plug, at the near (0) or the far (1) end."""
        network, device = self.ends[end]
        command("ip", "-n", network, "link", "set", device, "down")

    def stall(self) -> None:
        """Let nothing through, while both ends see a line that is up: no packet fits into the bucket."""
        for network, device in self.ends:
            narrow = ["tbf", "rate", "8bit", "burst", "10b", "limit", "10b"]
            command("tc", "-n", network, "qdisc", "replace", "dev", device, "root", *narrow)

    def restore(self) -> None:
        """Plug in again, and let everything through."""
        for network, device in self.ends:
            command("ip", "-n", network, "link", "set", device, "up")
        self.set_rate(self.rate)

    def carried(self) -> int:
        """Bytes that crossed it so far, both directions, headers included. Only from a thread in the near network."""
        device = self.ends[0][1]
        for row in Path("/proc/thread-self/net/dev").read_text(encoding="ascii").splitlines():
            name, _unused, figures = row.partition(":")
            if name.strip() == device:
                fields = figures.split()
                return int(fields[0]) + int(fields[8])
        raise LabError(f"the line {device} is not in this network")


class Host:
    """A separate machine: this machine's files under an overlay, a disk of *size* bytes on /srv/netboot.

    Programs run under chroot in its network, each with its whole process tree under :class:`Supervised`.

    :arg directory: below the lab's own file system; holds the overlay, the disk and the logs.
    :arg network: the name of its network namespace, which is there already.
    """

    def __init__(self, directory: Path, network: str, *, size: int) -> None:
        self.directory = directory
        self.network = network
        self.size = size
        self.root = directory / "root"
        self.written = directory / "upper"  # what this host wrote outside its disk
        self.disk = directory / "disk"
        self._programs: dict[str, Supervised] = {}
        for path in (self.root, self.written, directory / "work", self.disk):
            path.mkdir(parents=True)
        layers = f"lowerdir=/,upperdir={self.written},workdir={directory / 'work'}"
        command("mount", "-t", "overlay", "-o", layers, "overlay", str(self.root))
        command("mount", "-t", "tmpfs", "-o", f"size={size},mode=755", "disk", str(self.disk))
        command("mount", "-t", "proc", "proc", str(self.root / "proc"))
        command("mount", "--rbind", "/dev", str(self.root / "dev"))
        for name in ("run", "tmp"):
            command("mount", "-t", "tmpfs", "-o", "mode=1777", name, str(self.root / name))
        for place in (Path(sys.prefix), Path(sys.base_prefix)):
            self._bring_along(place)
        (self.root / "srv" / "netboot").mkdir(parents=True, exist_ok=True)
        (self.root / "run" / "sshd").mkdir(mode=0o755)
        # what root's shell does on this machine at a login must not affect a lab's host
        for name in (".bashrc", ".bash_profile", ".bash_login", ".profile", ".zshenv", ".cshrc"):
            (self.root / "root" / name).unlink(missing_ok=True)
        command("mount", "--bind", str(self.disk), str(self.root / "srv" / "netboot"))

    def _bring_along(self, place: Path) -> None:
        """Show a directory of this machine under its own name where the overlay does not: below /tmp, or mounted."""
        within = self.root / place.relative_to("/")
        if not within.exists():
            within.mkdir(parents=True)
            command("mount", "--bind", str(place), str(within))
            command("mount", "-o", "remount,bind,ro", str(within))

    def used(self) -> int:
        """Bytes used on its disk."""
        found = os.statvfs(self.disk)
        return (found.f_blocks - found.f_bfree) * found.f_frsize

    def leave_free(self, count: int) -> None:
        """Leave only *count* bytes free on its disk from now on, as if something else had filled the rest."""
        for _attempt in range(10):
            # it can take more at the moment
            with contextlib.suppress(LabError):
                command("mount", "-o", f"remount,size={self.used() + max(count, 4096)}", str(self.disk))
                return
        raise LabError(f"the disk {self.disk} grows too fast to be made small")

    def free_disk(self) -> None:
        """Give its disk its own size again."""
        command("mount", "-o", f"remount,size={self.size}", str(self.disk))

    def start(self, name: str, *words: str, environment: Mapping[str, str] | None = None) -> Supervised:
        """Start a long-running program; its output is appended to ``<name>.log``."""
        into = ["nsenter", f"--net={NAMES / self.network}", "chroot", str(self.root)]
        with (self.directory / f"{name}.log").open("ab") as log:
            self._programs[name] = Supervised(
                [*into, *words], stdout=log, stderr=log, env={"PATH": STANDARD_PATH, **(environment or {})}
            )
        return self._programs[name]

    def stop(self, name: str) -> None:
        """End a program and all its descendants, by SIGKILL."""
        program = self._programs.pop(name, None)
        if program is not None:
            program.stop()

    def stop_all(self) -> None:
        """End everything on this host."""
        for name in list(self._programs):
            self.stop(name)

    def pids(self, name: str) -> list[int]:
        """Process ids of a program, its first process first."""
        return self._programs[name].pids() if name in self._programs else []

    def log(self, name: str) -> str:
        """The output of a program so far."""
        path = self.directory / f"{name}.log"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    def start_sshd(self, address: str, *, host_key: Path, authorized: str, clock: bool = False) -> None:
        """Start OpenSSH on port 22 and wait until it listens.

        With *clock*, the daemon, its sessions and their commands get the time from libfaketime, and :meth:`set_clock`
        shifts it while they run.
        """
        settings = self.root / "run" / "lab-ssh"
        settings.mkdir(mode=0o755, exist_ok=True)
        for name, text in (("host_key", host_key.read_text(encoding="ascii")), ("authorized_keys", authorized + "\n")):
            (settings / name).write_text(text, encoding="ascii")
            (settings / name).chmod(0o600)
        fake = {}
        if clock:
            fake = {
                "LD_PRELOAD": faketime_library(),
                "FAKETIME_TIMESTAMP_FILE": "/run/lab-ssh/clock",
                "FAKETIME_NO_CACHE": "1",
                "FAKETIME_DONT_FAKE_MONOTONIC": "1",
                "NO_FAKE_STAT": "1",  # what a client sees of a file is the kernel's
                "FAKETIME_DISABLE_SHM": "1",
            }
            self.set_clock(0)
        variables = {"PATH": STANDARD_PATH, **fake}
        lines = [
            f"ListenAddress {address}:22",
            "HostKey /run/lab-ssh/host_key",
            "AuthorizedKeysFile /run/lab-ssh/authorized_keys",
            "PidFile none",
            "LogLevel VERBOSE",
            "StrictModes no",
            "PasswordAuthentication no",
            "KbdInteractiveAuthentication no",
            "PermitRootLogin prohibit-password",
            "PrintMotd no",
            "PrintLastLog no",
            "UseDNS no",
            "UsePAM no",
            "MaxStartups 200:30:400",
            "MaxSessions 50",
            "SetEnv " + " ".join(f'"{name}={value}"' for name, value in variables.items()),
            "Subsystem sftp internal-sftp",
        ]
        (settings / "config").write_text("\n".join(lines) + "\n", encoding="ascii")
        seen = len(self.log("sshd"))
        started = self.start("sshd", "/usr/sbin/sshd", "-D", "-e", "-f", "/run/lab-ssh/config", environment=fake)
        deadline = time.monotonic() + START_TIMEOUT
        while "Server listening on" not in self.log("sshd")[seen:]:
            if not started.running or time.monotonic() > deadline:
                raise LabError(f"sshd of {self.network} did not start: {self.log('sshd')[seen:].strip()}")
            time.sleep(0.01)

    def set_clock(self, seconds: int) -> None:
        """Put the clock of what :meth:`start_sshd` started with *clock* off by that many seconds, at once."""
        path = self.root / "run" / "lab-ssh" / "clock"
        path.with_name("clock.new").write_text(f"{seconds:+d}\n", encoding="ascii")
        path.with_name("clock.new").replace(path)

    def session_pids(self) -> list[int]:
        """Process ids of the sessions of its OpenSSH server, and of all that they run."""
        return self.pids("sshd")[1:]

    def start_nginx(self, address: str, *, serve: str, log: bool = False, rate: str = "0") -> None:
        """Start nginx on port 80 for the directory *serve* of this host; hidden names are not served.

        With *log*, :meth:`served` has the requests; *rate* (``1m``) is what a client gets per second.
        """
        access = "log_format lab '$request_uri $status $body_bytes_sent'; access_log /run/nginx-access.log lab"
        text = f"""daemon off; user root; worker_processes 1; pid /run/nginx.pid; error_log stderr error;
events {{ worker_connections 64; }}
http {{
  {access if log else "access_log off"}; limit_rate {rate}; sendfile on; default_type application/octet-stream;
  keepalive_requests 100000000; keepalive_timeout 1h;
  client_body_temp_path /run/nginx-body; proxy_temp_path /run/nginx-proxy; fastcgi_temp_path /run/nginx-fastcgi;
  uwsgi_temp_path /run/nginx-uwsgi; scgi_temp_path /run/nginx-scgi;
  server {{ listen {address}:80; root {serve}; location ~ /\\. {{ return 404; }} }}
}}
"""
        (self.root / "run" / "lab-nginx.conf").write_text(text, encoding="utf-8")
        started = self.start("nginx", "/usr/sbin/nginx", "-c", "/run/lab-nginx.conf", "-e", "stderr")
        deadline = time.monotonic() + START_TIMEOUT
        while len(self.pids("nginx")) < 2:
            if not started.running or time.monotonic() > deadline:
                raise LabError(f"nginx of {self.network} did not start: {self.log('nginx').strip()}")
            time.sleep(0.01)

    def served(self) -> list[tuple[str, int, int]]:
        """The requests to nginx: path, status, and bytes sent."""
        found = (self.root / "run" / "nginx-access.log").read_text(encoding="utf-8", errors="replace")
        return [(path, int(status), int(sent)) for path, status, sent in map(str.split, found.splitlines())]
