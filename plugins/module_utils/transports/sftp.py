# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Transfers by SFTP over the session: for small files, and for caching servers without rsync.

An interrupted upload resumes where it ended. Data that was written but not flushed may be gone, or zeros, after a power
cut; so every :data:`SEGMENT` is flushed before the next one begins, and an upload resumes at the last boundary before
its end.
"""

from __future__ import annotations

import typing as t

from ..assets.entries import Entry
from ..limits.throttle import Throttle
from ..progress import Progress
from ..source.tree import SourceTree
from ..ssh.base import BaseSession
from ..ssh.open_file import BLOCK_SIZE
from ..ssh.sftp import Sftp
from ..ssh.sftp_client import SFTP_ERRORS
from .protocol import Sent
from .work_area import WorkArea

SEGMENT = 8 * 1024 * 1024  # bytes


def resume_at(size_there: int) -> int:
    """Return the offset in bytes from which an interrupted upload of this length resumes."""
    return max(size_there - 1, 0) // SEGMENT * SEGMENT


class SftpTransport:
    """A :class:`~.protocol.Transport` over the session that a run has anyway."""

    name = "sftp"

    def __init__(
        self,
        session: BaseSession,
        sftp: Sftp,
        area: WorkArea,
        source: SourceTree,
        *,
        throttle: Throttle,
        progress: Progress,
    ) -> None:
        self._session = session
        self._sftp = sftp
        self._area = area
        self._source = source
        self._throttle = throttle
        self._progress = progress
        self.sent = 0  # bytes of the last transfer so far

    def send(self, entry: Entry, _basis: str | None = None, _room: int | None = None) -> Sent:
        """Send a file whole to its hidden name, from where an interrupted upload of it ended."""
        with self._throttle.sending():
            try:
                return Sent(self._send(entry))
            except SFTP_ERRORS as error:
                self._session.require_line(error)
                raise

    def _send(self, entry: Entry) -> int:
        self._area.make(entry.path)
        piece = self._area.upload(entry)
        there = self._area.piece(entry)
        offset = resume_at(there)
        start = offset
        self._progress.at(offset, 0)
        handle = self._sftp.update(piece) if offset else self._sftp.create(piece, exclusive=not there)
        try:
            for block in self._source.blocks(entry, offset):
                for chunk in _chunks(block):
                    # A single piece is always sent: it may be a marker whose image is already there.
                    if entry.size > BLOCK_SIZE:
                        self._throttle.wait(entry.path)
                    self._throttle.count(len(chunk))
                    handle.write(offset, chunk)
                    offset += len(chunk)
                    self.sent = offset - start
                    self._progress.at(offset, self.sent)
                    if offset % SEGMENT == 0:
                        handle.flush()
            handle.drain()
        finally:
            handle.close()
        self._sftp.rename(piece, self._area.incoming(entry.path))
        return self.sent


def _chunks(block: bytes) -> t.Iterator[bytes]:
    for begin in range(0, len(block), BLOCK_SIZE):
        yield block[begin : begin + BLOCK_SIZE]
