# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults of processes, the line and the caching server itself."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable

from .fault import PATIENCE, RUN_LIMIT, Fault, Scene
from .places import MIB
from .run import Ended, Run


def kill_one(scene: Scene, find: Callable[[], list[int]]) -> bool:
    """Kill one of the processes that *find* finds with SIGKILL; waits for one to appear while the run is at work."""
    deadline = time.monotonic() + PATIENCE
    while scene.at_work and time.monotonic() < deadline:
        if pids := find():
            with contextlib.suppress(ProcessLookupError):
                os.kill(scene.numbers.choice(pids), signal.SIGKILL)
                return True
        time.sleep(0.005)
    return False


class KillModule(Fault):
    """The module's own process."""

    name = "kill-module"
    about = "SIGKILL of the module on the netboot server"
    runner = "module"
    must_be_quiet = True

    def strike(self, scene: Scene) -> bool:
        if scene.run is None or not scene.at_work:
            return False
        scene.run.kill()
        return True


class KillSender(Fault):
    """rsync at the near end, or the ssh that carries a stream."""

    name = "kill-sender"
    about = "SIGKILL of what sends on the netboot server: rsync, or the ssh of a stream"

    def strike(self, scene: Scene) -> bool:
        return kill_one(scene, scene.lane.senders)


class KillReceiver(Fault):
    """One of rsync's two processes at the far end, or a shell that receives a stream."""

    name = "kill-receiver"
    about = "SIGKILL of what receives on the caching server: rsync, or the shell of a stream"

    def strike(self, scene: Scene) -> bool:
        return kill_one(scene, scene.lane.receivers)


class KillSession(Fault):
    """One of sshd's session processes: that of the control connection, or that of a data connection."""

    name = "kill-session"
    about = "SIGKILL of a session process of sshd"

    def strike(self, scene: Scene) -> bool:
        lane = scene.lane
        # the listener is not a session
        return kill_one(
            scene, lambda: [pid for pid in lane.processes(lane.host, "sshd: ") if pid not in lane.host.pids("sshd")[:1]]
        )


class KillController(Fault):
    """ansible-playbook with all its workers, as when the controller loses power."""

    name = "kill-controller"
    about = "SIGKILL of the whole controller (ansible-playbook and all its processes)"
    runner = "playbook"
    must_be_quiet = True

    def strike(self, scene: Scene) -> bool:
        if scene.run is None or not scene.at_work:
            return False
        scene.run.kill(whole_tree=True)
        return True


class KillPlaybook(Fault):
    """ansible-playbook alone: its workers do not notice, and may run to the end."""

    name = "kill-playbook"
    about = "SIGKILL of ansible-playbook's main process only"
    runner = "playbook"

    def strike(self, scene: Scene) -> bool:
        if scene.run is None or not scene.at_work:
            return False
        scene.run.kill()
        return True


class SecondRun(Fault):
    """Another run for the same caching server, with a lock timeout that is long enough for the first one, or not."""

    name = "second-run"
    about = "a second run is started meanwhile"

    def __init__(self) -> None:
        self._second: Run | None = None
        self.ended: Ended | None = None

    def strike(self, scene: Scene) -> bool:
        if not scene.at_work:
            return False
        timeout = scene.numbers.choice([1, 60])
        self._second = scene.lane.start_module("second", lock_timeout=timeout, verify=scene.numbers.random() < 0.3)
        return scene.at_work

    def lift(self, scene: Scene) -> None:  # noqa: ARG002
        if self._second is not None:
            with self._second:
                self.ended = self._second.wait(RUN_LIMIT)


class _LineFault(Fault):
    def lifts_after(self, scene: Scene) -> float | None:
        # short: the connections survive; long: the run gives up, or retries in vain
        return scene.numbers.choice([scene.numbers.uniform(0.2, 2.0), scene.numbers.uniform(4.0, 12.0), None])

    def lift(self, scene: Scene) -> None:
        scene.lane.line.restore()


class CutLine(_LineFault):
    """The cable is unplugged at one of the two ends."""

    name = "cut-line"
    about = "the line is cut, and restored later"

    def strike(self, scene: Scene) -> bool:
        if not scene.at_work:
            return False
        scene.lane.line.cut(scene.numbers.choice([0, 1]))
        return scene.at_work


class StallLine(_LineFault):
    """Nothing gets through, and neither end is told."""

    name = "stall-line"
    about = "the line falls silent without a reset, and comes back later"

    def strike(self, scene: Scene) -> bool:
        if not scene.at_work:
            return False
        scene.lane.line.stall()
        return scene.at_work


class DiskFull(Fault):
    """Something else fills the disk, leaving nothing or at most 66 MiB free."""

    name = "disk-full"
    about = "the disk of the caching server is full"
    resend = False  # a run may delete partial files to make room

    def strike(self, scene: Scene) -> bool:
        if not scene.at_work:
            return False
        scene.lane.host.leave_free(scene.numbers.choice([0, scene.numbers.randrange(MIB), 8 * MIB, 66 * MIB]))
        return scene.at_work

    def lift(self, scene: Scene) -> None:
        scene.lane.host.free_disk()


class Clock(Fault):
    """The clock of the caching server jumps by hours for its daemon, the sessions and all that they run.

    The kernel's clock is this machine's and stays: file times that no program sets explicitly do not move.
    """

    name = "clock"
    about = "the clock of the caching server jumps by hours"

    def prepare(self, scene: Scene) -> None:
        scene.lane.start_sshd(clock=True)

    def strike(self, scene: Scene) -> bool:
        if not scene.at_work:
            return False
        seconds = scene.numbers.choice([-1, 1]) * scene.numbers.randrange(1800, 12 * 3600)
        scene.lane.host.set_clock(seconds)
        return scene.at_work

    def clean_up(self, scene: Scene) -> None:
        # only now: the recovery run had to cope with the wrong clock
        scene.lane.start_sshd()


class RestartDaemon(Fault):
    """sshd with all its sessions, and what they run."""

    name = "restart-daemon"
    about = "sshd of the caching server is killed with all sessions, and started again"

    def strike(self, scene: Scene) -> bool:
        if not scene.at_work:
            return False
        scene.lane.stop_sshd()
        return scene.at_work

    def lifts_after(self, scene: Scene) -> float | None:
        return scene.numbers.uniform(0.0, 4.0)

    def lift(self, scene: Scene) -> None:
        scene.lane.start_sshd(clock=scene.lane.clock)


class PowerOff(RestartDaemon):
    """All processes of the caching server end at once, and its line goes down."""

    name = "power-off"
    about = "the caching server is switched off, and on again"

    def strike(self, scene: Scene) -> bool:
        if not scene.at_work:
            return False
        scene.lane.line.cut(1)
        scene.lane.host.stop_all()
        return scene.at_work

    def lift(self, scene: Scene) -> None:
        scene.lane.line.restore()
        scene.lane.restart_nginx()
        super().lift(scene)
