# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What SFTP reports about files, with names in the form used throughout, within bounds."""

from __future__ import annotations

import os
import re
import stat
import typing as t

from ..assets.entries import DIRECTORY, FILE, OTHER, SYMLINK, Entry
from ..errors import SyncError

try:
    from paramiko.message import Message
    from paramiko.sftp_attr import SFTPAttributes
except ImportError:  # reported by the module, with missing_required_lib
    pass

MAX_ENTRIES = 100_000  # in all listings of one tree together
MAX_NAMES = 16 * 1024 * 1024  # bytes of their paths and targets together
MAX_PATH = 4096  # bytes; what Linux takes
_LINKS = re.compile(rb"[-dlbcps][-rwxsStT]{9}\S?\s+([0-9]{1,9})\s")
_KINDS = {stat.S_IFREG: FILE, stat.S_IFDIR: DIRECTORY, stat.S_IFLNK: SYMLINK}


class Budget:
    """A bound on all listings of one tree, so that an endless listing ends."""

    def __init__(self, entries: int = MAX_ENTRIES, names: int = MAX_NAMES) -> None:
        self._entries = entries
        self._names = names

    def take(self, directory: str, size: int) -> None:
        """Count an entry whose names have ``size`` bytes. Raises :class:`SyncError`."""
        self._entries -= 1
        self._names -= size
        if self._entries < 0 or self._names < 0:
            raise SyncError(
                f"there is no end to its listing: more than {MAX_ENTRIES} entries, or {MAX_NAMES} bytes of names",
                path=directory,
                remedy="Look there for what is no asset, and move it out of the tree; or test the file system.",
            )


def names_in(answer: Message, directory: str, budget: Budget) -> t.Iterator[tuple[str, bytes, SFTPAttributes]]:
    """Yield the names in one answer of a listing, with their human-readable lines and their attributes."""
    # Each answer has to bring something, or it would not count and could be repeated forever.
    for _index in range(max(answer.get_int(), 1)):
        raw = answer.get_string()
        budget.take(directory, len(raw) + len(directory))
        long_form = answer.get_string()
        attributes = SFTPAttributes._from_msg(answer)  # type: ignore[attr-defined]
        if raw in (b"", b".", b"..") or b"/" in raw or b"\0" in raw or len(raw) > MAX_PATH:
            continue
        yield os.fsdecode(raw), long_form, attributes


def entry_of(path: str, found: SFTPAttributes, target: str = "") -> Entry:
    """Return what attributes say about a path; ``target`` is where a symlink leads."""
    return Entry(
        path=path,
        kind=_KINDS.get(stat.S_IFMT(found.st_mode or 0), OTHER),
        size=found.st_size or 0,
        mtime=int(found.st_mtime or 0),
        target=target,
        mode=stat.S_IMODE(found.st_mode or 0),
    )


def target_in(answer: Message) -> str:
    """Return where a symlink leads, from the answer to that request."""
    target = answer.get_string() if answer.get_int() == 1 else b""
    return os.fsdecode(target) if len(target) <= MAX_PATH else ""


def links_in(long_form: bytes) -> int | None:
    """Return how many names a file has, from OpenSSH's human-readable line; it is reported nowhere else."""
    stated = _LINKS.match(long_form)
    return int(stated.group(1)) if stated else None
