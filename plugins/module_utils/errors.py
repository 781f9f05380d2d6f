# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can go wrong, in words a person can act on, and the consequence for the run.

Every error says what happened, to which path, and what to do. Each class carries its consequences, so code that catches
an error asks the error, not its class.
"""

from __future__ import annotations

import errno
import os
import typing as t

from . import states


def printable(name: str) -> str:
    """Return a file name on one line, as plain text: control characters and undecodable bytes as escapes."""
    if name.isprintable():
        return name
    raw = os.fsencode(name).decode("utf-8", "backslashreplace")
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in raw)


class SyncError(Exception):
    """Something that stops a step; the message is one line and ends with the remedy.

    :param what: what happened, without the host and the path.
    :param path: the path it happened to, relative to the tree or absolute.
    :param host: the machine it happened on, if that is not the caching server of the run.
    :param remedy: what a person can do about it.
    :cvar state: what the image or file that it stopped is reported as.
    :cvar failure: whether the run has failed.
    :cvar retry: whether a retry may help: with a new connection and a new plan.
    :cvar too_early: whether the step that raised it had not begun, so that nothing can have changed.
    :cvar defers: whether all that comes after it is left for a later run, too.
    """

    state: t.ClassVar[str] = states.FAILED
    failure: t.ClassVar[bool] = True
    retry: t.ClassVar[bool] = False
    too_early: t.ClassVar[bool] = False
    defers: t.ClassVar[bool] = False

    def __init__(self, what: str, *, path: str = "", host: str = "", remedy: str = "") -> None:
        self.what = what
        self.path = path
        self.host = host
        self.remedy = remedy
        super().__init__(self.line())

    def line(self, *, host: str = "") -> str:
        """Return the error as one line; ``host`` is used if the error does not name one itself."""
        parts = [part for part in (self.host or host, printable(self.path), self.what) if part]
        text = " ".join(": ".join(parts).split())
        remedy = " ".join(self.remedy.split())
        # It may include a server's words, which must not reach a terminal as control sequences.
        return printable(f"{text.rstrip('.')}. {remedy}" if remedy else text)

    @property
    def in_doubt(self) -> bool:
        """Return whether the step may have taken effect: the connection was lost before the answer came."""
        return self.retry and not self.too_early

    @property
    def reason(self) -> str:
        """The reason to report for what it stopped."""
        return self.line()


class ConnectionTrouble(SyncError):
    """The caching server could not be reached, or the connection to it was lost: worth a retry."""

    retry = True


class LockLost(ConnectionTrouble):
    """The lock is no longer ours, so the current step was not begun."""

    too_early = True


class AccessRefused(SyncError):
    """Key, host key or user were refused: a retry would fail the same way."""


class LockHeld(SyncError):
    """Another run is working on this caching server."""

    too_early = True


class SourceChanged(SyncError):
    """A file changed or vanished on the netboot server while it was read: it is held back, which is not a failure."""

    state = states.HELD_BACK
    failure = False
    too_early = True


class AssetsTrouble(SyncError):
    """The tree to send from is missing or empty: nothing is sent, and nothing removed."""


class SourceUnreadable(SourceChanged):
    """A file of the netboot server cannot be checked or read: it is held back like one that changes.

    :param verb: the failed operation: ``read``, ``list``, ``look at``.
    :param path: the absolute path.
    """

    def __init__(self, verb: str, error: OSError, path: str) -> None:
        self.why = source_trouble(verb, error)
        super().__init__(self.why, path=path, host="netboot server", remedy=source_remedy(error))


def source_trouble(verb: str, error: OSError) -> str:
    """Return in words why the netboot server's own system refused something."""
    if error.errno in _REFUSALS:
        return f"no permission to {verb} it on the netboot server"
    return f"the netboot server cannot {verb} it ({error.strerror or error})"


def source_remedy(error: OSError) -> str:
    """Return what to do about that."""
    if error.errno in _REFUSALS:
        return "Let the user that the module runs as read it."
    return "Look at the disk or the mount that it is on."


_REFUSALS = (errno.EACCES, errno.EPERM)


class _Choice(SyncError):
    """Not an error, but a decision: its text is the reason, without a remedy."""

    failure = False

    @property
    def reason(self) -> str:
        """The reason to report for what it stopped."""
        return self.what


class LeftForLater(_Choice):
    """The site's limit lets nothing through at this time: a later run sends it, which is not a failure."""

    state = states.HELD_BACK
    defers = True


class Kept(_Choice):
    """Something to be removed turned out to be needed: it stays, which is not a failure."""

    state = states.UNCHANGED
    too_early = True
