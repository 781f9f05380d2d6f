# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Carries out the steps of the protocol, each in its own method; and what check mode does instead."""

from __future__ import annotations

import typing as t

from ..assets.entries import DIRECTORY, FILE, SYMLINK, Entry
from ..caching_server.protocol import CachingServer
from ..errors import Kept, SyncError
from ..planning.steps import (
    Adopt,
    Check,
    Confirm,
    Flush,
    Gone,
    Link,
    Permit,
    Publish,
    Remove,
    Send,
    SetAside,
    Step,
    Unit,
    Withdraw,
)
from ..progress import Progress
from ..source.tree import SourceTree
from ..transports.protocol import Sent
from .comparing import Comparing


class Effect(t.NamedTuple):
    """The result of a step.

    ``sent`` is the cost of a transfer; ``verified`` says whether content was compared, if that was the question;
    without ``happened``, it is not an action.
    """

    sent: Sent | None = None
    verified: bool | None = None
    happened: bool = True


NOTHING = Effect()
T = t.TypeVar("T")


class Executor:
    """Does steps, one call each. Raises :class:`SyncError`.

    :param read_back: whether content is compared even if it has to be read back from the caching server.
    """

    def __init__(
        self,
        server: CachingServer,
        source: SourceTree,
        comparing: Comparing,
        *,
        read_back: bool,
        progress: Progress,
    ) -> None:
        self._server = server
        self._source = source
        self._comparing = comparing
        self._read_back = read_back
        self._progress = progress
        self._methods: dict[type[Step], t.Callable[[t.Any, Unit], Effect]] = {
            Withdraw: self._withdraw,
            Send: self._send,
            Check: self._check,
            Flush: self._flush,
            Publish: self._publish,
            Adopt: self._adopt,
            Permit: self._permit,
            Confirm: self._confirm,
            Link: self._link,
            Remove: self._remove,
        }

    @property
    def kinds(self) -> frozenset[type[Step]]:
        """The kinds of steps that it can do."""
        return frozenset(self._methods)

    def open(self, likely: t.Sequence[Entry]) -> None:
        """Take the lock, and create what a run needs there; prepare for sending, if some likely file lacks."""
        lacking = self._server.open_for_writing(likely)
        if lacking:
            self._server.expect_sending(lacking)

    def begin(self, entries: t.Sequence[Entry], *, together: bool) -> None:
        """Prepare to send files, some of them together. The first step reports what prevents that."""
        self._server.begin_sending(entries, together=together)

    def do(self, step: Step, unit: Unit) -> Effect:
        """Do one step. An error of the session is put in words."""
        size = step.entry.size if isinstance(step, Send) else 0
        self._progress.enter(step.phase, step.path, size)
        return self._in_words(lambda: self._methods[type(step)](step, unit), step.path)

    def went_meanwhile(self, marker: str) -> bool:
        """Return whether a marker that was just published is no longer on the netboot server.

        A withdrawal removes the marker from the netboot server first, and then from the caching servers, without
        waiting for us. So either we see here that it is gone, or the withdrawal finds what we have published.
        """
        return self._source.still_lacks(marker)

    def was_done(self, step: Step, error: SyncError) -> bool:
        """Return whether clients see the effect of a failed step: it may have failed later, at the flush."""
        if not step.visible or error.too_early:
            return False
        try:
            return step.is_done(self._server.look(step.path))
        except Exception:  # noqa: BLE001  # nobody can tell; better to report a change too much
            return True

    # Small files together

    @property
    def takes_many(self) -> bool:
        """Return whether small files can be sent and published together."""
        return self._server.takes_many

    def send_together(self, entries: t.Sequence[Entry]) -> dict[str, int]:
        """Send small files, compare them and flush them to disk; return what those that are ready cost, in bytes."""
        self._progress.enter(Send.phase, entries[0].path, sum(entry.size for entry in entries))
        return self._in_words(lambda: self._server.send_together(entries), entries[0].path)

    def publish_together(self, entries: t.Sequence[Entry]) -> set[str]:
        """Publish files, except those that changed on the netboot server meanwhile; return which are in place."""
        self._progress.enter(Publish.phase, entries[0].path)
        same = [entry for entry in entries if self._is_same(entry)]
        return self._in_words(lambda: self._server.publish_together(same), entries[0].path) if same else set()

    def _is_same(self, entry: Entry) -> bool:
        try:
            self._source.confirm(entry)
        except SyncError:
            return False
        return True

    def _in_words(self, call: t.Callable[[], T], path: str) -> T:
        """Make a call to the caching server; an error of the session is put in words."""
        try:
            return call()
        except SyncError:
            raise
        except Exception as error:
            trouble = self._server.in_words(error, path)
            if trouble is None:
                raise
            raise trouble from error

    def end(self, unfinished: t.Collection[str]) -> None:
        """Clean up what no later run will use: everything but partial files of these."""
        self._server.clean(unfinished)

    # One method for each step

    def _send(self, step: Send, _unit: Unit) -> Effect:
        return Effect(sent=self._server.send(step.entry, step.basis))

    def _check(self, step: Check, _unit: Unit) -> Effect:
        compared = self._server.check(step.entry, read_back=self._read_back)
        if compared:
            self._comparing.same.add(step.path)
        return Effect(verified=compared)

    def _flush(self, step: Flush, _unit: Unit) -> Effect:
        self._server.flush(step.entry)
        return NOTHING

    def _publish(self, step: Publish, _unit: Unit) -> Effect:
        self._source.confirm(step.entry)
        self._server.publish(step.entry)
        return NOTHING

    def _adopt(self, step: Adopt, _unit: Unit) -> Effect:
        self._source.confirm(step.entry)
        # If that file system does not keep the time, nothing has changed.
        return Effect(happened=self._server.adopt(step.entry))

    def _permit(self, step: Permit, _unit: Unit) -> Effect:
        self._server.permit(step.entry)
        return NOTHING

    def _link(self, step: Link, _unit: Unit) -> Effect:
        self._source.confirm(step.entry)
        self._server.link(step.entry)
        return NOTHING

    def _withdraw(self, step: Withdraw, unit: Unit) -> Effect:
        self._look_before(step, unit)
        self._server.remove(step.path)
        return NOTHING

    def _remove(self, step: Remove, unit: Unit) -> Effect:
        self._look_before(step, unit)
        if not step.directory:
            self._server.remove(step.path)
            return NOTHING
        self._server.remove_directory(step.path)
        if self._server.look(step.path) is not None:
            raise Kept("there are hidden files in it on the caching server", path=step.path)
        return NOTHING

    def _look_before(self, step: Withdraw | Remove, unit: Unit) -> None:
        """Check the netboot server again, right before a removal. Raises :class:`Kept` if it has to stay."""
        premise = step.premise
        if isinstance(premise, Gone) and not self._source.still_lacks(premise.path):
            raise Kept("it is on the netboot server again, or cannot be looked for there", path=step.path)
        if isinstance(premise, SetAside) and not any(map(self._source.still_withdrawn, premise.markers)):
            raise Kept("it was put back on the netboot server", path=step.path)
        for one in unit.steps:
            # A marker that is removed because its image is replaced is removed only if that is still possible.
            if premise is None and isinstance(one, (Publish, Link)):
                self._source.confirm(one.entry)

    def _confirm(self, step: Confirm, _unit: Unit) -> Effect:
        """Check all that a name promises: unchanged on the source, there and the same on the caching server."""
        for entry in step.entries:
            self._source.confirm(entry)
            found = self._server.look(entry.path)
            same = found is not None and (
                found.kind in (DIRECTORY, SYMLINK) if entry.kind == DIRECTORY else self._server.shows(entry, found)
            )
            if not same:
                raise SyncError(
                    f"it promises {entry.path}, which is not whole on the caching server",
                    path=step.path,
                    remedy="See what became of that file, and run the sync again.",
                )
        if self._server.hashes or self._read_back:
            differing = self._comparing.differing(step.entries)
            if differing:
                raise SyncError(
                    f"it promises {differing}, whose content on the caching server differs",
                    path=step.path,
                    remedy="Run resync.yml: it repairs what is damaged.",
                )
        return Effect(verified=all(e.path in self._comparing.same for e in step.entries if e.kind == FILE))


