# Copyright: (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hidden directory below the tree on a caching server, where everything lies that is not whole yet.

Each file in transit has a directory of its own there, named by a hash of its path. In it:

``incoming-RUN``
    what this run receives, and the only thing that is ever published. The name is of one run alone, so a process
    that an earlier run left behind can never write to what this one has checked.
``partial``
    the longest piece that an earlier run received: a basis now, never written again.
``upload-SIZE-TIME``
    a piece sent by SFTP, of the file with this size and time: an upload goes on where it ended.
``basis/incoming-RUN``
    what rsync takes the difference to: hard links, or the partial piece followed by the predecessor.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import typing as t

from ..deciding.assets import DIRECTORY, FILE, WORK_DIRECTORY, Entry
from .sftp import Sftp

PARTIAL = "partial"
BASIS = "basis"
INCOMING = "incoming-"
UPLOAD = "upload-"
# rsync's own temporary name of a file that it is receiving
_TEMPORARY = f".{INCOMING}"
LOCK = "lock"


def transfer_id(path: str) -> str:
    """Return the name of a file's directory in the work area."""
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:32]


class WorkArea:
    """The work area of one caching server, as one run uses it. All paths returned are absolute."""

    def __init__(self, sftp: Sftp, dest: str, run: str) -> None:
        self._sftp = sftp
        self.root = f"{dest.rstrip('/')}/{WORK_DIRECTORY}"
        self.run = run

    @property
    def lock(self) -> str:
        """The path of the lock."""
        return f"{self.root}/{LOCK}"

    def directory(self, path: str) -> str:
        """The directory of a file in transit."""
        return f"{self.root}/{transfer_id(path)}"

    def incoming(self, path: str) -> str:
        """The hidden name under which this run receives a file."""
        return f"{self.directory(path)}/{INCOMING}{self.run}"

    def partial(self, path: str) -> str:
        """The longest piece of a file that an earlier run received."""
        return f"{self.directory(path)}/{PARTIAL}"

    def basis(self, path: str) -> str:
        """Where rsync looks for the basis of a file."""
        return f"{self.directory(path)}/{BASIS}/{INCOMING}{self.run}"

    def upload(self, entry: Entry) -> str:
        """The name of a piece sent by SFTP."""
        return f"{self.directory(entry.path)}/{UPLOAD}{entry.size}-{entry.mtime}"

    def make(self, path: str) -> None:
        """Make the directory of a file in transit."""
        if self._sftp.look(self.directory(path)) is None:
            self._sftp.make_directory(self.directory(path))

    def gather(self, path: str) -> int:
        """Keep the longest piece of what earlier runs left of a file as ``partial``, and drop the rest.

        Returns its size in bytes. A piece may be of an older content of the same path: it is only ever a basis.
        """
        directory = self.directory(path)
        self._remove_all(f"{directory}/{BASIS}")
        pieces = [entry for entry in self._list(directory) if entry.kind == FILE]
        if not pieces:
            return 0
        longest = max(pieces, key=lambda entry: (entry.size, entry.path == PARTIAL))
        if longest.path != PARTIAL:
            self._sftp.rename(f"{directory}/{longest.path}", f"{directory}/{PARTIAL}")
        for entry in pieces:
            if entry.path not in (longest.path, PARTIAL):
                self._sftp.remove(f"{directory}/{entry.path}")
        return longest.size

    def make_basis_directory(self, path: str) -> None:
        """Make the directory in which rsync looks for the basis."""
        self._sftp.make_directory(f"{self.directory(path)}/{BASIS}")

    def drop(self, path: str) -> None:
        """Remove all that lies here of a file."""
        self._remove_all(self.directory(path))

    def has_leftovers(self, unfinished: t.Iterable[str]) -> bool:
        """Tell whether there is anything that :meth:`clean` would remove."""
        keep = _to_keep(unfinished)
        return any(entry.path not in keep for entry in self._list(self.root))

    def clean(self, unfinished: t.Iterable[str]) -> None:
        """Remove all that no later run will use: everything but the pieces of files that are still to be sent."""
        keep = _to_keep(unfinished)
        for entry in self._list(self.root):
            if entry.path not in keep:
                full = f"{self.root}/{entry.path}"
                if entry.kind == DIRECTORY:
                    self._remove_all(full)
                else:
                    self._sftp.remove(full)

    def _list(self, directory: str) -> list[Entry]:
        try:
            return self._sftp.list(directory)
        except FileNotFoundError:
            return []

    def _remove_all(self, directory: str) -> None:
        found = self._list(directory)
        for entry in found:
            full = f"{directory}/{entry.path}"
            if entry.kind == DIRECTORY:
                self._remove_all(full)
            else:
                self._sftp.remove(full)
        with contextlib.suppress(FileNotFoundError):
            self._sftp.remove_directory(directory)


def _to_keep(unfinished: t.Iterable[str]) -> set[str]:
    return {transfer_id(path) for path in unfinished} | {LOCK}
