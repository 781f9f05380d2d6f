# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A caching server that can be stopped between any two of its steps.

This stands in for ``CachingServer`` over a real session, since no real one can be held at each point of a protocol,
in every order, thousands of times. Everything above it is the code that users run: the planner, the run, the source.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

from ansible_collections.netboot.syncer.plugins.module_utils.assets.entries import (
    DIRECTORY,
    FILE,
    SYMLINK,
    Entry,
    Tree,
    is_hidden,
    parents,
)
from ansible_collections.netboot.syncer.plugins.module_utils.errors import LockHeld, SyncError
from ansible_collections.netboot.syncer.plugins.module_utils.limits.throttle import Throttle
from ansible_collections.netboot.syncer.plugins.module_utils.source.tree import SourceTree
from ansible_collections.netboot.syncer.plugins.module_utils.transports.protocol import Sent

from .disk import Disk, File
from .pace import Pace


class Site:
    """What stays at a caching server when sessions come and go: its disk, and who holds the lock."""

    def __init__(self) -> None:
        self.disk = Disk()
        self.holder: object | None = None
        self.stuck: set[str] = set()  # names that cannot be changed
        self.corrupts_after: int | None = None  # after how many more files one arrives damaged


class SteppedServer:
    """The calls of ``CachingServer``, each with a point before every change that it makes."""

    def __init__(self, site: Site, source: SourceTree, pace: Pace, run: str, *, hashes: bool) -> None:
        self.warnings: list[str] = []
        self.clashes: dict[str, str] = {}
        self._hashes = hashes
        self._site = site
        self._disk = site.disk
        self._source = source
        self._pace = pace
        self._run = run
        self.throttle = Throttle()

    @property
    def transport(self) -> str:
        """Return what it would be with a real one."""
        return "rsync"

    @property
    def offers(self) -> dict[str, Any]:
        return {}

    @property
    def hashes(self) -> bool:
        """As given when it was created."""
        return self._hashes

    @property
    def unfinished_bytes(self) -> int:
        """Zero: no transfer is interrupted."""
        return 0

    def find_destination(self) -> None:
        """The destination is there."""

    def begin_sending(self, entries: Sequence[Entry], *, together: bool) -> None:
        """There is nothing to prepare."""

    def would_open(self, entries: Sequence[Entry]) -> None:
        """Nothing is in the way."""

    def would_send(self, entry: Entry) -> None:
        """Nothing is in the way."""

    def has_leftovers(self, _unfinished: Iterable[str]) -> bool:
        """The model has no runs in check mode."""
        return False

    def open_for_writing(self, _likely: Sequence[Entry] = ()) -> list[Entry]:
        """Take the lock."""
        self._pace.point()
        if self._site.holder is not None:
            raise LockHeld("another run is working on this caching server")
        self._site.holder = self
        return []

    def close(self) -> None:
        """Release the lock, as the kernel does for a run that was killed."""
        if self._site.holder is self:
            self._site.holder = None

    # Reading

    def fresh(self, _seconds: int) -> frozenset[str]:
        """Nothing was withdrawn a moment ago: the runs of the model have no grace."""
        return frozenset()

    @property
    def rounded(self) -> frozenset[str]:
        """Times are kept here as they are set."""
        return frozenset()

    def suspects(self, entries: Sequence[Entry], tree: Tree) -> list[Entry]:
        """Return the files of the same size and another time."""
        there = [(entry, tree.get(entry.path)) for entry in entries]
        return [a for a, b in there if b is not None and (a.kind, a.size) == (b.kind, b.size) and a.mtime != b.mtime]

    @staticmethod
    def shows(entry: Entry, found: Entry | None) -> bool:
        """Times are kept here as they are set."""
        return entry.looks_like(found)

    def permit(self, entry: Entry) -> None:
        """Modes are not modelled: everybody can read everything."""

    def adopt(self, entry: Entry) -> bool:
        """Set a time."""
        self._pace.point()
        self._disk.names[entry.path].mtime = entry.mtime
        return True

    def tree(self, _wanted: Tree | None = None) -> Tree:
        """Return everything that is not hidden, with the directories above it."""
        self._pace.point()
        found: Tree = {}
        for path in sorted(self._disk.names):
            if not is_hidden(path):
                for above in parents(path):
                    found[above] = Entry(above, DIRECTORY)
                found[path] = self._entry(path)
        return found

    def look(self, path: str) -> Entry | None:
        """Return the entry of one path."""
        self._pace.point()
        if path in self._disk.names:
            return self._entry(path)
        return Entry(path, DIRECTORY) if any(name.startswith(path + "/") for name in self._disk.names) else None

    def _entry(self, path: str) -> Entry:
        file = self._disk.names[path]
        kind = SYMLINK if file.target else FILE
        return Entry(path, kind, len(file.content), file.mtime, file.target)

    def read_marker(self, entry: Entry) -> bytes:
        """Return the content of a marker."""
        self._pace.point()
        file = self._disk.names.get(entry.path)
        return file.content if file else b""

    def digests(self, entries: Sequence[Entry]) -> dict[str, str]:
        """Return the hashes of the tree's files."""
        self._pace.point()
        found = {}
        for entry in entries:
            file = self._disk.names.get(entry.path)
            found[entry.path] = hashlib.sha256(file.content).hexdigest() if file else ""
        return found

    # Writing: one call for each step of the protocol

    def expect_sending(self, _entries: Sequence[Entry]) -> None:
        """There is nothing to prepare."""

    def _incoming(self, path: str) -> str:
        return f".netboot-sync/{path}/incoming-{self._run}"

    def send(self, entry: Entry, basis: str | None) -> Sent:
        """Write a hidden file, half of it at a time."""
        self._pace.point()
        content = b"".join(self._source.blocks(entry))
        file = File(content[: len(content) // 2], entry.mtime)
        self._disk.put(self._incoming(entry.path), file)
        self._pace.point()
        file.content = content
        if self._hashes and self._site.corrupts_after is not None:
            if self._site.corrupts_after == 0:
                file.content = content[:-1] + bytes([content[-1] ^ 1])
            self._site.corrupts_after = self._site.corrupts_after - 1 if self._site.corrupts_after else None
        return Sent(len(content), basis)

    def check(self, entry: Entry, *, read_back: bool) -> bool:
        """Compare the hidden file with the source."""
        self._pace.point()
        file = self._disk.names[self._incoming(entry.path)]
        if len(file.content) != entry.size:
            raise SyncError("it did not arrive whole", path=entry.path)
        if not self._hashes and not read_back:
            self._source.confirm(entry)
            return False
        if hashlib.sha256(file.content).hexdigest() != self._source.digest(entry):
            raise SyncError("what arrived is not what was sent", path=entry.path)
        return True

    def flush(self, entry: Entry) -> None:
        """Flush the hidden file."""
        self._pace.point()
        self._disk.flush(self._incoming(entry.path))

    def _require(self, path: str) -> None:
        if path in self._site.stuck:
            raise SyncError("cannot be changed on the caching server", path=path)

    def publish(self, entry: Entry) -> None:
        """Rename the hidden file, then flush the directory."""
        self._pace.point()
        self._require(entry.path)
        self._disk.rename(self._incoming(entry.path), entry.path)
        self._pace.point()
        self._disk.flush_directory(entry.path)

    @property
    def takes_many(self) -> bool:
        """Whether it does: as a server with a shell."""
        return self._hashes

    def send_together(self, entries: Sequence[Entry]) -> dict[str, int]:
        """Send, compare and flush one after the other; a file that arrives damaged has to be sent separately."""
        ready = {}
        for entry in entries:
            with contextlib.suppress(SyncError):
                self.send(entry, None)
                self.check(entry, read_back=False)
                self.flush(entry)
                ready[entry.path] = entry.size
        return ready

    def publish_together(self, entries: Sequence[Entry]) -> set[str]:
        """Rename one after the other, and then flush all directories."""
        put = set()
        for entry in entries:
            self._pace.point()
            if entry.path not in self._site.stuck:
                self._disk.rename(self._incoming(entry.path), entry.path)
                put.add(entry.path)
        self._pace.point()
        for path in put:
            self._disk.flush_directory(path)
        return put

    def link(self, entry: Entry) -> None:
        """Put a symlink in its place, then flush the directory."""
        self._pace.point()
        self._require(entry.path)
        self._disk.put(entry.path, File(target=entry.target))
        self._pace.point()
        self._disk.flush_directory(entry.path)

    def remove(self, path: str) -> None:
        """Remove a file, then flush the directory."""
        self._pace.point()
        self._require(path)
        self._disk.remove(path)
        self._pace.point()
        self._disk.flush_directory(path)

    def remove_directory(self, path: str) -> None:
        """Directories are implied here."""

    def clean(self, unfinished: Iterable[str]) -> None:
        """Remove the hidden files that no later run will use."""
        self._pace.point()
        kept = tuple(f".netboot-sync/{path}/" for path in unfinished)
        for path in [name for name in self._disk.names if is_hidden(name) and not name.startswith(kept)]:
            self._disk.remove(path)

    @staticmethod
    def in_words(_error: Exception, _path: str = "") -> None:
        """There is no connection that could break; an error stays what it is."""
