# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hosts of the benchmark: a netboot server and caching servers, in network namespaces."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.lab import checkout
from tests.lab.namespaces import Host, Line, add_network, assert_in_network, enter_network
from tests.lab.process import LabError
from tests.lab.sshd import ClientKey
from tests.lab.supervise import descendants
from tests.lab.tree import AssetsTree
from tests.lab.waiting import Poller

from .cost import SETTLE, Cost, Running, cpu_of_trees
from .places import KNOWN_HOSTS, MIB, MOST_SITES, SERVER


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
        """Empty its tree, and remove everything next to it."""
        for path in self.host.disk.iterdir():
            shutil.rmtree(path)
        self.assets.mkdir()

    def fill(self, tree: AssetsTree, *, only: Callable[[str], bool] = lambda _path: True) -> None:
        """Give it the files of a netboot server's tree, as a sync would have left them; *only* chooses by path."""
        self.clear()
        for path in sorted(tree.root.rglob("*")):
            name = path.relative_to(tree.root)
            if path.is_file() and only(str(name)):
                (self.assets / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(path, self.assets / name)

    def sessions(self) -> list[int]:
        """The processes of sshd that carry sessions at the moment."""
        found = []
        for pid in self.host.session_pids():
            with contextlib.suppress(OSError):
                if Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"sshd"):
                    found.append(pid)
        return found

    def break_connections(self) -> None:
        """Kill the processes that carry its SSH sessions; the other end sees a broken connection."""
        for pid in self.sessions():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@dataclass(frozen=True)
class Named:
    """A caching server under another name in the inventory."""

    name: str
    address: str


class BenchLab:
    """The whole laboratory, on its own file system *directory*."""

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
        checkout.install(disk / "code")
        if posix_collection is not None:
            shutil.copytree(posix_collection, disk / "peer" / "ansible_collections" / "ansible" / "posix")
        (disk / "peer").mkdir(exist_ok=True)
        ssh = disk / "ssh"
        ssh.mkdir(mode=0o700)
        for suffix in ("", ".pub"):
            shutil.copy(self.key.private.with_name(self.key.private.name + suffix), ssh)
        # All caching servers of the bench share a host key; it is pinned for each address, and others are refused.
        known = [f"10.99.{index}.2 {self.host_key.public}\n" for index in range(1, MOST_SITES + 1)]
        (ssh / "known_hosts").write_text("".join(known), encoding="ascii")
        lines = [
            "Host *",
            "  StrictHostKeyChecking yes",
            f"  UserKnownHostsFile {KNOWN_HOSTS}",
            "  BatchMode yes",
            "  ConnectTimeout 15",
        ]
        (self.server.root / "etc" / "ssh" / "ssh_config").write_text("\n".join(lines) + "\n", encoding="ascii")
        shutil.rmtree(self.server.root / "root" / ".ssh", ignore_errors=True)
        # 200 connections at once need more unresolved neighbour entries than a new network namespace allows
        for name, value in (("gc_thresh1", "4096"), ("gc_thresh2", "8192"), ("gc_thresh3", "16384")):
            with contextlib.suppress(OSError):
                Path(f"/proc/sys/net/ipv4/neigh/default/{name}").write_text(value, encoding="ascii")

    def use(self, count: int, *, rate: int | None = None, disk: int = 4096 * MIB) -> list[Site]:
        """The first *count* caching servers, empty, each with a line of this rate; missing ones are created."""
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
        """Free the memory that the trees and the caching servers use."""
        for site in self.sites:
            site.clear()
        shutil.rmtree(self.server.disk / "trees", ignore_errors=True)

    def tree(self, name: str) -> AssetsTree:
        """A new, empty assets tree on the netboot server."""
        root = self.server.disk / "trees" / name
        shutil.rmtree(root, ignore_errors=True)
        return AssetsTree(root)

    def within(self, path: Path) -> str:
        """The name of a path on the netboot server's disk, as programs that run there see it."""
        return f"/srv/netboot/{path.relative_to(self.server.disk)}"

    def start(self, name: str, words: Sequence[str], **environment: str) -> Running:
        """Start a command on the netboot server, in the collection's directory."""
        return Running(self, words, name=name, environment=environment)

    def run(self, name: str, words: Sequence[str], *, timeout: float, memory: bool = False, **environment: str) -> Cost:
        """Run a command to its end. Raises LabError if it fails, or does not end within *timeout* seconds."""
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
        """CPU seconds that all caching servers have used so far."""
        return cpu_of_trees(self._daemons())

    def carried(self) -> int:
        """Bytes on all lines so far."""
        return sum(site.line.carried() for site in self.sites)

    def _daemons(self) -> list[int]:
        return [site.host._programs["sshd"].process.pid for site in self.sites]


class Visible(Poller):
    """Notes when each of some files appears, as seen by polling on the caching servers."""

    every = 0.02

    def __init__(self, paths: Sequence[Path]) -> None:
        super().__init__()
        self.at: dict[Path, float] = {}  # time.monotonic()
        self._paths = list(paths)

    def look(self) -> None:
        """Note what is there by now."""
        for path in self._paths:
            if path not in self.at and path.exists():
                self.at[path] = time.monotonic()

    def wait(self, running: Running, timeout: float, *, count: int | None = None) -> bool:
        """Wait until all files (or *count*) are there; False if the command ends first or *timeout* seconds pass."""
        deadline = time.monotonic() + timeout
        wanted = len(self._paths) if count is None else count
        while len(self.at) < wanted and time.monotonic() < deadline:
            if not running.running:
                time.sleep(0.1)
                break
            time.sleep(0.02)
        return len(self.at) >= wanted
