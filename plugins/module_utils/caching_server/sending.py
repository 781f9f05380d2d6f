# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sending one file to its hidden name: by which transport, whether there is room, and why it failed, in words."""

from __future__ import annotations

import contextlib
import errno
import typing as t

from ..assets.entries import Entry
from ..errors import ConnectionTrouble, LeftForLater, SourceChanged, SyncError
from ..planning.basis import SMALLEST
from ..ssh import remote_commands
from ..ssh.base import BaseSession
from ..ssh.sftp import Space
from ..transports.protocol import DiskFull, Sent, Transport
from ..transports.work_area import WorkArea
from .trial import RESERVE, Trial, is_full


class Sending:
    """The transports of one run: ``small`` for what is below :data:`~.basis.SMALLEST`, ``large`` for the rest."""

    def __init__(
        self, session: BaseSession, area: WorkArea, trial: Trial, dest: str, *, small: Transport, large: Transport
    ) -> None:
        self._session = session
        self._area = area
        self._trial = trial
        self._dest = dest
        self.small = small
        self.large = large
        self._last = small

    @property
    def unfinished_bytes(self) -> int:
        """How many bytes the last transfer sent, if it did not finish."""
        return self._last.sent

    def prepare(self, entry: Entry) -> None:
        """Choose the transport of the next file. Raises :class:`SyncError` if it could not be put in its place."""
        self._last = self.small if entry.size < SMALLEST else self.large
        self._last.sent = 0
        self._trial.require_target(entry.path, really=True)

    def send(self, entry: Entry, basis: str | None, wanted: t.Collection[str]) -> Sent:
        """Send the prepared file. ``wanted`` are the files whose partial files are kept when space is short.

        Raises :class:`SyncError`.
        """
        room = self._room(entry, wanted) if entry.size >= SMALLEST else None
        with self.in_words(entry):
            return self._last.send(entry, basis, room)

    @contextlib.contextmanager
    def in_words(self, entry: Entry) -> t.Iterator[None]:
        """Convert errors while writing a file to a :class:`SyncError` that says why."""
        try:
            yield
        except (ConnectionTrouble, LeftForLater, SourceChanged):
            raise
        except DiskFull as error:
            self._refuse_quota(error.what, entry)
            full = self._disk_full(entry)
            raise full from None
        except SyncError:
            # rsync's receiver does not always get to report why it could not write.
            if self._is_full(entry):
                full = self._disk_full(entry)
                raise full from None
            raise
        except OSError as error:
            self._session.require_line(error)
            if self._is_full(entry):
                full = self._disk_full(entry)
                raise full from None
            raise self._no_write(error, entry) from error

    def _no_write(self, error: OSError, entry: Entry) -> SyncError:
        """Return in words why the caching server does not write, in its shell's words if SFTP has none."""
        has_shell = self._trial.has_shell
        name = f"{self._area.directory(entry.path)}/try-{self._area.run}"
        said = remote_commands.why_no_write(self._session, name) if has_shell else ""
        self._refuse_quota(said, entry)
        words = said or error.strerror or str(error)
        if error.errno == errno.EIO and has_shell and not said:
            return ConnectionTrouble(
                f"a write failed on the caching server ({words}), and the next one did not",
                path=entry.path,
                remedy="If that goes on, look at its kernel's log and at the mount.",
            )
        return SyncError(
            f"cannot be written on the caching server ({words})",
            path=entry.path,
            remedy=f"Look at {self._area.root_of(entry.path)} there.",
        )

    def _refuse_quota(self, said: str, entry: Entry) -> None:
        if "quota" in said.lower():
            self._area.drop(entry.path)
            raise SyncError(
                f"the quota of {self._session.settings.user or 'the user of the sync'} is used up in {self._dest}",
                path=entry.path,
                remedy="Raise it on the caching server, or free some.",
            )

    def _is_full(self, entry: Entry) -> bool:
        space = self._space(entry)
        return space is not None and is_full(space)

    def _space(self, entry: Entry) -> Space | None:
        """Return the free space in the file system of a file."""
        return self._trial.space(self._area.mounts.of(entry.path))

    def _room(self, entry: Entry, wanted: t.Collection[str]) -> int | None:
        """Return how many bytes may be used besides a new file, or None if the server does not tell."""
        space = self._space(entry)
        if space is None:
            return None
        room = space.available - RESERVE - entry.size
        if room < 0:
            # Whatever this file has in the work area can be given up without asking anybody.
            self._area.drop(entry.path)
            space = self._space(entry) or space
            room = space.available - RESERVE - entry.size
        if room < 0:
            # Partial files of others are kept only if there is room for them.
            self._area.clean(wanted)
            space = self._space(entry) or space
            room = space.available - RESERVE - entry.size
        if room < 0:
            raise self._disk_full(entry)
        return room

    def _disk_full(self, entry: Entry) -> SyncError:
        """Say what is missing, and free what the failed transfer used."""
        self._area.drop(entry.path)
        return self._trial.no_room(entry, self._space(entry))
