# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults in a caching server's answers: a hash that hangs, an endless answer, a disk that fills up in the meantime.

Programs of the caching server are wrapped by a script of the same name, which misbehaves as flag files tell it to.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from .fault import Fault, Scene

PATIENCE = 30.0  # seconds to wait for the moment
MOST_MEMORY = 100_000  # kB of memory that a run may use, whatever a caching server sends
TOO_MUCH = 600_000  # kB; a run that uses more is killed, to protect this machine

# Only what is hashed in the work area counts: a file that has just arrived.
SCRIPT = """#!/bin/sh
real=/usr/bin/${0##*/} flags=/run/lab-flags
case ${0##*/}:$(readlink /proc/self/fd/0) in
  rsync:*) [ ! -e $flags/endless-rsync ] || exec timeout 60 yes 'and one line more' >&2 ;;
  *:*/.netboot-sync/*)
    [ ! -e $flags/endless-hash ] || exec timeout 60 yes '0123456789abcdef'
    [ ! -e $flags/hang ] || kill -STOP $$
    if [ -e $flags/hold ]; then
      $real "$@"
      : >$flags/hashed
      tries=0
      while [ -e $flags/hold ] && [ $tries -lt 500 ]; do sleep 0.01; tries=$((tries + 1)); done
      exit 0
    fi
    ;;
esac
exec $real "$@"
"""
PROGRAMS = ("openssl", "sha256sum", "rsync")


def flags(scene: Scene) -> Path:
    """The directory of the flag files."""
    return scene.lane.host.root / "run" / "lab-flags"


def wait_for(scene: Scene, true: Callable[[], bool]) -> bool:
    """Wait for a condition while the run is at work. Returns whether it was met."""
    deadline = time.monotonic() + PATIENCE
    while scene.at_work and time.monotonic() < deadline:
        if true():
            return True
        time.sleep(0.005)
    return False


class _Answer(Fault):
    at_once = True
    resend = False

    def prepare(self, scene: Scene) -> None:
        flags(scene).mkdir(exist_ok=True)
        for name in PROGRAMS:
            path = scene.lane.host.root / "usr" / "local" / "bin" / name
            path.write_text(SCRIPT, encoding="ascii")
            path.chmod(0o755)

    def clean_up(self, scene: Scene) -> None:
        for name in PROGRAMS:
            (scene.lane.host.root / "usr" / "local" / "bin" / name).unlink(missing_ok=True)

    def lift(self, scene: Scene) -> None:
        for flag in flags(scene).iterdir():
            flag.unlink()
        for pid in self._behind(scene):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    @staticmethod
    def _behind(scene: Scene) -> list[int]:
        return scene.lane.processes(scene.lane.host, "/usr/local/bin/")


class HangingHash(_Answer):
    """The process that hashes the received file is stopped, as if its disk never answered."""

    name = "hash-hangs"
    about = "the hash of what arrived hangs on the caching server"

    def strike(self, scene: Scene) -> bool:
        (flags(scene) / "hang").touch()
        return wait_for(scene, lambda: any(_is_stopped(pid) for pid in self._behind(scene)))


def _is_stopped(pid: int) -> bool:
    try:
        return (
            Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[0] == "T"
        )
    except OSError:
        return False


class EndlessAnswer(_Answer):
    """A hash's answer never ends, or rsync's standard error never does; the run's memory must stay bounded."""

    name = "endless-answer"
    about = "the caching server answers without end"
    runner = "module"

    def __init__(self) -> None:
        self._peak = 0  # kB

    def prepare(self, scene: Scene) -> None:
        super().prepare(scene)
        (flags(scene) / scene.numbers.choice(["endless-hash", "endless-rsync"])).touch()

    def strike(self, scene: Scene) -> bool:
        if not wait_for(scene, lambda: bool(scene.lane.processes(scene.lane.host, "yes "))):
            return False
        # keep its peak until the run ends, or uses too much
        wait_for(scene, lambda: self._look(scene) > TOO_MUCH)
        return True

    def _look(self, scene: Scene) -> int:
        if scene.run is not None:
            self._peak = max(self._peak, _memory(scene.run.process.pid))
            if self._peak > TOO_MUCH:
                scene.run.kill()
        return self._peak

    def problems(self, scene: Scene) -> list[str]:  # noqa: ARG002
        return [f"the run took {self._peak} kB of memory"] if self._peak > MOST_MEMORY else []


def _memory(pid: int) -> int:
    """The peak memory of a process so far, in kB."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM:")), 0)


class FullBeforeRename(_Answer):
    """Something else fills the disk after a file was verified and before it is renamed into place."""

    name = "full-before-rename"
    about = "the disk of the caching server fills up between check and rename"

    def strike(self, scene: Scene) -> bool:
        (flags(scene) / "hold").touch()
        if not wait_for(scene, (flags(scene) / "hashed").exists):
            return False
        scene.lane.host.leave_free(0)
        (flags(scene) / "hold").unlink()
        return scene.at_work

    def lift(self, scene: Scene) -> None:
        super().lift(scene)
        scene.lane.host.free_disk()
