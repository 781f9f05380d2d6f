# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A log that several processes append to at once: lines stay intact, the log is bounded, and nothing is lost."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import time
import typing as t

LARGEST = 16 * 1024 * 1024  # bytes of the current file
KEPT = 8  # older files
LONGEST = 16 * 1024  # bytes of a line
PATIENCE = 10.0  # seconds to wait for other writers
MOST_READ = 96 * 1024 * 1024  # bytes that a reader reads back
_BLOCK = 1024 * 1024


class NotWritten(Exception):
    """A line could not be added; the text is one line with the remedy."""


class Log:
    """Lines of JSON in a file; older ones in ``<path>.1`` and so on.

    :param path: its path; the directory has to exist.
    """

    def __init__(self, path: str, *, largest: int = LARGEST, kept: int = KEPT, patience: float = PATIENCE) -> None:
        self.path = path
        self._largest = largest
        self._kept = kept
        self._patience = patience

    @property
    def wanted(self) -> bool:
        """Return whether there is a place for it. If the directory does not exist, nobody wants a history."""
        return bool(self.path) and os.path.isdir(os.path.dirname(os.path.abspath(self.path)))

    def add(self, lines: t.Sequence[bytes]) -> None:
        """Append lines, all together and each intact. Raises :class:`NotWritten`."""
        text = b"".join(line + b"\n" for line in lines)
        if not text:
            return
        try:
            # After a rotation others may fill the new file first.
            while True:
                with self._opened() as descriptor:
                    size = os.fstat(descriptor).st_size
                    if not size or size + len(text) <= self._largest:
                        _append(descriptor, text)
                        return
                    self._rotate()
        except OSError as error:
            raise NotWritten(
                f"the history {self.path} cannot be written ({error.strerror or error}). Let the account that runs the"
                " sync write to it and its directory, or set netboot_sync_history to another file; an empty one"
                " keeps none."
            ) from error

    @contextlib.contextmanager
    def _opened(self) -> t.Iterator[int]:
        """Open and lock the file that has the name by then."""
        end = time.monotonic() + self._patience
        while True:
            descriptor = _open(self.path)
            try:
                if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                    raise OSError(errno.EINVAL, "it is no plain file")
                _lock(descriptor, end)
                if _is_named(descriptor, self.path):
                    yield descriptor
                    return
            finally:
                os.close(descriptor)

    def _rotate(self) -> None:
        for number in range(self._kept, 0, -1):
            older = self.path if number == 1 else f"{self.path}.{number - 1}"
            with contextlib.suppress(FileNotFoundError):
                os.replace(older, f"{self.path}.{number}")

    def newest_first(self) -> t.Iterator[bytes]:
        """Return the lines, newest first, as far back as a reader may go, up to anything unreadable."""
        left = MOST_READ
        for number in range(self._kept + 1):
            name = f"{self.path}.{number}" if number else self.path
            try:
                with open(name, "rb") as file:
                    for line in _backwards(file, left):
                        left -= len(line) + 1
                        yield line
            except OSError:
                if number:
                    return
            if left <= 0:
                return


def _lock(descriptor: int, end: float) -> None:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                raise
            time.sleep(0.01)
        else:
            return


def _open(path: str) -> int:
    """Open the file, or create it.

    What root creates belongs to the owner of its directory, who could not write to it otherwise: runs by root and by
    that owner alternate if somebody syncs by hand and the netboot server also does so by itself.
    """
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        descriptor = os.open(path, flags | os.O_EXCL, 0o640)
    except FileExistsError:
        return os.open(path, flags, 0o640)
    if os.geteuid() == 0:
        with contextlib.suppress(OSError):  # on a disk that keeps no owners, or in a container, root writes it anyway
            directory = os.stat(os.path.dirname(os.path.abspath(path)))
            os.fchown(descriptor, directory.st_uid, directory.st_gid)
    return descriptor


def _is_named(descriptor: int, path: str) -> bool:
    ours = os.fstat(descriptor)
    try:
        named = os.lstat(path)
    except FileNotFoundError:
        return False
    return (ours.st_dev, ours.st_ino) == (named.st_dev, named.st_ino)


def _append(descriptor: int, text: bytes) -> None:
    """Write all or nothing: a full disk leaves no partial line."""
    size = os.fstat(descriptor).st_size
    if size and os.pread(descriptor, 1, size - 1) != b"\n":  # a writer was killed in the middle of a line
        text = b"\n" + text
    written = 0
    try:
        while written < len(text):
            written += os.write(descriptor, text[written:])
        os.fdatasync(descriptor)
    except OSError:
        if written < len(text):
            os.ftruncate(descriptor, size)
        raise


def _backwards(file: t.BinaryIO, most: int) -> t.Iterator[bytes]:
    """Return the lines of a file, the last first, from its last ``most`` bytes."""
    place = file.seek(0, os.SEEK_END)
    least = max(place - most, 0)
    rest = b""
    while place > least:
        begin = max(place - _BLOCK, least)
        file.seek(begin)
        parts = (file.read(place - begin) + rest).split(b"\n")
        place = begin
        rest = parts[0]
        yield from (line for line in reversed(parts[1:]) if line)
        if len(rest) > LONGEST:  # not a line of ours
            rest = b""
    if rest and not least:
        yield rest
