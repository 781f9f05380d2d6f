# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks many caching servers in one process: which of them have nothing to do.

A module call for each costs some fifty times as much as a check, and a fork of Ansible. Most runs find most caching
servers in line, so this comes first, and the module is called only for the others. A check changes nothing and promises
nothing: a caching server that it cannot judge is simply one of the others.
"""

from __future__ import annotations

import contextlib
import gc
import threading
import time
import typing as t

from ..errors import SyncError
from ..planning.known_plans import KnownPlans
from ..progress import Progress
from ..source.tree import SourceTree
from ..ssh.alike import Alike
from ..ssh.in_process import InProcessSession, agrees
from .connecting import over_ssh
from .sync_run import SyncRun
from .target import Target

THREADS = 32
PATIENCE = 20.0  # seconds without an answer from anybody, until half of the caching servers are known
GRACE = 1.0  # seconds; the other half gets as long again as the first, and this
COLLECT = 200  # looks between two collections: an ended session is some hundred kilobytes that refer to themselves


_Shared = tuple[str, tuple[tuple[str, bool], ...]]


def _shared(site: Target) -> _Shared:
    """Return the key of the tree that a caching server is compared with: its path, and what was withdrawn."""
    return site.options.src, site.options.withdrawn


Kept = t.TypeVar("Kept")


@contextlib.contextmanager
def _rare_collections() -> t.Iterator[None]:
    """Let Python not collect memory by itself: it would after each few hundred new objects, and a listing is thousands.

    That took a tenth of a survey's CPU.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class Survey(t.Generic[Kept]):
    """Checks caching servers, a number of them at a time.

    ``keep`` makes of the run of one that has nothing to do what is to be known of it; the run has the whole listing of
    the caching server, which for all of them would be far too much.

    One that is slow or does not answer must not hold up the others: the survey ends soon after most are known, and says
    nothing about the rest. Names must be unique.
    """

    def __init__(self, sites: t.Sequence[Target], keep: t.Callable[[SyncRun], Kept]) -> None:
        self._sites = list(sites)
        self._keep = keep
        self._waiting = list(reversed(self._sites))
        self._alike = Alike()
        self._sources: dict[_Shared, SourceTree] = {}
        self._plans: dict[_Shared, KnownPlans] = {}
        self._seen = threading.Condition()
        self._looked = 0
        self._heard = 0.0  # when the last of them answered
        self._kept: dict[str, Kept] = {}

    def run(self) -> dict[str, Kept]:
        """Return what is kept of the caching servers that have nothing to do, by name."""
        with _rare_collections():
            return self._run()

    def _run(self) -> dict[str, Kept]:
        for shared in {_shared(site) for site in self._sites}:
            self._list_source(shared)
        for number in range(min(THREADS, len(self._sites))):
            threading.Thread(target=self._work, name=f"survey {number}", daemon=True).start()
        self._wait()
        with self._seen:
            self._waiting.clear()
            return {site.name: self._kept[site.name] for site in self._sites if site.name in self._kept}

    def _list_source(self, shared: _Shared) -> None:
        src, withdrawn = shared
        source = SourceTree(src, withdrawn=dict(withdrawn))
        try:
            source.scan()
        except SyncError:
            return  # the module reports each caching server's part of it
        self._sources[shared] = source
        self._plans[shared] = KnownPlans()

    def _wait(self) -> None:
        started = time.monotonic()
        end: float | None = None  # as soon as half of them are known
        with self._seen:
            while self._looked < len(self._sites):
                now = time.monotonic()
                if end is None and self._looked * 2 >= len(self._sites):
                    end = now + (now - started) + GRACE
                # However many there are: as long as they answer, the survey costs less than their runs would.
                left = (max(started, self._heard) + PATIENCE if end is None else end) - now
                if left <= 0:
                    return
                self._seen.wait(left)

    def _work(self) -> None:
        while True:
            with self._seen:
                if not self._waiting:
                    return
                site = self._waiting.pop()
            kept = self._look(site)
            with self._seen:
                self._looked += 1
                if self._looked % COLLECT == 0:
                    gc.collect()
                if kept is not None:
                    self._kept[site.name] = kept
                self._seen.notify()

    def _look(self, site: Target) -> Kept | None:
        source = self._sources.get(_shared(site))
        if source is None:
            return None
        try:
            settings = self._alike.resolve(site.address)
            if not agrees(site.address, settings):
                return None
            session = InProcessSession(site.address, settings)
            connect = over_ssh(site.address, site.options, source, Progress(), session=session)
            run = SyncRun(site.address, site.options, source, known=self._plans[_shared(site)], connect=connect)
            run.look()
            self._heard = time.monotonic()
        except Exception:  # noqa: BLE001  # whatever it is: the module meets it as well, and tells it
            return None
        return self._keep(run) if run.idle else None
