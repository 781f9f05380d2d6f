# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plain streams over the connection for bulk: for a large file that resembles nothing over there.

Without a difference, rsync only copies the data, twice, and hashes it on both ends; and it is hashed again when it is
on disk, since only that shows what clients will read. So a constant script writes its standard input to the hidden
name, and the kernel carries the file from the disk to ssh.

What arrived before an interruption is copied in front, once both ends have verified that it is the beginning of this
file; it is never written to itself, since a process of an earlier run may still have it open.
"""

from __future__ import annotations

import typing as t

from ..assets.entries import Entry
from ..errors import SourceUnreadable
from ..limits.throttle import Throttle
from ..progress import Progress
from ..source.tree import SourceTree, changed
from ..ssh.base import BaseSession
from ..ssh.conversation import Conversation
from ..ssh.remote_commands import Abilities, hash_files, receive, received
from .carrying import Carrier, TooShort, Unreadable
from .work_area import WorkArea

SHORTEST_PIECE = 1024 * 1024  # bytes; resending less than that costs less than comparing it


def can_receive(there: Abilities) -> bool:
    """Return whether a caching server can take a stream, and hash the result, which is the only check of it."""
    return there.joins and there.hashes and there.tells_place


class Stream:
    """Sends whole files; see :class:`~.protocol.Transport` for what it raises."""

    def __init__(
        self,
        session: BaseSession,
        area: WorkArea,
        source: SourceTree,
        *,
        ciphers: t.Sequence[str] = (),
        throttle: Throttle,
        progress: Progress,
    ) -> None:
        self._session = session
        self._area = area
        self._source = source
        self._carrier = Carrier(session, ciphers=ciphers, throttle=throttle, tell=progress.at)

    @property
    def sent(self) -> int:
        """Bytes of the last transfer so far."""
        return self._carrier.sent

    def start(self, entry: Entry, partial_size: int) -> int | None:
        """Return from which byte on to send a file, given the size of what an earlier run left of it.

        None if that is a piece of something else: then it may be a basis. Raises :class:`SyncError`.
        """
        if not partial_size:
            return 0
        if partial_size > entry.size:
            return None
        if partial_size < SHORTEST_PIECE:
            return 0
        there = hash_files(self._session, [(self._area.partial(entry.path), partial_size)])
        return partial_size if there == [self._source.digest_of_start(entry, partial_size)] else None

    def send(self, entry: Entry, start: int) -> int:
        """Send a file to its hidden name from byte ``start`` on; the existing piece is copied in front.

        Returns the bytes that were sent.
        """
        command = receive(self._area.partial(entry.path) if start else "", self._area.incoming(entry.path))

        def follow(conversation: Conversation, patience: float) -> int:
            return received(conversation, self._session, entry.path, entry.size, patience)

        try:
            with self._source.opened(entry) as file:
                self._carrier.carry(
                    command, file, entry.size, entry.path, follow, start=start, whole=lambda came: came == entry.size
                )
        except Unreadable as error:
            raise SourceUnreadable("read", error.trouble, self._source.absolute(entry.path)) from error
        except TooShort:
            raise changed("changed", entry) from None
        self._source.confirm(entry)
        return self.sent
