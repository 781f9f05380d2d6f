# Copyright: (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the netboot server's tree holds, image by image, and what of it is ready to be sent."""

from __future__ import annotations

import dataclasses
import posixpath
import typing as t

from . import images as all_images
from . import marker as markers
from . import squashfs
from .assets import (
    DIRECTORY,
    FILE,
    LEAVES,
    OTHER,
    SYMLINK,
    Entry,
    Tree,
    follow,
    image_name,
    kernel_directory,
    kernel_version_of,
    parents,
)
from .images import Images
from .selection import Selection, check_patterns, matches
from .withdrawal import HOW_TO_UNDO

DEFAULT_POINTERS = ("kernels/latest-kernel-version.json",)
KERNEL_FILES = ("vmlinuz", "initrd")


@dataclasses.dataclass(frozen=True)
class Rules:
    """How a tree is to be read. Patterns as in :mod:`.selection`; raises :class:`ValueError` for what is none.

    A marker is chosen exactly when its squashfs is, whatever the patterns say of its own name. ``priority`` says which
    images go first.
    """

    selection: Selection = dataclasses.field(default_factory=Selection)
    unmarked_images: tuple[str, ...] = ()
    marker_names: tuple[str, ...] = markers.DEFAULT_NAMES
    pointers: tuple[str, ...] = DEFAULT_POINTERS
    priority: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check what a user wrote."""
        check_patterns((*self.unmarked_images, *self.pointers, *self.priority))
        markers.check_names(self.marker_names)


@dataclasses.dataclass(frozen=True)
class Evidence:
    """What was read of the files themselves, by path.

    ``contents`` holds the JSON files, ``superblocks`` the first bytes of the squashfs files, ``digests`` the SHA-256 of
    those that had to be hashed, ``unreadable`` the reason for each file that could not be read, each directory that
    could not be listed, and each name that could not even be looked at. ``records`` tells of every marker that was set
    aside whether its squashfs is to go as well.
    """

    contents: dict[str, bytes] = dataclasses.field(default_factory=dict)
    superblocks: dict[str, bytes] = dataclasses.field(default_factory=dict)
    digests: dict[str, str] = dataclasses.field(default_factory=dict)
    unreadable: dict[str, str] = dataclasses.field(default_factory=dict)
    records: dict[str, bool] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Image:
    """A squashfs with its markers. ``reason`` says why it is held back; it is ready where that is empty.

    ``requires`` lists what must be whole beside the squashfs: the files of the kernels that the markers name.
    """

    path: str
    squashfs: Entry | None
    markers: tuple[Entry, ...] = ()
    versions: tuple[str, ...] = ()
    requires: tuple[Entry, ...] = ()
    sha256: str = ""
    reason: str = ""

    @property
    def ready(self) -> bool:
        """Tell whether the image may be sent."""
        return not self.reason

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The image's own files, markers last."""
        return ((self.squashfs,) if self.squashfs else ()) + self.markers

    @property
    def newest(self) -> int:
        """The time of its newest marker, or of its squashfs where it has none: seconds since the epoch."""
        return max((entry.mtime for entry in self.markers or self.entries), default=0)


@dataclasses.dataclass(frozen=True)
class Inventory:
    """All that is chosen on the netboot server, sorted out.

    ``files`` are plain files, ``kernels`` the files of each kernel version, ``pointers`` what goes last and
    ``pointed`` the kernel version that a JSON pointer names, ``held_back`` the reason for each other path not sent.
    ``stated`` tells of every marker in the tree, chosen or not, the version that it names; nothing where it names none,
    and it is left out where it could not be read. ``pairs`` tells of every marker in the tree its squashfs, and of
    every marker that was set aside. ``image_paths`` are all images of the tree, chosen or not. ``withdrawn`` are those
    that were withdrawn by name, chosen or not, and whether the squashfs of each is to be removed. Of what may lie below
    ``unlisted``, chosen or not, nothing is known.
    """

    images: tuple[Image, ...] = ()
    files: tuple[Entry, ...] = ()
    kernels: dict[str, tuple[Entry, ...]] = dataclasses.field(default_factory=dict)
    pointers: tuple[Entry, ...] = ()
    held_back: dict[str, str] = dataclasses.field(default_factory=dict)
    pointed: dict[str, str] = dataclasses.field(default_factory=dict)
    stated: dict[str, str] = dataclasses.field(default_factory=dict)
    pairs: dict[str, str] = dataclasses.field(default_factory=dict)
    image_paths: frozenset[str] = frozenset()
    unlisted: frozenset[str] = frozenset()
    withdrawn: dict[str, bool] = dataclasses.field(default_factory=dict)

    def may_hold(self, path: str) -> bool:
        """Tell whether a path lies where the netboot server could not look."""
        return not self.unlisted.isdisjoint(parents(path))

    @property
    def paths(self) -> set[str]:
        """All paths that the netboot server holds, held back or not: none of them is ever removed elsewhere."""
        held = {entry.path for entry in self.files + self.pointers} | set(self.held_back)
        for image in self.images:
            held.update(entry.path for entry in image.entries)
            held.add(image.path)
        for entries in self.kernels.values():
            held.update(entry.path for entry in entries)
        return held


