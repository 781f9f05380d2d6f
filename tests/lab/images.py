# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real squashfs images made by mksquashfs, tiny ones for tests and large ones of this machine's own files."""

from __future__ import annotations

import email
import functools
import json
import os
import random
import shutil
import stat
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from .process import LabError, find_program

MAGIC = b"hsqs"
MACHINE_PLACES = ("/usr/bin", "/usr/lib", "/usr/share", sys.prefix)
LARGEST_FILE = 32 * 1024 * 1024  # bytes; larger ones are left out, or a few programs would make up the whole image
USUAL_RATIO = 0.37  # ratio of compressed to raw size of a machine's programs


@functools.cache
def compressor_options() -> tuple[str, ...]:
    """The compression of mksquashfs: zstd as in today's distributions, or gzip if it was built without.

    The low level is for speed (15 times faster than the default); for deltas, the blocks are equivalent.
    """
    with tempfile.TemporaryDirectory(prefix="netboot-lab-") as directory:
        empty = Path(directory) / "empty"
        empty.mkdir()
        for name in ("zstd", "gzip"):
            options = ("-comp", name, "-Xcompression-level", "3")
            if _mksquashfs(empty, Path(directory) / name, options).returncode == 0:
                return options
    raise LabError("mksquashfs can compress neither by zstd nor by gzip: install the distribution's squashfs-tools")


def build_image(target: Path, source: Path) -> Path:
    """Make the squashfs image *target* of the directory *source*. It appears under its name when it is complete."""
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(f".{target.name}.build")
    unfinished.unlink(missing_ok=True)
    result = _mksquashfs(source, unfinished, compressor_options())
    if result.returncode != 0:
        unfinished.unlink(missing_ok=True)
        raise LabError(f"mksquashfs could not make {target}: {result.stderr.strip()}")
    unfinished.rename(target)
    return target


def _mksquashfs(source: Path, target: Path, options: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    program = find_program("mksquashfs", "squashfs-tools")
    command = [program, str(source), str(target), "-noappend", "-no-progress", "-quiet", "-all-root", "-no-xattrs"]
    return subprocess.run([*command, *options], capture_output=True, text=True, check=False)


def bytes_used(head: bytes) -> int:
    """The length that the superblock at the start of a squashfs states (offset 40); -1 if there is no superblock."""
    if len(head) < 48 or head[:4] != MAGIC:
        return -1
    return int(struct.unpack_from("<Q", head, 40)[0])


def tiny_image(target: Path, text: str) -> Path:
    """Make an image of one page (4 KiB), in a few milliseconds. Another *text* makes another image of the same size."""
    with tempfile.TemporaryDirectory(prefix="netboot-lab-") as directory:
        (Path(directory) / "issue").write_text(text, encoding="utf-8")
        return build_image(target, Path(directory))


def write_rootfs(root: Path, *, size: int, seed: int = 1) -> None:
    """Write a root file system of generated files; an image of it has about *size* bytes."""
    _write_configuration(root, build=1)
    write_programs(root / "usr" / "bin", size=size, seed=seed)


def write_programs(directory: Path, *, size: int, seed: int = 1) -> None:
    """Write *size* bytes of generated files that do not compress."""
    numbers = random.Random(seed)
    directory.mkdir(parents=True)
    left = size
    while left > 0:
        length = min(left, numbers.randrange(20_000, 200_000))
        (directory / f"program-{left}").write_bytes(numbers.randbytes(length))
        left -= length


def build_machine_image(target: Path, root: Path, *, at_least: int) -> Path:
    """Make an image of more than *at_least* bytes from real files of this machine; *root* keeps what went in."""
    _write_configuration(root, build=1)
    files = _machine_files()
    copied, goal = 0, int(at_least / USUAL_RATIO)
    for _attempt in range(5):
        for path, length in files:
            if _copied(path, root / path.relative_to("/")):
                copied += length
            if copied >= goal:
                break
        size = build_image(target, root).stat().st_size
        if size > at_least:
            return target
        if copied < goal:
            # A small machine has not enough files: the rest are generated ones, which do not compress.
            write_programs(root / "srv", size=at_least - size + 1024 * 1024)
            return build_image(target, root)
        goal = int(copied * at_least / size * 1.1)  # what follows may compress better than what came before
    raise LabError(f"the files of this machine do not make an image of {at_least} bytes: {target}")


def _copied(path: Path, target: Path) -> bool:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        shutil.copyfile(path, target)
    except OSError:
        return False  # gone meanwhile, or not ours to read
    return True


def _machine_files() -> Iterator[tuple[Path, int]]:
    """Regular files of this machine and their sizes, always in the same order."""
    seen = set()
    for place in MACHINE_PLACES:
        for directory, folders, names in os.walk(place):
            folders.sort()
            for name in sorted(names):
                path = Path(directory, name)
                try:
                    found = path.lstat()
                except OSError:
                    continue
                if stat.S_ISREG(found.st_mode) and found.st_size <= LARGEST_FILE and found.st_ino not in seen:
                    seen.add(found.st_ino)
                    yield path, found.st_size


def upgrade_rootfs(root: Path, *, build: int) -> None:
    """Make the next build of a root file system: some configuration files change, a small package is added."""
    _write_configuration(root, build=build)
    package = Path(email.__file__).parent  # some hundred KB of real files, wherever Python is
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(package, root / "usr" / "lib" / f"package-{build}", ignore=ignored)


def _write_configuration(root: Path, *, build: int) -> None:
    directory = root / "etc"
    directory.mkdir(parents=True, exist_ok=True)
    for number in range(20):
        # a few of them differ from build to build
        version = build if number % 5 == 0 else 1
        text = f"# written by build {version}\n" + "".join(f"option-{line} = {number * line}\n" for line in range(50))
        (directory / f"service-{number}.conf").write_text(text, encoding="utf-8")


def write_kernel(directory: Path, *, size: int) -> None:
    """Write ``vmlinuz`` and ``initrd`` (*size* bytes together) into ``kernels/<version>/``; content by its name."""
    directory.mkdir(parents=True, exist_ok=True)
    numbers = random.Random(directory.name)
    (directory / "vmlinuz").write_bytes(numbers.randbytes(size // 4))
    (directory / "initrd").write_bytes(numbers.randbytes(size - size // 4))


def write_marker(path: Path, *, version: str | None) -> None:
    """Write the descriptive JSON of an image: the kernel that it was tested with."""
    path.write_text(json.dumps({"version": version} if version else {}) + "\n", encoding="utf-8")
