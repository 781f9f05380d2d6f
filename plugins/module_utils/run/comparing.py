# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Comparing content on both sides, if size and time are not enough; and which paths were found to be the same."""

from __future__ import annotations

import typing as t

from .. import progress as phases
from ..assets.entries import FILE, Entry, Tree
from ..assets.inventory import Inventory
from ..caching_server.protocol import CachingServer
from ..errors import SourceChanged
from ..progress import Progress
from ..source.tree import SourceTree


class Comparing:
    """The comparisons of one attempt."""

    def __init__(self, server: CachingServer, source: SourceTree, progress: Progress) -> None:
        self._server = server
        self._source = source
        self._progress = progress
        self.same: set[str] = set()  # the paths whose content was compared, and is the same on both sides

    @property
    def is_cheap(self) -> bool:
        """Return whether comparing is possible without reading everything over the line."""
        return self._server.hashes or not self._server.throttle.why_not()

    def adoptable(self, inventory: Inventory, tree: Tree) -> frozenset[str]:
        """Return what has the same content there but another time, such as a tree that was copied there."""
        same, _different = self._compare(self._server.suspects(_files_of(inventory), tree))
        return same

    def damaged(self, inventory: Inventory, tree: Tree, *, but: frozenset[str]) -> frozenset[str]:
        """Compare the content of all that looks the same, and return what differs."""
        alike = [e for e in _files_of(inventory) if e.path not in but and e.looks_like(tree.get(e.path))]
        _same, different = self._compare(alike)
        return different

    def differing(self, entries: t.Sequence[Entry]) -> str:
        """Return the path of a file whose content differs, or an empty string. Files compared already are skipped.

        Raises :class:`SourceChanged`.
        """
        fresh = [entry for entry in entries if entry.kind == FILE and entry.path not in self.same]
        there = self._server.digests(fresh) if fresh else {}
        for entry in fresh:
            if there[entry.path] != self._source.digest(entry):
                return entry.path
            self.same.add(entry.path)
        return ""

    def _compare(self, entries: t.Sequence[Entry]) -> tuple[frozenset[str], frozenset[str]]:
        """Compare the content of files on both sides, and return the paths of those that are the same, and differ."""
        if not entries:
            return frozenset(), frozenset()
        self._progress.enter(phases.COMPARING, size=sum(entry.size for entry in entries))
        there = self._server.digests(entries)
        same: set[str] = set()
        different: set[str] = set()
        for entry in entries:
            try:
                (same if there[entry.path] == self._source.digest(entry) else different).add(entry.path)
            except SourceChanged:
                continue  # the source moved on: the steps look at it again
        self.same |= same
        return frozenset(same), frozenset(different)


def _files_of(inventory: Inventory) -> list[Entry]:
    """Return the files that a run handles."""
    ours = [entry for image in inventory.images if image.ready for entry in image.entries]
    ours += [*inventory.files, *inventory.pointers]
    ours += [entry for entries in inventory.kernels.values() for entry in entries]
    return sorted({entry.path: entry for entry in ours if entry.kind == FILE}.values(), key=lambda one: one.path)
