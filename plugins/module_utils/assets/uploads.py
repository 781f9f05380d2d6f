# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How to recognise an upload in progress, without a marker to say when it is finished."""

from __future__ import annotations

import posixpath
import re
import typing as t

from .. import options
from .entries import FILE, IMAGE_SUFFIXES, Tree, image_name

# Bytes. "The partial file upload is only an issue with rather large files (>100MB)": smaller ones finish in no time,
# and waiting for each boot menu would cost more than it saves.
LARGE = 100_000_000
SETTLE = options.default("settle")  # seconds; by then, a stalled scp or browser upload has given up or resumed

# The last suffix of files that get their final name later, with or without a number: of browsers, WinSCP, Nextcloud,
# ...
_TEMPORARY = frozenset(
    (
        *("part", "partial", "filepart", "crdownload", "download", "opdownload", "tmp", "temp", "upload", "uploading"),
        *("incomplete", "unfinished", "inprogress", "in-progress", "!ut", "!qb", "aria2", "lftp-pget-status"),
    )
)
# Files that are next to a download with its final name, until it is complete.
_CONTROL_SUFFIXES = (".aria2", ".lftp-pget-status")
# ... and those whose final name is an empty file meanwhile.
_BESIDE_EMPTY = (".part", ".crdownload")

# split(1) begins at aa, or at aaa; another letter first would be a suffix such as bak, sav or raw.
_PART = re.compile(r"(?P<whole>.+?)[._-](?:part[._-]?)?(?:\d{1,4}|a?a[a-z])(?:of\d+)?\Z", re.IGNORECASE)
# Such names count even if the complete file would not have the name of an image.
_NAMED_PART = re.compile(r"(?P<whole>.+?)(?:[._-]part[._-]?(?:\d{1,4}|a?a[a-z])(?:of\d+)?|\.0\d\d)\Z", re.IGNORECASE)

A_PART = "a part of a split image, which no client can boot: join the parts into one file"


def is_temporary(path: str) -> bool:
    """Return whether a path is the temporary name of an upload, or the record that a download keeps."""
    return _temporary_suffix(path) != ""


def _temporary_suffix(path: str) -> str:
    before, dot, last = path.rpartition(".")
    if last.isdigit():
        before, dot, last = before.rpartition(".")
    return f".{last}" if dot and before and last.lower() in _TEMPORARY else ""


def name_trouble(path: str, tree: Tree) -> str:
    """Return why the names in a tree say that a file is not complete yet, or an empty string."""
    suffix = _temporary_suffix(path)
    if suffix:
        return f"by its name ({suffix}) the temporary file of an upload: it is sent once it has its final name"
    entry = tree.get(path)
    if entry is None or entry.kind != FILE:
        return ""
    beside = _CONTROL_SUFFIXES if entry.size else _CONTROL_SUFFIXES + _BESIDE_EMPTY
    for suffix in beside:
        if path + suffix in tree:
            return f"still being downloaded: {posixpath.basename(path)}{suffix} lies beside it"
    return ""


def split_parts(tree: Tree, images: t.Container[str], begun: t.Iterable[str]) -> dict[str, str]:
    """Return the parts of split images in a tree, each with the path that the whole image would have.

    ``images`` are the paths that are images by name or content, and ``begun`` those that begin like one, but are not
    as long as they say.
    """
    first_of = {found.group("whole") for path in begun for found in [_NAMED_PART.match(path)] if found}
    parts: dict[str, str] = {}
    for path, entry in tree.items():
        found = _PART.match(path) if entry.kind == FILE and _may_be_part(path) else None
        if found is None:
            continue
        whole = found.group("whole")
        if image_name(whole) or (whole in images and _NAMED_PART.match(path)) or whole in first_of:
            parts[path] = whole
    return parts


def _may_be_part(path: str) -> bool:
    """Rule out most paths quickly."""
    name = path[path.rfind("/") + 1 :].lower()
    return "part" in name or ".0" in name or any(suffix in name for suffix in IMAGE_SUFFIXES)


def age(now: int, mtime: int, ctime: int) -> float:
    """Return for how many seconds a file has been left alone; all times in nanoseconds since the epoch.

    The later of mtime and ctime counts: ``cp -p``, ``rsync -a`` and wget preserve the old mtime, but no program can set
    the ctime. An mtime in the future was copied as well, and says nothing. The result is negative where the change
    itself is in the future: a clock was set back, or that of a file server is ahead.
    """
    changed = max(mtime, ctime) if mtime <= now else ctime
    return (now - changed) / 1e9


def unsettled(seconds: float | None, settle: int) -> str:
    """Return why a file that was left alone for so many seconds has to wait, or an empty string."""
    if seconds is None or settle <= 0 or seconds >= settle:
        return ""
    if seconds <= -settle:
        return (
            f"nobody can tell whether it is still being uploaded: it was changed {_duration(-seconds)} in the future."
            " Look at the clocks, then touch the file; settle: 0 sends it as it is"
        )
    return f"still being uploaded? last changed {max(int(seconds), 0)} s ago; sent once left alone for {settle} s"


def _duration(seconds: float) -> str:
    for name, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= 2 * length:
            return f"{int(seconds // length)} {name}s"
    return f"{int(seconds)} seconds"
