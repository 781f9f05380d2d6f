# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An open file on a caching server: read and written with many requests in flight."""

from __future__ import annotations

import collections
import contextlib
import typing as t

from ..errors import SyncError
from .sftp_client import let_go, offset_of, request, translate

try:
    from paramiko import sftp as protocol
    from paramiko.message import Message
except ImportError:  # reported by the module, with missing_required_lib
    pass

BLOCK_SIZE = 32 * 1024  # bytes in one request; every server supports this much
WINDOW = 128  # requests in flight: 4 MiB, enough for 100 Mbit/s at 300 ms


class OpenFile:
    """An open file on the caching server. Reads and writes are pipelined; every answer is read and its error raised.

    paramiko's own way to read ahead has a thread that, when the connection is lost, prints a traceback or never ends.
    """

    def __init__(self, client: t.Any, handle: bytes) -> None:
        self._client = client
        self._handle = handle
        self._outstanding: collections.deque[int] = collections.deque()
        self._answers: dict[int, tuple[int, Message]] = {}

    def blocks(self, size: int) -> t.Iterator[bytes]:
        """Yield the content from its beginning; up to ``size`` bytes are requested in advance.

        A file may grow while it is read, and a pipe or a device has no end: the block that passes ``size`` is the last.
        """
        asked: collections.deque[tuple[int, int, int]] = collections.deque()  # number, offset, length
        ahead = 0
        while True:
            while not asked or (ahead <= size and len(asked) < WINDOW):
                asked.append((self._ask(ahead, BLOCK_SIZE), ahead, BLOCK_SIZE))
                ahead += BLOCK_SIZE
            number, offset, length = asked.popleft()
            block = self._block(number)
            if not block:
                break
            yield block
            if offset + len(block) > size:
                break
            if len(block) < length:  # at the end, or as much as the server gives at once
                offset, length = offset + len(block), length - len(block)
                asked.appendleft((self._ask(offset, length), offset, length))
        for number, _offset, _length in asked:
            self._block(number)

    def _ask(self, offset: int, length: int) -> int:
        number: int = translate(
            self._client._async_request, self, protocol.CMD_READ, self._handle, offset_of(offset), length
        )
        return number

    def _block(self, number: int) -> bytes:
        """Return the requested data, or nothing at the end of the file."""
        while number not in self._answers:
            translate(self._client._read_response)
        kind, answer = self._answers.pop(number)
        if kind == protocol.CMD_DATA:
            block = bytes(answer.get_string())
            if len(block) > BLOCK_SIZE:
                raise SyncError("its SFTP server sends more than it was asked for", remedy="Look at the server there.")
            return block
        with contextlib.suppress(EOFError):
            translate(self._client._convert_status, answer)
        return b""

    def _async_response(self, kind: int, answer: Message, number: int) -> None:
        """Take an answer; paramiko calls this on whoever sent the request."""
        self._answers[number] = (kind, answer)

    def write(self, offset: int, data: bytes) -> None:
        """Write at ``offset`` bytes."""
        for start in range(0, len(data), BLOCK_SIZE):
            if len(self._outstanding) >= WINDOW:
                self._read_answer()
            block = data[start : start + BLOCK_SIZE]
            number = self._client._async_request(
                type(None), protocol.CMD_WRITE, self._handle, offset_of(offset + start), block
            )
            self._outstanding.append(number)

    def drain(self) -> None:
        """Wait until every write is answered."""
        while self._outstanding:
            self._read_answer()

    def flush(self) -> None:
        """Make the server flush the file to disk, after all earlier writes. Needs ``fsync@openssh.com``."""
        self.drain()
        request(self._client, protocol.CMD_EXTENDED, "fsync@openssh.com", self._handle)

    def close(self) -> None:
        """Close the file, whatever happened to it before."""
        request(self._client, protocol.CMD_CLOSE, self._handle)

    def let_go(self) -> None:
        """Close the file without waiting for the answer: nothing was written to it that could still fail."""
        let_go(self._client, self._handle)

    def _read_answer(self) -> None:
        translate(self._client._read_response, self._outstanding.popleft())
