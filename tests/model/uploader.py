# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The netboot server's tree in a real directory, its uploaders, and what it has held so far."""

from __future__ import annotations

import itertools
import json
import os
import struct
from pathlib import Path

from ansible_collections.netboot.syncer.plugins.module_utils.assets.withdrawal import record_path

KERNEL_FILES = ("vmlinuz", "initrd")


def squashfs(number: int, *, cut: int = 0) -> bytes:
    """Return a squashfs of little more than a superblock, different for each number; *cut* bytes short."""
    size = 96 + 24 + number % 7
    block = bytearray(struct.pack("<Q", number) * (size // 8 + 1))[:size]
    block[:4] = b"hsqs"
    struct.pack_into("<HH", block, 28, 4, 0)
    struct.pack_into("<Q", block, 40, size)
    return bytes(block[: size - cut])


def marker_of(image: str) -> str:
    """Return the marker of a squashfs: its special name, or the plain one for images in development."""
    return image.removesuffix(".squashfs") + (".json" if image.startswith("dev/") else "-kernel.json")


# What a marker promises: the squashfs, and the kernel files by name.
Closure = tuple[bytes, tuple[tuple[str, bytes], ...]]


class NetbootServer:
    """The tree, and the ledger of all closures that it has held for each marker and its content."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._numbers = itertools.count(1)
        self._time = 1_600_000_000
        self.held: dict[tuple[str, bytes], set[Closure]] = {}
        self.contents: dict[str, set[bytes]] = {}

    def write(self, path: str, content: bytes) -> None:
        """Write a file in place, at a later time than all before it."""
        full = self.root / path
        full.parent.mkdir(parents=True, exist_ok=True)
        full.write_bytes(content)
        self._time += 1
        os.utime(full, (self._time, self._time))
        self.note()

    def upload(self, image: str, *, cut: int = 0) -> None:
        """Write new content of a squashfs, or only the beginning of it."""
        self.write(image, squashfs(next(self._numbers), cut=cut))

    def mark(self, image: str, version: str, *, stamp: bool) -> None:
        """Write the marker of an image; with *stamp*, one that was never there before."""
        content: dict[str, object] = {"version": version}
        if stamp:
            content["build"] = next(self._numbers)
        self.write(marker_of(image), json.dumps(content).encode())

    def link(self, path: str, target: str) -> None:
        """Make a symlink lead to a file in the same directory, with one rename."""
        full = self.root / path
        full.parent.mkdir(parents=True, exist_ok=True)
        full.with_name(".link").symlink_to(target)
        full.with_name(".link").rename(full)
        self.note()

    def kernel(self, version: str, names: tuple[str, ...]) -> None:
        """Write new contents of a kernel's files, one after the other."""
        for name in names:
            self.write(f"kernels/{version}/{name}", f"{name} {next(self._numbers)}".encode())

    def remove(self, path: str) -> None:
        """Remove a file, if it is there."""
        (self.root / path).unlink(missing_ok=True)
        self.note()

    def withdraw(self, image: str, *, purge: bool) -> None:
        """Set the marker of an image aside, as ``withdraw_assets`` does; a record stays, even without a marker."""
        marker = self.root / marker_of(image)
        record = self.root / record_path(marker_of(image), purge=purge)
        if marker.exists():
            marker.rename(record)
        else:
            record.parent.mkdir(parents=True, exist_ok=True)
            record.touch()

    def put_back(self, image: str) -> None:
        """Undo the withdrawal of an image."""
        for purge in (False, True):
            record = self.root / record_path(marker_of(image), purge=purge)
            if record.exists() and record.stat().st_size and not (self.root / marker_of(image)).exists():
                record.rename(self.root / marker_of(image))
            record.unlink(missing_ok=True)
        self.note()

    def note(self) -> None:
        """Remember what the tree holds now."""
        files = {str(path.relative_to(self.root)): path.read_bytes() for path in self.root.rglob("*") if path.is_file()}
        for path, content in files.items():
            self.contents.setdefault(path, set()).add(content)
            if path.endswith(".json"):
                closure = closure_of(path, files)
                if closure is not None:
                    self.held.setdefault((path, content), set()).add(closure)


def closure_of(marker: str, files: dict[str, bytes]) -> Closure | None:
    """Return what a marker promises, from the files of a tree; None if not all of it is there."""
    version = json.loads(files[marker]).get("version", "")
    image = marker.removesuffix("-kernel.json").removesuffix(".json") + ".squashfs"
    kernel = [f"kernels/{version}/{name}" for name in KERNEL_FILES] if version else []
    if any(path not in files for path in [image, *kernel]):
        return None
    return files[image], tuple((path, files[path]) for path in kernel)
