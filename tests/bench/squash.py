# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes a squashfs of a directory, with the same bytes each time."""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.lab.process import LabError, find_program

BUILDS = ("base", "day", "week", "rebuild")
COMPRESSORS = {
    "zstd": ("-comp", "zstd", "-Xcompression-level", "9"),
    "gzip": ("-comp", "gzip", "-Xcompression-level", "6"),
}
LEFT_OUT = ("proc/*", "sys/*", "dev/*", "run/*", "tmp/*", "var/cache/apt/*", "var/lib/apt/lists/*", "var/log/*")
STEP_TIMEOUT = 1800.0  # seconds, for one step of making a set


def touch_all(root: Path) -> None:
    """Give every file a time within the same hour, as in a build that copies its files from somewhere."""
    numbers = random.Random(1)
    for directory, folders, names in os.walk(root):
        for name in [*folders, *names]:
            when = 1_760_000_000 + numbers.randrange(3600)
            with contextlib.suppress(OSError):
                os.utime(os.path.join(directory, name), (when, when), follow_symlinks=False)


def compress_all(into: Path, root: Path, build: str, say: Callable[[str], None]) -> None:
    for name, options in COMPRESSORS.items():
        say(f"  mksquashfs {name} {build}")
        (into / name).mkdir(exist_ok=True)
        target = into / name / f"{build}.squashfs"
        mksquashfs(root, target, [*options, "-wildcards", "-e", *LEFT_OUT])


def mksquashfs(root: Path, target: Path, options: Sequence[str]) -> None:
    program = find_program("mksquashfs", "squashfs-tools")
    words = [program, str(root), str(target), "-noappend", "-no-progress", "-quiet", "-no-xattrs", *options]
    done = subprocess.run(words, capture_output=True, text=True, timeout=STEP_TIMEOUT, check=False)
    if done.returncode != 0:
        raise LabError(f"mksquashfs could not make {target}: {done.stderr.strip()}")
