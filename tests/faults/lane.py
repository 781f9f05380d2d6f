# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One caching server of the fault laboratory: its line, its daemons, its runs, and the files that it must hold."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.lab.client import Violation
from tests.lab.ledger import Ledger, fingerprint, visible_files
from tests.lab.namespaces import (
    Host,
    Line,
    add_network,
    command,
)
from tests.lab.process import LabError
from tests.lab.sshd import ClientKey
from tests.lab.strange_disk import Quirks, StrangeDisk, folded
from tests.lab.tree import AssetsTree
from tests.lab.web import AssetsWeb

from .machine import BootingMachine
from .places import CANARIES, DEST, EXCLUDE, MODULE, QUIET_WITHIN, SERVER, SET_ASIDE, SITE_DISK, STREAM, WORK_AREA
from .run import RUNNER, Run
from .witness import Witness

if TYPE_CHECKING:
    from .lab import FaultLab


class CurrentLedger(Ledger):
    """A ledger that lists only markers worth polling: those on the netboot server or at the site, now or recently."""

    def __init__(self, root: Path, site: Path, *, name: Callable[[str], str] = str) -> None:
        super().__init__(root, name=name)
        self.site = site
        self._asked: dict[str, float] = {}

    def markers(self) -> dict[str, str]:
        """See Ledger; without those that have been gone from both sides for a minute."""
        now, found, present = time.monotonic(), super().markers(), self.present()
        for path in found:
            if path in present or (self.site / path).exists():
                self._asked[path] = now
        return {path: squashfs for path, squashfs in found.items() if now - self._asked.get(path, 0.0) < 60}


