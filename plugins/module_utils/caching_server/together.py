# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sending and publishing small files of one caching server together.

A file that cannot go with the others gets its own turn, which also says why.
"""

from __future__ import annotations

import contextlib
import posixpath
import typing as t

from ..assets.entries import DIRECTORY, FILE, Entry, parents
from ..errors import SyncError
from ..ssh.base import BaseSession
from ..ssh.pipelined import Pipelined
from ..ssh.sftp import Sftp
from ..ssh.sftp_client import SFTP_ERRORS
from ..transports.archive import Archive
from ..transports.work_area import WorkArea
from .attributes import DIRECTORY_MODE, ROUNDING, Attributes
from .trial import Trial


class Together:
    """The small files of one run that have their own hidden names, and are not published yet."""

    def __init__(
        self,
        session: BaseSession,
        sftp: Sftp,
        area: WorkArea,
        trial: Trial,
        attributes: Attributes,
        archive: Archive,
        *,
        dest: str,
    ) -> None:
        self._session = session
        self._area = area
        self._trial = trial
        self._attributes = attributes
        self._archive = archive
        self._sftp = sftp
        self._many = Pipelined(sftp)
        self._dest = dest
        self._hidden: dict[str, str] = {}  # by path of the tree
        self._above: dict[str, Entry | OSError] = {}  # their directories, as they were when the files had arrived
        self._directory = ""
        self._lost = 0  # files of which something may be left in it

    def send(self, entries: t.Sequence[Entry]) -> dict[str, int]:
        """Send files to hidden names, compare and flush them; return the cost in bytes of those that are ready.

        Raises :class:`SyncError` and OSError.
        """
        self.drop()
        root = self._area.root_of(entries[0].path)
        self._area.open_root(root)
        # Before asking who can go, which the caching server may still be about to answer.
        self._directory = self._area.make_batch(root)
        chosen = [entry for entry in entries if self._area.root_of(entry.path) == root and self._can_go(entry)]
        if len(chosen) < 2:
            self.drop()
            return {}
        self._lost = len(chosen)
        arrived = self._archive.send(chosen, self._directory)
        above = _above(chosen)
        seen = self._many.begin_look([f"{self._dest}/{directory}" for directory in above])
        wanted = [entry for entry in chosen if entry.path in arrived]
        hidden = {entry.path: arrived[entry.path].hidden for entry in wanted}
        # All are in one directory, and their content is right: where one has become as it was set, all have. Steps of
        # two seconds show only in a time that is odd.
        one = next((entry for entry in wanted if entry.mtime % ROUNDING), *wanted[:1])
        if self._noted([one], hidden, as_set=True):
            self._hidden = hidden
        else:
            self._hidden = {entry.path: hidden[entry.path] for entry in self._noted(wanted, hidden)}
        self._above = dict(zip(above, seen()))
        self._lost = len(chosen) - len(self._hidden)
        return {path: arrived[path].bytes for path in self._hidden}

    def _noted(self, entries: t.Sequence[Entry], hidden: t.Mapping[str, str], *, as_set: bool = False) -> list[Entry]:
        """Record what became of the modes and times of files, and return those that are there.

        With *as_set*, only those whose mode and time are as they were set.
        """
        there: list[Entry] = []
        for entry, found in zip(entries, self._many.look([hidden[entry.path] for entry in entries])):
            if isinstance(found, OSError) or found.kind != FILE or found.size != entry.size:
                continue
            keeps_time = self._attributes.note(hidden[entry.path], entry, found)
            if not as_set or (keeps_time and not found.closed):
                there.append(entry)
        return there

    def _can_go(self, entry: Entry) -> bool:
        try:
            self._trial.require_target(entry.path, really=True)
        except SyncError:
            return False
        return True

    def publish(
        self, entries: t.Sequence[Entry], make_parents: t.Callable[[str], None]
    ) -> dict[str, OSError | SyncError]:
        """Rename files that are ready to their final names, and flush the directories to disk.

        Returns what could not be renamed, and why. Raises OSError if a directory cannot be written to disk.
        """
        refused: dict[str, OSError | SyncError] = {}
        dest = self._dest
        changed = self._make_directories(entries, make_parents, refused)
        going = [entry.path for entry in entries if entry.path not in refused]
        directories = sorted(changed | {posixpath.dirname(f"{dest}/{path}") for path in going})
        answers, opened = self._many.rename([(self._hidden[path], f"{dest}/{path}") for path in going], directories)
        refused.update({path: answer for path, answer in zip(going, answers) if answer is not None})
        put = [path for path in going if path not in refused]
        for path in put:
            del self._hidden[path]
        changed.update(posixpath.dirname(f"{dest}/{path}") for path in put)
        for directory, answer in zip(directories, self._many.flush(directories, opened)):
            if answer is not None and directory in changed:
                raise answer
        return refused

    def _make_directories(
        self,
        entries: t.Sequence[Entry],
        make_parents: t.Callable[[str], None],
        refused: dict[str, OSError | SyncError],
    ) -> set[str]:
        """Create missing parent directories, outer ones first; if that fails, ``make_parents`` says why.

        Returns the directories to flush to disk.
        """
        changed: set[str] = set()
        there: set[str] = set()
        missing: list[str] = []
        above = _above(entries)
        unknown = [directory for directory in above if directory not in self._above]
        self._above.update(zip(unknown, self._many.look([f"{self._dest}/{directory}" for directory in unknown])))
        for directory in above:
            found = self._above[directory]
            if isinstance(found, FileNotFoundError):
                missing.append(directory)
            elif not isinstance(found, OSError) and found.kind == DIRECTORY:
                there.add(directory)
        possible = there.union(missing)
        wanted = [directory for directory in missing if possible.issuperset(parents(directory))]
        made = self._many.make_directories([f"{self._dest}/{directory}" for directory in wanted], DIRECTORY_MODE)
        there.update(directory for directory, answer in zip(wanted, made) if answer is None)
        changed.update(posixpath.dirname(f"{self._dest}/{directory}") for directory in wanted)
        for entry in entries:
            if there.issuperset(parents(entry.path)):
                continue
            try:
                make_parents(entry.path)
            except SyncError as error:
                if error.retry:
                    raise
                refused[entry.path] = error
        return changed

    def drop(self) -> None:
        """Remove what was not published."""
        empty = not self._hidden and not self._lost
        self._hidden, self._above, self._lost = {}, {}, 0
        if self._directory:
            directory, self._directory = self._directory, ""
            with contextlib.suppress(*SFTP_ERRORS):  # the end of the run cleans up as well
                self._area.drop_batch(directory, empty=empty)


def _above(entries: t.Sequence[Entry]) -> list[str]:
    """Return the directories that files are in, outer ones first."""
    return sorted({directory for entry in entries for directory in parents(entry.path)})
