# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many small files at once, as one archive over the connection for bulk: individually, each would cost several round
trips.

Their names in it are numbers, so no asset's name is ever used there; they are unpacked into a directory of this run.
"""

from __future__ import annotations

import hashlib
import os
import tarfile
import tempfile
import threading
import typing as t

from ..assets.entries import Entry
from ..errors import SyncError
from ..limits.throttle import Throttle
from ..progress import Progress
from ..source.tree import SourceTree
from ..ssh.base import BaseSession
from ..ssh.conversation import Conversation
from ..ssh.remote_commands import unpack, unpacked
from .carrying import Carrier, TooShort

_MODE = 0o644  # readable for another user's web server
_PIECE = 256 * 1024  # bytes written at once
_END = 2 * tarfile.BLOCKSIZE  # of zeros: the end of an archive


class Packed(t.NamedTuple):
    """A file that arrived: its hidden name, as an absolute path, and its cost on the line in bytes."""

    hidden: str
    bytes: int


class Archive:
    """Sends small files together; see :class:`~.protocol.Transport` for what it raises."""

    def __init__(
        self,
        session: BaseSession,
        source: SourceTree,
        *,
        ciphers: t.Sequence[str] = (),
        throttle: Throttle,
        progress: Progress,
    ) -> None:
        self._session = session
        self._source = source
        self._carrier = Carrier(session, ciphers=ciphers, throttle=throttle, tell=progress.at)

    def send(self, entries: t.Sequence[Entry], directory: str) -> dict[str, Packed]:
        """Send files into an empty directory of ours, and return those that arrived completely, and are on disk, by
        path.

        Files that have changed by now are left out, and so are those that do not arrive as sent.
        """
        path = entries[0].path
        with tempfile.TemporaryFile() as file, Packing(self._source, entries, file) as packing:

            def follow(conversation: Conversation, patience: float) -> dict[str, str]:
                return unpacked(conversation, self._session, path, packing.size, len(entries), patience)

            try:
                there = self._carrier.carry(
                    unpack(directory), file, packing.size, path, follow, written=packing.written
                )
            except TooShort as error:
                raise packing.trouble or error from None
        digests = packing.digests
        arrived: dict[str, Packed] = {}
        for number, entry in enumerate(entries):
            digest = digests.get(entry.path)
            if digest is not None and there.get(str(number)) == digest:
                arrived[entry.path] = Packed(f"{directory}/{number}", _cost(entry.size))
        return arrived


class Packing:
    """Writes an archive in a thread of its own, so that the line does not wait until all of it is there.

    :ivar size: how many bytes it will have.
    :ivar digests: the SHA-256 of what is in it so far, by path.
    :ivar trouble: why it could not be written.
    """

    def __init__(self, source: SourceTree, entries: t.Sequence[Entry], file: t.BinaryIO) -> None:
        self.size = _padded(sum(_cost(entry.size) for entry in entries) + _END, tarfile.RECORDSIZE)
        self.digests: dict[str, str] = {}
        self.trouble: Exception | None = None
        self._source = source
        self._entries = entries
        self._file = file
        self._there = 0  # bytes that are written
        self._grown = threading.Condition()
        self._wanted = True
        self._thread = threading.Thread(target=self._run, name="packing", daemon=True)

    def __enter__(self) -> Packing:
        self._thread.start()
        return self

    def __exit__(self, *_about: object) -> None:
        self._wanted = False
        self._thread.join()

    def written(self, beyond: int, seconds: float) -> int:
        """Return how many bytes there are, as soon as there are more than so many, or after some seconds.

        More than there will ever be, if no more will come.
        """
        with self._grown:
            self._grown.wait_for(lambda: self._there > beyond or self.trouble is not None, seconds)
            return self.size if self.trouble is not None else self._there

    def _run(self) -> None:
        try:
            pending = bytearray()
            for number, entry in enumerate(self._entries):
                if not self._wanted:
                    return
                pending += self._member(str(number), entry)
                if len(pending) >= _PIECE:
                    self._write(pending)
            pending += bytes(self.size - self._there - len(pending))
            self._write(pending)
        except Exception as error:  # noqa: BLE001  whatever it is, it is raised where the archive is sent
            with self._grown:
                self.trouble = error
                self._grown.notify_all()

    def _member(self, name: str, entry: Entry) -> bytes:
        """Return a file with its header; of one that has changed or cannot be read, zeros instead of its content."""
        try:
            content = b"".join(self._source.blocks(entry))
            if len(content) == entry.size:
                self.digests[entry.path] = hashlib.sha256(content).hexdigest()
        except SyncError:
            content = b""  # its own turn tells why
        about = tarfile.TarInfo(name)
        about.size, about.mtime, about.mode = entry.size, entry.mtime, _MODE
        header = about.tobuf(tarfile.USTAR_FORMAT)
        return header + content[: entry.size].ljust(_cost(entry.size) - len(header), b"\0")

    def _write(self, pending: bytearray) -> None:
        """Append to the file, at a place of its own: whoever sends it moves the file's position."""
        while pending:
            count = os.pwrite(self._file.fileno(), pending, self._there)
            with self._grown:
                self._there += count
                self._grown.notify_all()
            del pending[:count]


def _padded(size: int, to: int) -> int:
    return -(-size // to) * to


def _cost(size: int) -> int:
    """Return how many bytes a file is in an archive, with its header."""
    return tarfile.BLOCKSIZE + _padded(size, tarfile.BLOCKSIZE)
