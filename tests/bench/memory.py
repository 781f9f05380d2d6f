# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The row about memory, with images that do not fit into it."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator

from tests.lab.tree import AssetsTree, Image

from .bench import BASE_NAME, NEW_NAME, Bench
from .cost import Cost
from .peers import Collection
from .places import MIB
from .results import Result, in_bytes


def memory(bench: Bench) -> Iterator[Result]:
    """8: peak memory for one caching server, for a small and for a very large image."""
    lab = bench.lab
    small, large = (16 * MIB, 256 * MIB) if bench.short else (64 * MIB, 4096 * MIB)
    found: dict[str, dict[int, Cost]] = {"first copy": {}, "difference": {}}
    for size in (small, large):
        bench.say(f"  {in_bytes(size)}")
        tree = lab.tree("memory")
        _sparse_image(tree, BASE_NAME, size, changed=b"1")
        (site,) = lab.use(1, disk=5 * 4096 * MIB // 2)
        found["first copy"][size] = Collection().run(lab, tree, [site], timeout=600, memory=True)
        _sparse_image(tree, NEW_NAME, size, changed=b"2")
        found["difference"][size] = Collection().run(lab, tree, [site], timeout=600, memory=True)
        lab.release()
    for what, costs in found.items():
        for who, kind in (("netboot server: module, rsync and ssh", "server"), ("controller", "controller")):
            ours, theirs = costs[large].memory.get(kind, 0), costs[small].memory.get(kind, 0)
            yield Result(
                "8",
                f"{what}, peak memory of the {who}: for {in_bytes(large)}, to {in_bytes(small)}",
                ours / theirs if theirs else None,
                in_bytes(ours),
                in_bytes(theirs),
                target=1.25 if kind == "server" else None,
                figures={str(size): cost.figures() for size, cost in costs.items()},
            )


def _sparse_image(tree: AssetsTree, name: str, size: int, *, changed: bytes) -> Image:
    """A sparse file of *size* bytes that is a squashfs by its superblock."""
    image = tree.add_image(name, kernel=None)
    with image.squashfs.open("r+b") as file:
        file.seek(40)
        file.write(struct.pack("<Q", size))
        file.truncate(size)
        for place in range(MIB, size, max(size // 16, MIB)):
            file.seek(place)
            file.write(changed * 8192)
    return image


def random_image(tree: AssetsTree, name: str, size: int) -> Image:
    """An image that cannot be compressed."""
    image = tree.add_image(name, kernel=None)
    with image.squashfs.open("ab") as file:
        file.write(os.urandom(size))
    return image
