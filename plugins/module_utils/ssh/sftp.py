# Copyright (c) 2026, Netboot Syncer contributors
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
import re
import socket
import stat
import threading
import typing as t

from ..assets.entries import DIRECTORY, FILE, OTHER, SYMLINK, Entry
from ..errors import SyncError
from .bounds import MAX_PACKET

try:
    from paramiko import sftp as protocol
    from paramiko.message import Message
    from paramiko.sftp import SFTPError
    from paramiko.sftp_attr import SFTPAttributes
    from paramiko.sftp_client import SFTPClient
    from paramiko.ssh_exception import SSHException

    try:
        from paramiko.sftp import int64
    except ImportError:  # before paramiko 3.0, such as Debian 12's
        from paramiko.py3compat import long as int64  # type: ignore[import-not-found,no-redef]
except ImportError:  # reported by the module, with missing_required_lib
    SFTPClient = object  # type: ignore[assignment,misc]
    SFTPError = SSHException = Exception  # type: ignore[assignment,misc]

SFTP_ERRORS = (OSError, EOFError, SSHException)  # what a call raises: it was refused, or the line broke
BLOCK_SIZE = 32 * 1024  # bytes in one request; every server takes and gives this much
WINDOW = 128  # requests under way at once: 4 MiB, enough for 100 Mbit/s at 300 ms
MAX_ENTRIES = 100_000  # in all listings of one tree together
MAX_NAMES = 16 * 1024 * 1024  # bytes of their paths and targets together
MAX_PATH = 4096  # bytes; what Linux takes
_READ_ONLY = 1  # SSH_FXE_STATVFS_ST_RDONLY
_LINKS = re.compile(rb"[-dlbcps][-rwxsStT]{9}\S?\s+([0-9]{1,9})\s")
_KINDS = {stat.S_IFREG: FILE, stat.S_IFDIR: DIRECTORY, stat.S_IFLNK: SYMLINK}


@dataclasses.dataclass(frozen=True)
class Space:
    """Room in a file system: the bytes that users other than root can still fill, and what else stands against it."""

    available: int
    no_more_files: bool = False
    read_only: bool = False
    file_system: int | None = None  # its number; None where none is stated


class NoSftp(SFTPError):
    """What came is text, where SFTP was to begin; ``text`` is its start."""

    def __init__(self, text: bytes) -> None:
        super().__init__("what it says is not SFTP")
        self.text = text.decode("utf-8", "replace")


class BoundedClient(SFTPClient):
    """paramiko's client, but for what it believes of the server: the size of a packet, and answers to no question."""

    # paramiko's own, which its type stubs leave out
    _read_all: t.Callable[[int], bytes]
    _convert_status: t.Callable[[Message], None]
    _lock: threading.Lock
    _expecting: t.MutableMapping[int, t.Any]

    def _send_version(self) -> int:
        try:
            return super()._send_version()  # type: ignore[misc,no-any-return]
        except EOFError:
            text = self._at_hand()  # it ended before it was asked, and may have said why
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
        """Return the start of what else is said within a moment."""
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
            # paramiko marks a question that expects no answer with this very type.
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


class Budget:
    """How much all listings of one tree may come to, so that a listing without end has one."""

    def __init__(self, entries: int = MAX_ENTRIES, names: int = MAX_NAMES) -> None:
        self._entries = entries
        self._names = names

    def take(self, directory: str, size: int) -> None:
        """Count an entry whose names have ``size`` bytes. Raises :class:`SyncError`."""
        self._entries -= 1
        self._names -= size
        if self._entries < 0 or self._names < 0:
            raise SyncError(
                f"there is no end to its listing: more than {MAX_ENTRIES} entries, or {MAX_NAMES} bytes of names",
                path=directory,
                remedy="Look there for what is no asset, and move it out of the tree; or test the file system.",
            )


def names_in(answer: Message, directory: str, budget: Budget) -> t.Iterator[tuple[str, bytes, SFTPAttributes]]:
    """Yield the names in one answer of a listing, with the form that is made for people, and what is told of them."""
    # Each answer has to bring something, or it would count for nothing and could be repeated for ever.
    for _index in range(max(answer.get_int(), 1)):
        raw = answer.get_string()
        budget.take(directory, len(raw) + len(directory))
        long_form = answer.get_string()
        attributes = SFTPAttributes._from_msg(answer)  # type: ignore[attr-defined]
        if raw in (b"", b".", b"..") or b"/" in raw or b"\0" in raw or len(raw) > MAX_PATH:
            continue
        yield os.fsdecode(raw), long_form, attributes


def entry_of(path: str, found: SFTPAttributes, target: str = "") -> Entry:
    """Return what attributes say of a path; ``target`` is where a symlink leads."""
    return Entry(
        path=path,
        kind=_KINDS.get(stat.S_IFMT(found.st_mode or 0), OTHER),
        size=found.st_size or 0,
        mtime=int(found.st_mtime or 0),
        target=target,
        mode=stat.S_IMODE(found.st_mode or 0),
    )


def target_in(answer: Message) -> str:
    """Return where a symlink leads, by the answer to that question."""
    target = answer.get_string() if answer.get_int() == 1 else b""
    return os.fsdecode(target) if len(target) <= MAX_PATH else ""


