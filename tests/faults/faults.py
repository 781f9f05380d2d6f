# Copyright: (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The faults, each a small class: what is made ready before the run, how it strikes, and how it is lifted."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal

from .lab import MIB, Ended, Lane, Run
from .uploads import KERNELS, Job, Uploader

PATIENCE = 5.0  # seconds to wait for the process that is to be killed
RUN_LIMIT = 180.0  # seconds


@dataclass
class Scene:
    """What a fault finds when it strikes."""

    lane: Lane
    uploader: Uploader
    numbers: random.Random
    job: Job
    run: Run | None = None

    @property
    def at_work(self) -> bool:
        """Whether the run still goes on."""
        return self.run is not None and self.run.running


class Fault:
    """One kind of fault. A new object for each round.

    :cvar name: for the table and ``--only``.
    :cvar about: what it is, in a line.
    :cvar runner: what the run must be, where the fault is about just that: the module by itself, or a playbook.
    :cvar must_be_quiet: whether nothing of the run may be left :data:`~.lab.QUIET_WITHIN` seconds after it.
    :cvar resend: whether the bytes that arrived before count: what arrived must not be sent again.
    """

    name: ClassVar[str]
    about: ClassVar[str]
    runner: ClassVar[Literal["any", "module", "playbook"]] = "any"
    must_be_quiet: ClassVar[bool] = False
    resend: ClassVar[bool] = True

    def prepare(self, scene: Scene) -> None:
        """Before the run starts."""

    def strike(self, scene: Scene) -> bool:
        """Do it; returns whether it met a run at work."""
        raise NotImplementedError

    def lifts_after(self, scene: Scene) -> float | None:  # noqa: ARG002
        """Seconds after the strike to lift it, run or no run; None: when the run has ended."""
        return None

    def lift(self, scene: Scene) -> None:
        """Put right what is not the business of a sync; called once."""

    def clean_up(self, scene: Scene) -> None:
        """After the recovery run."""


# -- processes --------------------------------------------------------------------------------------------------------


def _kill_one(scene: Scene, find: Callable[[], list[int]]) -> bool:
    """SIGKILL one of the processes that *find* finds; waits for one while the run goes on."""
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
    """rsync on the near end."""

    name = "kill-sender"
    about = "SIGKILL of rsync on the netboot server"

    def strike(self, scene: Scene) -> bool:
        return _kill_one(scene, scene.lane.senders)


class KillReceiver(Fault):
    """rsync on the far end, one of its two processes."""

    name = "kill-receiver"
    about = "SIGKILL of rsync on the caching server"

    def strike(self, scene: Scene) -> bool:
        return _kill_one(scene, scene.lane.receivers)


class KillSession(Fault):
    """One of sshd's processes for a session: that of the control connection, or that of the data."""

    name = "kill-session"
    about = "SIGKILL of a session process of sshd"

    def strike(self, scene: Scene) -> bool:
        lane = scene.lane
        # the listener is no session
        return _kill_one(
            scene, lambda: [pid for pid in lane.processes(lane.host, "sshd: ") if pid not in lane.host.pids("sshd")[:1]]
        )


class KillController(Fault):
    """ansible-playbook with all its workers: the controller loses power."""

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
    """ansible-playbook alone: its workers do not notice, and may go on to the end."""

    name = "kill-playbook"
    about = "SIGKILL of ansible-playbook's main process only"
    runner = "playbook"

    def strike(self, scene: Scene) -> bool:
        if scene.run is None or not scene.at_work:
            return False
        scene.run.kill()
        return True


class SecondRun(Fault):
    """Another run for the same caching server, with or without the patience to wait for the first one."""

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


# -- the line ---------------------------------------------------------------------------------------------------------


class _LineFault(Fault):
    def lifts_after(self, scene: Scene) -> float | None:
        # short: the connections live on; long: the run gives up, or tries again in vain
        return scene.numbers.choice([scene.numbers.uniform(0.2, 2.0), scene.numbers.uniform(4.0, 12.0), None])

    def lift(self, scene: Scene) -> None:
        scene.lane.line.restore()


class CutLine(_LineFault):
    """The plug is pulled at one of the two ends."""

    name = "cut-line"
    about = "the line is cut, and restored later"

    def strike(self, scene: Scene) -> bool:
        if not scene.at_work:
            return False
        scene.lane.line.cut(scene.numbers.choice([0, 1]))
        return scene.at_work


class StallLine(_LineFault):
    """Nothing gets through, and nobody is told."""

    name = "stall-line"
    about = "the line falls silent without a reset, and comes back later"

    def strike(self, scene: Scene) -> bool:
        if not scene.at_work:
            return False
        scene.lane.line.stall()
        return scene.at_work


# -- the caching server -----------------------------------------------------------------------------------------------


class DiskFull(Fault):
    """Somebody else fills the disk, but for some KiB."""

    name = "disk-full"
    about = "the disk of the caching server is full"
    resend = False  # a run may give up pieces to make room

    def strike(self, scene: Scene) -> bool:
        if not scene.at_work:
            return False
        scene.lane.host.leave_free(scene.numbers.choice([0, scene.numbers.randrange(MIB), 8 * MIB, 66 * MIB]))
        return scene.at_work

    def lift(self, scene: Scene) -> None:
        scene.lane.host.free_disk()


