# Copyright: (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where it is measured: a netboot server and caching servers in networks of their own, and what a command cost there.

Each host is a network namespace with a file system in memory and a real OpenSSH server; each line an Ethernet pair with
``tc tbf`` where it is to have a rate. The netboot server is also where ansible-playbook runs, as for the seed's rsync:
so all start from the same place.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from tests.lab.fleet import CHECKOUT
from tests.lab.namespaces import NAMES, Host, Line, add_network, assert_in_network, enter_network
from tests.lab.process import STANDARD_PATH, LabError, Supervised
from tests.lab.sshd import ClientKey
from tests.lab.supervise import descendants
from tests.lab.tree import AssetsTree

MIB = 1024 * 1024
SERVER = "server"
DEST = "/srv/netboot/assets"
CODE = "/srv/netboot/code"  # the checkout's collection, as it was when the bench was started
KEY, KNOWN_HOSTS = "/srv/netboot/ssh/id_ed25519", "/srv/netboot/ssh/known_hosts"
MOST_SITES = 250
TICKS = os.sysconf("SC_CLK_TCK")
SAMPLE_EVERY = 0.05  # seconds between two looks at the memory
SETTLE = 3.0  # seconds that sshd may need after a run to see that its client is gone


# -- what a command costs ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cost:
    """What a command cost, from its start to its end.

    :ivar seconds: of the wall clock.
    :ivar near_cpu: CPU seconds, user and system, of all its processes on the netboot server.
    :ivar far_cpu: the same of the caching servers' sshd and all that it started.
    :ivar line_bytes: what went over the lines, both directions and headers included.
    :ivar status: its exit status.
    :ivar output: what it printed.
    :ivar memory: peak of the proportional set size in bytes, by kind of process; only where it was watched.
    """

    seconds: float
    near_cpu: float
    far_cpu: float
    line_bytes: int
    status: int
    output: str = field(repr=False)
    memory: Mapping[str, int] = field(default_factory=dict)

    @property
    def cpu(self) -> float:
        """CPU seconds of both ends."""
        return self.near_cpu + self.far_cpu

    def figures(self) -> dict[str, object]:
        """For the JSON file."""
        return {
            "seconds": round(self.seconds, 3),
            "near_cpu_seconds": round(self.near_cpu, 2),
            "far_cpu_seconds": round(self.far_cpu, 2),
            "line_bytes": self.line_bytes,
            "status": self.status,
            **({"peak_pss_bytes": dict(self.memory)} if self.memory else {}),
        }


def cpu_of_trees(roots: Sequence[int]) -> float:
    """CPU seconds that these processes and all their descendants used so far, those included that have ended.

    The time of a process that ended is its parent's to keep (proc(5), cutime and cstime), once that has waited for it;
    until then it is a zombie, and counted as such.
    """
    children: dict[int, list[int]] = {}
    used: dict[int, int] = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/stat", encoding="utf-8", errors="replace") as stat:
                fields = stat.read().rpartition(")")[2].split()
        except OSError:
            continue
        children.setdefault(int(fields[1]), []).append(int(entry))
        used[int(entry)] = sum(int(one) for one in fields[11:15])
    total, queue = 0, list(roots)
    while queue:
        pid = queue.pop()
        total += used.get(pid, 0)
        queue += children.get(pid, [])
    return total / TICKS


class MemoryWatch:
    """Looks again and again at the memory of a process tree, and keeps the peak of each kind of process.

    ``controller`` is ansible-playbook with its workers, ``server`` all that works on the netboot server for caching
    servers (``module``, ``rsync`` and ``ssh`` together).

    The proportional set size shares what several processes have in common among them, so that sums are true.
    """

    def __init__(self, root: int) -> None:
        self.peak: dict[str, int] = {}
        self._root = root
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="memory", daemon=True)
        self._thread.start()

    def stop(self) -> dict[str, int]:
        """The peaks in bytes, by kind."""
        self._over.set()
        self._thread.join()
        return self.peak

    def _watch(self) -> None:
        pause = SAMPLE_EVERY
        while not self._over.wait(pause):
            began = time.monotonic()
            now: dict[str, int] = {}
            for pid in descendants(self._root):
                with contextlib.suppress(OSError, ValueError):
                    words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
                    kind = _kind(words)
                    size = _pss(pid)
                    now[kind] = now.get(kind, 0) + size
                    if kind in ("module", "rsync", "ssh"):
                        now["server"] = now.get("server", 0) + size
            for kind, size in now.items():
                self.peak[kind] = max(self.peak.get(kind, 0), size)
            # many processes take a while to look at; the looking must not become the load
            pause = max(SAMPLE_EVERY, 4 * (time.monotonic() - began))


