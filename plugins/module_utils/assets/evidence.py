# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was read from the netboot server's files, and what it says about one file: complete, or why not."""

from __future__ import annotations

import dataclasses

from . import squashfs, uploads
from .entries import FILE, IN_A_CIRCLE, NOT_THERE, SYMLINK, Entry, Tree, follow


@dataclasses.dataclass(frozen=True)
class Evidence:
    """What was read from the files themselves, by path.

    ``contents`` holds the JSON files, ``superblocks`` the first bytes of all files that begin like a squashfs,
    ``digests`` the SHA-256 of those that had to be hashed, ``ages`` for how many seconds each large file has been left
    alone, ``unreadable`` the reason for each file that could not be read, each directory that could not be listed, and
    each name that could not even be checked. ``records`` says for every marker that was set aside whether its squashfs
    is to be removed as well.
    """

    contents: dict[str, bytes] = dataclasses.field(default_factory=dict)
    superblocks: dict[str, bytes] = dataclasses.field(default_factory=dict)
    digests: dict[str, str] = dataclasses.field(default_factory=dict)
    unreadable: dict[str, str] = dataclasses.field(default_factory=dict)
    ages: dict[str, float] = dataclasses.field(default_factory=dict)
    records: dict[str, bool] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Files:
    """The files of a tree, with what was read of them; ``settle`` is how long large ones must have been left alone."""

    tree: Tree
    evidence: Evidence
    settle: int = uploads.SETTLE

    def resolve(self, path: str) -> Entry | str:
        """Return the file that a path leads to, through symlinks; or, in words that follow it, why there is none."""
        trail = follow(path, self.tree)
        if trail.entry is None:
            return trail.trouble
        if trail.entry.path in self.evidence.unreadable:
            return f"cannot be read: {self.evidence.unreadable[trail.entry.path]}"
        return trail.entry if trail.entry.kind == FILE else "is not a file"

    def trouble(self, entry: Entry) -> str:
        """Return why an entry without a marker cannot be sent, or not yet; or an empty string."""
        reason = self.evidence.unreadable.get(entry.path) or uploads.name_trouble(entry.path, self.tree)
        if reason:
            return reason
        if entry.kind == SYMLINK:
            return self._symlink_trouble(entry)
        if entry.kind != FILE:
            return "neither a file nor a directory nor a symlink"
        return self.unsettled(entry.path)

    def unsettled(self, path: str) -> str:
        """Return why a large file has to wait, or an empty string."""
        return uploads.unsettled(self.evidence.ages.get(path), self.settle)

    def short_squashfs(self, entry: Entry) -> str:
        """Return why a file that begins like a squashfs is not a complete one, or an empty string."""
        superblock = self.evidence.superblocks.get(entry.path)
        return (squashfs.trouble(superblock, entry.size) or "") if superblock is not None else ""

    def _symlink_trouble(self, entry: Entry) -> str:
        trail = follow(entry.path, self.tree)
        if trail.entry is None:
            if trail.trouble == NOT_THERE:
                return "a symlink that leads nowhere"
            at_once = trail.names[-1] == entry.path or trail.trouble == IN_A_CIRCLE
            return (
                trail.trouble.removeprefix("is ")
                if at_once
                else f"a symlink to {trail.names[-1]}, which {trail.trouble}"
            )
        for name in trail.names[1:]:
            reason = uploads.name_trouble(name, self.tree) or self.unsettled(name)
            if reason:
                return f"a symlink to {name}, which waits: {reason}"
        return ""
