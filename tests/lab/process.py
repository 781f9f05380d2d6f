# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Starting programs so that nothing of them is left behind: the caller's side of :mod:`tests.lab.supervise`."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from . import supervise

STANDARD_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class LabError(Exception):
    """The lab could not do what it was told; the text says what, where and what to do."""


def find_program(name: str, package: str) -> str:
    """Absolute path of program *name*, even if only root has it in PATH. Raises LabError naming *package*."""
    found = shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), STANDARD_PATH]))
    if found is None:
        raise LabError(f"{name} is not installed on this machine: install the package {package}")
    return found


class Supervised:
    """A running command whose whole process tree ends with :meth:`stop`, or with the process that started it."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        stdout: int | IO[Any] | None = None,
        stderr: int | IO[Any] | None = None,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        text: bool = False,
    ) -> None:
        self.command = list(command)
        self.process: subprocess.Popen[Any] = subprocess.Popen(
            [sys.executable, "-I", "-S", supervise.__file__, *self.command],
            stdin=subprocess.PIPE,  # its end is the order to stop
            stdout=stdout,
            stderr=stderr,
            cwd=cwd,
            env=env,
            text=text,
            start_new_session=True,  # Ctrl-C in a terminal is for the starter alone; it then calls stop()
        )

    @property
    def running(self) -> bool:
        """Whether the command still runs."""
        return self.process.poll() is None

    def pids(self) -> list[int]:
        """Process ids of all that runs: the command first, then its descendants."""
        return supervise.descendants(self.process.pid)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the command's end. Returns its exit status; after *timeout* seconds stops it, raises LabError."""
        try:
            status = self.process.wait(timeout)
        except subprocess.TimeoutExpired as exc:
            self.stop()
            raise LabError(f"still running after {timeout:.0f} s, stopped: {shlex.join(self.command)}") from exc
        self.stop()  # closes our end of the pipe
        return status

    def stop(self) -> None:
        """End the command and everything that it started. Returns when all of it is gone."""
        if self.process.stdin is not None:
            self.process.stdin.close()
        self.process.wait(supervise.KILL_TIMEOUT + 5)