def _kind(words: Sequence[bytes]) -> str:
    """What a process is: part of the controller, the module, or a tool that it started."""
    line = b" ".join(words)
    if b"AnsiballZ" in line or b"sync_assets" in line:
        return "module"
    for name in ("ansible", "rsync", "ssh"):
        if name.encode() in line.split(b" --", 1)[0]:
            return "controller" if name == "ansible" else name
    return "other"


def _pss(pid: int) -> int:
    for row in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
        if row.startswith("Pss:"):
            return int(row.split()[1]) * 1024
    return 0


class Running:
    """A command on the netboot server that was started."""

    def __init__(self, lab: BenchLab, words: Sequence[str], *, name: str, environment: Mapping[str, str]) -> None:
        self._lab = lab
        self._name = name
        self._log = lab.directory / "logs" / f"{name}.log"
        self._log.parent.mkdir(exist_ok=True)
        into = ["nsenter", f"--net={NAMES / SERVER}", "chroot", str(lab.server.root), "env", "-C", CODE]
        variables = {
            "PATH": f"{Path(sys.executable).parent}:{STANDARD_PATH}",
            "HOME": "/root",
            "LC_ALL": "C.UTF-8",
            "ANSIBLE_CONFIG": f"{CODE}/ansible.cfg",
            "ANSIBLE_LOCALHOST_WARNING": "False",
            **environment,
        }
        self._line_before = lab.carried()
        self._far_before = lab.far_cpu()
        self.started = time.monotonic()
        with self._log.open("wb") as output:
            self._process = Supervised([*into, *words], stdout=output, stderr=output, env=variables)

    @property
    def running(self) -> bool:
        """Whether it is still at work."""
        return not self._ended()

    @property
    def pid(self) -> int:
        """The process above all of its processes."""
        return self._process.process.pid

    def output(self) -> str:
        """What it has printed so far."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def wait(self, timeout: float, *, memory: bool = False) -> Cost:
        """Wait for its end. Raises LabError if it takes longer than *timeout* seconds."""
        watch = MemoryWatch(self.pid) if memory else None
        deadline = self.started + timeout
        try:
            while not self._ended():
                if time.monotonic() > deadline:
                    self.stop()
                    raise LabError(f"{self._name} did not end in {timeout:.0f} s: {self._last_words()}")
                time.sleep(0.004)
        finally:
            peak = watch.stop() if watch is not None else {}
        seconds = time.monotonic() - self.started
        near = cpu_of_trees([self.pid])
        status = self._process.wait()
        self._lab.settle()
        return Cost(
            seconds=seconds,
            near_cpu=near,
            far_cpu=self._lab.far_cpu() - self._far_before,
            line_bytes=self._lab.carried() - self._line_before,
            status=status,
            output=self.output(),
            memory=peak,
        )

    def stop(self) -> None:
        """End it and all that came out of it, by SIGKILL."""
        self._process.stop()

    def _ended(self) -> bool:
        # It stays a zombie until wait(), so that what it used can still be read.
        try:
            return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        except ChildProcessError:
            return True

    def _last_words(self) -> str:
        return " | ".join(self.output()[-600:].split("\n"))

    def __enter__(self) -> Running:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()


# -- the hosts --------------------------------------------------------------------------------------------------------


class Site:
    """A caching server and the line to it; *rate* in bit/s, None for an unlimited line."""

    def __init__(self, lab: BenchLab, index: int, *, disk: int) -> None:
        self.name = f"cache{index}"
        self.index = index
        self.address = f"10.99.{index}.2"
        self.near_address = f"10.99.{index}.1"
        add_network(self.name)
        self.line = Line(SERVER, self.near_address, self.name, self.address, device=f"to{index}")
        self.host = Host(lab.directory / self.name, self.name, size=disk)
        self.assets = self.host.disk / "assets"
        self.assets.mkdir()
        self.host.start_sshd(self.address, host_key=lab.host_key.private, authorized=lab.key.public)

    def clear(self) -> None:
        """Make its tree empty, and forget what was beside it."""
        for path in self.host.disk.iterdir():
            shutil.rmtree(path)
        self.assets.mkdir()

    def fill(self, tree: AssetsTree, *, only: Callable[[str], bool] = lambda _path: True) -> None:
        """Give it what a tree of the netboot server holds, as a sync would have left it; *only* chooses by path."""
        self.clear()
        for path in sorted(tree.root.rglob("*")):
            name = path.relative_to(tree.root)
            if path.is_file() and only(str(name)):
                (self.assets / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(path, self.assets / name)

    def sessions(self) -> list[int]:
        """The processes of sshd that carry sessions now."""
        found = []
        for pid in self.host.session_pids():
            with contextlib.suppress(OSError):
                if Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"sshd"):
                    found.append(pid)
        return found

    def break_connections(self) -> None:
        """End what carries its SSH sessions; the other end sees a connection that broke."""
        for pid in self.sessions():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


class BenchLab:
    """Everything, on the lab's own file system *directory*."""

    def __init__(self, directory: Path, *, posix_collection: Path | None = None) -> None:
        self.directory = directory
        add_network(SERVER)
        enter_network(SERVER)
        assert_in_network(SERVER)
        self.server = Host(directory / SERVER, SERVER, size=64 * 1024 * MIB)
        (directory / "keys").mkdir()
        self.key = ClientKey.create(directory / "keys" / "id_ed25519")
        self.host_key = ClientKey.create(directory / "keys" / "host")
        self.sites: list[Site] = []
        self.has_synchronize = posix_collection is not None
        self._install(posix_collection)

    def close(self) -> None:
        """End everything."""
        for site in self.sites:
            site.host.stop_all()

    def _install(self, posix_collection: Path | None) -> None:
        disk = self.server.disk
        code = disk / "code"
        code.mkdir()
        for name in ("plugins", "roles", "playbooks", "meta"):
            shutil.copytree(CHECKOUT / name, code / name, ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("galaxy.yml", "ansible.cfg"):
            shutil.copy(CHECKOUT / name, code)
        own = code / ".collections" / "ansible_collections" / "netboot"
        own.mkdir(parents=True)
        (own / "syncer").symlink_to("../../..")
        if posix_collection is not None:
            shutil.copytree(posix_collection, disk / "peer" / "ansible_collections" / "ansible" / "posix")
        (disk / "peer").mkdir(exist_ok=True)
        ssh = disk / "ssh"
        ssh.mkdir(mode=0o700)
        for suffix in ("", ".pub"):
            shutil.copy(self.key.private.with_name(self.key.private.name + suffix), ssh)
        # All caching servers of the bench have one host key; it is pinned by address, and unknown ones are refused.
        known = [f"10.99.{index}.2 {self.host_key.public}\n" for index in range(1, MOST_SITES + 1)]
        (ssh / "known_hosts").write_text("".join(known), encoding="ascii")
        lines = [
            "Host 10.99.*",
            "  StrictHostKeyChecking yes",
            f"  UserKnownHostsFile {KNOWN_HOSTS}",
            "  BatchMode yes",
        ]
        lines += ["Host *", "  ConnectTimeout 15"]
        (self.server.root / "etc" / "ssh" / "ssh_config").write_text("\n".join(lines) + "\n", encoding="ascii")
        shutil.rmtree(self.server.root / "root" / ".ssh", ignore_errors=True)
        # 200 connections at once want more half-open neighbours than a network starts with
        for name, value in (("gc_thresh1", "4096"), ("gc_thresh2", "8192"), ("gc_thresh3", "16384")):
            with contextlib.suppress(OSError):
                Path(f"/proc/sys/net/ipv4/neigh/default/{name}").write_text(value, encoding="ascii")

    def use(self, count: int, *, rate: int | None = None, disk: int = 4096 * MIB) -> list[Site]:
        """The first *count* caching servers, empty, each with a line of this rate; they are made as they are wanted."""
        if count > MOST_SITES:
            raise LabError(f"at most {MOST_SITES} caching servers, not {count}")
        while len(self.sites) < count:
            self.sites.append(Site(self, len(self.sites) + 1, disk=disk))
        for site in self.sites[:count]:
            if site.line.rate != rate:
                site.line.set_rate(rate)
            site.clear()
            if site.host.size != disk:
                site.host.size = disk
                site.host.free_disk()
        return self.sites[:count]

    def release(self) -> None:
        """Free the memory that trees and caching servers take."""
        for site in self.sites:
            site.clear()
        shutil.rmtree(self.server.disk / "trees", ignore_errors=True)

    def tree(self, name: str) -> AssetsTree:
        """A new, empty assets tree on the netboot server."""
        root = self.server.disk / "trees" / name
        shutil.rmtree(root, ignore_errors=True)
        return AssetsTree(root)

    def within(self, path: Path) -> str:
        """The name that a path on the netboot server's disk has for programs that run there."""
        return f"/srv/netboot/{path.relative_to(self.server.disk)}"

    # -- commands

    def start(self, name: str, words: Sequence[str], **environment: str) -> Running:
        """Start a command on the netboot server, in the collection's directory."""
        return Running(self, words, name=name, environment=environment)

    def run(self, name: str, words: Sequence[str], *, timeout: float, memory: bool = False, **environment: str) -> Cost:
        """Run a command to its end. Raises LabError if it does not end well, or not in *timeout* seconds."""
        with self.start(name, words, **environment) as running:
            cost = running.wait(timeout, memory=memory)
        if cost.status != 0:
            said = cost.output.splitlines()
            reasons = [row.strip() for row in said if row.strip().startswith("failed: ")] or said[-8:]
            raise LabError(f"{name} failed with status {cost.status}: {' | '.join(reasons)}")
        return cost

    def settle(self) -> None:
        """Wait until no caching server has a session any more."""
        deadline = time.monotonic() + SETTLE
        roots = self._daemons()
        while time.monotonic() < deadline and any(len(descendants(pid)) > 1 for pid in roots[:8]):
            time.sleep(0.02)

    def far_cpu(self) -> float:
        """CPU seconds of all caching servers so far."""
        return cpu_of_trees(self._daemons())

    def carried(self) -> int:
        """Bytes on all lines so far."""
        return sum(site.line.carried() for site in self.sites)

    def _daemons(self) -> list[int]:
        return [site.host._programs["sshd"].process.pid for site in self.sites]


class Visible:
    """Notes when each of some files appears, as somebody sees it who polls on the caching servers."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.at: dict[Path, float] = {}  # time.monotonic()
        self._paths = list(paths)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="poller", daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._over.wait(0.02):
            for path in self._paths:
                if path not in self.at and path.exists():
                    self.at[path] = time.monotonic()

    def wait(self, running: Running, timeout: float, *, count: int | None = None) -> bool:
        """Wait until all (or *count*) are there; False if the command ended before, or in *timeout* seconds."""
        deadline = time.monotonic() + timeout
        wanted = len(self._paths) if count is None else count
        while len(self.at) < wanted and time.monotonic() < deadline:
            if not running.running:
                time.sleep(0.1)
                break
            time.sleep(0.02)
        return len(self.at) >= wanted

    def stop(self) -> None:
        """Look no more."""
        self._over.set()
        self._thread.join()

    def __enter__(self) -> Visible:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()


# -- the line by itself -----------------------------------------------------------------------------------------------

_SINK = """
import socket, sys
with socket.create_server((sys.argv[1], 7777)) as server:
    print("ready", flush=True)
    connection = server.accept()[0]
    while connection.recv(1 << 20):
        pass
    connection.sendall(b"x")
"""


def plain_stream(site: Site, file: Path, *, timeout: float) -> float:
    """Seconds that one plain TCP stream takes for a file over the line to a caching server, until it is all there."""
    words = ["nsenter", f"--net={NAMES / site.name}", sys.executable, "-I", "-c", _SINK, site.address]
    sink = Supervised(words, stdout=subprocess.PIPE)
    try:
        assert sink.process.stdout is not None
        sink.process.stdout.readline()
        started = time.monotonic()
        with socket.create_connection((site.address, 7777), timeout=timeout) as stream, file.open("rb") as content:
            stream.sendfile(content)
            stream.shutdown(socket.SHUT_WR)
            stream.recv(1)
        return time.monotonic() - started
    finally:
        sink.stop()
        if sink.process.stdout is not None:
            sink.process.stdout.close()


@contextlib.contextmanager
def cuts(site: Site, total: int, times: int, running: Running) -> Iterator[list[int]]:
    """Break the connection *times* times while the block runs, each time when half of what was left has gone over.

    :arg total: bytes on the line that the whole takes without a cut. The list that is given gets, for each cut, the
        bytes that had gone by then.
    """
    done: list[int] = []
    over = threading.Event()
    base = site.line.carried()

    def watch() -> None:
        left, goal = float(total), total / 2
        while len(done) < times and not over.wait(0.002):
            gone = site.line.carried() - base
            if gone >= goal and running.running:
                site.break_connections()
                done.append(gone)
                left /= 2
                goal = gone + left / 2

    thread = threading.Thread(target=watch, name="cuts", daemon=True)
    thread.start()
    try:
        yield done
    finally:
        over.set()
        thread.join()
