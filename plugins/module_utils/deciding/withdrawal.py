# Copyright: (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Withdrawing images by name: the record that is left on the netboot server, and which images a pattern names.

To withdraw an image, its marker is renamed to a hidden name beside it. That name is the record: every later run takes
it for "withdraw this image wherever it is". To take it back, the record is renamed to the marker again. Nothing else
keeps the state, so it is as safe as the tree itself, and a person can read and mend it with ``ls`` and ``mv``.
"""

from __future__ import annotations

import posixpath
import typing as t

from .selection import matches

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
    """Return what a hidden path records, or None where it is no record."""
    directory, name = posixpath.split(path)
    for suffix in (_PURGE, _RECORD):
        marker = name[1 : -len(suffix)]
        if name.startswith(".") and name.endswith(suffix) and marker and not marker.startswith("."):
            return Record(posixpath.join(directory, marker), suffix == _PURGE)
    return None


def names_image(patterns: t.Sequence[str], image: str, markers: t.Iterable[str]) -> bool:
    """Tell whether a pattern names an image: by its squashfs, by a marker, or by the name that both begin with."""
    stem = posixpath.splitext(image)[0]
    return any(matches(path, patterns) for path in (image, stem, *markers))
