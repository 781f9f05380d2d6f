# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The images of the benchmark: several builds of a Debian, or of this machine's files; kept for the next run."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.lab import images

from .debian import NoDebian, debian_sets
from .squash import BUILDS, COMPRESSORS, mksquashfs, touch_all

RECIPE = 4  # increase it when the way the builds are made changes


@dataclass(frozen=True)
class ImageSet:
    """Four builds of one image, compressed in the same way."""

    compression: str
    directory: Path
    origin: str  # what it was made of, in a sentence

    def path(self, build: str) -> Path:
        """The file of a build: one of :data:`BUILDS`."""
        return self.directory / f"{build}.squashfs"

    def size(self, build: str) -> int:
        """Bytes of a build."""
        return self.path(build).stat().st_size


def large_sets(cache: Path, say: Callable[[str], None]) -> list[ImageSet]:
    """The Debian sets, zstd and gzip; or, after saying why those cannot be made, a set of this machine's own files."""
    try:
        return _cached(cache / "debian", tuple(COMPRESSORS), lambda into: debian_sets(into, say))
    except NoDebian as reason:
        say(f"no Debian images: {reason}. Taken instead: this machine's own programs, with imitated upgrades.")
        return [machine_set(cache, size=150_000_000, say=say)]


def machine_set(cache: Path, *, size: int, say: Callable[[str], None]) -> ImageSet:
    """A set of images of about *size* bytes each, made of this machine's own files."""
    name = images.compressor_options()[1]

    def make(into: Path) -> dict[str, Any]:
        say(f"making images of {size // 1_000_000} MB from this machine's own files")
        return _machine_set(into / name, size=size)

    return _cached(cache / f"machine-{size // 1_000_000}", (name,), make)[0]


def _cached(directory: Path, names: Sequence[str], make: Callable[[Path], dict[str, Any]]) -> list[ImageSet]:
    """The sets in *directory*; they are made first if they are missing or were made by another recipe."""
    manifest = directory / "manifest.json"
    known: dict[str, Any] = {}
    with contextlib.suppress(OSError, ValueError):
        known = json.loads(manifest.read_text(encoding="utf-8"))
    whole = all((directory / name / f"{build}.squashfs").exists() for name in names for build in BUILDS)
    if known.get("recipe") != RECIPE or not whole:
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        known = {"recipe": RECIPE, **make(directory)}
        manifest.write_text(json.dumps(known, indent=2) + "\n", encoding="utf-8")
    return [ImageSet(name, directory / name, str(known["origin"])) for name in names]


def _machine_set(into: Path, *, size: int) -> dict[str, Any]:
    """Four builds of this machine's own programs.

    Next day: some configuration and one small package. Next week: groups of programs are "rebuilt", so that each of
    their files has a new build id at its start, and bytes moved and changed in many places, as when a compiler runs
    again after a change in a header; and one new file does not compress, like an initrd. Rebuild: the same content with
    new times, a new machine id, and another owner for some of the files.
    """
    root = into / "root"
    into.mkdir(parents=True)
    images.build_machine_image(into / "measure.squashfs", root, at_least=size)
    (into / "measure.squashfs").unlink()
    (root / "etc" / "machine-id").write_text("0" * 32 + "\n", encoding="ascii")
    (root / "boot").mkdir()
    (root / "boot" / "initrd").write_bytes(random.Random(1).randbytes(size // 100))
    options = ["-all-root", *images.compressor_options()]
    mksquashfs(root, into / "base.squashfs", options)
    (root / "etc" / "machine-id").write_text("1" * 32 + "\n", encoding="ascii")
    later = root.with_name("later")
    shutil.copytree(root, later, symlinks=True)
    touch_all(later)
    moved = sorted(path for path in later.rglob("*") if path.is_file())[::50]
    for path in moved:
        os.chown(path, 1000, 1000)
    mksquashfs(later, into / "rebuild.squashfs", list(images.compressor_options()))
    shutil.rmtree(later)
    images.upgrade_rootfs(root, build=2)
    mksquashfs(root, into / "day.squashfs", options)
    _rebuild_programs(root, share=0.06)
    (root / "boot" / "initrd").write_bytes(random.Random(2).randbytes(size // 100))
    mksquashfs(root, into / "week.squashfs", options)
    shutil.rmtree(root)
    return {"origin": f"programs of this machine ({size // 1_000_000} MB), with imitated upgrades"}


def _rebuild_programs(root: Path, *, share: float) -> None:
    """Change files that make up this share of all bytes, in groups of neighbours, like the files of a package."""
    numbers = random.Random(7)
    files = sorted(path for path in root.rglob("*") if path.is_file() and not path.is_symlink())
    left = sum(path.stat().st_size for path in files) * share
    groups = [files[start : start + 20] for start in range(0, len(files), 20)]
    numbers.shuffle(groups)
    for path in _flat(groups):
        length = path.stat().st_size
        if left <= 0:
            return
        left -= length
        content = bytearray(path.read_bytes())
        content[:0] = hashlib.sha1(bytes(content), usedforsecurity=False).digest()
        for _change in range(max(1, length // 20_000)):
            place = numbers.randrange(len(content))
            content[place : place + numbers.randrange(8)] = numbers.randbytes(numbers.randrange(8))
        path.write_bytes(content)


def _flat(groups: Sequence[Sequence[Path]]) -> Iterator[Path]:
    for group in groups:
        yield from group
