# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""paramiko's SFTP client, with limits on what it trusts from a server, and distinct errors."""

from __future__ import annotations

import contextlib
import errno
import socket
import threading
import typing as t

from ..errors import SyncError
from .bounds import MAX_PACKET

try:
    from paramiko import sftp as protocol
    from paramiko.message import Message
    from paramiko.sftp import SFTPError
    from paramiko.sftp_client import SFTPClient
    from paramiko.ssh_exception import SSHException

    try:
        from paramiko.sftp import int64
    except ImportError:  # before paramiko 3.0, such as Debian 12's
        from paramiko.py3compat import long as int64  # type: ignore[import-not-found,no-redef]
except ImportError:  # reported by the module, with missing_required_lib
    SFTPClient = object  # type: ignore[assignment,misc]
    SFTPError = SSHException = Exception  # type: ignore[assignment,misc]

SFTP_ERRORS = (OSError, EOFError, SSHException)  # what a call raises: it was refused, or the connection was lost


class NoSftp(SFTPError):
    """Text arrived where SFTP should begin; ``text`` is its start."""

    def __init__(self, text: bytes) -> None:
        super().__init__("what it says is not SFTP")
        self.text = text.decode("utf-8", "replace")


class BoundedClient(SFTPClient):
    """paramiko's client, except for what it trusts from the server: the size of a packet, and unsolicited answers."""

    # paramiko's own, which its type stubs leave out
    _read_all: t.Callable[[int], bytes]
    _convert_status: t.Callable[[Message], None]
    _lock: threading.Lock
    _expecting: t.MutableMapping[int, t.Any]

    def _send_version(self) -> int:
        try:
            return super()._send_version()  # type: ignore[misc,no-any-return]
        except EOFError:
            text = self._at_hand()  # it ended before the request, and may have printed why
            if text:
                raise NoSftp(text) from None
            raise

    def _read_packet(self) -> tuple[int, bytes]:
        header = self._read_all(4)
        size = int.from_bytes(header, "big")
        if not 0 < size <= MAX_PACKET:
            if self.request_number == 1:
                raise NoSftp(header + self._at_hand())
            raise self._nonsense("a packet larger than any may be" if size else "an empty packet")
        data = self._read_all(size)
        return data[0], data[1:]

    def _at_hand(self) -> bytes:
        """Return the start of any further output within a moment."""
        text = b""
        with contextlib.suppress(socket.timeout, TimeoutError, OSError):
            self.sock.settimeout(0.5)
            while len(text) < 200 and (block := self.sock.recv(200 - len(text))):
                text += block
        return text

    def _read_response(self, waitfor: int | None = None) -> tuple[int | None, Message | None]:
        try:
            kind, data = self._read_packet()
        except EOFError as error:
            raise SSHException("the channel ended") from error
        answer = Message(data)
        number = answer.get_int()
        while number != waitfor:
            with self._lock:
                asked_by = self._expecting.pop(number, None)
            if asked_by is None:
                raise self._nonsense("an answer to no question")
            # paramiko marks a request that expects no answer with this type.
            if asked_by not in (None, type(None)):
                asked_by._async_response(kind, answer, number)
            if waitfor is None:
                return None, None
            kind, data = self._read_packet()
            answer = Message(data)
            number = answer.get_int()
        with self._lock:
            self._expecting.pop(number, None)
        if kind == protocol.CMD_STATUS:
            self._convert_status(answer)
        return kind, answer

    def _nonsense(self, what: str) -> SyncError:
        self.sock.close()
        return SyncError(f"its SFTP server sends {what}", remedy="Look at the SFTP server there.")


def request(client: t.Any, kind: int, *arguments: t.Any) -> tuple[int, Message]:
    """Ask the server for something, and return its answer. Raises :class:`OSError` with its words."""
    answer: tuple[int, Message] = translate(client._request, kind, *arguments)
    return answer


def let_go(client: t.Any, what: bytes, how: int | None = None) -> None:
    """Close a handle of what was only read, or listed, or do something else whose answer is not worth waiting for."""
    # With this type, paramiko marks a request whose answer nobody needs.
    translate(client._async_request, type(None), protocol.CMD_CLOSE if how is None else how, what)


def offset_of(number: int) -> int:
    """Return a number of bytes in the form that paramiko encodes as the eight bytes of the protocol."""
    return int64(number)


def translate(call: t.Callable[..., t.Any], *arguments: t.Any) -> t.Any:
    """Give a number to errors that SFTP version 3 has no code for, so that the server's words are not lost."""
    try:
        return call(*arguments)
    except OSError as error:
        if str(error) == "Socket is closed":
            # paramiko's words for a channel that ended under us: not an error of the server about a file
            raise SSHException("the channel is closed") from error
        # before Python 3.10, socket.timeout is not a TimeoutError, and a missing answer must not look like a refusal
        if error.errno is None and not isinstance(error, (TimeoutError, socket.timeout)):
            raise OSError(errno.EIO, str(error) or "failure") from error
        raise
