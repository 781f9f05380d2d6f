# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run asks of a caching server: the interface that the real one and the stepped one of the model share."""

from __future__ import annotations

import typing as t

from ..assets.entries import Entry, Tree
from ..errors import SyncError
from ..limits.throttle import Throttle
from ..transports.protocol import Sent


class CachingServer(t.Protocol):
    """All that a run ever does to a caching server, each as one call. Every call raises :class:`SyncError` alone.

    Every change that a client can see is one rename, or one removal, and is on disk before the call returns. Paths are
    relative to the tree.
    """

    warnings: list[str]
    throttle: Throttle

    @property
    def clashes(self) -> dict[str, str]:
        """Names that cannot stand beside another one there, by the last listing."""

    @property
    def transport(self) -> str:
        """How large files travel: ``rsync`` or ``sftp``."""

    @property
    def offers(self) -> dict[str, t.Any]:
        """What the caching server offers beside SFTP, as the module's documentation says."""

    @property
    def hashes(self) -> bool:
        """Tell whether the caching server can hash what it holds."""

    @property
    def unfinished_bytes(self) -> int:
        """How many bytes the last transfer sent, if it did not come to its end."""

    # The lock

    def find_destination(self) -> None:
        """Refuse a destination that cannot be one, such as the tree of the source itself."""

    def open_for_writing(self) -> None:
        """Make what a run needs on the caching server, and take the lock. Raises :class:`LockHeld`."""

    def would_open(self, entries: t.Sequence[Entry]) -> None:
        """Say for check mode what stands against opening for writing, and sending files, as far as that is known."""

    def close(self) -> None:
        """Give the lock back."""

    # Looking

    def tree(self, wanted: Tree | None = None) -> Tree:
        """List the tree without its hidden names, names that fold together in the spelling of ``wanted``."""

    def look(self, path: str) -> Entry | None:
        """Return what a path of the tree is just now, or None where it is not there."""

    def shows(self, entry: Entry, found: Entry | None) -> bool:
        """Tell whether what was found is this file of the netboot server, as far as its looks can tell."""

    def suspects(self, entries: t.Sequence[Entry], tree: Tree) -> list[Entry]:
        """Return which of the netboot server's files may be there unchanged, although their time is another one."""

    @property
    def rounded(self) -> t.Collection[str]:
        """The suspects whose time may differ by the rounding of that file system alone: it cannot be put right."""

    def fresh(self, seconds: int) -> frozenset[str]:
        """Return the directories of the listed tree in which a name changed in the last ``seconds``."""

    def read_marker(self, entry: Entry) -> bytes:
        """Return the content of a marker; nothing where it is too large to be one."""

    def digests(self, entries: t.Sequence[Entry]) -> dict[str, str]:
        """Return the SHA-256 of files of the tree."""

    def has_leftovers(self, unfinished: t.Iterable[str]) -> bool:
        """Tell whether a run that broke off left anything to clean: all but pieces of these files."""

    def would_send(self, entry: Entry) -> None:
        """Say for check mode what stands against sending a file."""

    # Doing: one call for each step of the protocol

    def begin_sending(self, entries: t.Sequence[Entry], *, together: bool) -> None:
        """Get ready to send these files, some of them together, and wait for nothing.

        Pieces of others are only kept where there is room.
        """

    def send(self, entry: Entry, basis: str | None) -> Sent:
        """Bring a file to its hidden name, with its final permissions and time."""

    def check(self, entry: Entry, *, read_back: bool) -> bool:
        """Compare what lies under the hidden name with the source. Returns whether the content was compared."""

    def flush(self, entry: Entry) -> None:
        """Have what lies under the hidden name written to disk."""

    def publish(self, entry: Entry) -> None:
        """Rename the hidden file to its final name."""

    # Doing: small files together

    @property
    def takes_many(self) -> bool:
        """Tell whether small files can be sent and published together."""

    def send_together(self, entries: t.Sequence[Entry]) -> dict[str, int]:
        """Bring small files to hidden names, compared and on disk; return what those that are ready cost, in bytes.

        What is not among them is to be sent by itself.
        """

    def publish_together(self, entries: t.Sequence[Entry]) -> set[str]:
        """Rename files that are ready to their final names, each in one step; return the paths of those that are there.

        They are on disk when the call returns. What is not among them is to be sent by itself.
        """

    def adopt(self, entry: Entry) -> bool:
        """Give a file that has the same content the time of the netboot server; tell whether it has it now."""

    def permit(self, entry: Entry) -> None:
        """Let everybody read a published file that is in line but for its mode."""

    def link(self, entry: Entry) -> None:
        """Put a symlink in its place, over what is there."""

    def remove(self, path: str) -> None:
        """Remove a file from the tree. Raises :class:`Kept`."""

    def remove_directory(self, path: str) -> None:
        """Remove a directory of the tree if it is empty."""

    def clean(self, unfinished: t.Iterable[str]) -> None:
        """Remove from the work area all that no later run will use."""

    def in_words(self, error: Exception, path: str) -> SyncError | None:
        """Return in words what an error of the session means; None where it is a mistake of ours."""
