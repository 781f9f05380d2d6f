# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The vocabulary of both trees: entries, trees, and what is hidden."""

from __future__ import annotations

import dataclasses
import posixpath
import re
import typing as t

FILE = "file"
DIRECTORY = "directory"
SYMLINK = "symlink"
OTHER = "other"

_OTHERS_READ = 0o044  # permission bits: those in the group of the file, and all others

KERNELS = "kernels"
SQUASHFS_SUFFIX = ".squashfs"
# In upper or lower case. A squashfs under another name is recognised by its content; most files with these names are
# one.
IMAGE_SUFFIXES = (SQUASHFS_SUFFIX, ".squash", ".sqsh", ".sqfs", ".sfs")
# No suffix begins with a digit: names end with a version or a date (gnome-21.04, debian-12.5-amd64).
_SUFFIX = re.compile(r"\.[A-Za-z]\w*\Z", re.ASCII)

# The directory below the tree in which a run stages what is in transit; hidden, so never sent and never listed.
WORK_DIRECTORY = ".netboot-sync"


@dataclasses.dataclass(frozen=True)
class Entry:
    """One name in a tree.

    ``path`` is relative to the tree, with ``/``; bytes that are not UTF-8 are kept as surrogates (:func:`os.fsdecode`).
    ``size`` is in bytes and ``mtime`` in whole seconds, which is all that SFTP reports. ``identity`` is set on the
    netboot server only; it changes whenever the file does. ``mode`` holds the permission bits, on the caching server
    only. ``inside`` is set on the netboot server only, of an absolute symlink that leads into the tree: where it leads,
    relative to the tree.
    """

    path: str
    kind: str
    size: int = 0
    mtime: int = 0
    target: str = ""
    identity: tuple[int, ...] = ()
    mode: int | None = None
    inside: str = ""

    @property
    def closed(self) -> bool:
        """Return whether it is a file that only its owner can read, and so most web servers cannot.

        A file that its group can read, but others cannot, may well be intended.
        """
        return self.kind == FILE and self.mode is not None and self.mode & _OTHERS_READ == 0

    def looks_like(self, other: Entry | None) -> bool:
        """Return whether both are equal by kind, size, time and target: rsync's quick check."""
        if other is None or self.kind != other.kind:
            return False
        if self.kind == SYMLINK:
            return self.target == other.target
        return self.size == other.size and self.mtime == other.mtime


Tree = dict[str, Entry]


def is_hidden(path: str) -> bool:
    """Return whether any part of a relative path is hidden."""
    return any(part.startswith(".") for part in path.split("/"))


def image_name(path: str) -> bool:
    """Return whether a path has the name of a squashfs image; see :mod:`.images` for those with another name."""
    name = path.lower()
    return name.endswith(IMAGE_SUFFIXES) and posixpath.basename(name) not in IMAGE_SUFFIXES


def stem_of(path: str) -> str:
    """Return a path without its suffix; what follows the last dot of ``gnome-21.04`` is part of the name."""
    directory, name = posixpath.split(path)
    return posixpath.join(directory, _SUFFIX.sub("", name) or name)


def parents(path: str) -> list[str]:
    """Return the directories above a relative path, outermost first."""
    parts = path.split("/")[:-1]
    return ["/".join(parts[: i + 1]) for i in range(len(parts))]


class Trail(t.NamedTuple):
    """Where a path leads: all names on the way, the path itself first, and what is at the end of it.

    ``trouble`` says, in words that follow a name, why there is nothing at the end; ``entry`` is None then.
    """

    names: tuple[str, ...]
    entry: Entry | None
    trouble: str = ""


# The troubles of a trail
LEAVES = "is a symlink that leaves the tree"
NOT_THERE = "is not there"
IN_A_CIRCLE = "is a symlink in a circle"
LEADS_TO_HIDDEN = "is a symlink to a hidden name, which is never sent"
_MOST_LINKS = 40  # as Linux counts them


def follow(path: str, tree: Tree) -> Trail:
    """Follow a path through the symlinks of a tree, to files and directories, as the kernel of its machine does."""
    names: list[str] = []
    at: list[str] = []
    ahead = path.split("/")
    while ahead:
        part = ahead.pop(0)
        if part == ".." and not at:
            return Trail(tuple(names), None, LEAVES)
        if part == "..":
            at.pop()
        if part in ("", ".", ".."):
            continue
        at.append(part)
        here = "/".join(at)
        entry = tree.get(here)
        if entry is None or (ahead and entry.kind not in (DIRECTORY, SYMLINK)):
            if names and part.startswith("."):
                return Trail(tuple(names), None, LEADS_TO_HIDDEN)
            return Trail((*names, "/".join([here, *ahead])), None, NOT_THERE)
        if entry.kind == SYMLINK:
            names.append(here)
            if entry.target.startswith("/"):
                return Trail(tuple(names), None, _absolute(entry) if entry.inside else LEAVES)
            if len(names) > _MOST_LINKS:
                return Trail(tuple(names), None, IN_A_CIRCLE)
            at.pop()
            ahead = entry.target.split("/") + ahead
    if not at:
        return Trail(tuple(names), Entry("", DIRECTORY))
    return Trail((*names, "/".join(at)), tree["/".join(at)])


def _absolute(entry: Entry) -> str:
    relative = posixpath.relpath(f"/{entry.inside}", f"/{posixpath.dirname(entry.path)}")
    return (
        f"is an absolute symlink: it leads to {entry.target} on the netboot server only;"
        f" make it relative, which is {relative}"
    )


def kernel_directory(version: str) -> str:
    """Return the directory of a kernel version, relative to the tree."""
    return f"{KERNELS}/{version}"


def kernel_version_of(path: str) -> str:
    """Return the version whose kernel directory holds ``path``, or an empty string."""
    parts = path.split("/")
    return parts[1] if len(parts) > 2 and parts[0] == KERNELS else ""
