# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a command costs: its time, CPU and memory, including all processes that work for it."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from tests.lab.namespaces import NAMES
from tests.lab.process import STANDARD_PATH, LabError, Supervised
from tests.lab.supervise import descendants

from .places import CODE, SERVER

if TYPE_CHECKING:
    from .lab import BenchLab

TICKS = os.sysconf("SC_CLK_TCK")
SAMPLE_EVERY = 0.05  # seconds between two samples of the memory
SETTLE = 3.0  # seconds that sshd may need after a run to notice that its client is gone


@dataclass(frozen=True)
class Cost:
    """What a command cost, from its start to its end.

    :ivar seconds: of the wall clock.
    :ivar near_cpu: CPU seconds, user and system, of all its processes on the netboot server.
    :ivar far_cpu: the same for the caching servers' sshd and everything that it started.
    :ivar line_bytes: bytes on the lines, in both directions, headers included.
    :ivar status: its exit status.
    :ivar output: what it printed.
    :ivar memory: peak of the proportional set size in bytes, by kind of process; empty unless it was watched.
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
    """CPU seconds that these processes and all their descendants have used so far, including those that have ended.

    Once its parent has waited for it, the time of an ended process counts as its parent's (proc(5), cutime and cstime);
    until then it is a zombie, and is counted itself.
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
    """Samples the memory of a process tree, and keeps the peak of each kind of process.

    ``controller`` is ansible-playbook with its workers; ``server`` is everything on the netboot server that works for
    caching servers (``module``, ``rsync`` and ``ssh`` together).

    The proportional set size divides shared memory among the processes that share it, so sums are correct.
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
                    name = Path(f"/proc/{pid}/comm").read_text(encoding="ascii", errors="replace").strip()
                    kind = _kind(name, words)
                    size = _pss(pid)
                    now[kind] = now.get(kind, 0) + size
                    if kind in ("module", "rsync", "ssh"):
                        now["server"] = now.get("server", 0) + size
            for kind, size in now.items():
                self.peak[kind] = max(self.peak.get(kind, 0), size)
            # sampling many processes takes a while, and must not become the load itself
            pause = max(SAMPLE_EVERY, 4 * (time.monotonic() - began))


MODULES = ("sync_assets", "sync_source", "sync_survey")


def _kind(name: str, words: Sequence[bytes]) -> str:
    """What a process is: part of the controller, the module, or a tool that it started.

    A module that is a fork of Ansible's worker has its command line, and the module's *name*.
    """
    line = b" ".join(words)
    if name in MODULES or b"AnsiballZ" in line or b"sync_assets" in line:
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
    """A started command on the netboot server."""

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
        """The topmost of its processes."""
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
        """Kill it and all its descendants with SIGKILL."""
        self._process.stop()

    def _ended(self) -> bool:
        # It stays a zombie until wait(), so that its CPU time can still be read.
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
