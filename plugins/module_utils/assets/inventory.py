# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the netboot server's tree holds, image by image, and what of it is ready to be sent."""

from __future__ import annotations

import dataclasses
import posixpath
import typing as t

from .. import options
from . import images as all_images
from . import marker as markers
from . import squashfs, uploads
from .entries import DIRECTORY, FILE, OTHER, SYMLINK, Entry, Tree, follow, image_name, kernel_version_of, parents
from .evidence import Evidence, Files
from .images import Images
from .kernels import USUAL_FILES, KernelFiles, Kernels
from .patterns import Selection, check_patterns, matches
from .withdrawal import HOW_TO_UNDO

DEFAULT_POINTERS: tuple[str, ...] = options.default("pointers")


@dataclasses.dataclass(frozen=True)
class Rules:
    """How to read a tree. Patterns as in :mod:`.selection`; raises :class:`ValueError` for an invalid one.

    A marker is chosen exactly when its squashfs is, whatever the patterns say about its own name. ``priority`` says
    which images go first, ``kernel_files`` are as :func:`.kernels.read_kernel_files` returns them, and ``settle`` is
    for how many seconds a large file without a marker must have been left alone.
    """

    selection: Selection = dataclasses.field(default_factory=Selection)
    unmarked_images: tuple[str, ...] = ()
    marker_names: tuple[str, ...] = markers.DEFAULT_NAMES
    pointers: tuple[str, ...] = DEFAULT_POINTERS
    priority: tuple[str, ...] = ()
    kernel_files: KernelFiles = USUAL_FILES
    settle: int = uploads.SETTLE

    def __post_init__(self) -> None:
        """Check what a user wrote."""
        check_patterns((*self.unmarked_images, *self.pointers, *self.priority))
        markers.check_names(self.marker_names)


@dataclasses.dataclass(frozen=True)
class Image:
    """A squashfs with its markers. ``reason`` says why it is held back; it is ready if that is empty.

    ``requires`` lists what must be complete besides the squashfs: the files of the kernels that the markers name.
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
        """Return whether the image may be sent."""
        return not self.reason

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The image's own files, markers last."""
        return ((self.squashfs,) if self.squashfs else ()) + self.markers

    @property
    def newest(self) -> int:
        """The time of its newest marker, or of its squashfs if it has none: seconds since the epoch."""
        return max((entry.mtime for entry in self.markers or self.entries), default=0)


