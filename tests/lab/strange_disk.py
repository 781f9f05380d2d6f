# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mounts a file system that is unlike the netboot server's: it folds names, keeps coarse times, has no modes, hangs.

It is a real file system for the kernel (FUSE), which passes everything through to an ordinary directory, except for its
quirks. Needs root, ``/dev/fuse`` and libfuse (Debian's package fuse3); :func:`missing` says what is missing.

    with StrangeDisk(site.assets, EXFAT) as disk:
        ...
        disk.hang("*.squashfs")  # whoever reads one from now on waits, until
        disk.release()
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys
import time
import unicodedata
from pathlib import Path
from types import TracebackType
from typing import Literal

from .process import STANDARD_PATH, LabError

CHECKOUT = Path(__file__).resolve().parents[2]
START_TIMEOUT = 20.0  # seconds


@dataclasses.dataclass(frozen=True)
class Quirks:
    """The quirks of a file system.

    :ivar folds: names that differ in case, or in the form of Unicode alone, are one name.
    :ivar respells: a rename over such a name leaves the new spelling (exFAT); otherwise the old one stays (ext4, FAT).
    :ivar time_step: seconds; times are kept as multiples of it. 0: to the nanosecond.
    :ivar sets_times: False: nobody can set a time.
    :ivar modes: whether permissions are kept; or ``chmod`` does nothing, and says so (``refused``) or is silent
        (``ignored``).
    :ivar links: False: there are no hard links.
    :ivar keeps_ctime: False: the time of the last change of the inode is that of the content.
    :ivar quota: bytes of all files, beyond which a write fails as it does where a quota is used up; 0 for none.
    """

    folds: bool = False
    respells: bool = False
    time_step: int = 0
    sets_times: bool = True
    modes: Literal["kept", "ignored", "refused"] = "kept"
    links: bool = True
    keeps_ctime: bool = True
    quota: int = 0


FOLDING = Quirks(folds=True)  # ext4 with casefold, APFS, NTFS
COARSE = Quirks(time_step=2)
EXFAT = Quirks(folds=True, respells=True, time_step=2, modes="refused", links=False)
NO_MODES_NO_TIMES = Quirks(modes="refused", sets_times=False, links=False)
NO_CTIME = Quirks(keeps_ctime=False)


def folded(name: str) -> str:
    """The name that all its spellings have in common."""
    return unicodedata.normalize("NFC", name).casefold()


def missing() -> str:
    """What this machine lacks for it, in words; empty if nothing."""
    if os.geteuid() != 0:
        return "needs root: it mounts a file system"
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        return "there is no /dev/fuse"
    if shutil.which("fusermount3", path=f"{os.environ['PATH']}:{STANDARD_PATH}") is None:
        return "FUSE is not installed: install the package fuse3"
    return ""


class StrangeDisk:
    """Such a file system on the directory *path* (made if it is not there), for the life of the ``with`` block.

    What is in it is in *backing*, an ordinary directory next to it; looked at there, nothing is folded or coarse.
    """

    def __init__(self, path: Path, quirks: Quirks, *, backing: Path | None = None) -> None:
        self.path = path
        self.quirks = quirks
        self.backing = backing or path.with_name(f"{path.name}.backing")
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> StrangeDisk:
        if lack := missing():
            raise LabError(lack)
        for directory in (self.path, self.backing):
            directory.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "tests.lab.strange_disk_server", str(self.backing), str(self.path)]
        self._process = subprocess.Popen(
            [*command, json.dumps(dataclasses.asdict(self.quirks))],
            cwd=CHECKOUT,
            stdin=subprocess.PIPE,  # its end unmounts, also when this process is killed
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        deadline = time.monotonic() + START_TIMEOUT
        while not os.path.ismount(self.path):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.__exit__(None, None, None)
                raise LabError(f"no file system could be mounted on {self.path}; what went wrong is in the log above")
            time.sleep(0.01)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.communicate()
            self._process = None

    def hang(self, names: str) -> None:
        """Make reads from files with such a *name* (a pattern) wait from now on, as on a disk that hangs.

        As with a real one, not even SIGKILL ends such a process before :meth:`release`.
        """
        self._tell(f"hang {names}")

    def release(self) -> None:
        """Let all go on."""
        self._tell("release")

    def stale(self, count: int) -> None:
        """Make the next *count* writes of some size fail like a write to a file that vanished on an NFS server."""
        self._tell(f"stale {count}")

    def waiting(self) -> int:
        """How many reads are waiting."""
        return int(self._tell("waiting"))

    def _tell(self, order: str) -> str:
        if self._process is None or self._process.stdin is None or self._process.stdout is None:
            raise LabError(f"{self.path} is not mounted")
        self._process.stdin.write(order + "\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().strip()