def wanted_contents(tree: Tree, rules: Rules) -> list[str]:
    """Return all files whose content decides something: what markers and JSON pointers are, or lead to."""
    return _files(
        tree,
        (path for path in tree if matches(path, rules.pointers) or markers.squashfs_paths(path, rules.marker_names)),
    )


def wanted_superblocks(tree: Tree) -> list[str]:
    """Return all files with the name of an image, or that a symlink with such a name leads to."""
    return _files(tree, (path for path in tree if image_name(path)))


def _files(tree: Tree, paths: t.Iterable[str]) -> list[str]:
    found = (follow(path, tree).entry for path in paths)
    return sorted({entry.path for entry in found if entry is not None and entry.kind == FILE})


def assess(tree: Tree, evidence: Evidence, rules: Rules) -> Inventory:
    """Sort out a tree. Only what :attr:`Rules.selection` chooses is in the result, and what chosen images require."""
    found = find_images(tree, rules)
    pairs = found.pairs
    set_aside = _set_aside(tree, evidence, rules)
    withdrawn = {
        image: any(evidence.records[m] for m in set_aside if set_aside[m] == image) for image in set_aside.values()
    }
    sources = _Kernels(tree, evidence, found)
    images = [
        dataclasses.replace(image, reason=HOW_TO_UNDO) if _leads_to(image, withdrawn, tree) else image
        for image in _images(tree, found, evidence, rules, sources)
    ]
    held_back: dict[str, str] = {}
    files: list[Entry] = []
    pointers: list[Entry] = []
    pointed: dict[str, str] = {}
    kernels: dict[str, list[Entry]] = {}
    required = {version for image in images if image.ready for version in image.versions}
    for path, entry in sorted(tree.items()):
        version = kernel_version_of(path)
        chosen = rules.selection.has(path)
        brought = version in required and not rules.selection.excludes(path)
        if entry.kind == DIRECTORY and path in evidence.unreadable and not rules.selection.excludes(path):
            held_back[path] = evidence.unreadable[path]  # whatever the patterns choose below it
        if entry.kind == DIRECTORY or path in pairs or path in found.paths or not (chosen or brought):
            continue
        reason = evidence.unreadable.get(path) or _plain_trouble(entry, tree)
        if reason:
            held_back[path] = reason
        elif version:
            kernels.setdefault(version, []).append(entry)
        elif entry.kind == SYMLINK:
            pointers.append(entry)
        elif matches(path, rules.pointers):
            pointed[path], reason = _pointed_version(path, evidence, sources)
            if reason:
                held_back[path] = reason
            else:
                pointers.append(entry)
        else:
            files.append(entry)
    for version in sorted(kernels):
        # A kernel goes as a whole or not at all: half of it would cost the images there their markers, for nothing.
        inside, reason = sources.look(version)
        reason = reason or _left_out(inside, rules)
        if reason:
            held_back.update((entry.path, f"its kernel is not whole: {reason}") for entry in kernels.pop(version))
    return Inventory(
        images=tuple(images),
        files=tuple(files),
        kernels={version: tuple(entries) for version, entries in kernels.items()},
        pointers=tuple(pointers),
        held_back=held_back,
        pointed=pointed,
        stated={path: version_stated(content) for path, content in evidence.contents.items()},
        pairs={**set_aside, **pairs},
        image_paths=found.paths | set(withdrawn),
        withdrawn=withdrawn,
        unlisted=frozenset(p for p in evidence.unreadable if p in tree and tree[p].kind in (DIRECTORY, OTHER)),
    )


