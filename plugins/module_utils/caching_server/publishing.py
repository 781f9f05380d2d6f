# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that clients can see of a caching server is changed here, and only here: one rename, or one removal, at a
time.

Each is on disk before the call returns.
"""

from __future__ import annotations

import posixpath
import typing as t

from ..assets.entries import DIRECTORY, Entry, parents
from ..errors import Kept, SyncError
from ..ssh.base import BaseSession
from ..ssh.sftp import Sftp
from ..transports.work_area import WorkArea
from .attributes import DIRECTORY_MODE, FILE_MODE, Attributes
from .folding import Spellings
from .reading import Reading
from .together import Together


class Publishing:
    """The changes of one run. Raises :class:`SyncError`; ``require`` does if the lock is no longer ours."""

    def __init__(
        self,
        session: BaseSession,
        sftp: Sftp,
        dest: str,
        *,
        area: WorkArea,
        reading: Reading,
        attributes: Attributes,
        together: Together,
        require: t.Callable[[], None],
    ) -> None:
        self._session = session
        self._sftp = sftp
        self._dest = dest
        self._area = area
        self._reading = reading
        self._attributes = attributes
        self._together = together
        self._require = require
        self._put = Spellings()  # the names that were published

    def _full(self, path: str) -> str:
        return f"{self._dest}/{path}"

    def publish(self, entry: Entry) -> None:
        """Rename the hidden file to its final name."""
        self._require()
        self._refuse_clash(entry.path)
        with self._translated(
            entry.path, "cannot be renamed into place", f"Is its directory on another file system than {self._dest}?"
        ):
            self._make_parents(entry.path)
            self._sftp.rename(self._area.incoming(entry.path), self._full(entry.path))
            self._flush_directory(entry.path)
        self._put.add(entry.path)
        self._area.drop(entry.path)

    def _refuse_clash(self, path: str) -> None:
        """Raise :class:`SyncError` if another name of the netboot server has taken the place of this one by now."""
        other = next(iter(self._put.rivals(path)), "")
        if other and self._reading.look(path) is not None:
            raise SyncError(
                f"it and {other} are the same name on the file system of the caching server",
                path=path,
                remedy="Rename one of them on the netboot server.",
            )

    def publish_together(self, entries: t.Sequence[Entry]) -> set[str]:
        """Rename files that are ready to their final names; return the paths of those that are in place."""
        self._require()
        names = Spellings()
        going: list[Entry] = []
        for entry in entries:
            if not list(self._put.rivals(entry.path)) and not list(names.rivals(entry.path)):
                names.add(entry.path)
                going.append(entry)
        with self._translated(entries[0].path, "cannot be flushed to disk"):
            refused = self._together.publish(going, self._make_parents)
        put = {entry.path for entry in going if entry.path not in refused}
        for path in put:
            self._put.add(path)
        self._together.drop()
        return put

    def adopt(self, entry: Entry) -> bool:
        """Set the netboot server's time on a file with the same content; return whether it has it now."""
        self._require()
        return self._attributes.finish(self._full(entry.path), entry)

    def permit(self, entry: Entry) -> None:
        """Make a published file that is in line except for its mode readable for everybody."""
        self._require()
        if not self._attributes.shows(entry, self._reading.look(entry.path)):
            raise SyncError("it changed on the caching server meanwhile", path=entry.path, remedy="Run the sync again.")
        with self._translated(
            entry.path,
            "only its owner can read it there, and its mode cannot be changed",
            f"Give it to {self._session.settings.user or 'the user of the sync'} there, or set its mode to 0644.",
        ):
            self._sftp.set_mode(self._full(entry.path), FILE_MODE)
            self._sftp.flush(self._full(entry.path))

    def link(self, entry: Entry) -> None:
        """Put a symlink in its place, over what is there."""
        self._require()
        self._refuse_clash(entry.path)
        with self._translated(entry.path, "the symlink cannot be made"):
            self._area.make(entry.path)
            self._make_parents(entry.path)
            incoming = self._area.incoming(entry.path)
            self._sftp.symlink(entry.target, incoming)
            self._sftp.rename(incoming, self._full(entry.path))
            self._flush_directory(entry.path)
        self._put.add(entry.path)
        self._area.drop(entry.path)

    def remove(self, path: str) -> None:
        """Remove a file from the tree. Raises :class:`Kept` if it is one that was published under another spelling."""
        self._require()
        self._refuse_same(path)
        with self._translated(path, "cannot be removed"):
            try:
                self._sftp.remove(self._full(path))
            except FileNotFoundError:
                return
            self._flush_directory(path)

    def _refuse_same(self, path: str) -> None:
        others = self._put.rivals(path)
        if others:
            directory, name = posixpath.split(self._full(path))
            names = {entry.path for entry in self._sftp.list(directory)}
            if not names.issuperset([name, *map(posixpath.basename, others)]):
                raise Kept(f"it is {others[0]} in another spelling", path=path)

    def remove_directory(self, path: str) -> None:
        """Remove a directory of the tree if it is empty; if others keep hidden files there, it stays."""
        self._require()
        with self._translated(path, "cannot be removed"):
            if not self._sftp.list(self._full(path)):
                self._sftp.remove_directory(self._full(path))

    def _make_parents(self, path: str) -> None:
        for above in parents(path):
            found = self._reading.look(above)
            if found is None:
                self._sftp.make_directory(self._full(above))
                self._attributes.set_mode(self._full(above), DIRECTORY_MODE)
                self._flush_directory(above)
            elif found.kind != DIRECTORY:
                raise SyncError(
                    f"{above} is not a directory on the caching server", path=path, remedy="Remove it there."
                )

    def _flush_directory(self, path: str) -> None:
        self._sftp.flush(posixpath.dirname(self._full(path)))

    def _translated(self, path: str, what: str, remedy: str = "") -> t.ContextManager[None]:
        remedy = remedy or f"Look at the permissions below {self._dest} on the caching server."
        return self._session.told_as(path, what, remedy)
