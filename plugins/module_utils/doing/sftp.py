# Copyright: (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""SFTP over a paramiko session, with what paramiko's client has no public call for.

Names are :func:`os.fsdecode` strings, as everywhere here, so that every name that a file system can hold is kept:
paramiko itself decodes listings as strict UTF-8. The extensions ``fsync``, ``statvfs``, ``hardlink`` and
``posix-rename`` are OpenSSH's (its file ``PROTOCOL``, section 4). A failed pipelined write is reported here; paramiko
drops the answers that are outstanding when a file is closed.
"""

from __future__ import annotations

import builtins
import collections
import contextlib
import dataclasses
import errno
import os
import socket
import stat
import typing as t

from ..deciding.assets import DIRECTORY, FILE, OTHER, SYMLINK, Entry

try:
    from paramiko import sftp as protocol
    from paramiko.message import Message
    from paramiko.sftp import int64
    from paramiko.sftp_attr import SFTPAttributes
    from paramiko.ssh_exception import SSHException
except ImportError:  # reported by the module, with missing_required_lib
    pass

BLOCK_SIZE = 32 * 1024  # bytes in one request; every server takes and gives this much
WINDOW = 128  # requests under way at once: 4 MiB, enough for 100 Mbit/s at 300 ms
_READ_ONLY = 1  # SSH_FXE_STATVFS_ST_RDONLY
_KINDS = {stat.S_IFREG: FILE, stat.S_IFDIR: DIRECTORY, stat.S_IFLNK: SYMLINK}


@dataclasses.dataclass(frozen=True)
class Space:
    """Room in a file system: the bytes that users other than root can still fill, and what else stands against it."""

    available: int
    no_more_files: bool = False
    read_only: bool = False


class Sftp:
    """The file operations of one caching server. Raises :class:`OSError` with the server's words."""

    def __init__(self, client: t.Any) -> None:
        self._client = client

    # Looking

    def look(self, path: str) -> Entry | None:
        """Return what a path is, symlinks not followed, or None where it is not there."""
        try:
            found = _translate(self._client.lstat, os.fsencode(path))
        except FileNotFoundError:
            return None
        return self._entry(path, found, path)

    def list(self, directory: str) -> builtins.list[Entry]:
        """Return the entries of a directory, ``path`` being their plain names."""
        _unused, answer = self._request(protocol.CMD_OPENDIR, os.fsencode(directory))
        handle = answer.get_binary()
        found = []
        try:
            while True:
                try:
                    _unused, answer = self._request(protocol.CMD_READDIR, handle)
                except EOFError:
                    break
                for _index in range(answer.get_int()):
                    name = os.fsdecode(answer.get_string())
                    answer.get_string()  # the long form, made for people
                    attributes = SFTPAttributes._from_msg(answer)  # type: ignore[attr-defined]
                    if name not in (".", ".."):
                        found.append(self._entry(name, attributes, f"{directory}/{name}"))
        finally:
            self._request(protocol.CMD_CLOSE, handle)
        return found

    def _entry(self, path: str, found: SFTPAttributes, full: str) -> Entry:
        kind = _KINDS.get(stat.S_IFMT(found.st_mode or 0), OTHER)
        return Entry(
            path=path,
            kind=kind,
            size=found.st_size or 0,
            mtime=int(found.st_mtime or 0),
            target=self._read_link(full) if kind == SYMLINK else "",
            mode=stat.S_IMODE(found.st_mode or 0),
        )

    def _read_link(self, path: str) -> str:
        _unused, answer = self._request(protocol.CMD_READLINK, os.fsencode(path))
        return os.fsdecode(answer.get_string()) if answer.get_int() == 1 else ""

    def resolve(self, path: str) -> str:
        """Return the absolute path of what a path leads to."""
        _unused, answer = self._request(protocol.CMD_REALPATH, os.fsencode(path))
        return os.fsdecode(answer.get_string()) if answer.get_int() == 1 else ""

    def space(self, path: str) -> Space | None:
        """Return the room in the file system that holds ``path``, or None where the server does not tell."""
        try:
            _unused, answer = self._request(protocol.CMD_EXTENDED, "statvfs@openssh.com", os.fsencode(path))
        except OSError:
            return None
        _block_size, fragment = answer.get_int64(), answer.get_int64()
        _blocks, _free, available = answer.get_int64(), answer.get_int64(), answer.get_int64()
        files, _free, files_available = answer.get_int64(), answer.get_int64(), answer.get_int64()
        _id, flags = answer.get_int64(), answer.get_int64()
        return Space(
            available=fragment * available,
            # a file system that makes inodes as it needs them states no number of them
            no_more_files=files > 0 and files_available == 0,
            read_only=bool(flags & _READ_ONLY),
        )

    # Reading and writing

    def blocks(self, path: str, size: int) -> t.Iterator[bytes]:
        """Yield the content of a file of about ``size`` bytes, to its end."""
        handle = self.open(path, protocol.SFTP_FLAG_READ)
        try:
            yield from handle.blocks(size)
        finally:
            handle.close()

    def read(self, path: str, size: int) -> bytes:
        """Return the content of a small file of ``size`` bytes."""
        return b"".join(self.blocks(path, size))

    def write(self, path: str, content: bytes) -> None:
        """Give a small file this content, whether it is there or not."""
        handle = self.create(path)
        try:
            handle.write(0, content)
            handle.drain()
        finally:
            handle.close()

    def open(self, path: str, flags: int) -> Handle:
        """Open a file; ``flags`` are the protocol's ``SFTP_FLAG_*``."""
        _unused, answer = self._request(protocol.CMD_OPEN, os.fsencode(path), flags, SFTPAttributes())
        return Handle(self._client, answer.get_binary())

    def create(self, path: str, *, exclusive: bool = False) -> Handle:
        """Create a file, or empty the one that is there; with ``exclusive``, refuse where one is there."""
        last = protocol.SFTP_FLAG_EXCL if exclusive else protocol.SFTP_FLAG_TRUNC
        return self.open(path, protocol.SFTP_FLAG_WRITE | protocol.SFTP_FLAG_CREATE | last)

    def update(self, path: str) -> Handle:
        """Open a file that is there for writing."""
        return self.open(path, protocol.SFTP_FLAG_WRITE)

    def flush(self, path: str) -> None:
        """Have the server write a file, or a directory, to disk. On Linux a descriptor open for reading serves both."""
        handle = self.open(path, protocol.SFTP_FLAG_READ)
        try:
            handle.flush()
        finally:
            handle.close()

    # Names

    def rename(self, old: str, new: str) -> None:
        """Rename in one step; what was under the new name is replaced."""
        self._request(protocol.CMD_EXTENDED, "posix-rename@openssh.com", os.fsencode(old), os.fsencode(new))

    def move(self, old: str, new: str) -> None:
        """Rename, but never over something that is there."""
        self._request(protocol.CMD_RENAME, os.fsencode(old), os.fsencode(new))

    def hard_link(self, path: str, name: str) -> None:
        """Give a file a second name."""
        self._request(protocol.CMD_EXTENDED, "hardlink@openssh.com", os.fsencode(path), os.fsencode(name))

    def symlink(self, target: str, name: str) -> None:
        """Make a symlink. OpenSSH has the two arguments in this order, against the draft of the protocol."""
        self._request(protocol.CMD_SYMLINK, os.fsencode(target), os.fsencode(name))

    def remove(self, path: str) -> None:
        """Remove a file."""
        self._request(protocol.CMD_REMOVE, os.fsencode(path))

    def remove_directory(self, path: str) -> None:
        """Remove an empty directory."""
        self._request(protocol.CMD_RMDIR, os.fsencode(path))

    def make_directory(self, path: str) -> None:
        """Make a directory."""
        self._request(protocol.CMD_MKDIR, os.fsencode(path), SFTPAttributes())

    def set_mode_and_time(self, path: str, mode: int, mtime: int) -> None:
        """Set permissions, and the time of the last change in seconds since the epoch."""
        attributes = SFTPAttributes()
        attributes.st_mode = mode
        attributes.st_atime = attributes.st_mtime = mtime
        self._request(protocol.CMD_SETSTAT, os.fsencode(path), attributes)

    def set_mode(self, path: str, mode: int) -> None:
        """Set permissions."""
        attributes = SFTPAttributes()
        attributes.st_mode = mode
        self._request(protocol.CMD_SETSTAT, os.fsencode(path), attributes)

    def _request(self, kind: int, *arguments: t.Any) -> tuple[int, Message]:
        return _request(self._client, kind, *arguments)


