# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Feeds a file of this host into one of our scripts on a caching server, over the connection for bulk."""

from __future__ import annotations

import shlex
import threading
import typing as t

from ..errors import ConnectionTrouble
from ..limits.throttle import Relayed, Throttle
from ..ssh.base import BaseSession
from ..ssh.conversation import Conversation
from ..ssh.pipe import Pipe
from .protocol import DiskFull

_CHUNK = 1024 * 1024  # bytes
_PATIENCE = 0.5  # seconds after which the feeding thread checks whether it is still needed

T = t.TypeVar("T")


class TooShort(Exception):
    """The file is shorter than its size."""


class Unreadable(Exception):
    """The file cannot be read; ``trouble`` is why."""

    def __init__(self, trouble: OSError) -> None:
        super().__init__(str(trouble))
        self.trouble = trouble


class Carrier:
    """Sends one file at a time, as fast as the throttle allows.

    :ivar sent: bytes of the last transfer so far.
    """

    def __init__(
        self,
        session: BaseSession,
        *,
        ciphers: t.Sequence[str] = (),
        throttle: Throttle,
        tell: t.Callable[[int, int], None],
    ) -> None:
        self._session = session
        self._ciphers = ciphers
        self._throttle = throttle
        self._tell = tell
        self.sent = 0

    def carry(
        self,
        command: tuple[str, bytes],
        file: t.BinaryIO,
        size: int,
        path: str,
        follow: t.Callable[[Conversation, float], T],
        *,
        start: int = 0,
        whole: t.Callable[[T], bool] = lambda _answer: True,
        written: t.Callable[[int, float], int] | None = None,
    ) -> T:
        """Run a command, a script and the mark of its answer, with a file from byte ``start`` to ``size`` as its input.

        For a file that is still being written, ``written`` waits some seconds at most for more than a number of bytes
        of it, and returns how many there are.

        ``follow`` is called with the conversation, and how many seconds it may make no progress; its result is returned
        if ``whole`` finds that all of it arrived. ``path`` is for messages. Raises :class:`SyncError`,
        :class:`TooShort` and :class:`Unreadable`, and :class:`OSError` where the caching server did not write.
        """
        self.sent = 0
        self._throttle.require(path)
        shell = self._session.bulk(self._ciphers).remote_shell
        try:
            with self._throttle.relayed(shell) as relayed:
                text, mark = command
                pipe = Pipe(
                    [*shlex.split(relayed.shell), "--", self._session.address.host, text],
                    self._session.where,
                    descriptors=relayed.descriptors,
                )
                feeding = _Feeding(pipe, file, start, size, self._at, written or (lambda _beyond, _seconds: size))
                conversation = Conversation(pipe, mark, self._session.where)
                try:
                    relayed.begin()
                    feeding.begin()
                    patience = self._throttle.patience(self._session.address.stall_timeout)
                    answer = follow(conversation, patience)
                    came = conversation.status == 0 and whole(answer)
                    # A process that is killed here closes its pipe first, and the script over there may take that for
                    # the end of the file. So check how it ended, before ending it below.
                    broke = not came and (conversation.status is None or conversation.lost())
                    said = "" if came else conversation.errors
                except BaseException:
                    self._correct(relayed)
                    raise
                finally:
                    feeding.end()
                    pipe.close()
                trouble = relayed.trouble(path) or feeding.trouble
                if trouble is None and not came:
                    trouble = _trouble_there(said, path, broke=broke)
                if trouble is not None:
                    self._correct(relayed)
                    raise trouble
        except BaseException:
            self._session.drop_bulk()  # what ssh has accepted must not reach the line any more
            raise
        return answer

    def _correct(self, relayed: Relayed) -> None:
        """Count what crossed the line, not what only filled the pipes to the relay."""
        relayed.end()
        if relayed.passed is not None:
            self.sent = min(self.sent, relayed.passed)

    def _at(self, position: int, sent: int) -> None:
        self.sent = sent
        self._tell(position, sent)


def _trouble_there(said: str, path: str, *, broke: bool) -> Exception:
    """Return why a script that wrote something failed: an :class:`OSError` where the caching server did not write."""
    if "quota" in said.lower():
        return DiskFull("the quota is used up", path=path)
    if "No space left on device" in said:
        return DiskFull("the disk of the caching server is full", path=path)
    if broke or "Stale file handle" in said:
        return ConnectionTrouble(
            f"the transfer broke ({said or 'the connection went away'})",
            path=path,
            remedy="What arrived is kept; the next run goes on from there.",
        )
    return OSError(0, said.rpartition(": ")[2] or "its shell does not say why")


class _Feeding:
    """Feeds a file into a pipe, in its own thread, while the answers of the other end arrive.

    :ivar trouble: what was wrong with the file.
    """

    def __init__(
        self,
        pipe: Pipe,
        file: t.BinaryIO,
        start: int,
        size: int,
        tell: t.Callable[[int, int], None],
        written: t.Callable[[int, float], int],
    ) -> None:
        self._pipe = pipe
        self._file = file
        self._start = start
        self._size = size
        self._tell = tell
        self._written = written
        self._over = threading.Event()
        self.trouble: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="feeding", daemon=True)

    def begin(self) -> None:
        """Start."""
        self._thread.start()

    def end(self) -> None:
        """Stop, and return once the file is no longer in use."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        try:
            self._feed()
        except EOFError:
            return  # the other end is gone, and its answer says why
        except OSError as error:
            self.trouble = Unreadable(error)
        self._pipe.shutdown_write()

    def _feed(self) -> None:
        position = self._start
        while position < self._size and not self._over.is_set():
            self._tell(position, position - self._start)
            there = min(self._written(position, _PATIENCE), self._size)
            if there <= position:
                continue
            count = self._pipe.send_file(self._file, position, min(_CHUNK, there - position), _PATIENCE)
            if count == 0:
                self.trouble = TooShort()
                return
            position += count or 0
        self._tell(position, position - self._start)
