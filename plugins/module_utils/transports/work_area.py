# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hidden directory below the tree on a caching server, for everything that is not complete yet.

A directory below the destination that is a separate file system has its own, since nothing can be renamed from one file
system to another.

Nothing in it is used before it was checked. A symlink there is removed and never followed, and a file that has another
name elsewhere is never written. (That protects against what an earlier run, an administrator or a stranger left there;
only the sync's user, or root, can write in it during a run, and needs no such trick.)

Each file in transit has its own directory there, named by a hash of its path. In it:

``incoming-RUN``
    what this run receives, and the only thing that is ever published. The name is of one run alone, so a process
    that an earlier run left behind can never write to what this one has checked.
``partial``
    the longest piece that an earlier run received: a basis now, never written again.
``upload-SIZE-TIME``
    a piece sent by SFTP, of the file with this size and time: an upload resumes where it ended.
``basis/incoming-RUN``
    what rsync takes the difference to: hard links, or the partial piece followed by the predecessor.
``predecessor``
    the basis of an earlier run whose predecessor has been removed meanwhile.

Small files that go together share one directory, ``batch-RUN``, with numbers for names.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import os
import posixpath
import typing as t

from ..assets.entries import DIRECTORY, FILE, WORK_DIRECTORY, Entry
from ..errors import SyncError
from ..ssh.pipelined import Pipelined
from ..ssh.sftp import Sftp
from ..ssh.sftp_names import Budget
from .mounts import Mount, Mounts

PARTIAL = "partial"
BASIS = "basis"
PREDECESSOR = "predecessor"
INCOMING = "incoming-"
UPLOAD = "upload-"
BATCH = "batch-"
# rsync's own temporary name of a file that it is receiving
_TEMPORARY = f".{INCOMING}"
LOCK = "lock"
HOLDER = ".holder"  # suffix of the lock's name: the file that names its holder


class Gathered(t.NamedTuple):
    """What earlier runs left of a file: how many bytes of it, and a predecessor that is nowhere else any more."""

    size: int
    predecessor: Entry | None


def transfer_id(path: str) -> str:
    """Return the name of a file's directory in the work area."""
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:32]


