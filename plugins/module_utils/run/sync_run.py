# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One run for one caching server: attempts, until one comes to its end, each in a session of its own.

After a line that broke, a run connects again and plans anew from the two trees; nothing is believed from before.
"""

from __future__ import annotations

import time
import typing as t

from .. import progress as phases
from ..errors import SyncError
from ..planning.known_plans import KnownPlans
from ..progress import Progress
from ..source.tree import SourceTree
from ..ssh.settings import Address
from .attempt import Attempt
from .connecting import Connect, over_ssh
from .ledger import Ledger, Outcome
from .target import Options

MOST_DELAY = 16  # times the delay of the options


class SyncRun:
    """Brings one caching server in line. The results stay readable when :meth:`run` raises.

    ``source`` and ``known`` are given where many runs share one tree, which was listed already; ``progress`` is told
    what is done; ``connect`` makes each session, where that is not to be over SSH.
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
    ) -> None:
        self.options = options
        self.source = source or SourceTree(options.src)
        self._known = known
        self._progress = progress or Progress()
        self._ledger = Ledger()
        self._attempt: Attempt | None = None  # the last one that had a session
        self._connect = connect or over_ssh(address, options, self.source, self._progress)
        self.failures: list[str] = []  # in the last attempt, a line each
        self.retried: list[str] = []  # why each try ended that was followed by another
        self.transport = ""
        self.offers: dict[str, t.Any] = {}
        self.attempts = 0

    # The results

    @property
    def images(self) -> dict[str, Outcome]:
        """What became of each image."""
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
        """What a user should know, a line each."""
        return self._ledger.warnings

    @property
    def left_for_later(self) -> str:
        """Why something was left for a later run; empty where nothing was."""
        return self._attempt.left_for_later if self._attempt else ""

    @property
    def idle(self) -> bool:
        """Tell whether there was nothing to do, in check mode."""
        return self._attempt is not None and self._attempt.idle

    @property
    def changed(self) -> bool:
        """Tell whether anything in the tree of the caching server is, or would be, another one than before."""
        return self._ledger.changed

    @property
    def sent_bytes(self) -> int:
        """All that crossed the line for files, in bytes."""
        return self._ledger.sent_bytes

    # The tries

    def run(self) -> None:
        """Run to the end. Raises :class:`SyncError` where nothing more can be done for this caching server."""
        while True:
            self.attempts += 1
            try:
                self._progress.enter(phases.READING)
                self.source.scan()
                self._in_session()
                return
            except SyncError as error:
                if not error.retry or self.attempts > self.options.retries:
                    raise
                self.retried.append(error.line())
                self._progress.enter(phases.RETRYING)
                time.sleep(self.options.retry_delay * min(2 ** (self.attempts - 1), MOST_DELAY))

    def look(self) -> None:
        """Find out what a run would do, with one try, and whether that is nothing at all: ``idle``.

        For options of check mode, and a source that was listed. Raises :class:`SyncError`.
        """
        self.attempts = 1
        self._in_session()

    def _in_session(self) -> None:
        with self._connect() as server:
            self._attempt = Attempt(
                server,
                self.source,
                self.options,
                self._ledger,
                known=self._known,
                tries=self.attempts - 1,
                progress=self._progress,
            )
            self.failures = self._attempt.failures
            try:
                self._attempt.run()
            finally:
                self.transport, self.offers = server.transport, server.offers
                self._ledger.warn(server.warnings)