@dataclasses.dataclass(frozen=True)
class Inventory:
    """All that is chosen on the netboot server, sorted out.

    ``files`` are plain files, ``kernels`` the files of each kernel version, ``pointers`` what goes last and
    ``pointed`` the kernel version that a JSON pointer names, ``held_back`` the reason for each other path not sent.
    ``stated`` maps every readable marker in the tree, chosen or not, to the version that it names, empty if none.
    ``pairs`` maps every marker in the tree, and every one that was set aside, to its squashfs. ``image_paths`` are all
    images of the tree, chosen or not. ``withdrawn`` are those that were withdrawn by name, chosen or not, and whether
    the squashfs of each is to be removed. Nothing is known about what may be below ``unlisted``, chosen or not.
    ``kernels_hold`` says for every kernel in the tree, chosen or not, which entries of :attr:`Rules.kernel_files` its
    directory fulfils.
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
    kernels_hold: dict[str, KernelFiles] = dataclasses.field(default_factory=dict)

    def may_hold(self, path: str) -> bool:
        """Return whether a path is in a directory that the netboot server could not list."""
        return not self.unlisted.isdisjoint(parents(path))

    @property
    def paths(self) -> set[str]:
        """All paths that the netboot server holds, held back or not: none of them is ever removed from a caching
        server."""
        held = {entry.path for entry in self.files + self.pointers} | set(self.held_back)
        for image in self.images:
            held.update(entry.path for entry in image.entries)
            held.add(image.path)
        for entries in self.kernels.values():
            held.update(entry.path for entry in entries)
        return held


def wanted_contents(tree: Tree, rules: Rules) -> list[str]:
    """Return all files whose content matters: markers and JSON pointers, and what they lead to."""
    return _files(
        tree,
        (path for path in tree if matches(path, rules.pointers) or markers.squashfs_paths(path, rules.marker_names)),
    )


def _files(tree: Tree, paths: t.Iterable[str]) -> list[str]:
    found = (follow(path, tree).entry for path in paths)
    return sorted({entry.path for entry in found if entry is not None and entry.kind == FILE})


def assess(tree: Tree, evidence: Evidence, rules: Rules) -> Inventory:
    """Sort out a tree. Only what :attr:`Rules.selection` chooses is in the result, and what chosen images require."""
    files = Files(tree, evidence, rules.settle)
    parts, found = _find(files, rules)
    pairs = found.pairs
    set_aside = _set_aside(tree, evidence, rules, found)
    withdrawn = {
        image: any(evidence.records[m] for m in set_aside if set_aside[m] == image) for image in set_aside.values()
    }
    kernels_there = Kernels(files, rules.kernel_files, found.paths, pairs)
    images = [
        dataclasses.replace(image, reason=HOW_TO_UNDO) if _leads_to(image, withdrawn, tree) else image
        for image in _images(files, found, parts, rules, kernels_there)
    ]
    held_back: dict[str, str] = {}
    plain: list[Entry] = []
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
        reason = files.trouble(entry) or (uploads.A_PART if path in parts else "")
        if path in set_aside:  # put in place again, but its squashfs is gone: still a marker, and no plain file
            held_back[path] = HOW_TO_UNDO
        elif reason:
            held_back[path] = reason
        elif version:
            kernels.setdefault(version, []).append(entry)
        elif entry.kind == SYMLINK:
            pointers.append(entry)
        elif matches(path, rules.pointers):
            pointed[path], reason = _pointed_version(path, evidence, kernels_there)
            if reason:
                held_back[path] = reason
            else:
                pointers.append(entry)
        else:
            plain.append(entry)
    for version in sorted(kernels):
        # A kernel is sent completely or not at all: half of it would cost the images there their markers, for nothing.
        inside, reason = kernels_there.look(version)
        reason = reason or _left_out(inside, rules)
        if reason:
            held_back.update((entry.path, f"its kernel is not whole: {reason}") for entry in kernels.pop(version))
    return Inventory(
        images=tuple(images),
        files=tuple(plain),
        kernels={version: tuple(entries) for version, entries in kernels.items()},
        pointers=tuple(pointers),
        held_back=held_back,
        pointed=pointed,
        stated={path: version_stated(content) for path, content in evidence.contents.items()},
        pairs={**set_aside, **pairs},
        image_paths=found.paths | set(withdrawn),
        withdrawn=withdrawn,
        kernels_hold=kernels_there.held(),
        unlisted=frozenset(p for p in evidence.unreadable if p in tree and tree[p].kind in (DIRECTORY, OTHER)),
    )


def _leads_to(image: Image, withdrawn: t.Container[str], tree: Tree) -> bool:
    """Return whether an image is one of these, or a symlink to one."""
    return image.path in withdrawn or any(name in withdrawn for name in follow(image.path, tree).names)


def _set_aside(tree: Tree, evidence: Evidence, rules: Rules, known: Images) -> dict[str, str]:
    """Return the image of each marker that was set aside."""
    if not evidence.records:
        return {}
    as_before = {**tree, **{path: Entry(path, FILE) for path in evidence.records}}
    found = find_images(as_before, rules, known.paths)
    # It was a marker when it was set aside, though by now its squashfs may be gone, with no image next to it.
    guesses = {path: markers.squashfs_paths(path, rules.marker_names) for path in evidence.records}
    return {path: found.pairs.get(path, guess[0]) for path, guess in guesses.items() if guess}


def version_stated(content: bytes) -> str:
    """Return the kernel version that the content of a marker names; a broken marker names none."""
    try:
        return markers.parse(content).version
    except ValueError:
        return ""


def find_images(tree: Tree, rules: Rules, contents: t.Container[str] = ()) -> Images:
    """Find the images of a tree; ``contents`` are the files in it that are known to be a squashfs."""
    return all_images.find(tree, rules.marker_names, pointers=rules.pointers, contents=contents)


def _find(files: Files, rules: Rules) -> tuple[dict[str, str], Images]:
    """Return the parts of split images, each with the whole that it belongs to, and the images."""
    begun = {path for path in files.evidence.superblocks if not uploads.is_temporary(path)}
    short = {path for path in begun if path in files.tree and files.short_squashfs(files.tree[path])}
    parts = uploads.split_parts(files.tree, begun, short)
    parts = {path: whole for path, whole in parts.items() if path not in begun or path in short}
    return parts, find_images(files.tree, rules, begun - parts.keys())


def _images(files: Files, known: Images, parts: t.Mapping[str, str], rules: Rules, kernels: Kernels) -> list[Image]:
    of_image: dict[str, list[Entry]] = {path: [] for path in known.paths}
    for path, image in known.pairs.items():
        of_image[image].append(files.tree[path])
    doubts = {image: _doubt(marker, rivals) for marker, rivals in known.rivals.items() for image in rivals}
    look = _Look(files, rules, kernels, doubts, {whole: part for part, whole in sorted(parts.items(), reverse=True)})
    images: dict[str, Image] = {}
    for path, found in sorted(of_image.items()):
        if rules.selection.has(path):
            order = {name: i for i, name in enumerate(markers.marker_paths(path, rules.marker_names))}
            found.sort(key=lambda entry: (order.get(entry.path, len(order)), entry.path))
            images[path] = look.image(path, tuple(found))
    # A marker next to a symlink says that the symlink's target is complete, wherever that is. A file with the name of
    # an image still needs its own marker: removing that means withdrawing it.
    for alias in list(images.values()):
        if alias.ready and alias.markers and alias.squashfs is not None and alias.squashfs.kind == SYMLINK:
            target = follow(alias.path, files.tree).entry
            unnamed = target is not None and target.path in images and not image_name(target.path)
            if target is not None and unnamed and not images[target.path].markers:
                images[target.path] = look.image(target.path, (), vouched=True)
    return list(images.values())


def _doubt(marker: str, rivals: t.Sequence[str]) -> str:
    names = [posixpath.basename(path) for path in rivals]
    return (
        f"{posixpath.basename(marker)} fits {' and '.join(names)} alike, and cannot promise two images:"
        f" rename one of them, or call the marker {' or '.join(name + '.json' for name in names)}"
    )


@dataclasses.dataclass(frozen=True)
class _Look:
    """What decides whether an image is ready. ``doubts`` are images whose marker is ambiguous, ``split`` those with a
    part of a split image next to them.
    """

    files: Files
    rules: Rules
    kernels: Kernels
    doubts: t.Mapping[str, str]
    split: t.Mapping[str, str]

    def image(self, path: str, found: tuple[Entry, ...], *, vouched: bool = False) -> Image:
        read, reason = self._read_markers(found)
        stated = [one for one in read if one.sha256]
        image = Image(
            path=path,
            squashfs=self.files.tree.get(path),
            markers=found,
            versions=tuple(sorted({one.version for one in read if one.version})),
            sha256=stated[0].sha256 if stated else "",
            reason=self.doubts.get(path, "") or reason,
        )
        if not image.reason:
            image = dataclasses.replace(image, reason=self._squashfs_trouble(image, read, vouched))
        if not image.reason:
            requires, reason = _required(image, self.rules, self.kernels)
            image = dataclasses.replace(image, requires=requires, reason=reason)
        return image

    def _read_markers(self, found: tuple[Entry, ...]) -> tuple[list[markers.Marker], str]:
        read: list[markers.Marker] = []
        for entry in found:
            name = posixpath.basename(entry.path)
            target = self.files.resolve(entry.path)
            if isinstance(target, str):
                return read, f"the marker {name} {target}"
            try:
                read.append(markers.parse(self.files.evidence.contents.get(target.path, b"")))
            except ValueError as error:
                return read, f"{error} ({name})"
        return read, ""

    def _squashfs_trouble(self, image: Image, read: t.Sequence[markers.Marker], vouched: bool) -> str:
        if image.squashfs is None:
            return "the marker is there, but its squashfs is not"
        marked = bool(image.markers) or vouched
        if not marked and not matches(image.path, self.rules.unmarked_images):
            return _no_marker(image.path)
        target = self.files.resolve(image.path)
        if isinstance(target, str):
            return f"the squashfs {target}"
        reason = uploads.name_trouble(image.path, self.files.tree) or uploads.name_trouble(target.path, self.files.tree)
        if reason:
            return reason
        reason = squashfs.trouble(self.files.evidence.superblocks.get(target.path, b""), target.size) or ""
        if reason and image.path in self.split:
            reason += f"; {posixpath.basename(self.split[image.path])} is another part of it: join them into one file"
        if reason or not marked:
            return reason or self.files.unsettled(target.path)
        digest = self.files.evidence.digests.get(target.path, "")
        for one in read:
            if one.size is not None and one.size != target.size:
                return f"the squashfs has {target.size} bytes, but its marker states {one.size}"
            if one.sha256 and digest and one.sha256 != digest:
                return "the squashfs does not have the sha256 that its marker states"
        return ""


def _no_marker(path: str) -> str:
    known_by = "" if image_name(path) else " (it is a squashfs by its content)"
    why = "the upload is not finished, or the image needs none and unmarked_images does not say so"
    return f"no marker yet{known_by}: {why}"


def _required(image: Image, rules: Rules, kernels: Kernels) -> tuple[tuple[Entry, ...], str]:
    requires: list[Entry] = []
    for version in image.versions:
        inside, reason = kernels.look(version)
        reason = reason or _left_out(inside, rules)
        if reason:
            return (), f"it requires {reason}"
        requires.extend(inside)
    return tuple(requires), ""


def _left_out(inside: t.Sequence[Entry], rules: Rules) -> str:
    excluded = [entry.path for entry in inside if rules.selection.excludes(entry.path)]
    return f"{excluded[0]}, which the exclude patterns leave out" if excluded else ""


def _pointed_version(path: str, evidence: Evidence, kernels: Kernels) -> tuple[str, str]:
    """Return the kernel version that a JSON pointer names, and why it is held back if that kernel is not complete."""
    try:
        version = markers.parse(evidence.contents.get(path, b"")).version
    except ValueError as error:
        return "", str(error).replace("the marker", "the pointer")
    reason = kernels.look(version)[1] if version else ""
    return version, f"it names {reason}" if reason else ""
