# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What happens on the netboot server between two runs: new builds, new kernels, rebuilt images, old ones retired.

Also what happens to a caching server's disk: one byte flips. The ledger learns of every change before a run can see it.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import random
import shutil
from dataclasses import dataclass
from pathlib import Path

from tests.lab import images
from tests.lab.ledger import fingerprint
from tests.lab.tree import Image, flip_byte

from .lane import Lane

KERNELS = ("5.8.0-43-generic", "5.10.0-8-amd64", "6.1.0-13-amd64")
KERNEL_SIZE = 400_000  # bytes, vmlinuz and initrd together
FILES = 24  # in an image
SMALLEST, LARGEST = 3_000_000, 6_000_000  # bytes of an image
KEPT = 4  # images in the tree; older ones are retired
JOBS = {"build": 5, "whole": 3, "kernel": 2, "rekernel": 2, "rebuild": 3, "damage": 2}  # job to its weight


@dataclass(frozen=True)
class Job:
    """The work of a run.

    :ivar image: the image concerned.
    :ivar fresh: bytes that the caching server has nowhere, and that therefore have to cross the line.
    :ivar size: bytes of all files to be sent.
    :ivar verify: whether only a run that compares contents (resync.yml) can see that there is anything to do.
    """

    name: str
    image: Image
    fresh: int
    size: int
    verify: bool = False


