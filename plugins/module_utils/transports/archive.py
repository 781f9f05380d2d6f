# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many small files at once, as one archive over the connection for bulk: individually, each would cost several round
trips.

Their names in it are numbers, so no asset's name is ever used there; they are unpacked into a directory of this run.
"""

from __future__ import annotations

import hashlib
import io
import tarfile
import tempfile
import typing as t

from ..assets.entries import Entry
from ..errors import SourceChanged, SyncError
from ..limits.throttle import Throttle
from ..progress import Progress
from ..source.tree import SourceTree
from ..ssh.base import BaseSession
from ..ssh.conversation import Conversation
from ..ssh.remote_commands import unpack, unpacked
from .carrying import Carrier

_MODE = 0o644  # readable for another user's web server


class Packed(t.NamedTuple):
    """A file that arrived: its hidden name, as an absolute path, and its cost on the line in bytes."""

    hidden: str
    bytes: int


class Archive:
    """Sends small files together; see :class:`~.protocol.Transport` for what it raises."""

    def __init__(
        self,
        session: BaseSession,
        source: SourceTree,
        *,
        ciphers: t.Sequence[str] = (),
        throttle: Throttle,
        progress: Progress,
    ) -> None:
        self._session = session
        self._source = source
        self._carrier = Carrier(session, ciphers=ciphers, throttle=throttle, tell=progress.at)

    def send(self, entries: t.Sequence[Entry], directory: str) -> dict[str, Packed]:
        """Send files into an empty directory of ours, and return those that arrived completely, and are on disk, by
        path.

        Files that have changed by now are left out, and so are those that do not arrive as sent.
        """
        with tempfile.TemporaryFile() as file:
            digests = self._pack(entries, file)
            size = file.tell()
            path = entries[0].path

            def follow(conversation: Conversation, patience: float) -> dict[str, str]:
                return unpacked(conversation, self._session, path, size, len(entries), patience)

            there = self._carrier.carry(unpack(directory), file, size, path, follow)
        arrived: dict[str, Packed] = {}
        for number, entry in enumerate(entries):
            digest = digests.get(entry.path)
            if digest is not None and there.get(str(number)) == digest:
                arrived[entry.path] = Packed(f"{directory}/{number}", _cost(entry.size))
        return arrived

    def _pack(self, entries: t.Sequence[Entry], file: t.BinaryIO) -> dict[str, str]:
        """Write the archive; return the SHA-256 of what is in it."""
        digests: dict[str, str] = {}
        with tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as archive:
            for number, entry in enumerate(entries):
                try:
                    content = b"".join(self._source.blocks(entry))
                except (SourceChanged, SyncError):
                    continue  # its own turn tells why
                about = tarfile.TarInfo(str(number))
                about.size, about.mtime, about.mode = len(content), entry.mtime, _MODE
                archive.addfile(about, io.BytesIO(content))
                digests[entry.path] = hashlib.sha256(content).hexdigest()
        return digests


def _cost(size: int) -> int:
    """Return how many bytes a file is in an archive, with its header."""
    return tarfile.BLOCKSIZE + -(-size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