class Handle:
    """An open file on the caching server. Reads and writes are pipelined; every answer is read and its error raised.

    paramiko's own way to read ahead has a thread that, when the line breaks, prints a traceback or never ends.
    """

    def __init__(self, client: t.Any, handle: bytes) -> None:
        self._client = client
        self._handle = handle
        self._outstanding: collections.deque[int] = collections.deque()
        self._answers: dict[int, tuple[int, Message]] = {}

    def blocks(self, size: int) -> t.Iterator[bytes]:
        """Yield the content from its beginning to its end; it is asked for in advance as far as ``size`` bytes."""
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
            if len(block) < length:  # at the end, or as much as the server gives at once
                offset, length = offset + len(block), length - len(block)
                asked.appendleft((self._ask(offset, length), offset, length))
        for number, _offset, _length in asked:
            self._block(number)

    def _ask(self, offset: int, length: int) -> int:
        number: int = _translate(
            self._client._async_request, self, protocol.CMD_READ, self._handle, int64(offset), length
        )
        return number

    def _block(self, number: int) -> bytes:
        """Return what was asked for, or nothing at the end of the file."""
        while number not in self._answers:
            _translate(self._client._read_response)
        kind, answer = self._answers.pop(number)
        if kind == protocol.CMD_DATA:
            return bytes(answer.get_string())
        with contextlib.suppress(EOFError):
            _translate(self._client._convert_status, answer)
        return b""

    def _async_response(self, kind: int, answer: Message, number: int) -> None:
        """Take an answer; paramiko calls this for whom the question was asked by."""
        self._answers[number] = (kind, answer)

    def write(self, offset: int, data: bytes) -> None:
        """Write at ``offset`` bytes."""
        for start in range(0, len(data), BLOCK_SIZE):
            if len(self._outstanding) >= WINDOW:
                self._read_answer()
            block = data[start : start + BLOCK_SIZE]
            number = self._client._async_request(
                type(None), protocol.CMD_WRITE, self._handle, int64(offset + start), block
            )
            self._outstanding.append(number)

    def drain(self) -> None:
        """Wait until every write is answered."""
        while self._outstanding:
            self._read_answer()

    def flush(self) -> None:
        """Have the server write the file to disk, after all writes before. Needs ``fsync@openssh.com``."""
        self.drain()
        _request(self._client, protocol.CMD_EXTENDED, "fsync@openssh.com", self._handle)

    def close(self) -> None:
        """Close the file, whatever happened to it before."""
        _request(self._client, protocol.CMD_CLOSE, self._handle)

    def _read_answer(self) -> None:
        _translate(self._client._read_response, self._outstanding.popleft())


def _request(client: t.Any, kind: int, *arguments: t.Any) -> tuple[int, Message]:
    answer: tuple[int, Message] = _translate(client._request, kind, *arguments)
    return answer


def _translate(call: t.Callable[..., t.Any], *arguments: t.Any) -> t.Any:
    """Give the errors that SFTP version 3 has no code for a number, so that the server's word is not lost."""
    try:
        return call(*arguments)
    except OSError as error:
        if str(error) == "Socket is closed":
            # paramiko's words for a channel that ended under us: nothing that the server said of a file
            raise SSHException("the channel is closed") from error
        # before Python 3.10, socket.timeout is no TimeoutError, and no answer is not to look like a refusal
        if error.errno is None and not isinstance(error, (TimeoutError, socket.timeout)):
            raise OSError(errno.EIO, str(error) or "failure") from error
        raise
