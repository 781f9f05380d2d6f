# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a caching server holds: list, stat, read and hash it, without any change."""

from __future__ import annotations

import dataclasses
import hashlib
import time
import typing as t

from ..assets.entries import FILE, Entry, Tree
from ..assets.marker import MAX_SIZE
from ..ssh import remote_commands
from ..ssh.base import BaseSession
from ..ssh.pipelined import Pipelined
from ..ssh.sftp import Sftp
from ..ssh.sftp_names import Budget
from ..transports.work_area import WorkArea
from .attributes import Attributes
from .folding import in_spelling_of
from .listing import Listing, list_tree
from .trial import Trial

TINY = 16 * 1024  # bytes; below this, a process to hash a file there costs more than reading it back


class Reading:
    """What one run reads from one caching server. Raises :class:`SyncError`, and the OS errors of SFTP.

    :ivar hashes: whether it can hash what it holds.
    :ivar clashes: names that clash with another one there.
    """

    def __init__(
        self,
        session: BaseSession,
        sftp: Sftp,
        dest: str,
        *,
        area: WorkArea,
        trial: Trial,
        attributes: Attributes,
        hashes: bool,
        warn: t.Callable[[str], None],
    ) -> None:
        self._session = session
        self._sftp = sftp
        self._many = Pipelined(sftp)
        self._dest = dest
        self._area = area
        self._trial = trial
        self._attributes = attributes
        self._warn = warn
        self._listing = Listing()
        self.hashes = hashes
        self.clashes: dict[str, str] = {}

    def tree(self, wanted: Tree | None = None) -> Tree:
        """List the tree without its hidden names; empty if there is none yet.

        A name that the file system there treats as one of ``wanted`` is listed in that spelling.
        """
        answer = self._many.begin_look([f"{self._dest}/."])
        self._listing = list_tree(self._dest, self._entries, self._warn)
        (above,) = answer()
        if isinstance(above, OSError) and not isinstance(above, FileNotFoundError):
            raise above
        self._listing.times[""] = 0 if isinstance(above, OSError) else above.mtime
        self._trial.note(self._listing)
        found = self._listing.tree
        if wanted:
            found, self.clashes = in_spelling_of(wanted, found, self.look)
        return found

    def fresh(self, seconds: int, written: str | None) -> frozenset[str]:
        """Return the directories of the listed tree in which a name changed in the last ``seconds``.

        ``written`` is a file that was just written there, and so has the time of the caching server's own clock.
        """
        if not seconds:
            return frozenset()
        told = self._sftp.look(written) if written else None
        now = told.mtime if told is not None else time.time()
        return frozenset(path for path, changed in self._listing.times.items() if changed > now - seconds)

    def suspects(self, entries: t.Sequence[Entry], tree: Tree, *, can_write: bool) -> list[Entry]:
        """Return which of the netboot server's files may be there unchanged, although their time differs.

        ``tree`` is corrected for what the file system there cannot keep; if it is writable, that is tested.
        """
        found = [entry for entry in entries if _may_be_same(entry, tree.get(entry.path))]
        probe = f"{self._area.root}/probe-{self._area.run}" if can_write else None
        return self._attributes.read(tree, found, hashes=self.hashes, probe=probe)

    def _entries(self, directories: t.Sequence[str], budget: Budget) -> list[list[Entry]]:
        remedy = "Let the user of the sync read it on the caching server."
        # At the same time as the tree, where it costs no time of its own; what goes wrong there is said at its turn.
        area = [self._area.root] if directories[:1] == [self._dest] and self._area.is_seen else []
        with self._session.told_as(self._dest, "cannot be listed", remedy):
            answers = self._many.listings([*directories, *area], budget)
        if area and not isinstance(hidden := answers.pop(), OSError):
            self._area.note_content(hidden)
        found: list[list[Entry]] = []
        for full, answer in zip(directories, answers):
            if isinstance(answer, OSError) and not isinstance(answer, FileNotFoundError):
                with self._session.told_as(full, "cannot be listed", remedy):
                    raise answer
            found.append([] if isinstance(answer, OSError) else answer)
        return found

    def look(self, path: str) -> Entry | None:
        """Return the current entry of a path in the tree, or None if it is not there."""
        entry = self._sftp.look(f"{self._dest}/{path}")
        return entry and dataclasses.replace(entry, path=path)

    def read_marker(self, entry: Entry) -> bytes:
        """Return the content of a marker; nothing if it is too large to be one."""
        content = self._sftp.read(f"{self._dest}/{entry.path}", entry.size) if entry.size <= MAX_SIZE else b""
        return content if len(content) == entry.size else b""  # it is growing

    def digests(self, entries: t.Sequence[Entry]) -> dict[str, str]:
        """Return the SHA-256 of files in the tree: hashed there, or read back if the server cannot hash."""
        files = [(f"{self._dest}/{entry.path}", entry.size) for entry in entries]
        return dict(zip([entry.path for entry in entries], self.digests_of(files)))

    def digests_of(self, files: t.Sequence[tuple[str, int]]) -> list[str]:
        """Return the SHA-256 of files, given by absolute path and size; empty for one that cannot be read."""
        large = [(path, size) for path, size in files if size > TINY] if self.hashes else []
        found = remote_commands.hash_files(self._session, large) if large else []
        hashed = dict(zip([path for path, _size in large], found))
        return [hashed[path] if path in hashed else self._read_back(path, size) for path, size in files]

    def _read_back(self, path: str, size: int) -> str:
        total = hashlib.sha256()
        try:
            for block in self._sftp.blocks(path, size):
                total.update(block)
        except OSError as error:
            self._session.require_line(error)  # no answer is no difference
            return ""
        return total.hexdigest()


def _may_be_same(entry: Entry, there: Entry | None) -> bool:
    """Return whether a file there may have the same content, although its metadata differs."""
    if there is None or entry.kind != FILE or there.kind != FILE:
        return False
    return entry.size == there.size and entry.mtime != there.mtime
