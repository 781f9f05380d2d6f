# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The assets tree of the host that the module runs on: listed, read and hashed, never written."""

from __future__ import annotations

import errno
import functools
import hashlib
import os
import stat
import threading
import time
import typing as t

from ..assets import inventory as readiness
from ..assets import squashfs, uploads
from ..assets.entries import DIRECTORY, FILE, OTHER, SYMLINK, Entry, Tree, follow, parents
from ..assets.evidence import Evidence
from ..assets.marker import MAX_SIZE
from ..assets.withdrawal import read_record, record_path
from ..errors import AssetsTrouble, SourceChanged, SourceUnreadable, SyncError, source_remedy, source_trouble
from ..options import called
from .shared_digest import SharedDigest

BLOCK = 1024 * 1024  # bytes read at once
_LARGEST_TIME = 2**32 - 1  # SFTP version 3 has 32 bits for a time
_NOT_THERE = (FileNotFoundError, NotADirectoryError)

# No caching server could hold more, nor a client ask for it: a path has at most 4096 bytes (PATH_MAX), including that
# of the tree there, and the work for each directory above a file grows with their number.
MOST_LEVELS = 128
LONGEST_PATH = 3072  # bytes


class SourceTree:
    """A tree that was listed once, and can check whether a file is still the listed one.

    It never raises :class:`OSError`, which callers would take for an error of the caching server.
    """

    def __init__(
        self,
        root: str,
        *,
        withdrawn: t.Mapping[str, bool] | None = None,
        now: t.Callable[[], int] = time.time_ns,
    ) -> None:
        """``now`` is the clock, in nanoseconds since the epoch.

        ``withdrawn`` are markers that count as set aside, whatever is here: if this is a hub's tree, those that the
        netboot server's tree records.
        """
        self.root = root
        self._withdrawn = dict(withdrawn or {})
        self.tree: Tree = {}
        self._now = now
        self._root: Entry | None = None
        self.records: dict[str, bool] = {}  # the markers that were set aside, and whether their squashfs is to go
        self._unreadable: dict[str, str] = {}  # why each path could not be listed or checked
        self._closed: dict[str, str] = {}  # why each file could not be read
        self._superblocks: dict[str, bytes] = {}
        self._ages: dict[str, float] = {}
        self._inventories: dict[readiness.Rules, readiness.Inventory] = {}
        self._digests: dict[tuple[int, ...], _Hashing] = {}

    def absolute(self, path: str) -> str:
        """Return the absolute path of a relative one."""
        return os.path.join(self.root, path)

    def scan(self) -> Tree:
        """List the tree without its hidden names. Raises :class:`SyncError` if it cannot be listed, or is empty."""
        self.tree = {}
        self.records = dict(self._withdrawn)
        self._unreadable, self._closed = {}, {}
        self._superblocks, self._ages = {}, {}
        self._inventories = {}
        try:
            names = os.listdir(self.root)
        except _NOT_THERE as error:
            raise AssetsTrouble(
                "the assets tree is not there",
                path=self.root,
                host="netboot server",
                remedy=f"Mount it, or set {called('src')} to where it is.",
            ) from error
        except OSError as error:
            raise self._no_tree(source_trouble("list", error), source_remedy(error)) from error
        self._root = self.look("")
        self._scan(names)
        if self._unreadable and all(e.kind == DIRECTORY or p in self._unreadable for p, e in self.tree.items()):
            path, why = min(self._unreadable.items())
            raise self._no_tree(f"nothing in it can be read ({path}: {why})", "Look at its permissions and its disk.")
        if all(entry.kind == DIRECTORY for entry in self.tree.values()):
            raise AssetsTrouble(
                "the assets tree is empty",
                path=self.root,
                host="netboot server",
                remedy="Is its file system mounted? Nothing is sent and nothing removed from an empty tree.",
            )
        return self.tree

    def _no_tree(self, what: str, remedy: str) -> SyncError:
        return SyncError(what, path=self.root, host="netboot server", remedy=remedy)

    def _scan(self, names: t.Iterable[str]) -> None:
        """List everything below the root, in the order of the names; without recursion, whatever the depth."""
        waiting = self._shown("", names)
        while waiting:
            path = waiting.pop()
            try:
                entry = self.look(path)
            except SourceUnreadable as error:
                self._unreadable[path] = error.why
                entry = Entry(path, OTHER)  # it exists, but its type is unknown
            if entry is None:
                continue
            self.tree[path] = entry
            if entry.kind == DIRECTORY:
                waiting += self._below(path)
            elif entry.kind == FILE:
                self._examine(entry)

    def _shown(self, directory: str, names: t.Iterable[str]) -> list[str]:
        """Return the visible paths of a directory, last first, and collect the records among the hidden ones."""
        paths = []
        for name in sorted(names, reverse=True):
            path = f"{directory}/{name}" if directory else name
            if not name.startswith("."):
                paths.append(path)
                continue
            record = read_record(path)
            if record is not None:
                self.records[record.marker] = record.purge or self.records.get(record.marker, False)
        return paths

    def _below(self, directory: str) -> list[str]:
        levels, length = directory.count("/") + 1, len(os.fsencode(directory))
        if levels >= MOST_LEVELS:
            self._unreadable[directory] = f"it lies {levels} directories deep, and nothing below it is sent"
            return []
        below = self._shown(directory, self._names(directory))
        if length + 256 <= LONGEST_PATH:
            return below
        longest = max((len(os.fsencode(path)) for path in below), default=0)
        if longest > LONGEST_PATH:
            self._unreadable[directory] = (
                f"a path in it has {longest} bytes, and {LONGEST_PATH} are the most that is sent"
            )
            return []
        return below

    def _examine(self, entry: Entry) -> None:
        """Read the beginning of a file, and record for how long a large one has been left alone."""
        if entry.size > uploads.LARGE:
            _dev, _inode, _size, mtime, ctime = entry.identity
            self._ages[entry.path] = uploads.age(self._now(), mtime, ctime)
        try:
            head = _head(self.absolute(entry.path))
        except _NOT_THERE:
            return  # whoever needs it will notice
        except OSError as error:
            self._closed[entry.path] = source_trouble("read", error)
            return
        if squashfs.begins(head):
            self._superblocks[entry.path] = head

    def _names(self, directory: str) -> list[str]:
        try:
            return os.listdir(self.absolute(directory))
        except _NOT_THERE:
            return []  # removed since it was listed
        except OSError as error:
            self._unreadable[directory] = source_trouble("list", error)
            return []

    def look(self, path: str) -> Entry | None:
        """Return the current entry of a path, or None if it is not there. Raises :class:`SourceUnreadable`."""
        full = self.absolute(path)
        try:
            found, target = _look(full)
        except _NOT_THERE:
            return None
        except OSError as error:
            raise SourceUnreadable("look at", error, full) from error
        kinds = {stat.S_IFREG: FILE, stat.S_IFDIR: DIRECTORY, stat.S_IFLNK: SYMLINK}
        return Entry(
            path=path,
            inside=self._inside(target) if target.startswith("/") else "",
            kind=kinds.get(stat.S_IFMT(found.st_mode), OTHER),
            size=found.st_size,
            mtime=min(max(found.st_mtime_ns // 10**9, 0), _LARGEST_TIME),
            target=target,
            identity=(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns),
        )

    def _inside(self, target: str) -> str:
        """Return where in the tree an absolute path leads, or an empty string."""
        for root, place in (
            (os.path.abspath(self.root), os.path.normpath(target)),
            (os.path.realpath(self.root), os.path.realpath(target)),
        ):
            if place == root:
                return "."
            if place.startswith(root.rstrip("/") + "/"):
                return place[len(root.rstrip("/")) + 1 :]
        return ""

    def confirm(self, entry: Entry) -> None:
        """Raise :class:`SourceChanged` if the entry is no longer what it was when the tree was listed."""
        now = self.look(entry.path)
        same = now is not None and (now.kind == DIRECTORY == entry.kind or now.identity == entry.identity)
        if not same:
            raise changed("vanished" if now is None else "changed", entry)

    def still_lacks(self, path: str) -> bool:
        """Return whether a path that was not in the tree is still not in it.

        Only if that is certain: a directory above it must be the one that was listed, since an empty mount point holds
        nothing either. So must the root.
        """
        try:
            for above in ("", *parents(path)):
                listed, now = self.tree.get(above) if above else self._root, self.look(above)
                if listed is not None and (now is None or now.identity[:2] != listed.identity[:2]):
                    return False
            return self.look(path) is None
        except SourceUnreadable:
            return False

    def still_withdrawn(self, marker: str) -> bool:
        """Return whether a marker that was set aside still is."""
        if marker in self._withdrawn:
            return True
        try:
            return any(self.look(record_path(marker, purge=purge)) is not None for purge in (False, True))
        except SourceUnreadable:
            return True

    def read(self, entry: Entry, limit: int) -> bytes:
        """Return up to ``limit`` bytes of a file. Raises :class:`SourceChanged`."""
        with self._open(entry) as file:
            return self._read(file, entry, limit)

    def blocks(self, entry: Entry, offset: int = 0) -> t.Iterator[bytes]:
        """Yield the content of a file from ``offset`` bytes on, and verify that it did not change meanwhile."""
        with self._open(entry) as file:
            file.seek(offset)  # for a regular file, this does not touch the disk
            while True:
                block = self._read(file, entry, BLOCK)
                if not block:
                    break
                yield block
        self.confirm(entry)

    def begin_digest(self, entry: Entry) -> None:
        """Start hashing a file in parallel with something else, such as its transfer; :meth:`digest` then waits for the
        rest."""
        if entry.identity not in self._digests:
            shared = SharedDigest(entry.identity, entry.size)
            self._digests[entry.identity] = _Hashing(functools.partial(self._shared_hash, entry, shared))

    def digest(self, entry: Entry) -> str:
        """Return the SHA-256 of a file; it is read once in a run. Raises :class:`SourceChanged`."""
        self.begin_digest(entry)
        try:
            return self._digests[entry.identity].result()
        except SourceChanged:
            del self._digests[entry.identity]
            raise

    def forget_digests(self) -> None:
        """Hash each file again if it is asked for once more."""
        self._digests.clear()

    def _shared_hash(self, entry: Entry, shared: SharedDigest) -> str:
        found = shared.get(lambda: self._hash(entry))
        self.confirm(entry)  # another run may have hashed it before it changed
        return found

    def _hash(self, entry: Entry) -> str:
        total = hashlib.sha256()
        for block in self.blocks(entry):
            total.update(block)
        return total.hexdigest()

    def digest_of_start(self, entry: Entry, size: int) -> str:
        """Return the SHA-256 of the first ``size`` bytes of a file. Raises :class:`SourceChanged`."""
        total = hashlib.sha256()
        for block in self.blocks(entry):
            total.update(block[:size])
            size -= len(block)
            if size <= 0:
                break
        return total.hexdigest()

    def opened(self, entry: Entry) -> t.BinaryIO:
        """Open a file for reading. Raises :class:`SourceChanged`."""
        return self._open(entry)

    def _open(self, entry: Entry) -> t.BinaryIO:
        self.confirm(entry)
        try:
            return open(self.absolute(entry.path), "rb", opener=_open_as_it_is)
        except OSError as error:
            self.confirm(entry)
            raise SourceUnreadable("read", error, self.absolute(entry.path)) from error

    def _read(self, file: t.BinaryIO, entry: Entry, limit: int) -> bytes:
        try:
            return file.read(limit) or b""  # nothing yet, if it has become a pipe
        except OSError as error:
            raise SourceUnreadable("read", error, self.absolute(entry.path)) from error

    def require_readable(self, entry: Entry) -> None:
        """Raise :class:`SourceChanged` if a file changed, or cannot be opened and read."""
        self.read(entry, 1)

    def evidence(self, rules: readiness.Rules, *, digests_of: t.Iterable[str] = ()) -> Evidence:
        """Read from the files what :func:`readiness.assess` needs; ``digests_of`` names those to hash as well."""
        contents: dict[str, bytes] = {}
        digests: dict[str, str] = {}
        unreadable = {**self._closed, **self._unreadable}
        for path in readiness.wanted_contents(self.tree, rules):
            try:
                contents[path] = self.read(self.tree[path], MAX_SIZE + 1)
            except SourceChanged as error:
                unreadable[path] = error.what
        for path in digests_of:
            try:
                digests[path] = self.digest(self.tree[path])
            except SourceChanged as error:
                unreadable[path] = error.what
        return Evidence(contents, self._superblocks, digests, unreadable, self._ages, dict(self.records))

    def inventory(self, rules: readiness.Rules, to_hash: t.Callable[[readiness.Image], bool]) -> readiness.Inventory:
        """Return what is ready. If a marker states a SHA-256, the squashfs is hashed if ``to_hash`` says so."""
        if rules not in self._inventories:
            self._inventories[rules] = readiness.assess(self.tree, self.evidence(rules), rules)
        inventory = self._inventories[rules]
        stated = [image for image in inventory.images if image.ready and image.sha256 and to_hash(image)]
        found = [follow(image.path, self.tree).entry for image in stated]
        if not found:
            return inventory
        digests_of = [entry.path for entry in found if entry is not None]
        return readiness.assess(self.tree, self.evidence(rules, digests_of=digests_of), rules)


def changed(verb: str, entry: Entry) -> SourceChanged:
    """Return the error for a file that is not what it was when the tree was listed."""
    return SourceChanged(
        f"it {verb} on the netboot server while it was sent", path=entry.path, remedy="The next run looks at it anew."
    )


def _open_as_it_is(full: str, flags: int) -> int:
    """Open a name that may have become a symlink or a pipe since it was checked."""
    return os.open(full, flags | os.O_NOFOLLOW | os.O_NONBLOCK)


def _head(full: str) -> bytes:
    """Return the first bytes of a file; nothing if it has become something else since it was checked."""
    try:
        file = _open_as_it_is(full, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):
            return b""
        raise
    try:
        return os.read(file, squashfs.SUPERBLOCK_SIZE)
    except (IsADirectoryError, BlockingIOError):
        return b""
    finally:
        os.close(file)


def _look(full: str) -> tuple[os.stat_result, str]:
    """Return what a path is, and where it leads if it is a symlink. Raises :class:`OSError`."""
    while True:
        found = os.lstat(full)
        if not stat.S_ISLNK(found.st_mode):
            return found, ""
        try:
            return found, os.readlink(full)
        except OSError as error:
            if error.errno != errno.EINVAL:  # it is not a symlink any more: check again
                raise


class _Hashing:
    """A SHA-256 that is computed in a thread, which does not outlive the process."""

    def __init__(self, compute: t.Callable[[], str]) -> None:
        self._compute = compute  # kept, since what it shares with other runs goes with it
        self._found = ""
        self._error: SourceChanged | None = None
        self._thread = threading.Thread(target=self._run, name="hashing", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._found = self._compute()
        except SourceChanged as error:
            self._error = error

    def result(self) -> str:
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._found
