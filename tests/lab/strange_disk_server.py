# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m tests.lab.strange_disk_server BACKING PATH QUIRKS``: what :mod:`tests.lab.strange_disk` starts.

Serves until its standard input ends, then unmounts. A line on it is an order, and each is answered by a line.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fnmatch
import json
import os
import stat
import sys
import threading
from collections.abc import Iterator
from typing import Any

import mfusepy

from .strange_disk import Quirks, folded

MNT_DETACH = 2  # umount2(2)
STAT_FIELDS = ("st_mode", "st_ino", "st_nlink", "st_uid", "st_gid", "st_size", "st_blocks")
SPACE_FIELDS = ("f_bsize", "f_frsize", "f_blocks", "f_bfree", "f_bavail", "f_files", "f_ffree", "f_favail", "f_namemax")
SECOND = 1_000_000_000  # ns
LARGE = 10_000  # bytes of one write; the lock and its like write less


class Passthrough(mfusepy.Operations):  # type: ignore[misc]  # it carries no types
    """The file system: paths begin with a slash, and are relative to *backing*."""

    use_ns = True

    def __init__(self, backing: str, quirks: Quirks) -> None:
        self._backing = backing
        self._quirks = quirks
        self._names: dict[int, str] = {}  # of what is open, by its descriptor
        self._hanging = ""  # a pattern; this one fits no name
        self._wake = threading.Condition()
        self._stale = 0  # how many writes are still to fail
        self.waiting = 0

    def init_with_config(self, conn_info: Any, config_3: Any) -> None:  # noqa: ARG002
        config_3.use_ino = True
        config_3.hard_remove = True  # no .fuse_hidden names
        config_3.nullpath_ok = True  # what was removed while it is open can still be read
        # another spelling may have changed what a name shows
        config_3.entry_timeout = config_3.negative_timeout = config_3.attr_timeout = 0.0

    def _real(self, path: str) -> str:
        """The path in the backing directory, in the spelling that is there; in the one given, where nothing is."""
        found = self._backing
        for name in path.split("/"):
            if name:
                found = f"{found}/{self._spelling(found, name)}"
        return found

    def _spelling(self, directory: str, name: str) -> str:
        if not self._quirks.folds or os.path.lexists(f"{directory}/{name}"):
            return name
        with contextlib.suppress(OSError):
            for there in os.listdir(directory):
                if folded(there) == folded(name):
                    return there
        return name

    def _as_given(self, path: str) -> str:
        """The same, but for the last name."""
        directory, _slash, name = path.rpartition("/")
        return f"{self._real(directory)}/{name}"

    def getattr(self, path: str, fh: int | None = None) -> dict[str, Any]:
        found = os.fstat(fh) if fh is not None else os.lstat(self._real(path))
        attributes: dict[str, Any] = {name: getattr(found, name) for name in STAT_FIELDS}
        step = self._quirks.time_step * SECOND or 1
        for name in ("st_atime", "st_mtime", "st_ctime"):
            attributes[name] = getattr(found, f"{name}_ns") // step * step
        if not self._quirks.keeps_ctime:
            attributes["st_ctime"] = attributes["st_mtime"]
        if self._quirks.modes != "kept" and not stat.S_ISLNK(found.st_mode):
            attributes["st_mode"] = stat.S_IFMT(found.st_mode) | 0o755
        return attributes

    def opendir(self, path: str) -> int:
        return os.open(self._real(path), os.O_RDONLY | os.O_DIRECTORY)

    def readdir(self, path: str, fh: int) -> Iterator[tuple[str, dict[str, int], int]]:  # noqa: ARG002
        here = os.fstat(fh)
        for name in (".", ".."):
            yield name, {"st_ino": here.st_ino, "st_mode": here.st_mode}, 0
        with os.scandir(fh) as entries:
            for entry in entries:
                with contextlib.suppress(FileNotFoundError):
                    mode = entry.stat(follow_symlinks=False).st_mode
                    yield entry.name, {"st_ino": entry.inode(), "st_mode": mode}, 0

    def releasedir(self, path: str, fh: int) -> int:  # noqa: ARG002
        os.close(fh)
        return 0

    def readlink(self, path: str) -> str:
        return os.readlink(self._real(path))

    def statfs(self, path: str) -> dict[str, int]:
        found = os.statvfs(self._real(path))
        return {name: getattr(found, name) for name in SPACE_FIELDS}

    def open(self, path: str, flags: int) -> int:
        return self._opened(path, flags & ~(os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW), 0)

    def create(self, path: str, mode: int, fi: Any = None) -> int:  # noqa: ARG002
        descriptor = self._opened(path, os.O_RDWR | os.O_CREAT, mode)
        self._give_away(self._real(path))
        return descriptor

    def _opened(self, path: str, flags: int, mode: int) -> int:
        descriptor = os.open(self._real(path), flags, mode)
        self._names[descriptor] = os.path.basename(path)
        return descriptor

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:  # noqa: ARG002
        with self._wake:
            self.waiting += 1
            self._wake.wait_for(lambda: not fnmatch.fnmatch(self._names[fh], self._hanging))
            self.waiting -= 1
        return os.pread(fh, size, offset)

    def write(self, path: str, data: bytes, offset: int, fh: int) -> int:  # noqa: ARG002
        if self._quirks.quota:
            more = max(offset + len(data) - os.fstat(fh).st_size, 0)
            if more and self._used() + more > self._quirks.quota:
                raise OSError(errno.EDQUOT, "quota")
        if self._stale and len(data) >= LARGE:
            self._stale -= 1
            raise OSError(errno.ESTALE, "stale")
        return os.pwrite(fh, data, offset)

    def _used(self) -> int:
        found = (os.path.join(above, name) for above, _unused, names in os.walk(self._backing) for name in names)
        return sum(os.lstat(path).st_size for path in found)

    def truncate(self, path: str, length: int, fh: int | None = None) -> int:
        os.truncate(fh if fh is not None else self._real(path), length)
        return 0

    def fsync(self, path: str, datasync: int, fh: int) -> int:  # noqa: ARG002
        os.fsync(fh)
        return 0

    def release(self, path: str, fh: int) -> int:  # noqa: ARG002
        os.close(fh)
        return 0

    def mkdir(self, path: str, mode: int) -> int:
        os.mkdir(self._real(path), mode)
        self._give_away(self._real(path))
        return 0

    def rmdir(self, path: str) -> int:
        os.rmdir(self._real(path))
        return 0

    def unlink(self, path: str) -> int:
        os.unlink(self._real(path))
        return 0

    def symlink(self, target: str, source: str) -> int:
        os.symlink(source, self._real(target))
        self._give_away(self._real(target))
        return 0

    def link(self, target: str, source: str) -> int:
        if not self._quirks.links:
            raise OSError(errno.EPERM, "no hard links")
        os.link(self._real(source), self._real(target), follow_symlinks=False)
        return 0

    def rename(self, old: str, new: str) -> int:
        source, target = self._real(old), self._real(new)
        if source == target:  # another spelling of its own name
            target = self._as_given(new)
        os.rename(source, target)
        if self._quirks.respells and target != self._as_given(new):
            os.rename(target, self._as_given(new))
        return 0

    def chmod(self, path: str, mode: int) -> int:
        if self._quirks.modes == "refused" and mode & 0o777 != 0o755:
            raise OSError(errno.EPERM, "no modes")
        if self._quirks.modes == "kept":
            os.chmod(self._real(path), mode)
        return 0

    def chown(self, path: str, uid: int, gid: int) -> int:
        os.chown(self._real(path), uid, gid, follow_symlinks=False)
        return 0

    def utimens(self, path: str, times: tuple[int, int] | None = None) -> int:
        if not self._quirks.sets_times:
            raise OSError(errno.EPERM, "no times")
        real = self._real(path)
        if times is None:
            os.utime(real, follow_symlinks=False)
        else:
            os.utime(real, ns=times, follow_symlinks=False)
        return 0

    @staticmethod
    def _give_away(real: str) -> None:
        """What a user makes is the user's, though this process is root's."""
        uid, gid, _pid = mfusepy.fuse_get_context()
        os.chown(real, uid, gid, follow_symlinks=False)

    def obey(self, order: str) -> str:
        """Do what the other side says. Returns the answer."""
        word, _space, rest = order.strip().partition(" ")
        with self._wake:
            if word == "waiting":
                return str(self.waiting)
            if word == "stale":
                self._stale = int(rest)
                return ""
            self._hanging = rest if word == "hang" else ""
            self._wake.notify_all()
        return "done"


def main(backing: str, path: str, quirks: str) -> None:
    """Serve until standard input ends."""
    operations = Passthrough(backing, Quirks(**json.loads(quirks)))

    def listen() -> None:
        for line in sys.stdin:
            sys.stdout.write(operations.obey(line) + "\n")
            sys.stdout.flush()
        # who still waits there, or has a file open, gets an error
        ctypes.CDLL(None).umount2(os.fsencode(path), MNT_DETACH)
        os._exit(0)

    threading.Thread(target=listen, daemon=True).start()
    mfusepy.FUSE(operations, path, foreground=True, allow_other=True, default_permissions=True, fsname="strange-disk")
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