class Clock(Fault):
    """The clock of the caching server jumps by hours under its daemon, the sessions and all that they run.

    Its kernel's clock is this machine's and stays: the times of files that nobody sets are not moved.
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
        # the recovery run had to do with the wrong clock
        scene.lane.start_sshd()


class RestartDaemon(Fault):
    """sshd with all sessions, and what they run."""

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
    """All processes of the caching server end at once, and the line goes down with them."""

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


# -- the source -------------------------------------------------------------------------------------------------------


class _SourceFault(Fault):
    """Something happens to the image on the netboot server while it is sent. Half of the time it is put right again."""

    resend = False  # another content is to be sent

    def __init__(self) -> None:
        self._changed = False

    def strike(self, scene: Scene) -> bool:
        if not scene.at_work or not scene.job.image.squashfs.exists() or not scene.job.image.marker.exists():
            return False
        self._changed = True
        self.change(scene)
        scene.lane.ledger.snapshot()
        return scene.at_work

    def change(self, scene: Scene) -> None:
        raise NotImplementedError

    def lifts_after(self, scene: Scene) -> float | None:
        return scene.numbers.choice([scene.numbers.uniform(0.0, 1.0), None])

    def lift(self, scene: Scene) -> None:
        if self._changed and scene.numbers.random() < 0.5:
            image = scene.job.image
            scene.uploader.place(scene.uploader.built(scene.numbers, image), image.squashfs)
            scene.lane.ledger.snapshot()
            if not image.marker.exists():
                scene.uploader.write_marker(scene.numbers, image, KERNELS[0])
                scene.lane.ledger.snapshot()


class ReplaceImage(_SourceFault):
    """Another image in one rename, under the marker that is there."""

    name = "source-replaced"
    about = "the image is replaced on the netboot server by a rename"

    def change(self, scene: Scene) -> None:
        image = scene.job.image
        scene.uploader.place(scene.uploader.built(scene.numbers, image), image.squashfs)


class OverwriteImage(_SourceFault):
    """Another image, copied over the old one piece by piece."""

    name = "source-overwritten"
    about = "the image is overwritten in place on the netboot server"

    def change(self, scene: Scene) -> None:
        path = scene.job.image.squashfs
        before = int(path.stat().st_mtime)
        built = scene.uploader.built(scene.numbers, scene.job.image, share=0.8)
        content = built.read_bytes()
        built.unlink()
        with path.open("r+b", buffering=0) as file:
            for start in range(0, len(content), 256 * 1024):
                file.write(content[start : start + 256 * 1024])
                time.sleep(scene.numbers.uniform(0.0, 0.05))
            file.truncate(len(content))
        if int(path.stat().st_mtime) <= before:
            os.utime(path, (before + 1, before + 1))


class TruncateImage(_SourceFault):
    """Its end is missing."""

    name = "source-truncated"
    about = "the image is truncated on the netboot server"

    def change(self, scene: Scene) -> None:
        path = scene.job.image.squashfs
        os.truncate(path, int(path.stat().st_size * scene.numbers.uniform(0.0, 0.95)))


class DeleteImage(_SourceFault):
    """The squashfs alone, or marker and squashfs as a tidy uploader does."""

    name = "source-deleted"
    about = "the image is deleted on the netboot server"

    def change(self, scene: Scene) -> None:
        if scene.numbers.random() < 0.5:
            scene.job.image.marker.unlink()
        scene.job.image.squashfs.unlink()


class DeleteMarker(_SourceFault):
    """The image is taken back."""

    name = "marker-deleted"
    about = "the marker is deleted on the netboot server"

    def change(self, scene: Scene) -> None:
        scene.job.image.marker.unlink()


class RewriteMarker(_SourceFault):
    """Another content, in place or by a rename; sometimes of another kernel, sometimes no JSON at all."""

    name = "marker-rewritten"
    about = "the marker is rewritten on the netboot server"

    def change(self, scene: Scene) -> None:
        marker = scene.job.image.marker
        before = int(marker.stat().st_mtime)
        versions = sorted(path.name for path in (scene.lane.tree.root / "kernels").iterdir() if path.is_dir())
        note = "x" * scene.numbers.randrange(1, 80)
        text = f'{{"version": "{scene.numbers.choice(versions)}", "note": "{note}"}}\n'
        if scene.numbers.random() < 0.2:
            text = text[: len(text) // 2]  # an upload that broke off
        if scene.numbers.random() < 0.5:
            marker.write_text(text, encoding="utf-8")
            os.utime(marker, (before + 1, before + 1))
        else:
            new = scene.lane.workshop / "marker"
            new.write_text(text, encoding="utf-8")
            scene.uploader.place(new, marker)


class ReplaceKernel(_SourceFault):
    """The kernel or initrd that the image needs is replaced under its version."""

    name = "kernel-replaced"
    about = "the image's initrd is replaced on the netboot server"

    def change(self, scene: Scene) -> None:
        kernel = scene.uploader.kernel_of(scene.job.image)
        scene.uploader.new_kernel_files(scene.numbers, kernel)

    def lift(self, scene: Scene) -> None:
        pass


FAULTS: dict[str, type[Fault]] = {
    fault.name: fault
    for fault in (
        KillModule,
        KillSender,
        KillReceiver,
        KillSession,
        KillController,
        KillPlaybook,
        SecondRun,
        CutLine,
        StallLine,
        DiskFull,
        Clock,
        RestartDaemon,
        PowerOff,
        ReplaceImage,
        OverwriteImage,
        TruncateImage,
        DeleteImage,
        DeleteMarker,
        RewriteMarker,
        ReplaceKernel,
    )
}
