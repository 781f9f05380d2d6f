# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The disk of a caching server, in memory: what was not flushed may be gone after a power cut, as POSIX allows.

A file's content is safe once the file is flushed; a name, once its directory is. Of the names of one directory that
changed since its last flush, a power cut keeps the first few changes and loses the rest, each directory on its own.
"""

from __future__ import annotations

import dataclasses
import posixpath
from collections.abc import Callable


@dataclasses.dataclass
class File:
    """An inode. ``safe`` is the content that a power cut leaves; a symlink has only a ``target``."""

    content: bytes = b""
    mtime: int = 0
    target: str = ""
    safe: bytes | None = None


@dataclasses.dataclass(frozen=True)
class Change:
    """One change of a name that is not flushed yet: what was there before."""

    path: str
    before: File | None


class Disk:
    """Names and what they lead to; directories are implied. Hidden names belong to the work area."""

    def __init__(self) -> None:
        self.names: dict[str, File] = {}
        self._changes: dict[str, list[Change]] = {}

    def content(self, path: str) -> bytes | None:
        """Return what a client gets under a name, through symlinks; None if it is not there."""
        for _unused in range(8):
            file = self.names.get(path)
            if file is None or not file.target:
                return file.content if file else None
            path = posixpath.normpath(posixpath.join(posixpath.dirname(path), file.target))
        return None

    def put(self, path: str, file: File) -> None:
        """Make a name lead to a file, in one step, whatever it was before."""
        self._note(path)
        self.names[path] = file

    def rename(self, old: str, new: str) -> None:
        """Rename in one step, over what is there. Raises FileNotFoundError."""
        if old not in self.names:
            raise FileNotFoundError(old)
        self._note(new)
        self._note(old)
        self.names[new] = self.names.pop(old)

    def remove(self, path: str) -> None:
        """Remove a name, if it is there."""
        if path in self.names:
            self._note(path)
            del self.names[path]

    def flush(self, path: str) -> None:
        """Make the content of a file safe."""
        file = self.names[path]
        file.safe = file.content

    def flush_directory(self, path: str) -> None:
        """Make the names in the directory of a path safe."""
        self._changes.pop(posixpath.dirname(path), None)

    def lose_power(self, choose: Callable[[int], int]) -> None:
        """Cut the power. *choose* is given a number, and returns one from 0 to that number."""
        for _directory, changes in sorted(self._changes.items()):
            for change in reversed(changes[choose(len(changes)) :]):
                if change.before is None:
                    self.names.pop(change.path, None)
                else:
                    self.names[change.path] = change.before
        self._changes.clear()
        for _path, file in sorted(self.names.items()):
            if file.safe != file.content and not file.target:
                kept = choose(len(file.content))
                # What was allocated to the file but not written is a hole: zeros.
                file.content = file.content[:kept] + bytes(len(file.content) - kept if choose(1) else 0)
            file.safe = file.content

    def _note(self, path: str) -> None:
        self._changes.setdefault(posixpath.dirname(path), []).append(Change(path, self.names.get(path)))
