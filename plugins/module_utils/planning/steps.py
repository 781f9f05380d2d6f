# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps of the protocol. A plan is made of them, a run carries them out, a result lists them.

Each step is small enough to be interrupted anywhere, and describes itself: its name, the phase shown to an observer,
whether a client can see it (then it is one system call on the caching server), what its path looks like when it is
done, and how it is listed in a result.
"""

from __future__ import annotations

import dataclasses
import typing as t

from .. import progress
from ..assets.entries import Entry


@dataclasses.dataclass(frozen=True)
class Gone:
    """The premise that the netboot server still does not hold a path."""

    path: str


@dataclasses.dataclass(frozen=True)
class SetAside:
    """The premise that the markers of an image that was withdrawn by name are still set aside on the netboot server."""

    markers: tuple[str, ...]


# The premise of a removal; it is checked again right before the step.
Premise = t.Union[Gone, SetAside]


class Step:
    """One step of the protocol.

    :cvar name: its name in a result.
    :cvar phase: what an observer of the run is shown.
    :cvar visible: whether it changes what a client sees.
    :cvar delivers: whether a client finds something from the netboot server after it.
    :cvar puts_up: whether it publishes a name, of which the run keeps track.
    :cvar changes: whether it changes anything in the tree; a result with such a step is ``changed``.
    """

    name: t.ClassVar[str]
    phase: t.ClassVar[str]
    visible: t.ClassVar[bool] = False
    delivers: t.ClassVar[bool] = False
    puts_up: t.ClassVar[bool] = False
    changes: t.ClassVar[bool] = False

    if t.TYPE_CHECKING:

        @property
        def path(self) -> str:
            """The path that the step is about."""

    def is_done(self, found: Entry | None) -> bool:
        """Return whether the path looks as it does after the step; only for what a client can see."""
        raise NotImplementedError(f"{self.name} cannot be seen")

    def as_action(self) -> dict[str, t.Any]:
        """Return the step as it is listed in a result."""
        return {"action": self.name, "path": self.path, **self._details()}

    def _details(self) -> dict[str, t.Any]:
        return {}


@dataclasses.dataclass(frozen=True)
class _OfEntry(Step):
    """A step for one entry of the netboot server's tree."""

    entry: Entry

    @property
    def path(self) -> str:
        """The path that the step is about."""
        return self.entry.path

    def is_done(self, found: Entry | None) -> bool:
        """See :meth:`Step.is_done`."""
        return self.entry.looks_like(found)


@dataclasses.dataclass(frozen=True)
class Withdraw(Step):
    """Remove a marker, so that clients take its image from the netboot server.

    It is for the marker that the run found. One that the run itself has withdrawn or renewed by then is left alone: a
    renewed marker promises only what is already in line, and so nothing that its unit changes.
    """

    path: str
    image: str
    reason: str
    premise: Premise | None = None
    name = "withdraw"
    phase = progress.REMOVING
    visible = changes = True

    def is_done(self, found: Entry | None) -> bool:
        """See :meth:`Step.is_done`."""
        return found is None

    def _details(self) -> dict[str, t.Any]:
        return {"reason": self.reason}


@dataclasses.dataclass(frozen=True)
class Send(_OfEntry):
    """Send the content of a file to the caching server, under a hidden name; as the difference to ``basis``."""

    basis: str | None = None
    name = "send"
    phase = progress.SENDING

    def _details(self) -> dict[str, t.Any]:
        return {"bytes": self.entry.size, "basis": self.basis}


@dataclasses.dataclass(frozen=True)
class Check(_OfEntry):
    """Compare what is under the hidden name with the netboot server's file, by SHA-256 where the server can."""

    name = "check"
    phase = progress.CHECKING


@dataclasses.dataclass(frozen=True)
class Flush(_OfEntry):
    """Make the caching server flush the hidden file to disk."""

    name = "flush"
    phase = progress.FLUSHING


@dataclasses.dataclass(frozen=True)
class Publish(_OfEntry):
    """Rename the hidden file to its final name, and flush the directory to disk."""

    name = "publish"
    phase = progress.PUBLISHING
    visible = delivers = puts_up = changes = True


@dataclasses.dataclass(frozen=True)
class Adopt(_OfEntry):
    """Set the netboot server's time on a file whose content was compared and is the same."""

    name = "adopt"
    phase = progress.PUBLISHING
    changes = True


@dataclasses.dataclass(frozen=True)
class Permit(_OfEntry):
    """Make a file that is in line except for its mode readable for everybody."""

    name = "permit"
    phase = progress.PUBLISHING
    visible = delivers = changes = True

    def is_done(self, found: Entry | None) -> bool:
        """See :meth:`Step.is_done`."""
        return found is not None and not found.closed


@dataclasses.dataclass(frozen=True)
class Confirm(Step):
    """Check again, right before publishing a name that promises others: unchanged here, complete and the same there."""

    path: str
    entries: tuple[Entry, ...]
    name = "confirm"
    phase = progress.CHECKING


@dataclasses.dataclass(frozen=True)
class Link(_OfEntry):
    """Put a symlink in its place, in one rename."""

    name = "link"
    phase = progress.PUBLISHING
    visible = delivers = puts_up = changes = True

    def _details(self) -> dict[str, t.Any]:
        return {"target": self.entry.target}


@dataclasses.dataclass(frozen=True)
class Remove(Step):
    """Remove a file, or a directory that is empty by then."""

    path: str
    directory: bool = False
    premise: Premise | None = None
    name = "remove"
    phase = progress.REMOVING
    visible = changes = True

    def is_done(self, found: Entry | None) -> bool:
        """See :meth:`Step.is_done`."""
        return found is None


KINDS: tuple[type[Step], ...] = (Withdraw, Send, Check, Flush, Publish, Adopt, Permit, Confirm, Link, Remove)


@dataclasses.dataclass(frozen=True)
class Unit:
    """Steps that belong together: if one fails, the rest of its unit is skipped and the next unit tried.

    ``kind`` is ``withdrawal``, ``kernel``, ``file``, ``image``, ``pointer`` or ``removal``. A ``withdrawal`` is never
    subject to a limit: it is a few bytes, and clients must not wait for it. ``outcome`` is the state to report on
    success. ``path`` is the squashfs for an image and the directory for a kernel. ``after`` names the markers that the
    same run must have renewed before: if one was not, the old one may still be visible, and the unit is skipped.
    """

    kind: str
    path: str
    steps: tuple[Step, ...]
    outcome: str
    reason: str = ""
    after: tuple[str, ...] = ()