class WorkArea:
    """The work area of one caching server, as one run uses it. All paths returned are absolute."""

    def __init__(self, sftp: Sftp, dest: str, run: str, *, mounts: Mounts, warn: t.Callable[[str], None]) -> None:
        self._sftp = sftp
        self._many = Pipelined(sftp)
        self._dest = dest.rstrip("/")
        self.root = f"{self._dest}/{WORK_DIRECTORY}"
        self.run = run
        self.mounts = mounts
        self._warn = warn
        self._looked: set[str] = set()  # directories that are known not to be symlinks
        self._left: list[Entry] | None = None  # what was in the root before this run put anything there, if known

    @property
    def lock(self) -> str:
        """The path of the lock."""
        return f"{self.root}/{LOCK}"

    def root_of(self, path: str) -> str:
        """The work area of the file system that a path of the tree is in."""
        mount = self.mounts.of(path)
        return f"{self._dest}/{mount.path}/{WORK_DIRECTORY}" if mount else self.root

    def directory(self, path: str) -> str:
        """The directory of a file in transit."""
        return f"{self.root_of(path)}/{transfer_id(path)}"

    def incoming(self, path: str) -> str:
        """The hidden name under which this run receives a file."""
        return f"{self.directory(path)}/{INCOMING}{self.run}"

    def partial(self, path: str) -> str:
        """The longest piece of a file that an earlier run received."""
        return f"{self.directory(path)}/{PARTIAL}"

    def basis(self, path: str) -> str:
        """Where rsync looks for the basis of a file."""
        return f"{self.directory(path)}/{BASIS}/{INCOMING}{self.run}"

    def upload(self, entry: Entry) -> str:
        """The name of a piece sent by SFTP."""
        return f"{self.directory(entry.path)}/{UPLOAD}{entry.size}-{entry.mtime}"

    @property
    def is_seen(self) -> bool:
        """Whether the area of the destination's own file system is there, and a directory, as far as known."""
        return self.root in self._looked

    def note(self, root: Entry | OSError) -> None:
        """Use what the root was found to be."""
        if isinstance(root, Entry) and root.kind == DIRECTORY:
            self._looked.add(self.root)

    def note_content(self, entries: list[Entry]) -> None:
        """Use what was found in the root: where this run leaves nothing there, that need not be asked again."""
        self._left = entries

    def open_root(self, root: str) -> None:
        """Create a work area, or verify that the existing one is a directory. Raises :class:`OSError`, too."""
        if root in self._looked:
            return
        found = self._sftp.look(root)
        if found is None:
            try:
                self._sftp.make_directory(root)
            except OSError:
                found = self._sftp.look(root)  # another run may have been first
                if found is None:
                    raise
        if found is not None and found.kind != DIRECTORY:
            raise self.not_ours(root)
        self._looked.add(root)

    @staticmethod
    def not_ours(root: str) -> SyncError:
        """Return the error for a work area that is a symlink, or a file."""
        return SyncError("not a directory of ours", path=root, remedy="Remove it on the caching server.")

    def make(self, path: str) -> None:
        """Make the directory of a file in transit."""
        self.open_root(self.root_of(path))
        directory = self.directory(path)
        if not self._is_ours(directory):
            self._sftp.make_directory(directory)
            self._looked.add(directory)

    def make_batch(self, root: str) -> str:
        """Make an empty directory for small files that go together, and return it."""
        directory = f"{root}/{BATCH}{self.run}"
        try:
            self._sftp.make_directory(directory)
        except OSError:
            if self._is_ours(directory):
                self.drop_batch(directory)
            self._sftp.make_directory(directory)
        self._looked.add(directory)
        return directory

    def drop_batch(self, directory: str, *, empty: bool = False) -> None:
        """Remove that directory, with what is still in it; if it is ``empty``, nobody waits for that."""
        if empty:
            self._sftp.let_directory_go(directory)
            self._looked.discard(directory)
            return
        try:
            self._sftp.remove_directory(directory)
        except OSError:  # there is something in it
            self._remove_all(directory)
        self._looked.discard(directory)

    def _is_ours(self, directory: str) -> bool:
        """Return whether a directory of ours is there; anything else in its place, such as a symlink, is removed."""
        if directory in self._looked:
            return True
        found = self._sftp.look(directory)
        if found is None:
            return False
        if found.kind != DIRECTORY:
            self._warn(f"{directory} was not a directory of ours but a {found.kind}: it was removed, not followed")
            self._sftp.remove(directory)
            return False
        self._looked.add(directory)
        return True

    def gather(self, path: str, *, keep_basis: bool = False) -> Gathered:
        """Keep the longest piece that earlier runs left of a file as ``partial``, and drop the rest.

        A piece may be of an older content of the same path: it is only ever a basis. With ``keep_basis``, the
        predecessor that an earlier run took as a basis is kept, too, as ``predecessor``.
        """
        directory = self.directory(path)
        found = self._list(directory)
        kept = self._keep_basis(directory, found) if keep_basis else None
        for entry in found:
            if entry.kind != FILE or (entry.path == PREDECESSOR and kept is None):
                self._drop_entry(directory, entry)
        pieces = [entry for entry in found if entry.kind == FILE and entry.path != PREDECESSOR]
        if not pieces:
            return Gathered(0, kept)
        longest = max(pieces, key=lambda entry: (entry.size, entry.path == PARTIAL))
        if longest.path != PARTIAL:
            self._sftp.rename(f"{directory}/{longest.path}", f"{directory}/{PARTIAL}")
        for entry in pieces:
            if entry.path not in (longest.path, PARTIAL):
                self._sftp.remove(f"{directory}/{entry.path}")
        return Gathered(longest.size, kept)

    def _keep_basis(self, directory: str, found: list[Entry]) -> Entry | None:
        """Return the predecessor that earlier runs took as a basis, with its absolute path; None for none."""
        name = f"{directory}/{PREDECESSOR}"
        there = {entry.path: entry for entry in found}
        kept = there.get(PREDECESSOR)
        if kept is None and BASIS in there and there[BASIS].kind == DIRECTORY:
            # Where there was no predecessor, the basis is a second name of the piece.
            pieces = {entry.size for entry in found if entry.kind == FILE}
            inside = [entry for entry in self._list(f"{directory}/{BASIS}") if entry.size not in pieces]
            kept = max((entry for entry in inside if entry.kind == FILE), key=lambda entry: entry.size, default=None)
            if kept is not None:
                self._sftp.rename(f"{directory}/{BASIS}/{kept.path}", name)
        return dataclasses.replace(kept, path=name) if kept is not None and kept.kind == FILE else None

    def piece(self, entry: Entry) -> int:
        """Return the size of the piece from which an upload can resume, 0 for none; any other is removed.

        Resuming means writing to it, so it must be a file without another name elsewhere.
        """
        piece = self.upload(entry)
        found = self._sftp.look(piece)
        if found is None:
            return 0
        if found.kind == FILE and 0 < found.size <= entry.size:
            links = self._sftp.links(self.directory(entry.path), posixpath.basename(piece))
            if links in (None, 1):
                return found.size
        self._drop_entry(self.directory(entry.path), dataclasses.replace(found, path=posixpath.basename(piece)))
        return 0

    def make_basis_directory(self, path: str) -> None:
        """Make the directory in which rsync looks for the basis."""
        self._sftp.make_directory(f"{self.directory(path)}/{BASIS}")

    def drop(self, path: str) -> None:
        """Remove everything of a file from here."""
        directory = self.directory(path)
        if self._is_ours(directory):
            self._remove_all(directory)
            self._looked.discard(directory)

    def has_leftovers(self, unfinished: t.Iterable[str]) -> bool:
        """Return whether there is anything that :meth:`clean` would remove."""
        keep = _to_keep(unfinished)
        return any(entry.path not in keep for root in self._roots() for entry in self._content(root))

    def clean(self, unfinished: t.Iterable[str]) -> None:
        """Remove what no later run will use: everything but the pieces of files that are still to be sent."""
        keep = _to_keep(unfinished)
        for root in self._roots():
            for entry in self._content(root):
                if entry.path not in keep:
                    with contextlib.suppress(FileNotFoundError):  # such as of a run that waits for the lock
                        self._drop_entry(root, entry)
        self._left = None

    def size(self, mount: Mount | None, keep: t.Iterable[str]) -> int:
        """Return how many bytes :meth:`clean` would free in a file system."""
        root = f"{self._dest}/{mount.path}/{WORK_DIRECTORY}" if mount else self.root
        if not self._is_directory(root):
            return 0
        kept, total, pending = _to_keep(keep), 0, [root]
        budget = Budget()
        while pending:
            directory = pending.pop()
            for entry in self._list(directory, budget):
                if directory == root and entry.path in kept:
                    continue
                if entry.kind == DIRECTORY and entry.path != BASIS:  # these are second names
                    pending.append(f"{directory}/{entry.path}")
                total += entry.size if entry.kind == FILE else 0
        return total

    def _roots(self) -> list[str]:
        """Return the existing work areas that are not symlinks."""
        roots = [self.root, *(f"{self._dest}/{mount.path}/{WORK_DIRECTORY}" for mount in self.mounts.all())]
        return [root for root in roots if self._is_directory(root)]

    def _is_directory(self, path: str) -> bool:
        if path not in self._looked:
            try:
                found = self._sftp.look(path)
            except OSError:  # a mount that cannot be entered, or a file that is one
                return False
            if found is None or found.kind != DIRECTORY:
                return False
            self._looked.add(path)
        return True

    def _content(self, root: str) -> list[Entry]:
        ours = any(path.startswith(f"{root}/") for path in self._looked)  # made by this run, and not removed yet
        return self._list(root) if root != self.root or ours or self._left is None else self._left

    def _list(self, directory: str, budget: Budget | None = None) -> list[Entry]:
        (found,) = self._many.listings([directory], budget or Budget())
        if isinstance(found, FileNotFoundError):
            return []
        if isinstance(found, OSError):
            raise found
        return found

    def _drop_entry(self, directory: str, entry: Entry) -> None:
        """Remove an entry of a listing as it was checked: a symlink itself, a directory with all its content."""
        full = f"{directory}/{entry.path}"
        if entry.kind == DIRECTORY:
            self._remove_all(full)
            self._looked.discard(full)
        else:
            self._sftp.remove(full)

    def _remove_all(self, directory: str) -> None:
        """Remove a directory that was checked, to any depth."""
        budget = Budget()
        pending, emptied = [directory], []
        while pending:
            one = pending.pop()
            emptied.append(one)
            for entry in self._list(one, budget):
                if entry.kind == DIRECTORY:
                    pending.append(f"{one}/{entry.path}")
                else:
                    self._sftp.remove(f"{one}/{entry.path}")
        for one in reversed(emptied):
            with contextlib.suppress(FileNotFoundError):
                self._sftp.remove_directory(one)


def _to_keep(unfinished: t.Iterable[str]) -> set[str]:
    return {transfer_id(path) for path in unfinished} | {LOCK, f"{LOCK}{HOLDER}"}