class Foretelling:
    """Stands in for :class:`Executor` in check mode: does nothing, and says what prevents doing it."""

    def __init__(self, server: CachingServer) -> None:
        self._server = server

    def open(self, likely: t.Sequence[Entry]) -> None:
        """Take no lock."""

    takes_many = False

    def send_together(self, entries: t.Sequence[Entry]) -> dict[str, int]:
        """Send nothing."""
        raise NotImplementedError(entries)

    def publish_together(self, entries: t.Sequence[Entry]) -> set[str]:
        """Publish nothing."""
        raise NotImplementedError(entries)

    def begin(self, entries: t.Sequence[Entry], *, together: bool) -> None:  # noqa: ARG002
        """Say what would prevent writing to the caching server at all, if these files were sent."""
        self._server.would_open(entries)

    def do(self, step: Step, _unit: Unit) -> Effect:
        """Say what prevents a transfer."""
        if isinstance(step, Send):
            self._server.would_send(step.entry)
        return NOTHING

    def went_meanwhile(self, _marker: str) -> bool:
        """Nothing was published."""
        return False

    def was_done(self, _step: Step, _error: SyncError) -> bool:
        """Nothing was done."""
        return False

    def end(self, unfinished: t.Collection[str]) -> None:
        """Clean nothing up."""
