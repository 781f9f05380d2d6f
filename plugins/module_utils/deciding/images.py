# Copyright: (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which files of a tree are images, and which marker belongs to which image.

A file is an image

- by its name: see :func:`.assets.image_name`;
- by its content, under any name: the netboot server has read its first bytes. In a kernel directory, a squashfs without
  the name of an image (Alpine's modloop, for one) is a part of that kernel;
- by a marker beside it, where neither of these tells of another image that the marker belongs to: a ``.img`` (LTSP's
  name; most other ``.img`` files are no squashfs), or a name without suffix beside a name that only a marker has.
"""

from __future__ import annotations

import collections
import dataclasses
import posixpath
import typing as t

from . import marker as markers
from .assets import DIRECTORY, FILE, SQUASHFS_SUFFIX, Tree, follow, image_name, kernel_version_of
from .selection import matches

_AMBIGUOUS_SUFFIX = ".img"
_PLAIN_NAME = "{stem}.json"  # that many a JSON has which is no marker


@dataclasses.dataclass(frozen=True)
class Images:
    """What :func:`find` found.

    ``paths`` are all images, those included that only their marker tells of. ``pairs`` names the image of each marker,
    ``rivals`` all images that a marker fits equally well, where these are several files. ``fitting`` names for each
    path at which a marker could lie the images that are there and that it would fit.
    """

    paths: frozenset[str] = frozenset()
    pairs: dict[str, str] = dataclasses.field(default_factory=dict)
    rivals: dict[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    fitting: dict[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)


def find(
    tree: Tree,
    marker_names: tuple[str, ...] = markers.DEFAULT_NAMES,
    *,
    pointers: t.Sequence[str] = (),
    contents: t.Container[str] = (),
    strict: bool = False,
) -> Images:
    """Find the images of a tree; ``contents`` are the files that are known as a squashfs, whatever their name.

    A JSON that can only be a marker, or that lies among images, counts as one even without its squashfs: sent as a
    plain file, a client would take it for the promise of a squashfs that is not there. With ``strict``, lying among
    images is not enough.
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
    by_marker = _Fits(certain, marker_names)
    perhaps = _Fits(possible, marker_names)
    image_directories = {posixpath.dirname(path) for path in certain}
    special_names = tuple(name for name in marker_names if name != _PLAIN_NAME)
    paths = {path for path in certain if tree[path].kind != DIRECTORY}
    pairs: dict[str, str] = {}
    rivals: dict[str, tuple[str, ...]] = {}
    for path in candidates:
        if matches(path, pointers):
            continue
        special = bool(markers.squashfs_paths(path, special_names))
        fits = by_marker.best(path) or perhaps.best(path, without_suffix=special)
        if fits:
            pairs[path] = min(fits, key=lambda image: _preference(image, tree))
            paths.add(pairs[path])
            if len({_file(image, tree) for image in fits}) > 1:
                rivals[path] = tuple(sorted(fits))
                paths.update(fits)
        elif special or (not strict and posixpath.dirname(path) in image_directories):
            pairs[path] = markers.squashfs_paths(path, marker_names)[0]
            paths.add(pairs[path])
    return Images(frozenset(paths), pairs, rivals, {**perhaps.all(), **by_marker.all()})


def _may_be_image(path: str) -> bool:
    """Tell whether a marker beside a file is enough to take it for an image, whatever is in it."""
    name = posixpath.basename(path)
    return (name.lower().endswith(_AMBIGUOUS_SUFFIX) or "." not in name) and not kernel_version_of(path)


def _preference(image: str, tree: Tree) -> tuple[bool, bool, bool, str]:
    """Of images that fit a marker equally well, the one with the usual name comes first."""
    return not image.endswith(SQUASHFS_SUFFIX), not image_name(image), tree[image].kind != FILE, image


def _file(image: str, tree: Tree) -> str:
    entry = follow(image, tree).entry
    return entry.path if entry is not None else image


class _Fits:
    """Which images a marker of a path would fit, and how well."""

    def __init__(self, images: t.Iterable[str], names: t.Sequence[str]) -> None:
        self._found: dict[str, list[tuple[tuple[bool, int], str]]] = collections.defaultdict(list)
        for image in images:
            for stem in markers.stems(image):
                for marker in markers.with_stem(image, stem, names):
                    self._found[marker].append((_rank(marker, image, stem), image))

    def best(self, marker: str, *, without_suffix: bool = True) -> list[str]:
        found = [one for one in self._found.get(marker, ()) if without_suffix or "." in posixpath.basename(one[1])]
        best = max((rank for rank, _unused in found), default=None)
        return sorted({image for rank, image in found if rank == best})

    def all(self) -> dict[str, tuple[str, ...]]:
        return {marker: tuple(sorted({image for _unused, image in found})) for marker, found in self._found.items()}


def _rank(marker: str, image: str, stem: str) -> tuple[bool, int]:
    """Return how well a marker fits: one with the whole name before all, then the one with the most special name."""
    name = posixpath.basename(image)
    whole = "." in name and posixpath.basename(marker).startswith(name)
    return whole, len(posixpath.basename(marker)) - len(stem)
