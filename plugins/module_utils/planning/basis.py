# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Choosing the file on the caching server against which a new file is sent as a difference.

We make this choice explicitly. ``rsync --fuzzy`` compares names by edit distance and picks a sibling of the same day
but another flavour, of which no block matches (https://github.com/RsyncProject/rsync/issues/570).
"""

from __future__ import annotations

import dataclasses
import functools
import posixpath
import re
import typing as t

from ..assets.entries import FILE, Tree, image_name
from ..assets.marker import stems

# Bytes: below this, a separate process costs more than a difference can save, and the file is sent whole.
SMALLEST = 256 * 1024
_DATE = re.compile(r"(?<![0-9A-Za-z])(?:\d{4}|\d{2})[-_.]?\d{2}[-_.]?\d{2}(?![0-9A-Za-z])")
_COMMIT = re.compile(r"(?=[0-9a-f]*\d)[0-9a-f]{7,40}\Z")
_SEPARATORS = re.compile(r"[-_.]+")


@dataclasses.dataclass(frozen=True)
class BuildName:
    """The parts of a build's name: ``21-04-09-gnome-master-f1d734e`` is gnome, master, of 21-04-09."""

    date: str
    family: tuple[str, ...]

    @property
    def flavour(self) -> str:
        """The first word that is neither date nor commit."""
        return self.family[0] if self.family else ""


@functools.lru_cache(maxsize=16384)
def parse_name(path: str) -> BuildName:
    """Split the name of an image into its date and its family (all words but date and commit)."""
    stem = stems(path)[0] if image_name(path) or path.lower().endswith(".img") else posixpath.basename(path)
    found = _DATE.search(stem)
    date = re.sub(r"\D", "", found.group(0)) if found else ""
    rest = stem[: found.start()] + "-" + stem[found.end() :] if found else stem
    words = [word for word in _SEPARATORS.split(rest) if word and not _COMMIT.match(word.lower())]
    return BuildName(date=date[-6:], family=tuple(words))


def choose(path: str, there: Tree, images: t.Container[str] = ()) -> str | None:
    """Return the best basis on the caching server for ``path``, or None.

    ``images`` are the paths that are images whatever their name.

    The file's own predecessor under the same name comes first. For an image, then: the same build in another
    directory (a tested image moves from ``dev`` to ``prod``); the same flavour and branch, in the same directory before
    others, the newest of an earlier date before later ones; finally the same flavour on another branch of the same
    directory. An image that shares neither directory nor branch saves nothing, and comparing with it costs upstream
    traffic. For any other file but JSON: the file of the same name in the newest sibling of its directory, as
    ``initrd`` has in ``kernels``.
    """
    own = there.get(path)
    if own is not None and own.kind == FILE and own.size > 0:
        return path
    if path in images or image_name(path):
        return _choose_image(path, there, images)
    if path.endswith(".json"):
        return None  # markers and pointers are sent whole, and there are too many to compare each with all others
    directory, name = posixpath.split(path)
    above = posixpath.dirname(directory)
    siblings = [
        entry
        for entry in there.values()
        if entry.kind == FILE
        and entry.size > 0
        and directory
        and posixpath.basename(entry.path) == name
        and posixpath.dirname(posixpath.dirname(entry.path)) == above
        and posixpath.dirname(entry.path) != ""
    ]
    best = max(siblings, key=lambda entry: (entry.mtime, entry.path), default=None)
    return best.path if best else None


def _choose_image(path: str, there: Tree, images: t.Container[str]) -> str | None:
    wanted = parse_name(path)
    directory, name = posixpath.split(path)
    best: tuple[tuple[t.Any, ...], str] | None = None
    for entry in there.values():
        if entry.kind != FILE or entry.size == 0 or not (entry.path in images or image_name(entry.path)):
            continue
        other = parse_name(entry.path)
        same_build = posixpath.basename(entry.path) == name
        same_family = other.family == wanted.family
        same_directory = posixpath.dirname(entry.path) == directory
        same_flavour = wanted.flavour != "" and other.flavour == wanted.flavour
        if not (same_build or same_family or (same_flavour and same_directory)):
            continue
        earlier = other.date <= wanted.date
        rank = (
            same_build,
            same_family,
            same_directory,
            earlier,
            # the nearest in time: the newest of the earlier ones, the oldest of the later ones
            other.date if earlier else _mirrored(other.date),
            entry.mtime,
        )
        if best is None or (rank, entry.path) > best:
            best = (rank, entry.path)
    return best[1] if best else None


def _mirrored(date: str) -> str:
    """Return a key under which later dates sort before earlier ones."""
    return "".join(str(9 - int(digit)) for digit in date)
