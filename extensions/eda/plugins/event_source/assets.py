# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Event source: a marker has appeared in the assets tree, and its image is there.

A burst is one event: it comes when the tree has been quiet for a while. Nothing is imported from the collection, since
an event source is loaded as a file; whether an image is really ready is decided by the sync that follows.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import json
import os
import struct
import time
from typing import Any

DOCUMENTATION = r"""
short_description: Tell when images have arrived in the assets tree of the netboot server
description:
  - Watches an assets tree with inotify; one on a network file system is polled.
  - The event is C({"assets": {"images": [...], "markers": [...], "removed": [...]}}), with paths relative to the tree.
  - It comes once for a burst, when nothing in the tree has changed for O(quiet) seconds, and for a marker only when its
    squashfs is whole.
options:
  path:
    description: The assets tree.
    type: str
    default: /srv/netboot/assets
  quiet:
    description: For how many seconds nothing may have changed.
    type: float
    default: 5
  most:
    description: After how many seconds the event comes although the tree is never quiet.
    type: float
    default: 300
  poll:
    description: How many seconds there are between two looks, where inotify cannot be had or where it is forced.
    type: float
    default: 10
  method:
    description: C(auto), C(inotify) or C(poll).
    type: str
    default: auto
  marker_names:
    description: How a marker may be named.
    type: list
    default: ["{stem}-kernel.json", "{stem}.json", "{stem}.squashfs.json"]
  at_start:
    description: Whether what is there at the start is told as well, for what arrived while nobody watched.
    type: bool
    default: false
"""

EXAMPLES = r"""
- netboot.syncer.assets:
    path: /srv/netboot/assets
    quiet: 5
"""

_SUFFIXES = (".squashfs", ".squash", ".sqsh", ".sqfs", ".sfs", ".img")
_MAGIC = b"hsqs"
_SUPERBLOCK = 96
_MARKER_SIZE = 1024 * 1024
_NETWORK = ("nfs", "cifs", "smb", "ceph", "gluster", "9p", "afs", "fuse", "lustre")
_NAMES = ["{stem}-kernel.json", "{stem}.json", "{stem}.squashfs.json"]

# modify, moved from and to, close after writing, create, delete, attributes; links are not followed
_MASK = 0x002 | 0x004 | 0x008 | 0x040 | 0x080 | 0x100 | 0x200 | 0x02000000
_FLAGS = os.O_NONBLOCK | os.O_CLOEXEC

Identity = tuple[int, int, int]


class Tree:
    """One look at the tree: its directories, its files without the hidden ones, and what changed them last."""

    def __init__(self, root: str) -> None:
        self.directories: list[str] = [root]
        self.files: dict[str, Identity] = {}
        for directory in self.directories:
            with contextlib.suppress(OSError), os.scandir(directory) as entries:
                for entry in entries:
                    if entry.name.startswith("."):
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        self.directories.append(entry.path)
                        continue
                    with contextlib.suppress(OSError):
                        found = entry.stat(follow_symlinks=True)
                        path = os.path.relpath(entry.path, root)
                        self.files[path] = (found.st_ino, found.st_size, found.st_mtime_ns)


class Watch:
    """What has arrived since it was told last."""

    def __init__(self, root: str, names: list[str], *, at_start: bool) -> None:
        self._root = root
        self._names = names
        self._told: dict[str, Identity] = {}
        self.tree = Tree(root)
        if not at_start:
            self._told = {marker: self.tree.files[marker] for marker in self._ready()}

    def look(self) -> bool:
        """Look again; return whether anything has changed since the last look."""
        before = self.tree
        self.tree = Tree(self._root)
        return before.files != self.tree.files

    def news(self) -> dict[str, list[str]] | None:
        """Return what has arrived or gone since the last call, or None."""
        ready = self._ready()
        new = sorted(marker for marker in ready if self._told.get(marker) != self.tree.files[marker])
        gone = sorted(self._told.keys() - self.tree.files.keys())
        if not new and not gone:
            return None
        for marker in gone:
            del self._told[marker]
        self._told.update((marker, self.tree.files[marker]) for marker in new)
        return {"images": sorted({ready[marker] for marker in new}), "markers": new, "removed": gone}

    def _ready(self) -> dict[str, str]:
        """Return the markers with a complete squashfs, each with the squashfs."""
        found = {}
        for path in self.tree.files:
            stem, suffix = os.path.splitext(path)
            if suffix.lower() not in _SUFFIXES:
                continue
            directory, name = os.path.split(stem)
            markers = [os.path.join(directory, one.replace("{stem}", name)) for one in self._names]
            shown = [marker for marker in markers if marker in self.tree.files and self._is_marker(marker)]
            if shown and self._is_whole(path):
                found.update(dict.fromkeys(shown, path))
        return found

    def _is_marker(self, path: str) -> bool:
        try:
            with open(os.path.join(self._root, path), "rb") as file:
                return isinstance(json.loads(file.read(_MARKER_SIZE)), dict)
        except (OSError, ValueError, RecursionError):
            return False

    def _is_whole(self, path: str) -> bool:
        try:
            with open(os.path.join(self._root, path), "rb") as file:
                head = file.read(_SUPERBLOCK)
                size = os.fstat(file.fileno()).st_size
        except OSError:
            return False
        return len(head) == _SUPERBLOCK and head[:4] == _MAGIC and struct.unpack_from("<Q", head, 40)[0] <= size


