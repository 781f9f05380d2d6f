# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run asks of a caching server: the interface shared by the real one and the model's."""

from __future__ import annotations

import typing as t

from ..assets.entries import Entry, Tree
from ..errors import SyncError
from ..limits.throttle import Throttle
from ..transports.protocol import Sent


class CachingServer(t.Protocol):
    """All that a run ever does to a caching server, one call each. Calls raise only :class:`SyncError`.

    Every change that a client can see is one rename, or one removal, and is on disk before the call returns. Paths are
    relative to the tree.
    """

    warnings: list[str]
    throttle: Throttle

    @property
    def clashes(self) -> dict[str, str]:
        """Names that clash with another one there, according to the last listing."""

    @property
    def transport(self) -> str:
        """How large files are sent: ``rsync`` or ``sftp``."""

    @property
    def offers(self) -> dict[str, t.Any]:
        """What the caching server offers besides SFTP, in the form of the module's documentation."""

    @property
    def hashes(self) -> bool:
        """Return whether the caching server can hash what it holds."""

    @property
    def unfinished_bytes(self) -> int:
        """How many bytes the last transfer sent, if it did not finish."""

    # The lock

    def find_destination(self) -> None:
        """Refuse a destination that cannot be one, such as the tree of the source itself."""

    def open_for_writing(self, likely: t.Sequence[Entry] = ()) -> list[Entry]:
        """Create what a run needs on the caching server, and take the lock. Raises :class:`LockHeld`.

        Returns which of some ``likely`` files were not there as they are on the netboot server, if that could be seen
        meanwhile.
        """

    def would_open(self, entries: t.Sequence[Entry]) -> None:
        """Say for check mode what prevents opening for writing, and sending files, as far as that is known."""

    def close(self) -> None:
        """Release the lock."""

    # Looking

    def tree(self, wanted: Tree | None = None) -> Tree:
        """List the tree without its hidden names, with names that fold together in the spelling of ``wanted``."""

    def look(self, path: str) -> Entry | None:
        """Return the current entry of a path in the tree, or None if it is not there."""

    def shows(self, entry: Entry, found: Entry | None) -> bool:
        """Return whether what was found is this file of the netboot server, as far as its metadata can tell."""

    def suspects(self, entries: t.Sequence[Entry], tree: Tree) -> list[Entry]:
        """Return which of the netboot server's files may be there unchanged, although their time differs."""

    @property
    def rounded(self) -> t.Collection[str]:
        """The suspects whose time may differ only by that file system's rounding: it cannot be corrected."""

    def fresh(self, seconds: int) -> frozenset[str]:
        """Return the directories of the listed tree in which a name changed in the last ``seconds``."""

    def read_marker(self, entry: Entry) -> bytes:
        """Return the content of a marker; nothing if it is too large to be one."""

    def digests(self, entries: t.Sequence[Entry]) -> dict[str, str]:
        """Return the SHA-256 of files of the tree."""

    def has_leftovers(self, unfinished: t.Iterable[str]) -> bool:
        """Return whether an interrupted run left anything to clean up, except partial files of these."""

    def would_send(self, entry: Entry) -> None:
        """Say for check mode what prevents sending a file."""

    # Acting: one call for each step of the protocol

    def expect_sending(self, entries: t.Sequence[Entry]) -> None:
        """Prepare to send these files, among others that are not known yet, and do not wait."""

    def begin_sending(self, entries: t.Sequence[Entry], *, together: bool) -> None:
        """Prepare to send these files, some of them together, and do not wait.

        Partial files of others are kept only if there is room.
        """

    def send(self, entry: Entry, basis: str | None) -> Sent:
        """Send a file to its hidden name, with its final permissions and time."""

    def check(self, entry: Entry, *, read_back: bool) -> bool:
        """Compare what is under the hidden name with the source. Returns whether the content was compared."""

    def flush(self, entry: Entry) -> None:
        """Flush the file under the hidden name to disk."""

    def publish(self, entry: Entry) -> None:
        """Rename the hidden file to its final name."""

    # Acting: small files together

    @property
    def takes_many(self) -> bool:
        """Return whether small files can be sent and published together."""

    def send_together(self, entries: t.Sequence[Entry]) -> dict[str, int]:
        """Send small files to hidden names, compare and flush them; return the cost in bytes of those that are ready.

        What is not among them is to be sent by itself.
        """

    def publish_together(self, entries: t.Sequence[Entry]) -> set[str]:
        """Rename files that are ready to their final names, each in one step; return the paths of those that are in
        place.

        They are on disk when the call returns. Send all others individually.
        """

    def adopt(self, entry: Entry) -> bool:
        """Set the netboot server's time on a file with the same content; return whether it has it now."""

    def permit(self, entry: Entry) -> None:
        """Make a published file that is in line except for its mode readable for everybody."""

    def link(self, entry: Entry) -> None:
        """Put a symlink in its place, over what is there."""

    def remove(self, path: str) -> None:
        """Remove a file from the tree. Raises :class:`Kept`."""

    def remove_directory(self, path: str) -> None:
        """Remove a directory of the tree if it is empty."""

    def clean(self, unfinished: t.Iterable[str]) -> None:
        """Remove from the work area whatever no later run will use."""

    def in_words(self, error: Exception, path: str) -> SyncError | None:
        """Return in words what an error of the session means; None if it is a bug of ours."""
