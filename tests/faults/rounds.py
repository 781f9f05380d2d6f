# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rounds: something new on the netboot server, a run, a fault at a random moment of it, then one more plain run.

What a round does follows from the seed and its number. The exact moment at which its fault hits the run does not,
since two processes on a real machine never meet twice at the same instruction.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from tests.lab.client import Violation
from tests.lab.process import LabError

from .fault import RUN_LIMIT, Fault, Scene
from .faults import FAULTS
from .lab import FaultLab
from .lane import Lane
from .machine_faults import SecondRun
from .places import MIB
from .run import Ended, Run
from .uploads import Job, Uploader

ATTEMPTS = 10  # if the fault keeps coming too late
FIRST_CONTACT = 3000  # bytes on the line after which a run counts as at work: the module talks to the caching server
SFTP_SEGMENT = 8 * MIB  # over SFTP, an interrupted upload resumes at a multiple of this
OVERHEAD = 150_000  # bytes on the line for one run's connections, listings and hashes
# Bytes that had crossed the line but had not reached a file when the run ended: what the kernel had accepted from a
# killed sender arrives after its end, and sshd discards it. It is more if sshd has to wait for a processor.
IN_FLIGHT = 1_600_000
SLOWER = 4  # by this factor the line is slowed down, once a fault in the middle of a transfer came too late three times
AFTER_KILL = 1_000_000  # bit/s: so slow that anything which goes on sending after a kill is noticed
CHANCE_OF_PLAYBOOK = 0.1  # that a run uses a playbook where the module alone would do


@dataclass(frozen=True)
class Moment:
    """When to strike: after a share of the bytes, at the n-th change of the tree, or some seconds into its work."""

    kind: Literal["bytes", "change", "time"]
    at: float

    @classmethod
    def choose(cls, numbers: random.Random, *, attempt: int) -> Moment:
        """Choose a random moment, earlier after each attempt that came too late."""
        earlier = 0.7**attempt
        if (chance := numbers.random()) < 0.45:
            return cls("bytes", numbers.uniform(0.0, 1.0) * earlier)
        if chance < 0.8:
            return cls("change", max(1, round(numbers.uniform(1, 28) * earlier)))
        return cls("time", numbers.uniform(0.0, 2.0) * earlier)


