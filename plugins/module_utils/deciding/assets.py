# Copyright: (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The words of both trees: entries, trees, and what is hidden."""

from __future__ import annotations

import dataclasses
import posixpath

FILE = "file"
DIRECTORY = "directory"
SYMLINK = "symlink"
OTHER = "other"

KERNELS = "kernels"
SQUASHFS_SUFFIX = ".squashfs"

# The directory below the tree in which a run stages what is in transit; hidden, so never sent and never listed.
WORK_DIRECTORY = ".netboot-sync"


@dataclasses.dataclass(frozen=True)
class Entry:
    """One name in a tree.

    ``path`` is relative to the tree, with ``/``; bytes that are not UTF-8 are kept as surrogates (:func:`os.fsdecode`).
    ``size`` is in bytes and ``mtime`` in whole seconds, which is all that SFTP tells. ``identity`` is set on the
    netboot server only; it changes whenever the file does.
    """

    path: str
    kind: str
    size: int = 0
    mtime: int = 0
    target: str = ""
    identity: tuple[int, ...] = ()

    def looks_like(self, other: Entry | None) -> bool:
        """Tell whether both are the same by kind, size, time and target: rsync's quick check."""
        if other is None or self.kind != other.kind:
            return False
        if self.kind == SYMLINK:
            return self.target == other.target
        return self.size == other.size and self.mtime == other.mtime


Tree = dict[str, Entry]


def is_hidden(path: str) -> bool:
    """Tell whether any part of a relative path is hidden."""
    return any(part.startswith(".") for part in path.split("/"))


def parents(path: str) -> list[str]:
    """Return the directories above a relative path, outermost first."""
    parts = path.split("/")[:-1]
    return ["/".join(parts[: i + 1]) for i in range(len(parts))]


def link_target(path: str, target: str) -> str | None:
    """Return where a symlink leads, relative to the tree, or None where it leaves the tree."""
    if target.startswith("/"):
        return None
    resolved = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
    return None if resolved == ".." or resolved.startswith("../") else resolved


def kernel_directory(version: str) -> str:
    """Return the directory of a kernel version, relative to the tree."""
    return f"{KERNELS}/{version}"


def kernel_version_of(path: str) -> str:
    """Return the version whose kernel directory holds ``path``, or an empty string."""
    parts = path.split("/")
    return parts[1] if len(parts) > 2 and parts[0] == KERNELS else ""
