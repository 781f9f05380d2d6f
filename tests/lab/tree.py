# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds an assets tree as on the netboot server, and breaks it in realistic ways."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from . import images

KERNEL = "5.8.0-43-generic"
CACHING_SERVER_IMAGE = "caching-server/netboot-caching-server"


@dataclass(frozen=True)
class Image:
    """An image of the tree: ``name`` is its path without ``.squashfs``, as ``prod/21-04-09-gnome-master-f1d734e``."""

    name: str
    squashfs: Path
    marker: Path

    @property
    def path(self) -> str:
        """The path of the squashfs, relative to the tree."""
        return f"{self.name}.squashfs"


class AssetsTree:
    """An assets tree below the directory *root*, which is made if missing."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True)

    def image(self, name: str, *, marker_suffix: str = "-kernel.json") -> Image:
        """The image *name*, whether it is there or not."""
        return Image(name, self.root / f"{name}.squashfs", self.root / f"{name}{marker_suffix}")

    def add_kernel(self, version: str = KERNEL, *, size: int = 64 * 1024, latest: bool = True) -> Path:
        """Add ``kernels/<version>/`` with vmlinuz and initrd, *size* bytes together, and point to it if *latest*."""
        directory = self.root / "kernels" / version
        images.write_kernel(directory, size=size)
        if latest:
            images.write_marker(self.root / "kernels" / "latest-kernel-version.json", version=version)
        return directory

    def add_image(
        self,
        name: str,
        *,
        kernel: str | None = KERNEL,
        marker: bool = True,
        marker_suffix: str = "-kernel.json",
        content: str | Path | None = None,
    ) -> Image:
        """Add an image.

        :arg kernel: the version that the marker names; None: a marker without one.
        :arg marker: whether the marker is there too.
        :arg content: an existing squashfs (moved in), or a text for a tiny image; by default the name.
        """
        image = self.image(name, marker_suffix=marker_suffix)
        image.squashfs.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, Path):
            shutil.move(content, image.squashfs)
        else:
            images.tiny_image(image.squashfs, content or name)
        if marker:
            images.write_marker(image.marker, version=kernel)
        return image

    def truncate_image(self, name: str, *, keep: float = 0.5) -> None:
        """Truncate an image to the share *keep* of the bytes that its superblock states, as an interrupted upload
        does."""
        path = self.image(name).squashfs
        os.truncate(path, int(images.bytes_used(path.read_bytes()[:48]) * keep))

    def remove_image(self, name: str) -> None:
        """Remove an image, its marker first."""
        image = self.image(name)
        image.marker.unlink(missing_ok=True)
        image.squashfs.unlink()


def flip_byte(path: Path, *, offset: int | None = None) -> None:
    """Change one byte of a file (in its middle by default) and keep its size and modification time: silent damage."""
    before = path.stat()
    place = before.st_size // 2 if offset is None else offset
    with path.open("r+b") as file:
        file.seek(place)
        byte = file.read(1)
        file.seek(place)
        file.write(bytes([byte[0] ^ 0xFF]))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@contextlib.contextmanager
def nested(root: Path, name: str, levels: int) -> Iterator[None]:
    """Make directories in directories while the block runs, with a file in the last.

    It uses descriptors, as no path can reach the deepest ones.
    """
    at = os.open(root, os.O_RDONLY)
    for _each in range(levels):
        os.mkdir(name, dir_fd=at)
        below = os.open(name, os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
    os.close(os.open("file", os.O_WRONLY | os.O_CREAT, dir_fd=at))
    os.close(at)
    try:
        yield
    finally:
        subprocess.run(["rm", "-r", root / name], check=True)  # shutil's goes by recursion
