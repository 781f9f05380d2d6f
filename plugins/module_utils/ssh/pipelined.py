# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The same SFTP operation on many files: all requests are in flight at once; one by one, each would cost a round trip.

The protocol lets a client send further requests without waiting, and each answer names its request; paramiko supports
that only for reads and writes.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import os
import typing as t

from ..assets.entries import SYMLINK, Entry
from .sftp import Sftp
from .sftp_client import SFTP_ERRORS, let_go, translate
from .sftp_names import Budget, entry_of, names_in, target_in

try:
    from paramiko import sftp as protocol
    from paramiko.sftp_attr import SFTPAttributes
except ImportError:  # reported by the module, with missing_required_lib
    SFTPAttributes = object  # type: ignore[assignment,misc]

WINDOW = 512  # requests in flight, of some hundred bytes each
# The same where each answer is some hundred bytes too. OpenSSH takes 2 MB of answers while nobody reads them here, so
# whoever answers can always go on, and reads what is asked next.
WIDE = 4096
MOST_OPEN = 128  # files that are open there at once
MOST_LISTED = 32  # directories at once
MOST_PAGES = 64  # requests in flight about what they hold; at least two for each

Opened = t.Sequence[t.Any]  # the answer for each of some paths: its handle, or an OSError


class Pipelined:
    """Operations on many paths of one caching server. An error for one path is returned in its place."""

    def __init__(self, sftp: Sftp) -> None:
        self._client = sftp.client
        self._answers: dict[int, tuple[int, t.Any]] = {}

    def look(self, paths: t.Sequence[str]) -> list[Entry | OSError]:
        """Return what each path is, symlinks not followed."""
        answers = self._ask([(protocol.CMD_LSTAT, os.fsencode(path)) for path in paths], WIDE)
        return [_looked(path, answer) for path, answer in zip(paths, answers)]

    def begin_look(self, paths: t.Sequence[str]) -> t.Callable[[], list[Entry | OSError]]:
        """Ask that without waiting, about up to :data:`WIDE` paths; the returned function waits for the answers."""
        ask = self._client._async_request
        numbers = [translate(ask, self, protocol.CMD_LSTAT, os.fsencode(path)) for path in paths[:WIDE]]

        def answers() -> list[Entry | OSError]:
            return [_looked(path, self._answer(number)) for path, number in zip(paths, numbers)]

        return answers

    def begin_make_directory(self, path: str) -> t.Callable[[], OSError | None]:
        """Make a directory without waiting; the returned function waits, and returns what went wrong."""
        asked = (protocol.CMD_MKDIR, os.fsencode(path), SFTPAttributes())
        number = translate(self._client._async_request, self, *asked)

        def answer() -> OSError | None:
            return _errors([self._answer(number)])[0]

        return answer

    def listings(self, directories: t.Sequence[str], budget: Budget) -> list[list[Entry] | OSError]:
        """Return the entries of each directory, as :meth:`Sftp.list` does. Raises :class:`SyncError` if endless."""
        found: list[list[Entry] | OSError] = []
        for start in range(0, len(directories), MOST_LISTED):
            found += self._listings(directories[start : start + MOST_LISTED], budget)
        return found

    def _listings(self, directories: t.Sequence[str], budget: Budget) -> list[list[Entry] | OSError]:
        opened = self._ask([(protocol.CMD_OPENDIR, os.fsencode(directory)) for directory in directories])
        handles = {n: answer.get_binary() for n, answer in enumerate(opened) if not isinstance(answer, OSError)}
        refused = {n: answer for n, answer in enumerate(opened) if isinstance(answer, OSError)}
        found: dict[int, list[Entry]] = {number: [] for number in handles}
        reading = set(handles)
        pages = 2  # most directories are told in one answer, and the next says that this was all
        try:
            while reading:
                numbers = [number for number in sorted(reading) for _page in range(pages)]
                pages = max(2, min(pages * 2, MOST_PAGES // len(reading)))  # those that go on are large
                answers = self._each([(protocol.CMD_READDIR, handles[number]) for number in numbers])
                for number, answer in zip(numbers, answers):
                    if isinstance(answer, (OSError, EOFError)):
                        reading.discard(number)
                        if isinstance(answer, OSError):
                            refused.setdefault(number, answer)
                        continue
                    names = names_in(answer, directories[number], budget)
                    found[number] += [entry_of(name, attributes) for name, _long_form, attributes in names]
        finally:
            with contextlib.suppress(*SFTP_ERRORS):  # what was found counts, or why that went wrong
                for handle in handles.values():
                    let_go(self._client, handle)
        self._follow(directories, found, budget)
        return [refused[number] if number in refused else found[number] for number in range(len(directories))]

    def _follow(self, directories: t.Sequence[str], found: dict[int, list[Entry]], budget: Budget) -> None:
        """Ask where the symlinks lead."""
        links = [(n, at) for n, entries in found.items() for at, one in enumerate(entries) if one.kind == SYMLINK]
        paths = [f"{directories[number]}/{found[number][at].path}" for number, at in links]
        answers = self._ask([(protocol.CMD_READLINK, os.fsencode(path)) for path in paths])
        for (number, at), answer in zip(links, answers):
            if isinstance(answer, OSError):
                raise answer
            target = target_in(answer)
            budget.take(directories[number], len(target))
            found[number][at] = dataclasses.replace(found[number][at], target=target)

    def make_directories(self, paths: t.Sequence[str], mode: int) -> list[OSError | None]:
        """Make each directory, with these permissions where the file system there keeps any.

        One that is within another one comes after it.
        """
        attributes = SFTPAttributes()
        attributes.st_mode = mode
        names = [os.fsencode(path) for path in paths]
        asked = [one for name in names for one in ((protocol.CMD_MKDIR, name, attributes), (protocol.CMD_LSTAT, name))]
        answers = self._ask(asked)
        made = _errors(answers[::2])
        # The login's umask may have taken some away. Only of what was made here: anything else, such as a symlink that
        # came meanwhile, is not ours to change.
        seen = [_looked(path, answer) for path, answer in zip(paths, answers[1::2])]
        closed = [
            name
            for name, trouble, found in zip(names, made, seen)
            if trouble is None and not (isinstance(found, Entry) and found.mode == mode)
        ]
        self._ask([(protocol.CMD_SETSTAT, name, attributes) for name in closed])
        return made

    def rename(
        self, pairs: t.Sequence[tuple[str, str]], opening: t.Sequence[str]
    ) -> tuple[list[OSError | None], Opened]:
        """Rename each, in one step; what was under the new name is replaced.

        In the same round trip, as many as possible of what is to be flushed next are opened, for :meth:`flush`.
        """
        kind, extension = protocol.CMD_EXTENDED, "posix-rename@openssh.com"
        opens = [_opening(path) for path in opening[:MOST_OPEN]]
        renames = [(kind, extension, os.fsencode(old), os.fsencode(new)) for old, new in pairs]
        answers = self._ask([*opens, *renames], WIDE)
        return _errors(answers[len(opens) :]), answers[: len(opens)]

    def flush(self, paths: t.Sequence[str], opened: Opened) -> list[OSError | None]:
        """Make the server flush each to disk; the first of them are open."""
        found = self._flush(opened)
        for start in range(len(opened), len(paths), MOST_OPEN):
            found += self._flush(self._ask([_opening(path) for path in paths[start : start + MOST_OPEN]]))
        return found

    def _flush(self, opened: Opened) -> list[OSError | None]:
        handles = [answer.get_binary() for answer in opened if not isinstance(answer, OSError)]
        flushed = iter(self._ask([(protocol.CMD_EXTENDED, "fsync@openssh.com", handle) for handle in handles]))
        for handle in handles:
            let_go(self._client, handle)
        return _errors([answer if isinstance(answer, OSError) else next(flushed) for answer in opened])

    def _ask(self, requests: t.Sequence[tuple[t.Any, ...]], window: int = WINDOW) -> list[t.Any]:
        """Return the answer to each request, or its error."""
        return list(self._each(requests, window))

    def _each(self, requests: t.Sequence[tuple[t.Any, ...]], window: int = WINDOW) -> t.Iterator[t.Any]:
        """Yield these answers in turn, so that not all of them have to be kept."""
        numbers: collections.deque[int] = collections.deque()
        for request in requests:
            if len(numbers) >= window:
                yield self._answer(numbers.popleft())
            numbers.append(translate(self._client._async_request, self, *request))
        while numbers:
            yield self._answer(numbers.popleft())

    def _answer(self, number: int) -> t.Any:
        while number not in self._answers:
            translate(self._client._read_response)
        kind, answer = self._answers.pop(number)
        if kind == protocol.CMD_STATUS:
            try:
                translate(self._client._convert_status, answer)
            except (OSError, EOFError) as error:  # or the end of a listing
                return error
        return answer

    def _async_response(self, kind: int, answer: t.Any, number: int) -> None:
        """Take an answer; paramiko calls this on whoever sent the request."""
        self._answers[number] = (kind, answer)


def _errors(answers: t.Sequence[t.Any]) -> list[OSError | None]:
    return [answer if isinstance(answer, OSError) else None for answer in answers]


def _looked(path: str, answer: t.Any) -> Entry | OSError:
    if isinstance(answer, OSError):
        return answer
    return entry_of(path, SFTPAttributes._from_msg(answer))  # type: ignore[attr-defined]


def _opening(path: str) -> tuple[t.Any, ...]:
    return protocol.CMD_OPEN, os.fsencode(path), protocol.SFTP_FLAG_READ, SFTPAttributes()