def _leads_to(image: Image, withdrawn: t.Container[str], tree: Tree) -> bool:
    """Tell whether an image is one of these, or a symlink to one."""
    return image.path in withdrawn or any(name in withdrawn for name in follow(image.path, tree).names)


def _set_aside(tree: Tree, evidence: Evidence, rules: Rules) -> dict[str, str]:
    """Return for each marker that was set aside the image that it belongs to."""
    if not evidence.records:
        return {}
    as_before = {**tree, **{path: Entry(path, FILE) for path in evidence.records}}
    return {path: image for path, image in find_images(as_before, rules).pairs.items() if path in evidence.records}


def version_stated(content: bytes) -> str:
    """Return the kernel version that the content of a marker names; a broken marker names none."""
    try:
        return markers.parse(content).version
    except ValueError:
        return ""


def find_images(tree: Tree, rules: Rules) -> Images:
    """Find the images of a tree."""
    return all_images.find(tree, rules.marker_names, pointers=rules.pointers)


def _images(tree: Tree, known: Images, evidence: Evidence, rules: Rules, kernels: _Kernels) -> list[Image]:
    of_image: dict[str, list[Entry]] = {path: [] for path in known.paths}
    for path, image in known.pairs.items():
        of_image[image].append(tree[path])
    images = []
    for path, found in sorted(of_image.items()):
        if rules.selection.has(path):
            order = {name: i for i, name in enumerate(markers.marker_paths(path, rules.marker_names))}
            found.sort(key=lambda entry: (order.get(entry.path, len(order)), entry.path))
            images.append(_image(path, tuple(found), tree, evidence, rules, kernels))
    return images


def _image(
    path: str, found: tuple[Entry, ...], tree: Tree, evidence: Evidence, rules: Rules, kernels: _Kernels
) -> Image:
    entry = tree.get(path)
    read, reason = _read_markers(found, tree, evidence)
    stated = [one for one in read if one.sha256]
    image = Image(
        path=path,
        squashfs=entry,
        markers=found,
        versions=tuple(sorted({one.version for one in read if one.version})),
        sha256=stated[0].sha256 if stated else "",
        reason=reason,
    )
    if not image.reason:
        image = dataclasses.replace(image, reason=_squashfs_trouble(image, read, tree, evidence, rules))
    if not image.reason:
        requires, reason = _required(image, rules, kernels)
        image = dataclasses.replace(image, requires=requires, reason=reason)
    return image


def _read_markers(found: tuple[Entry, ...], tree: Tree, evidence: Evidence) -> tuple[list[markers.Marker], str]:
    read: list[markers.Marker] = []
    for entry in found:
        name = posixpath.basename(entry.path)
        target = _resolve(entry.path, tree, evidence)
        if isinstance(target, str):
            return read, f"the marker {name} {target}"
        try:
            read.append(markers.parse(evidence.contents.get(target.path, b"")))
        except ValueError as error:
            return read, f"{error} ({name})"
    return read, ""


def _squashfs_trouble(
    image: Image, read: t.Sequence[markers.Marker], tree: Tree, evidence: Evidence, rules: Rules
) -> str:
    if image.squashfs is None:
        return "the marker is there, but its squashfs is not"
    if not image.markers and not matches(image.path, rules.unmarked_images):
        return "no marker yet: the upload is not finished, or the image needs none and unmarked_images does not say so"
    target = _resolve(image.path, tree, evidence)
    if isinstance(target, str):
        return f"the squashfs {target}"
    reason = squashfs.trouble(evidence.superblocks.get(target.path, b""), target.size)
    if reason:
        return reason
    digest = evidence.digests.get(target.path, "")
    for one in read:
        if one.size is not None and one.size != target.size:
            return f"the squashfs has {target.size} bytes, but its marker states {one.size}"
        if one.sha256 and digest and one.sha256 != digest:
            return "the squashfs has not the sha256 that its marker states"
    return ""