class Sftp:
    """The file operations of one caching server. Raises :class:`OSError` with the server's words."""

    def __init__(self, client: t.Any) -> None:
        self._client = client

    @property
    def client(self) -> t.Any:
        """paramiko's client, for what is asked of it at once."""
        return self._client

    # Looking

    def look(self, path: str) -> Entry | None:
        """Return what a path is, symlinks not followed, or None where it is not there."""
        try:
            found = translate(self._client.lstat, os.fsencode(path))
        except FileNotFoundError:
            return None
        return self._entry(path, found, path)

    def list(self, directory: str, budget: Budget | None = None) -> builtins.list[Entry]:
        """Return the entries of a directory, ``path`` being their plain names. Raises :class:`SyncError` if endless.

        What no file system can hold as a name is left out.
        """
        budget = budget or Budget()
        found = []
        for name, _long_form, attributes in self._names(directory, budget):
            entry = self._entry(name, attributes, f"{directory}/{name}")
            budget.take(directory, len(entry.target))
            found.append(entry)
        return found

    def links(self, directory: str, name: str) -> int | None:
        """Return how many names a file has, or None where the server does not tell.

        OpenSSH tells it in what it writes for people, and nowhere else.
        """
        for found, long_form, _attributes in self._names(directory, Budget()):
            if found == name:
                stated = _LINKS.match(long_form)
                return int(stated.group(1)) if stated else None
        return None

    def _names(self, directory: str, budget: Budget) -> t.Iterator[tuple[str, bytes, SFTPAttributes]]:
        """Yield the names in a directory, with the form that is made for people, and what is told of them."""
        _unused, answer = self._request(protocol.CMD_OPENDIR, os.fsencode(directory))
        handle = answer.get_binary()
        try:
            while True:
                try:
                    _unused, answer = self._request(protocol.CMD_READDIR, handle)
                except EOFError:
                    break
                yield from names_in(answer, directory, budget)
        finally:
            with contextlib.suppress(*SFTP_ERRORS):  # what was found counts, or why that went wrong
                let_go(self._client, handle)

    def _entry(self, path: str, found: SFTPAttributes, full: str) -> Entry:
        entry = entry_of(path, found)
        if entry.kind == SYMLINK:
            _unused, answer = self._request(protocol.CMD_READLINK, os.fsencode(full))
            return dataclasses.replace(entry, target=target_in(answer))
        return entry

    def owner_and_mode(self, path: str) -> tuple[int | None, int | None]:
        """Return the owner's number and the permissions of what a path leads to, None for what is not told."""
        found = translate(self._client.stat, os.fsencode(path))
        return found.st_uid, None if found.st_mode is None else stat.S_IMODE(found.st_mode)

    def real_path(self, path: str) -> str:
        """Return a path without symlinks and dots."""
        _unused, answer = self._request(protocol.CMD_REALPATH, os.fsencode(path))
        return os.fsdecode(answer.get_string()) if answer.get_int() == 1 else path

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
        number, flags = answer.get_int64(), answer.get_int64()
        return Space(
            available=fragment * available,
            # a file system that makes inodes as it needs them states no number of them
            no_more_files=files > 0 and files_available == 0,
            read_only=bool(flags & _READ_ONLY),
            file_system=number or None,
        )

    # Reading and writing

    def blocks(self, path: str, size: int) -> t.Iterator[bytes]:
        """Yield the content of a file of ``size`` bytes; of a longer one, not much more than that."""
        handle = self.open(path, protocol.SFTP_FLAG_READ)
        try:
            yield from handle.blocks(size)
        finally:
            handle.let_go()

    def read(self, path: str, size: int) -> bytes:
        """Return the content of a small file of ``size`` bytes; of a longer one, only its start."""
        return b"".join(self.blocks(path, size))[: size + 1]

    def write(self, path: str, content: bytes) -> None:
        """Make a small file with this content, where there is none yet."""
        handle = self.create(path, exclusive=True)
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
            handle.let_go()

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
        """Yield the content from its beginning; it is asked for in advance as far as ``size`` bytes.

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
        """Return what was asked for, or nothing at the end of the file."""
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
        """Take an answer; paramiko calls this for whom the question was asked by."""
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
        """Have the server write the file to disk, after all writes before. Needs ``fsync@openssh.com``."""
        self.drain()
        _request(self._client, protocol.CMD_EXTENDED, "fsync@openssh.com", self._handle)

    def close(self) -> None:
        """Close the file, whatever happened to it before."""
        _request(self._client, protocol.CMD_CLOSE, self._handle)

    def let_go(self) -> None:
        """Close the file, and do not wait for the answer: nothing was written to it that could still fail."""
        let_go(self._client, self._handle)

    def _read_answer(self) -> None:
        translate(self._client._read_response, self._outstanding.popleft())


def offset_of(number: int) -> int:
    """Return a number of bytes in the form of which paramiko makes the eight bytes that the protocol wants."""
    return int64(number)


def let_go(client: t.Any, handle: bytes) -> None:
    """Have what was only read, or listed, closed; the answer tells nothing that anybody would wait for."""
    # By this type, paramiko marks a question whose answer nobody wants.
    translate(client._async_request, type(None), protocol.CMD_CLOSE, handle)


def _request(client: t.Any, kind: int, *arguments: t.Any) -> tuple[int, Message]:
    answer: tuple[int, Message] = translate(client._request, kind, *arguments)
    return answer


def translate(call: t.Callable[..., t.Any], *arguments: t.Any) -> t.Any:
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
