# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which directories below the destination are separate file systems: nothing can be renamed from one to another.

The kernel's own table says so, read by the shell or by SFTP; only it has bind mounts. If neither can read it, a
directory counts as mounted if SFTP reports another file system for it than for the destination.
"""

from __future__ import annotations

import os
import re
import typing as t

from ..assets.entries import parents
from ..ssh.sftp import Sftp

TABLE = "/proc/self/mountinfo"
_MOST = 256 * 1024  # bytes of that table
_ESCAPED = re.compile(rb"\\([0-7]{3})")


class Mount(t.NamedTuple):
    """A mount point relative to the destination, and whether it is mounted read-only."""

    path: str
    read_only: bool = False


def parse_mounts(lines: t.Iterable[str], dest: str) -> list[Mount]:
    """Return the mounts below a directory, without symlinks in its name, as ``/proc/self/mountinfo`` has them."""
    found: dict[str, Mount] = {}
    for line in lines:
        fields = line.split(" ")
        if len(fields) < 7:
            continue
        point = _plain(fields[4])
        if point.startswith(f"{dest.rstrip('/')}/"):
            path = point[len(dest.rstrip("/")) + 1 :]
            options = {*fields[5].split(","), *fields[-1].split(",")}
            found[path] = Mount(path, "ro" in options)  # a later one covers an earlier one
    return list(found.values())


def _plain(name: str) -> str:
    return os.fsdecode(_ESCAPED.sub(lambda part: bytes([int(part.group(1), 8) & 0xFF]), os.fsencode(name)))


class Mounts:
    """The mounts below a destination. ``told`` are the lines of the table from a shell, if any."""

    def __init__(self, sftp: Sftp, dest: str, *, told: t.Sequence[str] | None = None, real: str = "") -> None:
        self._sftp = sftp
        self._dest = dest
        self._told = told
        self._real = real
        self._known: dict[str, Mount] | None = None
        self._by_number: dict[str, int | None] | None = None

    def all(self) -> list[Mount]:
        """Return all known mounts."""
        return list(self._table().values())

    def of(self, path: str) -> Mount | None:
        """Return the innermost mount that a path of the tree is in; None for the destination's own file system."""
        table = self._table()
        found = None
        for above in parents(path):
            if self._by_number is not None and above not in table:
                self._compare(above, found)
            found = table.get(above, found)
        return found

    def is_point(self, path: str) -> bool:
        """Return whether something is mounted at a path itself."""
        return path in self._table()

    def _table(self) -> dict[str, Mount]:
        if self._known is None:
            lines, real = self._told, self._real
            if lines is None:
                lines, real = self._read()
            if lines is None:
                self._by_number = {"": self._number("")}
            self._known = {mount.path: mount for mount in parse_mounts(lines or (), real)}
        return self._known

    def _read(self) -> tuple[list[str] | None, str]:
        try:
            text = self._sftp.read(TABLE, _MOST)
            return os.fsdecode(text).splitlines(), self._sftp.real_path(self._dest)
        except OSError:
            return None, ""

    def _number(self, directory: str) -> int | None:
        space = self._sftp.space(f"{self._dest}/{directory}")
        return space.file_system if space is not None else None

    def _compare(self, directory: str, above: Mount | None) -> None:
        """Determine from the file systems' ids whether a directory is a mount."""
        if self._by_number is None or self._known is None or directory in self._by_number:
            return
        number = self._by_number[directory] = self._number(directory)
        around = self._by_number.get(above.path if above else "")
        if number is not None and around is not None and number != around:
            self._known[directory] = Mount(directory)
