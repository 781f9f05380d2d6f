# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be checked before anything is sent: whether a directory is writable, is another file system, has room.

Check mode reports it; a run checks it before it sends hundreds of megabytes that could not be put in place.
"""

from __future__ import annotations

import posixpath
import typing as t

from ..assets.entries import Entry, parents
from ..errors import SyncError
from ..options import called
from ..ssh import remote_commands
from ..ssh.base import BaseSession
from ..ssh.sftp import Sftp, Space
from ..transports.mounts import Mount
from ..transports.work_area import WorkArea
from .listing import Listing

RESERVE = 64 * 1024 * 1024  # bytes that are never used: the machine has logs to write


def is_full(space: Space) -> bool:
    """Return whether a file system is too full for any sizeable file."""
    return space.available < 1024 * 1024 or space.no_more_files


def describe_space(space: Space) -> str:
    """Describe the free space."""
    return "no more files can be made (no free inodes)" if space.no_more_files else f"{space.available} bytes are free"


class Trial:
    """What one run knows about the directories and the free space of one caching server."""

    def __init__(self, session: BaseSession, sftp: Sftp, area: WorkArea, dest: str, *, has_shell: bool) -> None:
        self._session = session
        self._sftp = sftp
        self._area = area
        self._dest = dest
        self.has_shell = has_shell
        self._listing = Listing()
        self._base = dest  # or its parent directory, if it has to be created
        self._writable: dict[str, bool | None] = {}
        self._proven: set[str] = set()
        self._free: dict[Mount | None, Space | None] = {}
        self._droppable: dict[Mount | None, int] = {}
        self._planned: dict[Mount | None, int] = {}
        self._sent: set[str] = set()
        self._own: int | None = None
        self._asked: tuple[list[str], t.Callable[[], list[bool | None]]] | None = None  # and is not answered yet

    def note(self, listing: Listing) -> None:
        """Use the tree as it was found."""
        self._listing = listing

    def require_opening(self, *, there: bool) -> None:
        """Raise :class:`SyncError` if it is known that no run could begin; ``there``: the destination is."""
        self._base = self._dest if there else posixpath.dirname(self._dest)
        if self._can_write(self._base) is False:
            raise self._refusal(self._base, self._dest)

    def space(self, mount: Mount | None) -> Space | None:
        """Return the room in a file system."""
        return self._sftp.space(f"{self._dest}/{mount.path}" if mount else self._dest)

    # Directories

    def require_target(self, path: str, *, really: bool = False) -> None:
        """Raise :class:`SyncError` if a file of the tree could not be put in its place.

        With ``really``, it is tested first: only the system there knows all of its rules.
        """
        if self._area.mounts.is_point(path):
            raise SyncError(
                "it is a mount point on the caching server, which no file can replace",
                path=path,
                remedy=f"Unmount it there, or leave it out by {called('exclude')}.",
            )
        directory = self._nearest(path)
        full = f"{self._dest}/{directory}" if directory else self._base
        mount = self._area.mounts.of(path)
        if mount is not None and mount.read_only:
            raise SyncError(
                f"{mount.path} is a file system of its own on the caching server, and mounted read-only",
                path=path,
                remedy=f"Mount it writable, or leave it out by {called('exclude')}; it is {self._dest}/{mount.path}.",
            )
        if full in self._proven or self._can_write(full) is not False:
            return
        if not really or not self._try(full):
            raise self._refusal(full, path)
        self._proven.add(full)

    def _nearest(self, path: str) -> str:
        """Return the innermost existing directory above a path."""
        found = ""
        for above in parents(path):
            if above not in self._listing.tree:
                break
            found = above
        return found

    def _can_write(self, full: str) -> bool | None:
        if full not in self._writable:
            self._ask(full)
        return self._writable[full]

    def begin_asking(self) -> None:
        """Ask for the directories of the listing without waiting, if there is a shell."""
        if self.has_shell and self._asked is None:
            self._asked = self._begin_asking(self._base)

    def _begin_asking(self, full: str) -> tuple[list[str], t.Callable[[], list[bool | None]]]:
        all_of_them = {full, *(f"{self._dest}/{path}" for path in self._listing.directories), self._base}
        wanted = sorted(all_of_them - self._writable.keys())
        return wanted, remote_commands.begin_can_write(self._session, wanted)

    def _ask(self, full: str) -> None:
        """Ask for all directories at once, if there is a shell."""
        if not self.has_shell:
            self._writable[full] = self._guess(full)
            return
        while full not in self._writable:
            wanted, answers = self._asked or self._begin_asking(full)
            self._asked = None
            self._writable.update(zip(wanted, answers()))

    def _guess(self, full: str) -> bool | None:
        """Judge by owner and permissions, as far as known. Groups and further rules are not known here."""
        space = self._sftp.space(full)
        if space is not None and space.read_only:
            return False
        try:
            if self._own is None:
                self._own = self._sftp.owner_and_mode(".")[0]  # the home of the user, who usually owns it
            owner, mode = self._sftp.owner_and_mode(full)
        except OSError:
            return None
        if None in (self._own, owner, mode) or self._own == 0 or mode is None:
            return None
        return bool(mode & 0o200) if owner == self._own else None if mode & 0o022 else False

    def _try(self, full: str) -> bool:
        """Create a hidden directory and remove it again."""
        name = f"{full}/.netboot-sync-try-{self._area.run}"
        try:
            self._sftp.make_directory(name)
            self._sftp.remove_directory(name)
        except OSError:
            return False
        return True

    def _refusal(self, full: str, path: str) -> SyncError:
        user = self._session.settings.user or "the user of the sync"
        space = self._sftp.space(full)
        if space is not None and space.read_only:
            words, remedy = "its file system is read-only", "Mount it writable; if it was, look for disk errors."
        else:
            words, remedy = "permission denied", f"Give it to {user} on the caching server."
        if path == self._dest:
            return SyncError(f"the destination cannot be written ({words})", path=path, remedy=remedy)
        return SyncError(
            f"{posixpath.normpath(full)} cannot be written on the caching server ({words})", path=path, remedy=remedy
        )

    # Room

    def require_room(self, entry: Entry, wanted: t.Collection[str], *, small: bool) -> None:
        """Raise :class:`SyncError` if a file would not fit in addition to all that was asked for before."""
        mount = self._area.mounts.of(entry.path)
        if mount not in self._free:
            self._free[mount] = self._sftp.space(f"{self._dest}/{mount.path}" if mount else self._base)
        space = self._free[mount]
        if space is None or entry.path in self._sent:
            return
        before = self._planned.get(mount, 0)
        room = space.available - before - entry.size - (0 if small else RESERVE)
        if room < 0:
            if mount not in self._droppable:
                self._droppable[mount] = self._area.size(mount, wanted)
            room += self._droppable[mount]
        if room < 0 or space.no_more_files:
            raise self.no_room(entry, space, before)
        self._sent.add(entry.path)
        # The space of what it replaces is freed once it is in place.
        self._planned[mount] = before + entry.size - self._listing.sizes.get(entry.path, 0)

    def no_room(self, entry: Entry, space: Space | None, before: int = 0) -> SyncError:
        """Say what is missing."""
        there = describe_space(space) if space else "how much is free is not told"
        if before > 0:
            there += f", of which {before} go to what comes first"
        mount = self._area.mounts.of(entry.path)
        where = f"{self._dest}/{mount.path}" if mount else self._dest
        return SyncError(
            f"not enough space in {where}: {entry.size} bytes and a reserve of {RESERVE} are needed, {there}",
            path=entry.path,
            remedy=f"Free some, or let {called('delete')} remove what the netboot server no longer holds.",
        )
