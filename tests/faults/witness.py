# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sees every change of a caching server's tree as the kernel reports it (inotify(7)), however short-lived.

A client that polls can miss what lasts only some milliseconds. The witness misses nothing, and checks three rules: a
file gets its final name by a rename and in no other way; it is never written under that name; and nothing that a
visible marker promises is taken away, nor a marker without a reason.
"""

from __future__ import annotations

import ctypes
import errno
import os
import select
import struct
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from tests.lab.client import Kind, Violation
from tests.lab.ledger import Ledger, MarkerError, closure_of

MODIFY, ATTRIB, CLOSE_WRITE, MOVED_FROM, MOVED_TO, CREATE, DELETE = 0x2, 0x4, 0x8, 0x40, 0x80, 0x100, 0x200
ISDIR, OVERFLOW, IGNORED, ONLYDIR = 0x40000000, 0x4000, 0x8000, 0x01000000
VISIBLE = CREATE | MODIFY | CLOSE_WRITE | MOVED_FROM | MOVED_TO | DELETE
HIDDEN = CREATE | CLOSE_WRITE | ATTRIB | MOVED_FROM | MOVED_TO | DELETE  # no MODIFY: a transfer has one per write
GRACE = 5.0  # seconds before publication, in which the run may have missed a change of the source
_HEADER = struct.Struct("iIII")


class Witness:
    """Watches the tree *root* of the caching server *site* in a thread of its own.

    :arg ledger: what the netboot server has held.
    :arg damaged: returns the paths that the laboratory itself has damaged on the caching server so far.
    :arg blame: called with each violation.
    """

    def __init__(
        self,
        site: str,
        root: Path,
        ledger: Ledger,
        *,
        damaged: Callable[[], Iterable[str]],
        blame: Callable[[Violation], None],
    ) -> None:
        self.site = site
        self.root = root
        self.ledger = ledger
        self.steps = 0  # how many changes it has seen so far, hidden ones included
        self._damaged = damaged
        self._blame = blame
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._inotify = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._inotify < 0:
            raise OSError(ctypes.get_errno(), "inotify_init1")
        self._directories: dict[int, str] = {}  # watch descriptor to relative path
        self._published: dict[str, tuple[float, list[str]]] = {}  # marker: since when, and what it promises
        self._stop_read, self._stop_write = os.pipe()
        self._trouble: BaseException | None = None
        self._watch("")
        self._thread = threading.Thread(target=self._run, name=f"witness {site}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop watching; an exception of the thread is raised here."""
        os.write(self._stop_write, b"s")
        self._thread.join()
        for descriptor in (self._inotify, self._stop_read, self._stop_write):
            os.close(descriptor)
        if self._trouble is not None:
            raise self._trouble

    def _run(self) -> None:
        try:
            while self._stop_read not in select.select([self._inotify, self._stop_read], [], [])[0]:
                self._read()
        except BaseException as exc:  # noqa: BLE001  # raised again by stop()
            self._trouble = exc

    def _read(self) -> None:
        events = os.read(self._inotify, 256 * 1024)
        while events:
            watch, mask, _cookie, length = _HEADER.unpack_from(events)
            name = os.fsdecode(events[_HEADER.size : _HEADER.size + length].rstrip(b"\0"))
            events = events[_HEADER.size + length :]
            if mask & OVERFLOW:
                raise OverflowError("more changes at once than the kernel's queue can hold")
            if mask & IGNORED:
                self._directories.pop(watch, None)
            elif watch in self._directories:
                self.steps += 1
                self._see(os.path.join(self._directories[watch], name), mask)

    def _watch(self, directory: str) -> None:
        """Watch a directory and all below it."""
        full = os.fsencode(self.root / directory)
        mask = HIDDEN if _hidden(directory) else VISIBLE
        watch = self._libc.inotify_add_watch(self._inotify, full, mask | ONLYDIR)
        if watch < 0:
            return  # gone already
        self._directories[watch] = directory
        try:
            below = [entry.name for entry in os.scandir(full) if entry.is_dir(follow_symlinks=False)]
        except OSError as exc:
            if exc.errno not in (errno.ENOENT, errno.ESTALE):  # gone in the meantime; FUSE reports the latter
                raise
            return
        for name in below:
            self._watch(os.path.join(directory, os.fsdecode(name)))

    def _see(self, path: str, mask: int) -> None:
        if mask & ISDIR:
            if mask & (CREATE | MOVED_TO):
                self._watch(path)
            return
        if _hidden(path):
            return
        if mask & (CREATE | MODIFY | CLOSE_WRITE) and not self._is_damaged(path):
            how = "was made or linked there" if mask & CREATE else "was written in place"
            self._tell("in place", path, f"{how}, not renamed into it")
        if mask & MOVED_TO:
            self._came(path)
        if mask & (MOVED_FROM | DELETE):
            self._went(path)

    def _came(self, path: str) -> None:
        squashfs = self.ledger.markers().get(path)
        if squashfs is None:
            return
        try:
            self._published[path] = (time.monotonic(), closure_of((self.root / path).read_bytes(), squashfs))
        except (MarkerError, OSError):
            self._published.pop(path, None)  # the content of markers is for the client to judge

    def _is_damaged(self, path: str) -> bool:
        """Whether the laboratory has damaged it, whatever its spelling: the disk may fold names."""
        return path.casefold() in (one.casefold() for one in self._damaged())

    def _went(self, path: str) -> None:
        for marker, (_since, closure) in list(self._published.items()):
            if path in closure and (self.root / marker).exists() and not (self.root / path).exists():
                self._tell("missing", path, f"was taken away while {marker} was visible")
        since, closure = self._published.pop(path, (None, []))
        if since is None or (self.root / path).exists():
            return
        if any(self._is_damaged(part) for part in [path, *closure]):
            return
        self.ledger.snapshot()
        if self.ledger.unchanged_since([path, *closure], since - GRACE):
            self._tell("withdrawn", path, "was withdrawn, though the netboot server holds it unchanged")

    def _tell(self, kind: Kind, path: str, detail: str) -> None:
        self._blame(Violation(self.site, kind, path, detail))


def _hidden(path: str) -> bool:
    return any(part.startswith(".") for part in path.split("/"))