@dataclass
class Round:
    """What happened in a round; all of it goes into ``--json``."""

    number: int
    lane: str
    fault: str
    job: str = ""
    runner: str = ""
    transport: str = ""
    delete: bool = False
    moment: str = ""
    struck: bool = False
    too_late: int = 0  # attempts before the one that struck
    run: str = ""  # what the run reported
    second: str = ""  # what the second run reported, if the fault is a second run
    left_after_kill: str = ""
    recovery: str = ""
    in_line: bool = False
    problems: list[str] = field(default_factory=list)
    line_bytes: int = 0  # bytes that crossed the line in both runs
    fresh_bytes: int = 0  # bytes that had to cross it
    allowed_bytes: int = 0
    seconds: float = 0.0
    violations: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Whether nothing is wrong with it."""
        return self.struck and self.in_line and not (self.problems or self.violations or self.left_after_kill)


def plan(rounds: int, seed: str, only: Sequence[str]) -> list[str]:
    """The fault of each round: every kind equally often, in a random order."""
    names = list(only) or random.Random(f"{seed}: first").sample(list(FAULTS), len(FAULTS))
    chosen = [names[number % len(names)] for number in range(rounds)]
    random.Random(f"{seed}: order").shuffle(chosen)
    return chosen


class LaneWork:
    """Plays rounds on one lane, in a thread that runs on the netboot server."""

    def __init__(self, lane: Lane, seed: str, *, playbook_recovery: float) -> None:
        self.lane = lane
        self.seed = seed
        self.playbook_recovery = playbook_recovery  # probability that a recovery run uses a playbook
        self.uploader = Uploader(lane)
        self._scene: Scene | None = None  # of the last attempt

    def begin(self) -> None:
        """Make the first tree, and sync it in a first, undisturbed run."""
        self.uploader.fill(random.Random(f"{self.seed}: {self.lane.name}"))
        with (
            self.lane.start_playbook("first", "sync")
            if self.playbook_recovery
            else self.lane.start_module("first") as run
        ):
            ended = run.wait(RUN_LIMIT)
        problems = self.lane.not_in_line(delete=True)
        if not ended.good or problems:
            raise LabError(f"{self.lane.name}: even the first run failed: {ended.words} {problems}")

    def play(self, number: int, name: str) -> Round:
        """Play a round; a fault that came too late is tried again, with something new to send."""
        result = Round(number, self.lane.name, name)
        started = time.monotonic()
        for attempt in range(ATTEMPTS):
            result.too_late = attempt
            numbers = random.Random(f"{self.seed}: round {number}, attempt {attempt}")
            fault = FAULTS[name]()
            try:
                self._attempt(result, fault, numbers, attempt)
            except LabError as exc:
                # the run did not end and was killed; the lane continues
                result.problems.append(str(exc))
                self._reset(fault)
            if result.struck or not result.in_line or result.problems:
                break
        self.lane.look_outside()
        result.violations = [str(violation) for violation in self.lane.take_violations()]
        result.seconds = round(time.monotonic() - started, 2)
        return result

    def _attempt(self, result: Round, fault: Fault, numbers: random.Random, attempt: int) -> None:
        lane = self.lane
        sends = fault.name in ("kill-sender", "kill-receiver")
        # the transfer must be so long that what ends after a kill did not simply finish
        only = "whole" if fault.must_be_quiet else "build" if sends and attempt > 1 else None
        job = self.uploader.next(numbers, only=only)
        self._scene = scene = Scene(lane, self.uploader, numbers, job)
        moment = Moment("time", 0.0) if fault.at_once else Moment.choose(numbers, attempt=attempt)
        transport = "sftp" if not sends and numbers.random() < 0.15 else "auto"
        runner = fault.runner
        if runner == "any":
            runner = "playbook" if numbers.random() < CHANCE_OF_PLAYBOOK else "module"
        delete = numbers.random() < 0.5
        options = {
            "transport": transport,
            "delete": delete,
            "max_delete": 100,
            "grace": numbers.choice([0, 300]),
            "retries": numbers.choice([0, 1, 2]),
            "retry_delay": 1,
            "stall_timeout": numbers.choice([3, 6]),
            "lock_timeout": 20,
        }
        result.job, result.transport, result.delete = job.name, transport, delete
        result.runner = runner
        result.moment = f"{moment.kind} {moment.at:.2f}"
        fault.prepare(scene)
        if sends and attempt > 2:
            lane.line.set_rate(lane.rate // SLOWER)
        before = lane.line.carried()
        with self._start("run", job, runner=runner, options=options) as run:
            scene.run = run
            self._wait_for(moment, scene, before)
            result.struck = fault.strike(scene)
            struck_at = time.monotonic()
            if fault.must_be_quiet:
                lane.line.set_rate(AFTER_KILL)
            ended = self._see_through(fault, scene, run, struck_at)
        result.run = ended.words
        if isinstance(fault, SecondRun) and fault.ended is not None:
            result.second = fault.ended.words
        if fault.must_be_quiet and result.struck:
            result.left_after_kill = lane.wait_until_quiet()
        if fault.must_be_quiet or sends:
            lane.line.set_rate(lane.rate)
        if result.struck:
            result.problems += fault.problems(scene)
        self._recover(result, job, numbers, delete=delete)
        result.line_bytes = lane.line.carried() - before
        result.fresh_bytes = job.fresh
        self._count_bytes(result, fault, job, runs=2 + (fault.name == "second-run") + int(str(options["retries"])))
        fault.clean_up(scene)

    def _reset(self, fault: Fault) -> None:
        """Undo whatever is left of a fault."""
        lane = self.lane
        if self._scene is not None:
            fault.lift(self._scene)
            fault.clean_up(self._scene)
        lane.line.set_rate(lane.rate)
        lane.line.restore()
        lane.host.free_disk()
        lane.start_sshd()
        lane.restart_nginx()

    def _start(self, purpose: str, job: Job, *, runner: str, options: dict[str, Any]) -> Run:
        playbook = "resync" if job.verify else "sync"
        if runner == "runner":
            return self.lane.start_runner(purpose, playbook, **options)
        if runner == "playbook":
            return self.lane.start_playbook(purpose, playbook, **options)
        return self.lane.start_module(purpose, verify=job.verify, **options)

    def _wait_for(self, moment: Moment, scene: Scene, before: int) -> None:
        lane, job = self.lane, scene.job
        changes, started = lane.witness.steps, 0.0
        wanted = moment.at * (job.fresh + 50_000)
        reached: dict[str, Callable[[], bool]] = {
            "bytes": lambda: lane.line.carried() - before >= wanted,
            "change": lambda: lane.witness.steps - changes >= moment.at,
            "time": lambda: time.monotonic() - started >= moment.at,
        }
        deadline = time.monotonic() + RUN_LIMIT
        while scene.at_work and not (started and reached[moment.kind]()):
            if not started and lane.line.carried() - before > FIRST_CONTACT:
                started = time.monotonic()
            if time.monotonic() > deadline:
                raise LabError(f"{lane.name}: a run does not come to an end, before any fault")
            time.sleep(0.003)

    def _see_through(self, fault: Fault, scene: Scene, run: Run, struck_at: float) -> Ended:
        """Wait for the run's end; the fault is lifted at its time, or once the run has ended."""
        after = fault.lifts_after(scene)
        lifted = False
        while run.running and time.monotonic() - struck_at < RUN_LIMIT:
            if not lifted and after is not None and time.monotonic() - struck_at >= after:
                fault.lift(scene)
                lifted = True
            time.sleep(0.02)
        if not lifted:
            fault.lift(scene)
        return run.wait(1.0)

    def _recover(self, result: Round, job: Job, numbers: random.Random, *, delete: bool) -> None:
        """One plain run, without help; it must bring the caching server in line."""
        runner = "playbook" if numbers.random() < self.playbook_recovery else "module"
        # no client needs a grace any more: whatever is to be removed is removed now
        options = {"delete": delete, "max_delete": 100, "grace": 0}
        with self._start("recovery", job, runner=runner, options=options) as run:
            ended = run.wait(RUN_LIMIT)
        result.recovery = ended.words
        left = self.lane.not_in_line(delete=delete)
        result.in_line = ended.good and not left
        if not result.in_line:
            result.problems += [f"recovery: {ended.words}", *left]
        self.lane.forget_repaired()

    def _count_bytes(self, result: Round, fault: Fault, job: Job, *, runs: int) -> None:
        """Check by the line's counters, over both runs, that nothing that arrived before the fault was sent again."""
        share = 0.08 * job.size  # checksums of the basis, and blocks at the edges of changes
        allowed = int(1.1 * job.fresh + share + runs * OVERHEAD + IN_FLIGHT)
        if result.transport == "sftp":
            allowed = job.size + min(job.size, SFTP_SEGMENT) + runs * OVERHEAD + IN_FLIGHT
        result.allowed_bytes = allowed
        if fault.resend and result.struck and result.line_bytes > allowed:
            result.problems.append(f"{result.line_bytes} bytes crossed the line, {allowed} would have done")


