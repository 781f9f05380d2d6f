# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Times and modes on a caching server, whose file system may keep neither as set.

What it keeps is detected by reading back what was written, never from the file system's type: FAT and exFAT keep times
in steps of two seconds, some network file systems have no modes, and some keep no times at all.
"""

from __future__ import annotations

import dataclasses
import typing as t

from ..assets.entries import FILE, Entry, Tree
from ..ssh.base import BaseSession
from ..ssh.sftp import Sftp

FILE_MODE = 0o644  # readable for another user's web server
DIRECTORY_MODE = 0o755
ROUNDING = 2  # seconds: the coarsest step of a file system that keeps mtimes
_ODD = 1_000_000_001  # seconds since the epoch: a time that is not a multiple of two seconds


class Kept(t.NamedTuple):
    """What a file system keeps: modes as set; times as set, or rounded."""

    modes: bool
    rounds: bool


class Attributes:
    """Sets modes and times for one run, and records the result."""

    def __init__(self, session: BaseSession, sftp: Sftp, warn: t.Callable[[str], None]) -> None:
        self._session = session
        self._sftp = sftp
        self._warn = warn
        self._became: dict[str, int] = {}  # the times of files of the tree that differ from what was set
        self._kept: Kept | None = None
        self.rounded: set[str] = set()  # the files whose time may differ only by rounding

    def shows(self, entry: Entry, found: Entry | None) -> bool:
        """Return whether what was found is this file of the netboot server, by size and time, as far as times are
        kept."""
        if entry.looks_like(found):
            return True
        if found is None or found.mtime != self._became.get(entry.path):
            return False
        return entry.looks_like(dataclasses.replace(found, mtime=entry.mtime))

    def finish(self, full: str, entry: Entry) -> bool:
        """Give a file its mode and the time of the netboot server; return whether it has that time now."""
        self._set(lambda: self._sftp.set_mode_and_time(full, FILE_MODE, entry.mtime))
        found = self._sftp.look(full)
        return found is not None and found.kind == FILE and self.note(full, entry, found)

    def note(self, full: str, entry: Entry, found: Entry) -> bool:
        """Record the effect of setting a file's mode and time; return whether it has that time now."""
        if found.closed:
            self._warn(
                f"modes cannot be set below {full.rsplit('/', 2)[0]}, and the web server may not read what is there"
            )
        if found.mtime == entry.mtime:
            self._became.pop(entry.path, None)
            return True
        self._became[entry.path] = found.mtime
        if abs(found.mtime - entry.mtime) >= ROUNDING:
            self._warn("the file system there keeps no times: every run compares the content of all files")
        return False

    def set_mode(self, full: str, mode: int) -> None:
        """Set the mode of a file or a directory, if possible."""
        self._set(lambda: self._sftp.set_mode(full, mode))

    def _set(self, call: t.Callable[[], None]) -> None:
        try:
            call()
        except OSError as error:
            self._session.require_line(error)

    def read(self, tree: Tree, suspects: t.Sequence[Entry], *, hashes: bool, probe: str | None) -> list[Entry]:
        """Correct a listing for what the file system there cannot keep, and return the suspects whose content has to
        decide.

        ``suspects`` are files of the netboot server that have another time there. If modes are not kept, they are
        dropped from the listing. A time that may only have been rounded does not tell the file from another one that
        came within the same step, so ``rounded`` names it, and the content decides; without ``hashes`` there, that
        would be to read all of it over the line, and it gets the true time in ``tree``. ``probe`` is a path that may be
        written to find out what is kept; if nothing may be written, the existing times are used.
        """
        near = [entry for entry in suspects if abs(tree[entry.path].mtime - entry.mtime) < ROUNDING]
        closed = [entry for entry in tree.values() if entry.closed]
        if near or closed:
            kept = self._find_out(tree, probe)
            if closed and not kept.modes:
                self._warn("the file system there keeps no modes: whether the web server may read it is not known")
                tree.update({entry.path: dataclasses.replace(entry, mode=None) for entry in closed})
            if near and kept.rounds:
                for entry in near:
                    self._became[entry.path] = tree[entry.path].mtime
                    if hashes:
                        self.rounded.add(entry.path)
                    else:
                        tree[entry.path] = dataclasses.replace(tree[entry.path], mtime=entry.mtime)
                return [entry for entry in suspects if hashes or entry not in near]
        return list(suspects)

    def _find_out(self, tree: Tree, probe: str | None) -> Kept:
        if self._kept is None:
            self._kept = (self._try_out(probe) if probe else None) or _guess(tree)
        return self._kept

    def _try_out(self, path: str) -> Kept | None:
        """Write a file and check it; return None if no more files can be created there."""
        try:
            self._sftp.write(path, b"")
            self._set(lambda: self._sftp.set_mode_and_time(path, FILE_MODE, _ODD))
            found = self._sftp.look(path)
            self._sftp.remove(path)
        except OSError as error:
            self._session.require_line(error)
            return None
        if found is None:
            return None
        return Kept(modes=not found.closed, rounds=0 < abs(found.mtime - _ODD) < ROUNDING)


def _guess(tree: Tree) -> Kept:
    """Return the most likely answer, from the existing files."""
    files = [entry for entry in tree.values() if entry.kind == FILE]
    return Kept(modes=True, rounds=all(entry.mtime % ROUNDING == 0 for entry in files))
