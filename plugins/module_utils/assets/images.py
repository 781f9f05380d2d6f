# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which files of a tree are images, and which marker belongs to which image.

A file is an image

- by its name: see :func:`.assets.image_name`;
- by its content, under any name: the netboot server has read its first bytes. In a kernel directory, a squashfs without
  the name of an image (Alpine's modloop, for one) is a part of that kernel;
- by a marker next to it, if neither of these yields another image that the marker belongs to: a ``.img`` (LTSP's name;
  most other ``.img`` files are not a squashfs), or a name without suffix next to a name that only a marker has.
"""

from __future__ import annotations

import collections
import dataclasses
import posixpath
import typing as t

from . import marker as markers
from .entries import DIRECTORY, FILE, SQUASHFS_SUFFIX, Tree, follow, image_name, kernel_version_of, stem_of
from .patterns import matches

_AMBIGUOUS_SUFFIX = ".img"
_PAGE = 4096  # bytes
_Rank = tuple[bool, bool, int]
_PLAIN_NAME = "{stem}.json"  # shared by many JSON files that are not markers


@dataclasses.dataclass(frozen=True)
class Images:
    """What :func:`find` found.

    ``paths`` are all images, including those known only from their marker. ``pairs`` names the image of each marker,
    ``rivals`` all images that a marker fits equally well, if these are several files.
    """

    paths: frozenset[str] = frozenset()
    pairs: dict[str, str] = dataclasses.field(default_factory=dict)
    rivals: dict[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    candidates: _Candidates = dataclasses.field(default_factory=lambda: _Candidates((), (), ()), compare=False)

    def fitting(self, path: str) -> list[str]:
        """Return the existing images that a file at this path would be a marker of."""
        return self.candidates.fitting(path)


def find(
    tree: Tree,
    marker_names: tuple[str, ...] = markers.DEFAULT_NAMES,
    *,
    pointers: t.Sequence[str] = (),
    contents: t.Container[str] = (),
    strict: bool = False,
    unknown: t.Callable[[str], bool] = lambda _path: False,
) -> Images:
    """Find the images of a tree; ``contents`` are the files that are known as a squashfs, whatever their name.

    A JSON file that can only be a marker, or that is among images, counts as one even without its squashfs: if it were
    sent as a plain file, a client would take it for the promise of a missing squashfs. With ``strict``, being among
    images is not enough. ``unknown`` are the markers of which nothing is known from elsewhere: next to one, any file
    with the length of a squashfs counts.
    """
    certain: set[str] = set()
    possible: set[str] = set()
    candidates: list[str] = []
    for path, entry in tree.items():
        if image_name(path):
            certain.add(path)
        elif entry.kind == DIRECTORY:
            continue
        elif path in contents and not kernel_version_of(path):
            certain.add(path)
        elif _may_be_image(path):
            possible.add(path)
        if entry.kind != DIRECTORY and path not in certain and markers.squashfs_paths(path, marker_names):
            candidates.append(path)
    known = _Candidates(certain, possible, marker_names)
    padded: _Fits | None = None  # seldom wanted
    image_directories = {posixpath.dirname(path) for path in certain}
    paths = {path for path in certain if tree[path].kind != DIRECTORY}
    pairs: dict[str, str] = {}
    rivals: dict[str, tuple[str, ...]] = {}
    for path in candidates:
        if matches(path, pointers):
            continue
        special = known.is_special(path)
        fits = known.fitting(path)
        if not fits and unknown(path):
            padded = padded or _Fits(_padded(tree), marker_names)
            fits = padded.best(path)
        if fits:
            pairs[path] = min(fits, key=lambda image: _preference(image, tree))
            paths.add(pairs[path])
            if len({_file(image, tree) for image in fits}) > 1:
                rivals[path] = tuple(sorted(fits))
                paths.update(fits)
        elif special or (not strict and posixpath.dirname(path) in image_directories):
            pairs[path] = markers.squashfs_paths(path, marker_names)[0]
            paths.add(pairs[path])
    return Images(frozenset(paths), pairs, rivals, known)


def _may_be_image(path: str) -> bool:
    """Return whether a marker next to a file is enough to take it for an image, whatever its content."""
    name = posixpath.basename(path)
    return (name.lower().endswith(_AMBIGUOUS_SUFFIX) or "." not in name) and not kernel_version_of(path)


def _padded(tree: Tree) -> t.Iterator[str]:
    """Yield all files that are as long as a squashfs may be: mksquashfs fills up the last page."""
    for path, entry in tree.items():
        if entry.kind == FILE and entry.size and not entry.size % _PAGE and not kernel_version_of(path):
            yield path


def _preference(image: str, tree: Tree) -> tuple[bool, bool, bool, str]:
    """Of images that fit a marker equally well, the one with the usual name comes first."""
    return not image.endswith(SQUASHFS_SUFFIX), not image_name(image), tree[image].kind != FILE, image


def _file(image: str, tree: Tree) -> str:
    entry = follow(image, tree).entry
    return entry.path if entry is not None else image


class _Fits:
    """Which images a marker of a path would fit, and how well."""

    def __init__(self, images: t.Iterable[str], names: t.Sequence[str]) -> None:
        self._found: dict[str, list[tuple[_Rank, str]]] = collections.defaultdict(list)
        for image in images:
            for stem in markers.stems(image):
                for marker in markers.with_stem(image, stem, names):
                    self._found[marker].append((_rank(marker, image, stem), image))

    def best(self, marker: str, *, without_suffix: bool = True) -> list[str]:
        found = [one for one in self._found.get(marker, ()) if without_suffix or "." in posixpath.basename(one[1])]
        best = max((rank for rank, _unused in found), default=None)
        return sorted({image for rank, image in found if rank == best})


class _Candidates:
    """The images of a tree that a marker may belong to: the certain ones, or else files that it may turn into one."""

    def __init__(self, certain: t.Iterable[str], possible: t.Iterable[str], names: tuple[str, ...]) -> None:
        self._names = names
        self._special_names = tuple(name for name in names if name != _PLAIN_NAME)
        self._certain = _Fits(certain, names)
        self._possible = possible
        self._perhaps: _Fits | None = None  # most trees hold many files that could be one, but no marker for any

    def is_special(self, path: str) -> bool:
        """Return whether only a marker can have a path."""
        return bool(markers.squashfs_paths(path, self._special_names))

    def fitting(self, path: str) -> list[str]:
        if not markers.squashfs_paths(path, self._names):
            return []
        fits = self._certain.best(path)
        if fits:
            return fits
        self._perhaps = self._perhaps or _Fits(self._possible, self._names)
        return self._perhaps.best(path, without_suffix=self.is_special(path))


def _rank(marker: str, image: str, stem: str) -> _Rank:
    """Return how well a marker fits.

    The whole name first; then a name without only its suffix (``gnome-21`` is the name of gnome-21.squashfs rather than
    of gnome-21.04); then the most specific name.
    """
    name = posixpath.basename(image)
    whole = "." in name and posixpath.basename(marker).startswith(name)
    return whole, stem in (name, stem_of(name)), len(posixpath.basename(marker)) - len(stem)
