# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each row of the benchmark works with, and how its figures are read."""

from __future__ import annotations

import os
import shutil
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.lab import images as lab_images
from tests.lab.tree import AssetsTree, Image

from .cost import Cost
from .images import ImageSet
from .lab import BenchLab
from .peers import Collection, Module, Peer, Seed, Synchronize

BASE_NAME = "prod/21-04-09-gnome-master-f1d734e"
OLD, NEW = 1_600_000_000, 1_600_600_000  # times of the files
NEW_NAME = "prod/21-04-16-gnome-master-9c41d0b"
BUILD_WORDS = {"day": "next-day build", "week": "next-week build", "rebuild": "complete rebuild"}


@dataclass
class Bench:
    """What a row works with.

    :ivar short: with smaller and fewer images, to test the bench itself; times mean nothing then.
    :ivar say: reports progress.
    :ivar bytes_only: for the tests: the module alone, no peers except the theoretical limit, and only what is needed
        to count bytes.
    """

    lab: BenchLab
    sets: Sequence[ImageSet]
    work: Path
    short: bool
    say: Callable[[str], None]
    bytes_only: bool = False

    @property
    def set(self) -> ImageSet:
        """The images of the rows that need only one compression."""
        return self.sets[0]

    def place(self, tree: AssetsTree, name: str, file: Path, *, when: int, copy: bool = False) -> Image:
        """Put an image with its marker into a tree of the netboot server."""
        image = tree.image(name)
        image.squashfs.parent.mkdir(parents=True, exist_ok=True)
        if copy:
            shutil.copyfile(file, image.squashfs)
        else:
            # a link takes no memory; its time is that of the shared file, so one build has one time
            image.squashfs.hardlink_to(self._stored(file))
        os.utime(image.squashfs, (when, when))
        lab_images.write_marker(image.marker, version=None)
        os.utime(image.marker, (when, when))
        return image

    def _stored(self, file: Path) -> Path:
        """The single copy of an image on the netboot server's disk."""
        store = self.lab.server.disk / "store"
        store.mkdir(exist_ok=True)
        stored = store / f"{file.parent.name}-{file.name}"
        if not stored.exists():
            shutil.copyfile(file, stored)
        return stored

    @property
    def ours(self) -> Peer:
        """This collection, for one caching server."""
        return Module() if self.bytes_only else Collection()

    def peers(self) -> list[Peer]:
        """This collection first, then the others that do the whole job."""
        return [Collection(), Seed(), *([Synchronize()] if self.lab.has_synchronize else [])]


def median(costs: Sequence[Cost], of: Callable[[Cost], float]) -> float:
    return statistics.median(of(cost) for cost in costs)


def seconds(cost: Cost) -> float:
    return cost.seconds


def cpu(cost: Cost) -> float:
    return cost.cpu


def of_peer(name: str) -> str:
    return {"seed": "the seed's rsync", "synchronize": "ansible.posix.synchronize"}[name]
