# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Opening the tree of a caching server for one run: find its destination, create its work area, take its lock."""

from __future__ import annotations

import contextlib
import typing as t

from ..assets.entries import DIRECTORY, FILE, Entry
from ..ssh import itself
from ..ssh.base import BaseSession
from ..ssh.pipelined import Pipelined
from ..ssh.remote_commands import Abilities
from ..ssh.sftp import Sftp
from ..transports.work_area import WorkArea
from . import destination
from .attributes import DIRECTORY_MODE, Attributes
from .lock import Elsewhere, KernelLock, LeaseLock, Lock
from .trial import Trial


class Opening:
    """The destination and the lock of one run. Raises :class:`SyncError`.

    :param root: the source's own tree, which must not be the destination.
    :param elsewhere: called if the shell turns out to see other files than SFTP, as on many a NAS.
    """

    def __init__(
        self,
        session: BaseSession,
        sftp: Sftp,
        dest: str,
        *,
        root: str,
        abilities: Abilities,
        area: WorkArea,
        trial: Trial,
        attributes: Attributes,
        lock_timeout: int,
        elsewhere: t.Callable[[], None],
    ) -> None:
        self._session = session
        self._sftp = sftp
        self._many = Pipelined(sftp)
        self._dest = dest
        self._root = root
        self._place = abilities.place
        self._locks = abilities.locks
        self._area = area
        self._trial = trial
        self._attributes = attributes
        self._lock_timeout = lock_timeout
        self._elsewhere = elsewhere
        self._lock: Lock | None = None
        self._is_there = False  # the destination, as far as that was looked at
        self._proof = f"{area.root}/proof-{area.run}"

    def find(self) -> None:
        """Raise :class:`SyncError` if there is no directory to write to, nor a place to make it.

        Nor may it be the tree of the source itself.
        """
        self._is_there = destination.require(
            self._session, self._sftp, self._dest, source=self._root, place=self._place, area=self._area
        )

    def open(self, likely: t.Sequence[Entry] = ()) -> list[Entry]:
        """See :meth:`~.protocol.CachingServer.open_for_writing`."""
        try:
            if not (self._is_there or self._sftp.look(self._dest)):
                self._sftp.make_directory(self._dest)
                self._attributes.set_mode(self._dest, DIRECTORY_MODE)  # a session's umask may lock out the web server
            self._area.open_root(self._area.root)
            answers = self._many.begin_look([f"{self._dest}/{entry.path}" for entry in likely])
            self._lock = self._take_lock()
            found = answers()
        except OSError as error:
            raise destination.unwritable(self._session, self._sftp, self._dest, error) from error
        self._refuse_itself()
        return [entry for entry, there in zip(likely, found) if _lacks(there, entry)]

    def _take_lock(self) -> Lock:
        if self._locks:
            try:
                return self._take_kernel_lock()
            except Elsewhere:
                with contextlib.suppress(OSError):
                    self._sftp.remove_directory(self._proof)
                self._place = None  # it is that of other files
                self._elsewhere()
        lock = LeaseLock(self._session, self._area.lock, timeout=self._lock_timeout)
        lock.acquire()
        return lock

    def _refuse_itself(self) -> None:
        """Raise :class:`SyncError` if the work area of the caching server is one of the source's own tree."""
        if self._place is None and itself.shows_work_area(self._sftp, self._area.root, self._root):
            raise itself.refusal(self._session.where, self._dest, itself.SAME)

    def _take_kernel_lock(self) -> Lock:
        """Take it with a directory as a proof that the shell has to find, which is made while the shell starts.

        Raises :class:`Elsewhere`.
        """
        made = self._many.begin_make_directory(self._proof)
        try:
            return self._taken(self._proof)
        except Elsewhere:
            if made() is None:
                return self._taken(self._proof)  # the shell may have been faster
            return self._taken("")  # a full disk, which the run may be about to fix

    def _taken(self, proof: str) -> Lock:
        lock = KernelLock(self._session, self._area.lock, timeout=self._lock_timeout, proof=proof)
        lock.acquire()
        return lock

    def would_open(self) -> None:
        """Say for check mode what prevents opening for writing, as far as that can be known."""
        self._trial.require_opening(there=self._sftp.look(self._dest) is not None)
        root = self._sftp.look(self._area.root)
        if root is not None:
            if root.kind != DIRECTORY:
                raise self._area.not_ours(self._area.root)
            lock = self._sftp.look(self._area.lock)
            if lock is not None and lock.kind != FILE:
                raise LeaseLock(self._session, self._area.lock, timeout=0).strange()

    @property
    def written(self) -> str | None:
        """A file that this run has just written there; None if it holds no lock."""
        return self._lock.told if self._lock is not None else None

    def require(self) -> None:
        """Raise :class:`LockLost` if the lock that was taken is no longer ours."""
        if self._lock is not None:
            self._lock.require()

    def close(self) -> None:
        """Release the lock."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None


def _lacks(there: Entry | OSError, entry: Entry) -> bool:
    """Return whether a file is certain to be sent. Its time may be another one, where that is not kept."""
    if isinstance(there, OSError):
        return isinstance(there, FileNotFoundError)
    return there.kind == FILE and there.size != entry.size
