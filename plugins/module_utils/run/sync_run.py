# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One run for one caching server: attempts, each in its own session, until one completes.

After a lost connection, a run connects again and plans again from the two trees; no state is trusted from before. The
same is done for what a hub publishes while this run sends from it (:mod:`.following`).
"""

from __future__ import annotations

import dataclasses
import time
import typing as t

from .. import progress as phases
from ..errors import AssetsTrouble, SyncError
from ..planning.known_plans import KnownPlans
from ..progress import Progress
from ..source.tree import SourceTree
from ..ssh.settings import Address
from .attempt import Attempt
from .connecting import Connect, over_ssh
from .following import Following
from .ledger import Ledger, Outcome
from .target import Options

MOST_DELAY = 16  # times the delay of the options


class SyncRun:
    """Brings one caching server in line. The results stay readable when :meth:`run` raises.

    ``source`` and ``known`` are given if many runs share one tree, which was already listed; ``progress`` receives
    progress; ``connect`` makes each session, if not over SSH; ``following`` is about the run that feeds the tree, if
    that is a hub's.
    """

    def __init__(
        self,
        address: Address,
        options: Options,
        source: SourceTree | None = None,
        *,
        known: KnownPlans | None = None,
        progress: Progress | None = None,
        connect: Connect | None = None,
        following: Following | None = None,
    ) -> None:
        self.options = options
        self.source = source or SourceTree(options.src, withdrawn=dict(options.withdrawn))
        self._following = following or Following()
        self._known = known
        self._progress = progress or Progress()
        self._ledger = Ledger()
        self._attempt: Attempt | None = None  # the last one that had a session
        self._connect = connect or over_ssh(address, options, self.source, self._progress)
        self.failures: list[str] = []  # in the last attempt, a line each
        self.retried: list[str] = []  # why each attempt failed that was retried
        self.transport = ""
        self.offers: dict[str, t.Any] = {}
        self.attempts = 0

    # The results

    @property
    def images(self) -> dict[str, Outcome]:
        """The result of each image."""
        return self._ledger.images

    @property
    def files(self) -> dict[str, Outcome]:
        """What became of everything else."""
        return self._ledger.files

    @property
    def actions(self) -> list[dict[str, t.Any]]:
        """What was done, or would be, in order."""
        return self._ledger.actions

    @property
    def warnings(self) -> list[str]:
        """Warnings for the user, a line each."""
        return self._ledger.warnings

    @property
    def left_for_later(self) -> str:
        """Why something was left for a later run; empty if nothing was."""
        return self._attempt.left_for_later if self._attempt else ""

    @property
    def idle(self) -> bool:
        """Return whether there was nothing to do, in check mode."""
        return self._attempt is not None and self._attempt.idle

    @property
    def changed(self) -> bool:
        """Return whether anything in the tree of the caching server has changed, or would change."""
        return self._ledger.changed

    @property
    def sent_bytes(self) -> int:
        """All that crossed the line for files, in bytes."""
        return self._ledger.sent_bytes

    # The tries

    def run(self) -> None:
        """Run to the end. Raises :class:`SyncError` if nothing more can be done for this caching server."""
        try:
            self._run()
        finally:
            self.source.forget_digests()  # for a later run, the disk may have something else

    def _run(self) -> None:
        while True:
            at_work = self._following.at_work()
            # A hub's run may still be repairing files there, so bytes are compared when it is over.
            owed = at_work and self.options.verify
            nothing: AssetsTrouble | None = None
            try:
                self._until_done(dataclasses.replace(self.options, verify=False) if owed else self.options)
            except AssetsTrouble as error:
                nothing = error
            if not at_work or not self._following.wait(self.source, self.options.rules, self._progress, owed=owed):
                if nothing is not None:
                    raise nothing
                return
            self._ledger.begin_again()

    def _until_done(self, options: Options) -> None:
        """Make attempts until one completes. Raises :class:`SyncError` if nothing more can be done."""
        tries = 0
        while True:
            self.attempts += 1
            try:
                self._progress.enter(phases.READING)
                self.source.scan()
                self._in_session(options, tries)
                return
            except SyncError as error:
                tries += 1
                if not error.retry or tries > self.options.retries:
                    raise
                self.retried.append(error.line())
                self._progress.enter(phases.RETRYING)
                time.sleep(self.options.retry_delay * min(2 ** (tries - 1), MOST_DELAY))

    def look(self) -> None:
        """Find out in one attempt what a run would do, and whether that is nothing at all: ``idle``.

        For options of check mode, and a source that was listed. Raises :class:`SyncError`.
        """
        self.attempts = 1
        self._in_session(self.options, 0)

    def _in_session(self, options: Options, tries: int) -> None:
        with self._connect() as server:
            self._attempt = Attempt(
                server,
                self.source,
                options,
                self._ledger,
                known=self._known,
                tries=tries,
                progress=self._progress,
            )
            self.failures = self._attempt.failures
            try:
                self._attempt.run()
            finally:
                self.transport, self.offers = server.transport, server.offers
                self._ledger.warn(server.warnings)
