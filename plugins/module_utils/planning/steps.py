# Copyright: (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps of the protocol. A plan is made of them, a run carries them out, a result lists them.

Each step is small enough to be cut off anywhere: what a client sees changes only in :class:`Withdraw`,
:class:`Publish`, :class:`Permit`, :class:`Link` and :class:`Remove`, and each of these is one system call there.
:class:`Adopt` changes a time, and no content.
"""

from __future__ import annotations

import dataclasses
import typing as t

from ..assets.entries import Entry


@dataclasses.dataclass(frozen=True)
class Gone:
    """The premise that the netboot server still does not hold a path."""

    path: str


@dataclasses.dataclass(frozen=True)
class SetAside:
    """The premise that the markers of an image that was withdrawn by name are still set aside on the netboot server."""

    markers: tuple[str, ...]


# What a removal was planned for; it is looked at again right before the step.
Premise = t.Union[Gone, SetAside]


@dataclasses.dataclass(frozen=True)
class Withdraw:
    """Remove a marker, so that clients take its image from the netboot server.

    It is for the marker that the run found. One that the run itself has withdrawn or renewed by then is left alone: a
    renewed marker promises only what is in line already, and so nothing of what its unit changes.
    """

    path: str
    image: str
    reason: str
    premise: Premise | None = None
    name: t.ClassVar[str] = "withdraw"


@dataclasses.dataclass(frozen=True)
class Send:
    """Bring the content of a file to the caching server, under a hidden name; as the difference to ``basis``."""

    entry: Entry
    basis: str | None = None
    name: t.ClassVar[str] = "send"


@dataclasses.dataclass(frozen=True)
class Check:
    """Compare what lies under the hidden name with the netboot server's file, by SHA-256 where the server can."""

    entry: Entry
    name: t.ClassVar[str] = "check"


@dataclasses.dataclass(frozen=True)
class Flush:
    """Have the caching server write the hidden file to disk."""

    entry: Entry
    name: t.ClassVar[str] = "flush"


@dataclasses.dataclass(frozen=True)
class Publish:
    """Rename the hidden file to its final name, and have the directory written to disk."""

    entry: Entry
    name: t.ClassVar[str] = "publish"


@dataclasses.dataclass(frozen=True)
class Adopt:
    """Give a file whose content was compared and is the same the time that it has on the netboot server."""

    entry: Entry
    name: t.ClassVar[str] = "adopt"


@dataclasses.dataclass(frozen=True)
class Permit:
    """Let everybody read a file that is in line, but for its mode."""

    entry: Entry
    name: t.ClassVar[str] = "permit"


@dataclasses.dataclass(frozen=True)
class Confirm:
    """Look again, right before a name that promises others: unchanged here, complete and the same there."""

    path: str
    entries: tuple[Entry, ...]
    name: t.ClassVar[str] = "confirm"


@dataclasses.dataclass(frozen=True)
class Link:
    """Put a symlink in its place, in one rename."""

    entry: Entry
    name: t.ClassVar[str] = "link"


@dataclasses.dataclass(frozen=True)
class Remove:
    """Remove a file, or a directory that is empty by now."""

    path: str
    directory: bool = False
    premise: Premise | None = None
    name: t.ClassVar[str] = "remove"


Step = t.Union[Withdraw, Send, Check, Flush, Publish, Adopt, Permit, Confirm, Link, Remove]


def step_path(step: Step) -> str:
    """Return the path that a step is about."""
    return step.path if isinstance(step, (Withdraw, Confirm, Remove)) else step.entry.path


@dataclasses.dataclass(frozen=True)
class Unit:
    """Steps that belong together: where one fails, the rest of its unit is left out and the next unit tried.

    ``kind`` is ``withdrawal``, ``kernel``, ``file``, ``image``, ``pointer`` or ``removal``. A ``withdrawal`` is never
    subject to a limit: it is a few bytes, and clients must not wait for it. ``outcome`` is the state
    to report when all went well. ``path`` is the squashfs for an image and the directory for a kernel. ``after`` names
    the markers that the same run must have renewed before: where one was not, the old one may still be visible, and
    the unit is left out.
    """

    kind: str
    path: str
    steps: tuple[Step, ...]
    outcome: str
    reason: str = ""
    after: tuple[str, ...] = ()
