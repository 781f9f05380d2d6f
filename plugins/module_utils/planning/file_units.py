# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plain files: those before the images, those that pointers wait for, and those that go last."""

from __future__ import annotations

import typing as t

from ..assets.entries import Entry, follow, parents
from ..assets.inventory import Image
from . import order
from .draft import Draft


class Files(t.NamedTuple):
    """The plain files that go before the images, those that pointers wait for, and those that go last."""

    first: list[Entry]
    before_pointers: list[Entry]
    last: list[Entry]


def sort_files(draft: Draft, aliases: t.Iterable[Image]) -> Files:
    """Return the plain files by turn; ``aliases`` are the images that are symlinks."""
    pointing = [*draft.inventory.pointers, *(entry for image in aliases for entry in image.entries)]
    named = {name for entry in pointing for name in follow(entry.path, draft.source).names}
    files = Files([], [], [])
    for entry in draft.inventory.files:
        marks = bool(_marks_there(draft, entry))  # the kernels first determine which markers are withdrawn
        if not marks and not order.is_large(entry):
            files.first.append(entry)
        elif marks or not named.isdisjoint([entry.path, *parents(entry.path)]):
            files.before_pointers.append(entry)
        else:
            files.last.append(entry)
    return files


def _marks_there(draft: Draft, entry: Entry) -> list[str]:
    """Return the squashfs that only the caching server has, and of which a plain file would be the marker there."""
    return draft.promises.found.fitting(entry.path)


def plan_files(draft: Draft, entries: t.Iterable[Entry]) -> None:
    """Plan plain files, one by one."""
    for entry in entries:
        # A plain file here, for want of a squashfs next to it, would there promise an old squashfs again.
        promised = _marks_there(draft, entry)
        if promised and (not draft.fits(entry) or entry.path in draft.withdrawn):
            draft.held_back[entry.path] = f"it would be the marker of {promised[0]}, which only the caching server has"
        else:
            draft.single("file", entry)