@dataclass
class Campaign:
    """All rounds on all lanes, and their results."""

    lab: FaultLab
    seed: str
    faults: Sequence[str]
    playbook_recovery: float
    tell: Callable[[Round, int], None]
    rounds: list[Round] = field(default_factory=list)
    trouble: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Play all rounds; they are dealt to the lanes in turn, so a lane plays the same rounds every time."""
        threads = [
            threading.Thread(target=self._lane, args=(index, lane), name=lane.name, daemon=True)
            for index, lane in enumerate(self.lab.lanes)
        ]
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                while thread.is_alive():
                    thread.join(0.5)
        finally:
            self._stop.set()

    def _lane(self, index: int, lane: Lane) -> None:
        number = 0
        try:
            with self.lab.work_here():
                work = LaneWork(lane, self.seed, playbook_recovery=self.playbook_recovery)
                work.begin()
                for number in range(index, len(self.faults), len(self.lab.lanes)):
                    if self._stop.is_set():
                        return
                    played = work.play(number, self.faults[number])
                    with self._lock:
                        self.rounds.append(played)
                        self.tell(played, len(self.rounds))
        except (LabError, OSError, ValueError, KeyError) as exc:
            with self._lock:
                self.trouble.append(f"{lane.name}, round {number}: {type(exc).__name__}: {exc}")

    def late_violations(self) -> list[Violation]:
        """Violations that were seen after a lane's last round."""
        return [violation for lane in self.lab.lanes for violation in lane.take_violations()]
