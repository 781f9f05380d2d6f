# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a transport is: it brings one file to its hidden name, and says what crossed the line for it."""

from __future__ import annotations

import typing as t

from ..assets.entries import Entry
from ..errors import SyncError


class Sent(t.NamedTuple):
    """What a transfer cost: bytes on the wire, and the file that it was the difference to."""

    bytes: int
    basis: str | None = None


class DiskFull(SyncError):
    """The caching server ran out of space, or the user of the sync out of quota."""


class Transport(t.Protocol):
    """Sends one file at a time, as fast as the throttle lets it.

    Raises :class:`SyncError`: :class:`DiskFull`; :class:`SourceChanged` where the file is another one by now, with
    nothing under the hidden name; :class:`ConnectionTrouble` where the connection was lost, with what arrived kept for the next
    try; :class:`LeftForLater` where the throttle sends no more. Or OSError, as SFTP has it, where the caching server
    refuses to write.
    """

    sent: int  # bytes of the last transfer that did not come to its end

    @property
    def name(self) -> str:
        """How results and tables call it."""

    def send(self, entry: Entry, basis: str | None, room: int | None) -> Sent:
        """Send a file to its hidden name.

        ``basis`` is a path of the tree whose file may be like it, ``room`` how many bytes may be filled beside the file
        itself; a transport that has no differences takes notice of neither.
        """
