# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which markers on the caching server promise what: the one authority that is consulted before anything there is
touched."""

from __future__ import annotations

import dataclasses

from ..assets.entries import FILE, SYMLINK, Entry, Trail, Tree, follow
from ..assets.images import Images, find
from ..assets.inventory import Inventory, Rules, version_stated
from ..assets.kernels import USUAL_FILES, kernel_part, kernel_paths


@dataclasses.dataclass(frozen=True)
class There:
    """What is on the caching server.

    ``markers`` holds the content of the files that :func:`wanted_markers` names, ``damaged`` the paths whose content
    was compared and found to differ. ``adoptable`` are the paths whose content was compared and is the same, though
    their time there differs; the tree has them with the netboot server's time. ``fresh`` are the directories in which a
    name changed less than the grace ago, ``""`` for the tree itself. ``clashes`` are names that are the same as another
    one on the file system there, which is already taken.
    """

    tree: Tree
    markers: dict[str, bytes] = dataclasses.field(default_factory=dict)
    damaged: frozenset[str] = frozenset()
    adoptable: frozenset[str] = frozenset()
    fresh: frozenset[str] = frozenset()
    clashes: dict[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Promise:
    """What a marker on the caching server tells a client that sees it.

    ``image`` is the squashfs that it belongs to, ``chosen`` tells whether the run is about it. ``names`` are all names
    that the client passes: the marker, its images, the kernels of ``versions``, and the targets of symlinks among them.
    ``trouble`` is why the promise is not kept, or empty.
    """

    marker: str
    image: str
    chosen: bool
    versions: tuple[str, ...]
    names: tuple[str, ...]
    trouble: str


def wanted_markers(inventory: Inventory, source: Tree, there: Tree, rules: Rules) -> list[str]:
    """Return the files that must be read on the caching server, since the content of a marker there is not known
    here."""
    found = (follow(path, there).entry for path in _images_of(inventory, _find(inventory, there, rules), there))
    return sorted({e.path for e in found if e is not None and e.kind == FILE and not _is_known(e, inventory, source)})


def _is_known(entry: Entry, inventory: Inventory, source: Tree) -> bool:
    return entry.path in inventory.stated and entry.looks_like(source.get(entry.path))


def _find(inventory: Inventory, there: Tree, rules: Rules) -> Images:
    """Find the images of a caching server: by name, by what the netboot server knows, by markers that are there."""
    return find(
        there,
        rules.marker_names,
        pointers=rules.pointers,
        contents=inventory.image_paths,
        strict=True,
        unknown=lambda path: path not in inventory.stated and path not in inventory.pairs,
    )


def _images_of(inventory: Inventory, found: Images, there: Tree) -> dict[str, tuple[str, ...]]:
    """Return the squashfs of each marker on the caching server: as the netboot server pairs them, then as they are
    there.

    The netboot server's pairing counts as well, since a ``<stem>.json`` without its squashfs says nothing by itself.
    For a marker that it does not have, all images that it fits count. A directory or a pipe under the name of a marker
    promises nothing.
    """
    both = (inventory.pairs, found.pairs)
    unknown = {path: rivals for path, rivals in found.rivals.items() if path not in inventory.pairs}
    return {
        path: tuple(dict.fromkeys([*(pairs[path] for pairs in both if path in pairs), *unknown.get(path, ())]))
        for path, entry in sorted(there.items())
        if entry.kind in (FILE, SYMLINK) and any(path in pairs for pairs in both)
    }


class Promises:
    """All that the markers on a caching server promise, as they were found."""

    def __init__(self, inventory: Inventory, there: There, rules: Rules) -> None:
        self._inventory = inventory
        self._there = there
        self._rules = rules
        self.found = _find(inventory, there.tree, rules)
        images = _images_of(inventory, self.found, there.tree)
        self.images = {path: found[0] for path, found in images.items()}
        self.image_paths = inventory.image_paths | self.found.paths  # on either side
        self.all = [self._promise(path, found) for path, found in images.items()]
        self._by_name: dict[str, list[Promise]] = {}
        self._by_version: dict[str, list[Promise]] = {}
        for one in self.all:
            for name in one.names:
                self._by_name.setdefault(name, []).append(one)
            for version in one.versions:
                self._by_version.setdefault(version, []).append(one)

    def of(self, path: str) -> list[Promise]:
        """Return the promises, of other markers than itself, that a change of this path would touch.

        In a kernel directory, every existing file counts, since all of it belongs to what was delivered; of the missing
        ones only the kernel and the initrd, since a marker requires no others.
        """
        version = kernel_part(path, self.image_paths, self.images) if path in self._there.tree else ""
        named = self._by_name.get(path, [])
        found = dict.fromkeys(named + self._by_version.get(version, []) if version else named)
        return sorted((one for one in found if one.marker != path), key=lambda one: one.marker)

    def _promise(self, marker: str, images: tuple[str, ...]) -> Promise:
        trail = follow(marker, self._there.tree)
        version = self._version(trail.entry)
        kernel = self._kernel(version) if version else ()
        paths = (*images, *kernel)
        trails = [follow(path, self._there.tree) for path in paths]
        # A dangling symlink as a marker is not visible; it promises whatever will be there once its target exists.
        trouble = [_trouble(one) for one in trails if trail.entry is not None]
        return Promise(
            marker=marker,
            image=images[0],
            chosen=all(self._rules.selection.has(image) for image in images),
            versions=(version,) if version else (),
            names=tuple(dict.fromkeys(name for one in (trail, *trails) for name in one.names)),
            trouble=next((text for text in trouble if text), ""),
        )

    def _kernel(self, version: str) -> list[str]:
        """Return the files of a kernel that a marker promises: what is there, and what has to be.

        An addition to ``kernel_files``, or a typo there, takes no image from clients that the netboot server holds as
        it is here. A file has to be here if the netboot server's kernel has it; or if there is no such kernel to
        compare with, and the usual rule is broken as well.
        """
        there, ours = self._there.tree, self._inventory.kernels_hold.get(version)
        usual = all(path in there for path in kernel_paths(version, there, USUAL_FILES))
        paths: list[str] = []
        for names in self._rules.kernel_files:
            found = kernel_paths(version, there, (names,))
            if found[0] in there or names in USUAL_FILES or (not usual if ours is None else names in ours):
                paths += found
        return paths

    def _version(self, file: Entry | None) -> str:
        if file is None or file.kind != FILE:
            return ""
        if file.path in self._there.markers:
            return version_stated(self._there.markers[file.path])
        return self._inventory.stated.get(file.path, "")


def _trouble(trail: Trail) -> str:
    if trail.entry is None:
        return f"{trail.names[-1]} {trail.trouble}"
    if trail.entry.kind != FILE:
        return f"{trail.names[-1]} is not a file"
    # A ready file is never empty: this is what a power cut or a full disk leaves.
    return f"{trail.names[-1]} is empty" if trail.entry.size == 0 else ""
