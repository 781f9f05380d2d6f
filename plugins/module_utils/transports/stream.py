# Copyright: (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bytes as they are, over the connection for bulk: for a large file of which there is nothing like it over there.

Where there is no difference to be found, rsync only copies what passes, twice, and hashes it on both ends; and what it
hashes is hashed again when it lies on the disk, since only that tells what clients will read. So a constant script
writes its standard input to the hidden name, and the kernel carries the file from the disk to ssh.

What arrived before a cut is copied in front, once both ends found it to be the beginning of this very file; it is never
written to itself, since a process of an earlier run may still have it open.
"""

from __future__ import annotations

import shlex
import threading
import typing as t

from ..assets.entries import Entry
from ..errors import ConnectionTrouble, SourceChanged, SourceUnreadable, SyncError
from ..limits.throttle import Relayed, Throttle
from ..progress import Progress
from ..source.tree import SourceTree
from ..ssh.base import BaseSession
from ..ssh.conversation import Conversation
from ..ssh.pipe import Pipe
from ..ssh.remote_commands import Abilities, hash_files, receive, received
from .protocol import DiskFull
from .work_area import WorkArea

SHORTEST_PIECE = 1024 * 1024  # bytes; to send less than that once more costs less than to compare it
_CHUNK = 1024 * 1024  # bytes
_PATIENCE = 0.5  # seconds after which the feeding thread looks whether it is still wanted


def can_receive(there: Abilities) -> bool:
    """Tell whether a caching server can take a stream, and hash what came of it: no other check is made of it."""
    return there.joins and there.hashes and there.tells_place


class Stream:
    """Sends whole files; see :class:`~.protocol.Transport` for what it raises."""

    def __init__(
        self,
        session: BaseSession,
        area: WorkArea,
        source: SourceTree,
        *,
        ciphers: t.Sequence[str] = (),
        throttle: Throttle,
        progress: Progress,
    ) -> None:
        self._session = session
        self._area = area
        self._source = source
        self._ciphers = ciphers
        self._throttle = throttle
        self._progress = progress
        self.sent = 0  # bytes of the last transfer so far

    def start(self, entry: Entry, partial_size: int) -> int | None:
        """Return from which byte on a file is to be sent, given the size of what an earlier run left of it.

        None where that is a piece of something else: then it may be a basis. Raises :class:`SyncError`.
        """
        if not partial_size:
            return 0
        if partial_size > entry.size:
            return None
        if partial_size < SHORTEST_PIECE:
            return 0
        there = hash_files(self._session, [(self._area.partial(entry.path), partial_size)])
        return partial_size if there == [self._source.digest_of_start(entry, partial_size)] else None

    def send(self, entry: Entry, start: int) -> int:
        """Send a file to its hidden name from byte ``start`` on; the piece that is there already is copied in front.

        Returns the bytes that were sent.
        """
        self.sent = 0
        self._throttle.require(entry.path)
        shell = self._session.bulk(self._ciphers).remote_shell
        try:
            with self._source.opened(entry) as file, self._throttle.relayed(shell) as relayed:
                self._send(entry, start, file, relayed)
        except BaseException:
            # What ssh took is not to go on to the line.
            self._session.drop_bulk()
            raise
        return self.sent

    def _send(self, entry: Entry, start: int, file: t.BinaryIO, relayed: Relayed) -> None:
        piece = self._area.partial(entry.path) if start else ""
        command, mark = receive(piece, self._area.incoming(entry.path))
        pipe = Pipe(
            [*shlex.split(relayed.shell), "--", self._session.address.host, command],
            self._session.where,
            descriptors=relayed.descriptors,
        )
        feeding = _Feeding(pipe, file, start, entry.size, self._at)
        conversation = Conversation(pipe, mark, self._session.where)
        try:
            relayed.begin()
            feeding.begin()
            patience = self._throttle.patience(self._session.address.stall_timeout)
            arrived = received(conversation, self._session, entry.path, entry.size, patience)
        finally:
            feeding.end()
            pipe.close()
        trouble = relayed.trouble(entry.path) or self._trouble_here(entry, feeding)
        if trouble is not None:
            raise trouble
        self._source.confirm(entry)
        if conversation.status != 0 or arrived != entry.size:
            raise self._trouble_there(entry, conversation)

    def _at(self, position: int, sent: int) -> None:
        self.sent = sent
        self._progress.at(position, sent)

    def _trouble_here(self, entry: Entry, feeding: _Feeding) -> SyncError | None:
        if feeding.error is not None:
            return SourceUnreadable("read", feeding.error, self._source.absolute(entry.path))
        if feeding.too_short:
            return SourceChanged("it changed on the netboot server while it was sent", path=entry.path)
        return None

    def _trouble_there(self, entry: Entry, conversation: Conversation) -> Exception:
        said = conversation.errors
        if "quota" in said.lower():
            return DiskFull("the quota is used up", path=entry.path)
        if "No space left on device" in said:
            return DiskFull("the disk of the caching server is full", path=entry.path)
        if conversation.status is None or "Stale file handle" in said:
            return ConnectionTrouble(
                f"the transfer broke ({said or 'the connection went away'})",
                path=entry.path,
                remedy="What arrived is kept; the next run goes on from there.",
            )
        return OSError(0, said.rpartition(": ")[2] or "its shell does not say why")


class _Feeding:
    """Carries a file into a pipe, in a thread of its own; the answers of the other end come in meanwhile.

    :ivar error: what went wrong in reading the file.
    :ivar too_short: whether the file ended before its size.
    """

    def __init__(self, pipe: Pipe, file: t.BinaryIO, start: int, size: int, tell: t.Callable[[int, int], None]) -> None:
        self._pipe = pipe
        self._file = file
        self._start = start
        self._size = size
        self._tell = tell
        self._over = threading.Event()
        self.error: OSError | None = None
        self.too_short = False
        self._thread = threading.Thread(target=self._run, name="feeding", daemon=True)

    def begin(self) -> None:
        """Start."""
        self._thread.start()

    def end(self) -> None:
        """Stop, and return once the file is not used any more."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        try:
            self._feed()
        except EOFError:
            return  # the other end has gone, and its answer tells why
        except OSError as error:
            self.error = error
        self._pipe.shutdown_write()

    def _feed(self) -> None:
        position = self._start
        while position < self._size and not self._over.is_set():
            self._tell(position, position - self._start)
            count = self._pipe.send_file(self._file, position, min(_CHUNK, self._size - position), _PATIENCE)
            if count == 0:
                self.too_short = True
                return
            position += count or 0
        self._tell(position, position - self._start)
