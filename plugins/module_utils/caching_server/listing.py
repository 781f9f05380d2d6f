# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tree of a caching server, listed to any depth, and never endlessly."""

from __future__ import annotations

import dataclasses
import os
import typing as t

from ..assets.entries import DIRECTORY, FILE, Entry, Tree
from ..ssh.sftp_names import MAX_PATH, Budget


@dataclasses.dataclass(frozen=True)
class Listing:
    """What is there, without hidden names, and when a name in each directory last changed."""

    tree: Tree = dataclasses.field(default_factory=dict)
    times: dict[str, int] = dataclasses.field(default_factory=dict)

    @property
    def directories(self) -> list[str]:
        """The directories, outermost first."""
        return [path for path, entry in self.tree.items() if entry.kind == DIRECTORY]

    @property
    def sizes(self) -> dict[str, int]:
        """The sizes of the files in bytes."""
        return {path: entry.size for path, entry in self.tree.items() if entry.kind == FILE}


def list_tree(
    dest: str,
    entries: t.Callable[[t.Sequence[str], Budget], t.Sequence[t.Sequence[Entry]]],
    warn: t.Callable[[str], None],
) -> Listing:
    """List what is below a directory, level by level; ``entries`` returns those of some, by their absolute paths."""
    listing = Listing()
    budget = Budget()
    level = [""]
    while level:
        level = [directory for directory in level if _can_be_listed(dest, directory, warn)]
        found = entries([f"{dest}/{directory}" if directory else dest for directory in level], budget)
        level = [path for directory, content in zip(level, found) for path in _add(listing, directory, content)]
    return listing


def _can_be_listed(dest: str, directory: str, warn: t.Callable[[str], None]) -> bool:
    full = f"{dest}/{directory}"
    if directory and len(os.fsencode(full)) >= MAX_PATH:
        warn(f"{full[:80]}...: too deep to be looked at on the caching server, and left as it is")
        return False
    return True


def _add(listing: Listing, directory: str, content: t.Sequence[Entry]) -> list[str]:
    """Add what a directory holds to a listing, and return the directories in it."""
    below = []
    for entry in sorted(content, key=lambda one: one.path):
        if entry.path.startswith("."):
            continue
        path = f"{directory}/{entry.path}" if directory else entry.path
        if entry.kind == DIRECTORY:
            # Without its size and time, which are meaningless: those of equal trees differ.
            listing.times[path] = entry.mtime
            listing.tree[path] = Entry(path, DIRECTORY, mode=entry.mode)
            below.append(path)
        else:
            listing.tree[path] = Entry(path, entry.kind, entry.size, entry.mtime, entry.target, mode=entry.mode)
    return below
