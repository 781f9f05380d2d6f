# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The interface of a transport: it sends one file to its hidden name, and reports the bytes on the line."""

from __future__ import annotations

import typing as t

from ..assets.entries import Entry
from ..errors import SyncError


class Sent(t.NamedTuple):
    """The cost of a transfer: bytes on the wire, and the basis of the difference."""

    bytes: int
    basis: str | None = None


class DiskFull(SyncError):
    """The caching server ran out of space, or the sync's user out of quota."""


class Transport(t.Protocol):
    """Sends one file at a time, as fast as the throttle allows.

    Raises :class:`SyncError`: :class:`DiskFull`; :class:`SourceChanged` if the file has changed by now, with nothing
    under the hidden name; :class:`ConnectionTrouble` if the connection was lost, with what arrived kept for the next
    attempt; :class:`LeftForLater` if the throttle sends no more. Or OSError, as from SFTP, if the caching server
    refuses to write.
    """

    sent: int  # bytes of the last unfinished transfer

    @property
    def name(self) -> str:
        """Its name in results and tables."""

    def send(self, entry: Entry, basis: str | None, room: int | None) -> Sent:
        """Send a file to its hidden name.

        ``basis`` is a path in the tree with a similar file, ``room`` how many bytes may be used besides the file
        itself; a transport without differences ignores both.
        """