class Uploader:
    """Works on the assets tree of one lane."""

    def __init__(self, lane: Lane) -> None:
        self.lane = lane
        self.tree = lane.tree
        self._day = datetime.date(2021, 4, 9)
        self._images: list[Image] = []  # oldest first
        self._flavours = 0
        self._contents: dict[
            str, dict[str, int]
        ] = {}  # digest of each image built, to the digests and sizes of its files

    def fill(self, numbers: random.Random) -> None:
        """Create the first tree."""
        self.tree.add_kernel(KERNELS[0], size=KERNEL_SIZE)
        own = self.tree.root / "local" / "not-for-sites"
        own.parent.mkdir()
        own.write_text("is excluded, so it never shows up anywhere\n", encoding="utf-8")
        for _number in range(2):
            self._new_flavour(numbers, KERNELS[0])
        self.lane.ledger.snapshot()

    def next(self, numbers: random.Random, *, only: str | None = None) -> Job:
        """Make the next change, and return the job that it means for the next run."""
        name = only or numbers.choices(list(JOBS), weights=list(JOBS.values()))[0]
        self._tidy()
        kernel = self.kernel_of(self._images[-1]) if self._images else KERNELS[0]
        job: Job
        if name == "damage" and (damaged := self._damage(numbers)):
            job = damaged
        elif name == "rebuild" and self._images:
            job = self._rebuild(numbers, kernel)
        elif name == "whole" or not self._images:
            job = self._new_flavour(numbers, kernel)
        elif name == "kernel":
            other = numbers.choice([version for version in KERNELS if version != kernel])
            extra = 0 if (self.tree.root / "kernels" / other).exists() else KERNEL_SIZE
            self.tree.add_kernel(other, size=KERNEL_SIZE)
            job = self._next_build(numbers, other, extra=extra)
        elif name == "rekernel":
            job = self._next_build(numbers, kernel, extra=self.new_kernel_files(numbers, kernel))
        else:
            job = self._next_build(numbers, kernel)
        self._retire()
        self.lane.ledger.snapshot()
        return job

    def built(self, numbers: random.Random, image: Image, *, share: float = 0.3) -> Path:
        """Change a *share* of the files in the image's root file system, and build an image of it outside the tree."""
        root = self.lane.workshop / _flavour(image.name)
        root.mkdir(parents=True, exist_ok=True)
        there = sorted(root.iterdir())
        size = numbers.randrange(SMALLEST, LARGEST) // FILES
        names = [path.name for path in there] or [f"program-{number:02}" for number in range(FILES)]
        chosen = numbers.sample(names, max(1, round(len(names) * share)))
        for name in chosen:
            (root / name).write_bytes(numbers.randbytes(numbers.randrange(size // 2, size * 3 // 2)))
        new = images.build_image(self.lane.workshop / "new.squashfs", root)
        self._contents[str(fingerprint(new))] = {
            hashlib.sha256(path.read_bytes()).hexdigest(): path.stat().st_size for path in root.iterdir()
        }
        return new

    def _fresh(self, image: Image) -> int:
        """Bytes of an image's files that its nearest predecessor on the caching server lacks."""
        pattern = image.path.replace(image.name.split("/")[1][:8], "*").rsplit("-", 1)[0] + "-*.squashfs"
        there = sorted(self.lane.assets.glob(pattern))
        own = self.lane.assets / image.path
        basis = own if own in there else next((path for path in reversed(there) if path.name < own.name), None)
        has = self._contents.get(str(fingerprint(basis)), {}) if basis else {}
        mine = self._contents[str(fingerprint(image.squashfs))]
        return sum(size for digest, size in mine.items() if digest not in has)

    def place(self, new: Path, path: Path) -> None:
        """Put a file in place in one step, with a time at least one second later than that of the file it replaces.

        If content changes within one second and the size stays, size and time cannot show it.
        """
        before = int(path.stat().st_mtime) if path.exists() else 0
        now = int(new.stat().st_mtime)
        if now <= before:
            os.utime(new, (before + 1, before + 1))
        hidden = path.with_name(f".{path.name}.upload")
        shutil.move(new, hidden)
        hidden.rename(path)

    def write_marker(self, numbers: random.Random, image: Image, kernel: str) -> None:
        """Write the marker of an image; each is unique, so none fits other content of the same image."""
        fields = {"version": kernel, "build": f"{numbers.getrandbits(40):010x}"}
        image.marker.write_text(json.dumps(fields) + "\n", encoding="utf-8")

    def _name(self, numbers: random.Random, flavour: str) -> str:
        self._day += datetime.timedelta(days=1)
        # a flavour stays in one directory, so that its newest build there is the next one's nearest predecessor
        directory = "dev" if int(flavour.removeprefix("flavour")) % 2 else "prod"
        return f"{directory}/{self._day:%y-%m-%d}-{flavour}-master-{numbers.getrandbits(28):07x}"

    def _add(self, numbers: random.Random, name: str, kernel: str, *, share: float) -> Image:
        image = self.tree.image(name)
        image.squashfs.parent.mkdir(exist_ok=True)
        self.place(self.built(numbers, image, share=share), image.squashfs)
        self.write_marker(numbers, image, kernel)
        self._images.append(image)
        return image

    def _new_flavour(self, numbers: random.Random, kernel: str) -> Job:
        self._flavours += 1
        image = self._add(numbers, self._name(numbers, f"flavour{self._flavours}"), kernel, share=1.0)
        return Job("whole", image, self._fresh(image), image.squashfs.stat().st_size)

    def _next_build(self, numbers: random.Random, kernel: str, *, extra: int = 0) -> Job:
        flavour = _flavour(numbers.choice(self._images).name)
        image = self._add(numbers, self._name(numbers, flavour), kernel, share=0.3)
        name = "build" if not extra else "kernel"
        return Job(name, image, self._fresh(image) + extra, image.squashfs.stat().st_size + extra)

    def new_kernel_files(self, numbers: random.Random, kernel: str) -> int:
        """Replace one or both files of a kernel under the same version. Returns how many bytes are new."""
        fresh = 0
        for name in numbers.choice([("initrd",), ("vmlinuz",), ("vmlinuz", "initrd")]):
            path = self.tree.root / "kernels" / kernel / name
            new = self.lane.workshop / name
            new.write_bytes(numbers.randbytes(path.stat().st_size))
            fresh += path.stat().st_size
            self.place(new, path)
            self.lane.ledger.snapshot()
        return fresh

    def _rebuild(self, numbers: random.Random, kernel: str) -> Job:
        """Rebuild an image under its old name: the marker is removed first, as in a careful upload."""
        image = self._images[-1]
        built = self.built(numbers, image)
        image.marker.unlink()
        self.lane.ledger.snapshot()
        self.place(built, image.squashfs)
        self.write_marker(numbers, image, kernel)
        return Job("rebuild", image, self._fresh(image), image.squashfs.stat().st_size)

    def _damage(self, numbers: random.Random) -> Job | None:
        """Flip a byte of a file on the caching server; its size and time stay the same."""
        there = [image for image in self._images if (self.lane.assets / image.path).exists()]
        if not there:
            return None
        image = numbers.choice(there)
        initrd = f"kernels/{self.kernel_of(image)}/initrd"
        path = numbers.choice([image.path, initrd])
        file = self.lane.assets / path
        if not file.exists() or path in self.lane.damaged:
            return None
        # Recorded before it happens: a client may read the flipped byte at once, and that is no violation.
        content = bytearray(file.read_bytes())
        offset = numbers.randrange(64, len(content))
        content[offset] ^= 0xFF
        self.lane.damaged[path] = hashlib.sha256(content).hexdigest()
        flip_byte(file, offset=offset)
        return Job("damage", image, 64 * 1024, file.stat().st_size, verify=True)

    def rename_in_case(self, image: Image) -> None:
        """Swap the case of the last part of its name; the marker is hidden first, and appears again last."""
        start, dash, commit = image.name.rpartition("-")
        again = self.tree.image(start + dash + commit.swapcase())
        hidden = image.marker.with_name(f".{image.marker.name}.renamed")
        image.marker.rename(hidden)
        self.lane.ledger.snapshot()
        image.squashfs.rename(again.squashfs)
        hidden.rename(again.marker)
        self._images = [again if one == image else one for one in self._images]

    def kernel_of(self, image: Image) -> str:
        for version in KERNELS:
            if version in image.marker.read_text(encoding="utf-8"):
                return version
        return KERNELS[0]

    def _tidy(self) -> None:
        """Remove images that a fault left incomplete, as an uploader who sees that an image is broken would."""
        whole = []
        for image in self._images:
            here = self.lane.ledger.present()
            marker = str(image.marker.relative_to(self.tree.root))
            if self.lane.lab.whole_closure(self.tree.root, marker, image.path, here):
                whole.append(image)
            else:
                image.marker.unlink(missing_ok=True)
                image.squashfs.unlink(missing_ok=True)
        self._images = whole
        self.lane.ledger.snapshot()

    def _retire(self) -> None:
        while len(self._images) > KEPT:
            old = self._images.pop(0)
            old.marker.unlink()
            self.lane.ledger.snapshot()
            old.squashfs.unlink()


def _flavour(name: str) -> str:
    """The flavour of an image: that of ``dev/21-04-09-flavour1-master-f1d734e`` is ``flavour1``."""
    return name.split("-")[3]
