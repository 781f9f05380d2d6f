# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""SFTP over a paramiko session, with operations that paramiko's client has no public call for.

Names are :func:`os.fsdecode` strings, as everywhere here, so that every name that a file system can hold is kept:
paramiko itself decodes listings as strict UTF-8. The extensions ``fsync``, ``statvfs``, ``hardlink`` and
``posix-rename`` are OpenSSH's (its file ``PROTOCOL``, section 4). A failed pipelined write is reported here; paramiko
drops outstanding answers when a file is closed.
"""

from __future__ import annotations

import builtins
import contextlib
import dataclasses
import os
import stat
import typing as t

from ..assets.entries import SYMLINK, Entry
from .open_file import OpenFile
from .sftp_client import SFTP_ERRORS, let_go, request, translate
from .sftp_names import Budget, entry_of, links_in, names_in, target_in

try:
    from paramiko import sftp as protocol
    from paramiko.message import Message
    from paramiko.sftp_attr import SFTPAttributes
except ImportError:  # reported by the module, with missing_required_lib
    pass

_READ_ONLY = 1  # SSH_FXE_STATVFS_ST_RDONLY


@dataclasses.dataclass(frozen=True)
class Space:
    """Room in a file system: the bytes that users other than root can still use, and other obstacles to writing."""

    available: int
    no_more_files: bool = False
    read_only: bool = False
    file_system: int | None = None  # its number; None if none is stated


class Sftp:
    """The file operations of one caching server. Raises :class:`OSError` with the server's words."""

    def __init__(self, client: t.Any) -> None:
        self._client = client

    @property
    def client(self) -> t.Any:
        """paramiko's client, for concurrent requests."""
        return self._client

    # Looking

    def look(self, path: str) -> Entry | None:
        """Return what a path is, symlinks not followed, or None if it is not there."""
        try:
            found = translate(self._client.lstat, os.fsencode(path))
        except FileNotFoundError:
            return None
        return self._entry(path, found, path)

    def list(self, directory: str, budget: Budget | None = None) -> builtins.list[Entry]:
        """Return the entries of a directory, ``path`` being their plain names. Raises :class:`SyncError` if endless.

        Names that no file system can hold are left out.
        """
        budget = budget or Budget()
        found = []
        for name, _long_form, attributes in self._names(directory, budget):
            entry = self._entry(name, attributes, f"{directory}/{name}")
            budget.take(directory, len(entry.target))
            found.append(entry)
        return found

    def links(self, directory: str, name: str) -> int | None:
        """Return how many names a file has, or None if the server does not tell."""
        for found, long_form, _attributes in self._names(directory, Budget()):
            if found == name:
                return links_in(long_form)
        return None

    def _names(self, directory: str, budget: Budget) -> t.Iterator[tuple[str, bytes, SFTPAttributes]]:
        """Yield the names in a directory, with their human-readable lines and their attributes."""
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
            with contextlib.suppress(*SFTP_ERRORS):  # the findings count, or the error
                let_go(self._client, handle)

    def _entry(self, path: str, found: SFTPAttributes, full: str) -> Entry:
        entry = entry_of(path, found)
        if entry.kind == SYMLINK:
            _unused, answer = self._request(protocol.CMD_READLINK, os.fsencode(full))
            return dataclasses.replace(entry, target=target_in(answer))
        return entry

    def owner_and_mode(self, path: str) -> tuple[int | None, int | None]:
        """Return the owner's id and the permissions of what a path leads to, None for unknown values."""
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
        """Return the room in the file system that holds ``path``, or None if the server does not tell."""
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
            # a file system that creates inodes on demand states no number of them
            no_more_files=files > 0 and files_available == 0,
            read_only=bool(flags & _READ_ONLY),
            file_system=number or None,
        )

    # Reading and writing

    def blocks(self, path: str, size: int) -> t.Iterator[bytes]:
        """Yield the content of a file of ``size`` bytes; for a longer one, not much more than that."""
        handle = self.open(path, protocol.SFTP_FLAG_READ)
        try:
            yield from handle.blocks(size)
        finally:
            handle.let_go()

    def read(self, path: str, size: int) -> bytes:
        """Return the content of a small file of ``size`` bytes; for a longer one, only its start."""
        return b"".join(self.blocks(path, size))[: size + 1]

    def write(self, path: str, content: bytes) -> None:
        """Create a small file with this content, if there is none yet."""
        handle = self.create(path, exclusive=True)
        try:
            handle.write(0, content)
            handle.drain()
        finally:
            handle.close()

    def open(self, path: str, flags: int) -> OpenFile:
        """Open a file; ``flags`` are the protocol's ``SFTP_FLAG_*``."""
        _unused, answer = self._request(protocol.CMD_OPEN, os.fsencode(path), flags, SFTPAttributes())
        return OpenFile(self._client, answer.get_binary())

    def create(self, path: str, *, exclusive: bool = False) -> OpenFile:
        """Create a file, or truncate an existing one; with ``exclusive``, refuse if one exists."""
        last = protocol.SFTP_FLAG_EXCL if exclusive else protocol.SFTP_FLAG_TRUNC
        return self.open(path, protocol.SFTP_FLAG_WRITE | protocol.SFTP_FLAG_CREATE | last)

    def update(self, path: str) -> OpenFile:
        """Open an existing file for writing."""
        return self.open(path, protocol.SFTP_FLAG_WRITE)

    def flush(self, path: str) -> None:
        """Make the server flush a file, or a directory, to disk. On Linux a descriptor open for reading works for
        both."""
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
        """Rename, but never over something that exists."""
        self._request(protocol.CMD_RENAME, os.fsencode(old), os.fsencode(new))

    def hard_link(self, path: str, name: str) -> None:
        """Give a file a second name."""
        self._request(protocol.CMD_EXTENDED, "hardlink@openssh.com", os.fsencode(path), os.fsencode(name))

    def symlink(self, target: str, name: str) -> None:
        """Make a symlink. OpenSSH has the two arguments in this order, contrary to the draft of the protocol."""
        self._request(protocol.CMD_SYMLINK, os.fsencode(target), os.fsencode(name))

    def remove(self, path: str) -> None:
        """Remove a file."""
        self._request(protocol.CMD_REMOVE, os.fsencode(path))

    def remove_directory(self, path: str) -> None:
        """Remove an empty directory."""
        self._request(protocol.CMD_RMDIR, os.fsencode(path))

    def let_directory_go(self, path: str) -> None:
        """Have an empty directory removed, without waiting for the answer."""
        let_go(self._client, os.fsencode(path), protocol.CMD_RMDIR)

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
        return request(self._client, kind, *arguments)