class Inotify:
    """Reports that something changed in directories. Raises :class:`OSError` if it is not available."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._descriptor = self._libc.inotify_init1(_FLAGS)
        if self._descriptor < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        self.changed = asyncio.Event()
        asyncio.get_running_loop().add_reader(self._descriptor, self._read)

    def _read(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while os.read(self._descriptor, 65536):
                self.changed.set()

    def watch(self, directories: list[str]) -> None:
        """Watch these as well; one that is watched already stays so."""
        for directory in directories:
            if self._libc.inotify_add_watch(self._descriptor, os.fsencode(directory), _MASK) < 0:
                error = ctypes.get_errno()
                if not os.path.isdir(directory):
                    continue  # removed since it was listed
                raise OSError(error, f"{directory} cannot be watched: {os.strerror(error)}")

    def close(self) -> None:
        """Watch nothing any more."""
        asyncio.get_running_loop().remove_reader(self._descriptor)
        os.close(self._descriptor)


def is_on_network(path: str) -> bool:
    """Return whether a path is in a file system that other machines can change without an event."""
    best, kind = "", ""
    real = os.path.realpath(path)
    with contextlib.suppress(OSError), open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            words = line.split()
            point = words[4].encode().decode("unicode_escape")
            if (real + "/").startswith(point.rstrip("/") + "/") and len(point) >= len(best):
                best, kind = point, words[words.index("-") + 1]
    return kind.startswith(_NETWORK)


async def main(queue: asyncio.Queue[Any], args: dict[str, Any]) -> None:
    """Watch, and put an event into the queue for each burst."""
    root = str(args.get("path") or "/srv/netboot/assets")
    quiet, most = float(args.get("quiet", 5)), float(args.get("most", 300))
    poll, method = float(args.get("poll", 10)), str(args.get("method", "auto"))
    if method not in ("auto", "inotify", "poll") or quiet < 0 or most <= 0 or poll <= 0:
        raise ValueError("netboot.syncer.assets: method is auto, inotify or poll; quiet, most and poll are seconds")
    if not os.path.isdir(root):
        raise ValueError(f"netboot.syncer.assets: {root} is not a directory; mount the assets tree, or set path")
    inotify: Inotify | None = None
    if method == "inotify" or (method == "auto" and not is_on_network(root)):
        try:
            inotify = Inotify()
            inotify.watch(Tree(root).directories)
        except OSError:
            if method == "inotify":
                raise
            inotify = None  # no more watches are to be had: polling does as well
    watch = Watch(root, list(args.get("marker_names") or _NAMES), at_start=bool(args.get("at_start", False)))
    try:
        await _go_on(queue, watch, inotify, quiet=quiet, most=most, poll=poll)
    finally:
        if inotify is not None:
            inotify.close()


async def _go_on(
    queue: asyncio.Queue[Any], watch: Watch, inotify: Inotify | None, *, quiet: float, most: float, poll: float
) -> None:
    began: float | None = None  # of a burst
    moved = time.monotonic() - quiet
    while True:
        now = time.monotonic()
        if watch.look():
            moved = now
            began = now if began is None else began
        if inotify is not None:
            inotify.watch(watch.tree.directories)
        if now - moved >= quiet or (began is not None and now - began >= most):
            news = watch.news()
            began = None
            if news is not None:
                await queue.put({"assets": news})
        pause = min(poll, max(quiet - (time.monotonic() - moved), 0.05)) if began is not None else poll
        if inotify is None:
            await asyncio.sleep(pause)
        else:
            # Not wait_for: until Python 3.12, it forgets that it is cancelled where what it waits for happens at once.
            waiting = asyncio.ensure_future(inotify.changed.wait())
            try:
                await asyncio.wait({waiting}, timeout=pause if began is not None else 60)
            finally:
                waiting.cancel()
            if inotify.changed.is_set():
                inotify.changed.clear()
                began = time.monotonic() if began is None else began
                moved = time.monotonic()
                await asyncio.sleep(min(quiet, 0.2))  # many changes, one look
