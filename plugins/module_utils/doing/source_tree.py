# Copyright: (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The assets tree of the host that the module runs on: listed, read and hashed, never written."""

from __future__ import annotations

import hashlib
import os
import stat
import threading
import typing as t

from ..deciding import readiness
from ..deciding.assets import DIRECTORY, FILE, OTHER, SYMLINK, Entry, Tree, follow
from ..deciding.marker import MAX_SIZE
from ..deciding.squashfs import SUPERBLOCK_SIZE
from ..errors import SourceChanged, SyncError

BLOCK = 1024 * 1024  # bytes read at once
_LARGEST_TIME = 2**32 - 1  # SFTP version 3 has 32 bits for a time


class SourceTree:
    """A tree that was listed once, and can be asked whether a file is still the one that was listed."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.tree: Tree = {}
        self._inventories: dict[readiness.Rules, readiness.Inventory] = {}
        self._digests: dict[tuple[int, ...], _Hashing] = {}

    def absolute(self, path: str) -> str:
        """Return the absolute path of a relative one."""
        return os.path.join(self.root, path)

    def scan(self) -> Tree:
        """List the tree without its hidden names. Raises :class:`SyncError` where it cannot be listed, or is empty."""
        if not os.path.isdir(self.root):
            raise SyncError(
                "the assets tree is not there",
                path=self.root,
                host="netboot server",
                remedy="Mount it, or set netboot_sync_src to where it is.",
            )
        self.tree = {}
        self._inventories = {}
        self._scan("")
        if all(entry.kind == DIRECTORY for entry in self.tree.values()):
            raise SyncError(
                "the assets tree is empty",
                path=self.root,
                host="netboot server",
                remedy="Is its file system mounted? Nothing is sent and nothing removed from an empty tree.",
            )
        return self.tree

    def _scan(self, directory: str) -> None:
        try:
            names = sorted(os.listdir(self.absolute(directory)))
        except FileNotFoundError:
            if directory:
                return  # removed since it was listed
            raise
        except OSError as error:
            raise SyncError(
                f"cannot be listed ({error.strerror})",
                path=self.absolute(directory),
                host="netboot server",
                remedy="Let the user that the module runs as read it.",
            ) from error
        for name in names:
            if name.startswith("."):
                continue
            path = f"{directory}/{name}" if directory else name
            entry = self.look(path)
            if entry is not None:
                self.tree[path] = entry
                if entry.kind == DIRECTORY:
                    self._scan(path)

    def look(self, path: str) -> Entry | None:
        """Return what a path is just now, or None where it is not there."""
        full = self.absolute(path)
        try:
            found = os.lstat(full)
            target = os.readlink(full) if stat.S_ISLNK(found.st_mode) else ""
        except (FileNotFoundError, NotADirectoryError):
            return None
        kinds = {stat.S_IFREG: FILE, stat.S_IFDIR: DIRECTORY, stat.S_IFLNK: SYMLINK}
        return Entry(
            path=path,
            kind=kinds.get(stat.S_IFMT(found.st_mode), OTHER),
            size=found.st_size,
            mtime=min(max(found.st_mtime_ns // 10**9, 0), _LARGEST_TIME),
            target=target,
            identity=(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns),
        )

    def confirm(self, entry: Entry) -> None:
        """Raise :class:`SourceChanged` where the entry is no longer what it was when the tree was listed."""
        now = self.look(entry.path)
        same = now is not None and (now.kind == DIRECTORY == entry.kind or now.identity == entry.identity)
        if not same:
            verb = "vanished" if now is None else "changed"
            raise SourceChanged(
                f"it {verb} on the netboot server while it was sent",
                path=entry.path,
                remedy="The next run looks at it anew.",
            )

    def read(self, entry: Entry, limit: int) -> bytes:
        """Return up to ``limit`` bytes of a file. Raises :class:`SourceChanged` or :class:`OSError`."""
        with self._open(entry) as file:
            return file.read(limit)

    def blocks(self, entry: Entry, offset: int = 0) -> t.Iterator[bytes]:
        """Yield the content of a file from ``offset`` bytes on, and make sure that it did not change meanwhile."""
        with self._open(entry) as file:
            file.seek(offset)
            while True:
                block = file.read(BLOCK)
                if not block:
                    break
                yield block
        self.confirm(entry)

    def begin_digest(self, entry: Entry) -> None:
        """Start to hash a file beside something else, such as its transfer; :meth:`digest` then waits for the rest."""
        if entry.identity not in self._digests:
            self._digests[entry.identity] = _Hashing(self.blocks(entry))

    def digest(self, entry: Entry) -> str:
        """Return the SHA-256 of a file; it is read once in a run. Raises :class:`SourceChanged` or :class:`OSError`."""
        self.begin_digest(entry)
        try:
            return self._digests[entry.identity].result()
        except (SourceChanged, OSError):
            del self._digests[entry.identity]
            raise

    def _open(self, entry: Entry) -> t.BinaryIO:
        self.confirm(entry)
        try:
            # O_NOFOLLOW and O_NONBLOCK: the name may have become a symlink or a pipe since it was looked at.
            descriptor = os.open(self.absolute(entry.path), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except FileNotFoundError:
            self.confirm(entry)
            raise
        return os.fdopen(descriptor, "rb")

    def evidence(self, rules: readiness.Rules, *, digests_of: t.Iterable[str] = ()) -> readiness.Evidence:
        """Read of the files what :func:`readiness.assess` needs; ``digests_of`` names those to hash as well."""
        contents: dict[str, bytes] = {}
        superblocks: dict[str, bytes] = {}
        digests: dict[str, str] = {}
        unreadable: dict[str, str] = {}
        wanted = [(path, contents, MAX_SIZE + 1) for path in readiness.wanted_contents(self.tree, rules)]
        wanted += [(path, superblocks, SUPERBLOCK_SIZE) for path in readiness.wanted_superblocks(self.tree)]
        for path, found, limit in wanted:
            try:
                found[path] = self.read(self.tree[path], limit)
            except (SourceChanged, OSError) as error:
                unreadable[path] = _why(error)
        for path in digests_of:
            try:
                digests[path] = self.digest(self.tree[path])
            except (SourceChanged, OSError) as error:
                unreadable[path] = _why(error)
        for path, entry in self.tree.items():
            if entry.kind == FILE and path not in unreadable and not os.access(self.absolute(path), os.R_OK):
                unreadable[path] = "no permission to read it on the netboot server"
        return readiness.Evidence(contents, superblocks, digests, unreadable)

    def inventory(self, rules: readiness.Rules, to_hash: t.Callable[[readiness.Image], bool]) -> readiness.Inventory:
        """Return what is ready. Where a marker states a SHA-256, the squashfs is hashed if ``to_hash`` says so."""
        if rules not in self._inventories:
            self._inventories[rules] = readiness.assess(self.tree, self.evidence(rules), rules)
        inventory = self._inventories[rules]
        stated = [image for image in inventory.images if image.ready and image.sha256 and to_hash(image)]
        found = [follow(image.path, self.tree).entry for image in stated]
        if not found:
            return inventory
        digests_of = [entry.path for entry in found if entry is not None]
        return readiness.assess(self.tree, self.evidence(rules, digests_of=digests_of), rules)


def _why(error: SourceChanged | OSError) -> str:
    return error.what if isinstance(error, SourceChanged) else str(error.strerror)


class _Hashing:
    """A SHA-256 that is worked out in a thread, which does not outlive the process."""

    def __init__(self, blocks: t.Iterable[bytes]) -> None:
        self._blocks = blocks
        self._total = hashlib.sha256()
        self._error: SourceChanged | OSError | None = None
        self._thread = threading.Thread(target=self._run, name="hashing", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            for block in self._blocks:
                self._total.update(block)
        except (SourceChanged, OSError) as error:
            self._error = error

    def result(self) -> str:
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._total.hexdigest()
