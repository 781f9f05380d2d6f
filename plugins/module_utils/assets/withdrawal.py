# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Withdrawing images by name: the record on the netboot server, and which images a pattern names.

To withdraw an image, its marker is renamed to a hidden name next to it. That name is the record: every later run reads
it as "withdraw this image wherever it is". To undo it, the record is renamed to the marker again. There is no other
state, so it is as safe as the tree itself, and a person can read and fix it with ``ls`` and ``mv``.
"""

from __future__ import annotations

import os
import posixpath
import typing as t
import urllib.parse

from ..errors import printable
from .entries import image_name, is_hidden
from .marker import marker_paths
from .patterns import matches

if t.TYPE_CHECKING:
    from .inventory import Inventory

_RECORD = ".withdrawn"
_PURGE = ".withdrawn-purge"  # the squashfs is to be removed from the caching servers as well

BY_NAME = "withdrawn by name on the netboot server"
HOW_TO_UNDO = f"{BY_NAME}; withdraw.yml with netboot_withdraw_undo=true puts it back"


class Record(t.NamedTuple):
    """A marker that was set aside, and whether its squashfs is to be removed from the caching servers."""

    marker: str
    purge: bool


def record_path(marker: str, *, purge: bool) -> str:
    """Return the hidden path under which a marker is set aside."""
    directory, name = posixpath.split(marker)
    return posixpath.join(directory, f".{name}{_PURGE if purge else _RECORD}")


def read_record(path: str) -> Record | None:
    """Return what a hidden path records, or None if it is not a record."""
    directory, name = posixpath.split(path)
    for suffix in (_PURGE, _RECORD):
        marker = name[1 : -len(suffix)]
        if name.startswith(".") and name.endswith(suffix) and marker and not marker.startswith("."):
            return Record(posixpath.join(directory, marker), suffix == _PURGE)
    return None


def told_records(records: t.Mapping[str, bool]) -> dict[str, bool]:
    """Return markers that were set aside in a form that fits into JSON, whatever bytes are in their names."""
    return {urllib.parse.quote(os.fsencode(marker)): purge for marker, purge in sorted(records.items())}


def read_records(told: t.Mapping[str, t.Any]) -> dict[str, bool]:
    """Parse the output of :func:`told_records`. Raises :class:`ValueError` for anything else."""
    found = {}
    for name, purge in told.items():
        if not isinstance(purge, bool):
            raise ValueError(f"withdrawn: {name!r} is to be true or false, not {purge!r}")
        found[os.fsdecode(urllib.parse.unquote_to_bytes(name))] = purge
    return found


def names_image(patterns: t.Sequence[str], image: str, markers: t.Iterable[str]) -> bool:
    """Return whether a pattern names an image: by its squashfs, by a marker, or by the name that both begin with."""
    # What follows the last dot of gnome-21.04 is a part of its name, and no suffix.
    stems = [image.rpartition(".")[0]] if image_name(image) or image.lower().endswith(".img") else []
    return any(matches(path, patterns) for path in (image, *stems, *markers))


class Rename(t.NamedTuple):
    """One change of the netboot server's tree: ``old`` is renamed to ``new``; without ``new``, it is removed.

    Without ``old``, an empty ``new`` is created.
    """

    old: str
    new: str


class SettingAside(t.NamedTuple):
    """What to do to the netboot server's tree, and the effect on each image: its new state, and why."""

    renames: tuple[Rename, ...]
    images: dict[str, tuple[str, str]]


def plan_setting_aside(
    inventory: Inventory,
    records: t.Mapping[str, bool],
    sizes: t.Mapping[str, int],
    patterns: t.Sequence[str],
    marker_names: t.Sequence[str],
    *,
    purge: bool = False,
    only_elsewhere: t.Sequence[str] = (),
) -> SettingAside:
    """Plan to withdraw by name the images that ``patterns`` name.

    ``records`` are the markers that were set aside before, and ``sizes`` those of the files that record it.
    ``only_elsewhere`` are images that caching servers still have and the netboot server does not: for them an empty
    record is created, for the caching servers that are down. Raises :class:`ValueError` if one of them is not a path in
    the tree.
    """
    for path in only_elsewhere:
        if is_hidden(path) or "" in path.split("/"):
            raise ValueError(f"only_elsewhere: {path!r} is not the path of an image in the tree")
    renames: list[Rename] = []
    images: dict[str, tuple[str, str]] = {}
    for image in inventory.images:
        markers = [entry.path for entry in image.markers]
        before = [marker for marker, path in inventory.pairs.items() if path == image.path and marker in records]
        if not names_image(patterns, image.path, [*markers, *before]):
            continue
        if not markers and not before:
            images[image.path] = ("unmarked", "it has no marker, so there is nothing to withdraw")
            continue
        images[image.path] = ("withdrawn", "")
        for marker in markers:
            renames.append(Rename(marker, record_path(marker, purge=purge)))
            # It was uploaded again after it was set aside in the other way: with two records, undoing would be
            # ambiguous.
            renames += _unless_gone(record_path(marker, purge=not purge), sizes)
        renames += [
            Rename(record_path(marker, purge=records[marker]), record_path(marker, purge=purge))
            for marker in before
            if marker not in markers and purge and not records[marker]
        ]
    there = {image.path for image in inventory.images}
    for marker in sorted(records):
        image_path = inventory.pairs.get(marker, marker)
        if image_path not in there and names_image(patterns, image_path, [marker]):
            images[image_path] = ("withdrawn", "")
            if purge and not records[marker]:
                renames.append(Rename(record_path(marker, purge=False), record_path(marker, purge=True)))
    known = {image.path for image in inventory.images if image.markers} | set(inventory.withdrawn)
    # A run reports the printed form of a name.
    for path in sorted(set(only_elsewhere) - known - set(map(printable, known))):
        images[path] = ("withdrawn", "only caching servers still had it")
        renames.append(Rename("", record_path(marker_paths(path, tuple(marker_names))[0], purge=purge)))
    return SettingAside(tuple(renames), images)


def plan_putting_back(
    inventory: Inventory,
    records: t.Mapping[str, bool],
    sizes: t.Mapping[str, int],
    patterns: t.Sequence[str],
    tree: t.Container[str],
) -> SettingAside:
    """Plan to undo withdrawals by name; ``tree`` holds the visible names of the tree."""
    renames: list[Rename] = []
    images: dict[str, tuple[str, str]] = {}
    for marker in sorted(records):
        image = inventory.pairs.get(marker, marker)
        if not names_image(patterns, image, [marker]):
            continue
        images[image] = ("put_back", "")
        record = record_path(marker, purge=records[marker])
        # A marker that was uploaded meanwhile is the newer one. And a record that was made from nothing is no marker;
        # any other is, even if its squashfs is gone at the moment.
        renames.append(Rename(record, "" if marker in tree or not sizes.get(record) else marker))
        renames += _unless_gone(record_path(marker, purge=not records[marker]), sizes)
    return SettingAside(tuple(renames), images)


def _unless_gone(record: str, sizes: t.Mapping[str, int]) -> list[Rename]:
    return [Rename(record, "")] if record in sizes else []