class Lane:
    """One caching server, the line to it, the tree that it gets, and its observers."""

    def __init__(self, lab: FaultLab, index: int, *, rate: int, quirks: Quirks | None = None) -> None:
        self.lab = lab
        self.name = f"cache{index}"
        self.rate = rate
        self.address = f"10.99.{index}.2"
        self.inside = f"10.99.{index}.129"  # where the site's machines reach it, whatever happens to the line
        self.violations: list[Violation] = []
        self.damaged: dict[str, str] = {}
        self.withdrawn: set[str] = set()  # markers that no client may see any more
        self.clock = False  # whether sshd runs under a clock that can be moved
        self._lock = threading.Lock()
        self._told: list[Violation] = []
        add_network(self.name)
        command("ip", "-n", self.name, "addr", "add", f"{self.inside}/32", "dev", "lo")
        self.line = Line(SERVER, f"10.99.{index}.1", self.name, self.address, device=f"to{index}")
        self.line.set_rate(rate)
        self.host = Host(lab.directory / self.name, self.name, size=SITE_DISK)
        self.assets = self.host.disk / "assets"
        self.assets.mkdir()
        self._mounts = contextlib.ExitStack()
        self.folds = quirks is not None and quirks.folds
        if quirks is not None:
            # mounted over the path that the host's own programs use
            within = self.host.root / "srv" / "netboot" / "assets"
            self._mounts.enter_context(StrangeDisk(within, quirks, backing=self.assets))
            self.assets = within
        self.host_key = ClientKey.create(lab.directory / "keys" / self.name)
        self.start_sshd()
        self.host.start_nginx(self.inside, serve=DEST)
        self.tree = AssetsTree(lab.server.disk / "trees" / self.name)
        self.src = f"/srv/netboot/trees/{self.name}"
        self.workshop = lab.directory / "workshop" / self.name
        self.workshop.mkdir(parents=True)
        self._canaries = self._lay_canaries()
        self.ledger = CurrentLedger(self.tree.root, self.assets, name=folded if self.folds else str)
        self.witness = Witness(
            self.name, self.assets, self.ledger, damaged=lambda: list(self.damaged), blame=self.blame
        )
        own = {name.removeprefix("assets/"): digest for name, digest in self._canaries.items() if "assets/" in name}
        self.machine = BootingMachine(
            self.name,
            AssetsWeb(self.assets, address=self.inside, port=80),  # only describes it: nginx does the serving
            self.ledger,
            network=self.name,
            address=self.inside,
            damaged=self.damaged,
            own=own,
            withdrawn=self.withdrawn,
        )
        self.machine.start()

    def close(self) -> None:
        """Stop everything that runs for this lane."""
        self.host.stop_all()
        self.machine.stop()
        self.witness.stop()
        self._mounts.close()

    def start_sshd(self, *, clock: bool = False) -> None:
        """Start or restart its OpenSSH server; see :meth:`Host.start_sshd`."""
        self.host.stop("sshd")
        self.clock = clock
        self.host.start_sshd(self.address, host_key=self.host_key.private, authorized=self.lab.key.public, clock=clock)

    def stop_sshd(self) -> None:
        """Kill its OpenSSH server and all its sessions with SIGKILL."""
        self.host.stop("sshd")

    def restart_nginx(self) -> None:
        """Restart its web server."""
        self.host.stop("nginx")
        self.host.start_nginx(self.inside, serve=DEST)

    def options(self, **changes: Any) -> dict[str, Any]:
        """The module's options for this lane."""
        return {
            "src": self.src,
            "dest": DEST,
            "host": self.address,
            "user": "root",
            "private_key_file": "/srv/netboot/ssh/id_ed25519",
            "known_hosts_file": "/srv/netboot/ssh/known_hosts",
            "exclude": EXCLUDE,
            **changes,
        }

    def start_module(self, purpose: str, **options: Any) -> Run:
        """Start the module on the netboot server, in a process of its own."""
        return self._start_module(MODULE, purpose, self.options(**options))

    def withdraw(self, purpose: str, pattern: str) -> Run:
        """Withdraw images by name, as ``withdraw.yml`` does: on the netboot server, then from the caching server.

        Returns the run of the second part; the first part has ended by then.
        """
        aside = {"src": self.src, "patterns": [pattern]}
        with self._start_module(SET_ASIDE, f"{purpose}-aside", aside) as run:
            ended = run.wait(60.0)
        if ended.status != 0:
            raise LabError(f"{pattern} could not be withdrawn: {ended.words}")
        self.ledger.snapshot()
        return self.start_module(purpose, withdraw=[pattern])

    def _start_module(self, module: str, purpose: str, arguments: Mapping[str, Any]) -> Run:
        file = self.lab.server.disk / "runs" / f"{self.name}-{purpose}.json"
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps({"ANSIBLE_MODULE_ARGS": arguments}), encoding="utf-8")
        words = [sys.executable, "-X", "faulthandler", "-m", module, f"/srv/netboot/runs/{file.name}"]
        return Run(self.lab.server, words, file.with_suffix(".log"))

    def start_playbook(self, purpose: str, playbook: str, **options: Any) -> Run:
        """Start a playbook for this caching server on the controller; the module then runs on the netboot server."""
        inventory, results = self._inventory(purpose, options)
        program = str(Path(sys.executable).with_name("ansible-playbook"))
        words = [sys.executable, program, f"netboot.syncer.{playbook}", "-i", f"/srv/netboot/runs/{inventory.name}"]
        return Run(self.lab.controller, words, inventory.with_suffix(".log"), results=results)

    def start_runner(self, purpose: str, playbook: str, **options: Any) -> Run:
        """Start a playbook as AWX does without a container: through ansible-runner, on the controller."""
        inventory, results = self._inventory(purpose, options)
        data = inventory.with_suffix(".runner")
        shutil.rmtree(data, ignore_errors=True)
        data.mkdir()
        (data / "run.py").write_text(RUNNER, encoding="utf-8")
        within = f"/srv/netboot/runs/{data.name}"
        words = [sys.executable, f"{within}/run.py", within, playbook, f"/srv/netboot/runs/{inventory.name}"]
        return Run(self.lab.controller, words, inventory.with_suffix(".log"), results=results)

    def cancel_runner(self) -> None:
        """Cancel the job that :meth:`start_runner` started last."""
        for data in (self.lab.controller.disk / "runs").glob(f"{self.name}-*.runner"):
            (data / "cancel").touch()

    def _inventory(self, purpose: str, options: Mapping[str, Any]) -> tuple[Path, Path]:
        """Write an inventory for this caching server. Returns its path, and where the results of the run will be."""
        directory = self.lab.controller.disk / "runs"
        directory.mkdir(exist_ok=True)
        inventory = directory / f"{self.name}-{purpose}.yml"
        inventory.write_text(self.lab.inventory(self, options), encoding="utf-8")
        results = self.lab.controller.root / "srv" / "netboot" / "runs" / f"{self.name}-{purpose}.results.json"
        return inventory, results

    def processes(self, host: Host, *words: str) -> list[int]:
        """Process ids on a host whose command line contains all these words."""
        found = []
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                with contextlib.suppress(OSError):
                    line = Path("/proc", entry, "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                    if os.readlink(f"/proc/{entry}/root") == str(host.root) and all(word in line for word in words):
                        found.append(int(entry))
        return found

    def senders(self) -> list[int]:
        """Processes on the netboot server that send a file to this caching server: rsync, or the ssh of a stream."""
        rsync = self.processes(self.lab.server, "rsync ", f" {self.address}:{DEST}")
        return rsync + self.processes(self.lab.server, "ssh ", f" -- {self.address} ", STREAM)

    def receivers(self) -> list[int]:
        """Processes on the caching server that receive a file: rsync's, or the shells of a stream."""
        return self.processes(self.host, "rsync --server") + self.processes(self.host, STREAM)

    def lock_is_free(self) -> bool:
        """Whether nobody holds the lock of this caching server."""
        try:
            descriptor = os.open(self.assets / WORK_AREA / "lock", os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return True
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        finally:
            os.close(descriptor)
        return True

    def still_at_work(self) -> str:
        """Describe what is left of a run; empty if nothing is."""
        left = {
            "the lock is held": not self.lock_is_free(),
            "something sends": bool(self.senders()),
        }
        return ", ".join(what for what, there in left.items() if there)

    def wait_until_quiet(self) -> str:
        """Wait until nothing of a killed run is left. Returns what is still left after :data:`QUIET_WITHIN`, if any."""
        deadline = time.monotonic() + QUIET_WITHIN
        while (left := self.still_at_work()) and time.monotonic() < deadline:
            time.sleep(0.1)
        return left

    def blame(self, violation: Violation) -> None:
        """Record a violation."""
        with self._lock:
            if violation not in self.violations:
                self.violations.append(violation)

    def take_violations(self) -> list[Violation]:
        """The violations since the last call, without those that were returned before."""
        with self._lock:
            found, self.violations = self.violations, []
        with self.machine._count:
            found += self.machine.violations
            self.machine.violations.clear()
        new = [violation for violation in found if violation not in self._told]
        self._told += new
        return new

    def _lay_canaries(self) -> dict[str, str]:
        for name in CANARIES:
            path = self.host.disk / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{name} of {self.name}\n", encoding="utf-8")
        self._outside = self._everything_outside()
        return {name: hashlib.sha256(f"{name} of {self.name}\n".encode()).hexdigest() for name in CANARIES}

    def _everything_outside(self) -> dict[str, str]:
        """The state of every file that this host has written outside the tree, by path."""
        found = {}
        for start in (self.host.written, self.host.disk, self.host.root / "tmp"):
            for directory, folders, names in os.walk(start):
                if start == self.host.disk and directory == str(start):
                    folders.remove("assets")
                # what is mounted in here belongs to this machine, and is read-only
                folders[:] = [folder for folder in folders if not os.path.ismount(os.path.join(directory, folder))]
                for name in names + [folder for folder in folders if os.path.islink(os.path.join(directory, folder))]:
                    path = Path(directory, name)
                    with contextlib.suppress(OSError):
                        found[str(path)] = f"{path.lstat().st_mode:o} {_digest(path)}"
        return found

    def forget_repaired(self) -> None:
        """Stop excusing damage that has been repaired."""
        for path, digest in list(self.damaged.items()):
            if fingerprint(self.assets / path) != digest:
                del self.damaged[path]

    def look_outside(self) -> None:
        """Record a violation for each change outside the tree, and for each foreign file inside it that was touched."""
        found = self._everything_outside()
        for path in sorted(found.keys() | self._outside.keys()):
            if found.get(path) != self._outside.get(path):
                was, now = self._outside.get(path, "nothing"), found.get(path, "nothing")
                self.blame(Violation(self.name, "outside", path, f"was {was}, is {now}"))
        self._outside = found
        for name, digest in self._canaries.items():
            canary = self.host.disk / name
            if not canary.is_file() or _digest(canary) != digest:
                self.blame(Violation(self.name, "outside", name, "is not what the caching server had there"))

    def not_in_line(self, *, delete: bool) -> list[str]:
        """What keeps the caching server from being in line; empty if it is.

        In line means: every image whose closure is complete on the netboot server is published, byte for byte; so is
        every kernel pointer whose target exists; with *delete*, nothing else is there; and the work area holds nothing
        but its lock and pieces of files that the netboot server has and the caching server still lacks.
        """
        self.ledger.snapshot()
        here = self.ledger.present()
        there = {path: _digest(self.assets / path) for path, _found in visible_files(self.assets)}
        if self.folds:
            # clients find it under both spellings
            spelled = {folded(path): path for path in here}
            there = {spelled.get(folded(path), path): digest for path, digest in there.items()}
        problems = []
        for path in self.wanted(here):
            if path not in there:
                problems.append(f"{path} is missing")
            elif there[path] != here[path]:
                problems.append(f"{path} differs")
        if delete:
            # An image that still has its marker is held back, so it is not removed, even without its squashfs.
            held = {squashfs for marker, squashfs in self.ledger.markers().items() if marker in here}
            extra = sorted(path for path in there.keys() - here.keys() - held if not path.startswith("local/"))
            problems += [f"{path} is too much" for path in extra]
        area = self.assets / WORK_AREA
        left = sorted(str(path.relative_to(area)) for path in area.rglob("*")) if area.exists() else []
        kept = {"lock", *(_piece(path) for path in here if here[path] != there.get(path))}
        problems += [f"{name} is left in the work area" for name in left if name.split("/")[0] not in kept]
        return problems

    def wanted(self, here: Mapping[str, str]) -> list[str]:
        """The paths that the caching server must hold: those of complete images, and those of kernels."""
        wanted: set[str] = set()
        for marker, squashfs in self.ledger.markers().items():
            closure = self.lab.whole_closure(self.tree.root, marker, squashfs, here)
            wanted |= {marker, *closure} if closure else set()
        wanted |= {path for path in here if path.startswith("kernels/") and here[path]}
        return sorted(wanted & here.keys())


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _piece(path: str) -> str:
    """The name in the work area that holds the pieces of a file."""
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:32]