def _required(image: Image, rules: Rules, kernels: _Kernels) -> tuple[tuple[Entry, ...], str]:
    requires: list[Entry] = []
    for version in image.versions:
        inside, reason = kernels.look(version)
        reason = reason or _left_out(inside, rules)
        if reason:
            return (), f"it requires {reason}"
        requires.extend(inside)
    return tuple(requires), ""


class _Kernels:
    """The kernels of a tree. Many images require the same one, so each is looked at once."""

    def __init__(self, tree: Tree, evidence: Evidence, images: Images) -> None:
        self._tree = tree
        self._evidence = evidence
        self._parts: dict[str, list[Entry]] = {}
        self._seen: dict[str, tuple[list[Entry], str]] = {}
        for path, entry in sorted(tree.items()):
            version = kernel_part(path, images.paths, images.pairs)
            if version and entry.kind != DIRECTORY:
                self._parts.setdefault(version, []).append(entry)

    def look(self, version: str) -> tuple[list[Entry], str]:
        """Return all that belongs to a kernel, and why it is not whole: in words that begin with the path."""
        if version not in self._seen:
            reason = self._trouble(version)
            self._seen[version] = ([] if reason else self._parts.get(version, []), reason)
        return self._seen[version]

    def _trouble(self, version: str) -> str:
        directory = kernel_directory(version)
        above = self._tree.get(directory)
        if above is not None and above.kind == SYMLINK:
            return f"{directory}, which is a symlink and not the kernel's own directory"
        for place in (*parents(directory), directory):
            if place in self._evidence.unreadable:
                return f"{place}: {self._evidence.unreadable[place]}"
        for name in KERNEL_FILES:
            target = _resolve(f"{directory}/{name}", self._tree, self._evidence)
            if isinstance(target, str):
                return f"{directory}/{name}, which {target}"
            if target.size == 0:
                return f"{directory}/{name}, which is empty"
        for entry in self._parts.get(version, []):
            reason = self._evidence.unreadable.get(entry.path) or _plain_trouble(entry, self._tree)
            if reason:
                return f"{entry.path}: {reason}"
            if any(kernel_version_of(name) != version for name in follow(entry.path, self._tree).names):
                return f"{entry.path}, a symlink that leaves its kernel directory"
        return ""


def _left_out(inside: t.Sequence[Entry], rules: Rules) -> str:
    excluded = [entry.path for entry in inside if rules.selection.excludes(entry.path)]
    return f"{excluded[0]}, which the exclude patterns leave out" if excluded else ""


def kernel_part(path: str, images: t.Container[str], pairs: t.Container[str]) -> str:
    """Return the version of the kernel that a path is a part of, or an empty string.

    An image that lies in the directory of a kernel, or its marker, is on its own and no part of it.
    """
    return "" if path in images or path in pairs else kernel_version_of(path)


def _resolve(path: str, tree: Tree, evidence: Evidence) -> Entry | str:
    """Return the file that a path leads to, through symlinks; or, in words that follow the name, why there is none."""
    trail = follow(path, tree)
    if trail.entry is None:
        return trail.trouble
    if trail.entry.path in evidence.unreadable:
        return f"cannot be read: {evidence.unreadable[trail.entry.path]}"
    return trail.entry if trail.entry.kind == FILE else "is no file"


def _plain_trouble(entry: Entry, tree: Tree) -> str:
    if entry.kind == SYMLINK:
        trail = follow(entry.path, tree)
        if trail.entry is None:
            return "a symlink that leaves the tree" if trail.trouble == LEAVES else "a symlink that leads nowhere"
    elif entry.kind != FILE:
        return "neither a file nor a directory nor a symlink"
    return ""


def _pointed_version(path: str, evidence: Evidence, kernels: _Kernels) -> tuple[str, str]:
    """Return the kernel version that a JSON pointer names, and why it is held back where that kernel is not whole."""
    try:
        version = markers.parse(evidence.contents.get(path, b"")).version
    except ValueError as error:
        return "", str(error).replace("the marker", "the pointer")
    reason = kernels.look(version)[1] if version else ""
    return version, f"it names {reason}" if reason else ""
