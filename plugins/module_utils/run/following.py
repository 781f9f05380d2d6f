# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Following a hub: rescanning its tree while the run that feeds it is active.

A hub's tree holds what was published there, and grows while another run, of no concern here, sends to it. A run that
sends from a hub would end with what it found at its beginning. So it keeps looking, for as long as its caller says that
the hub's run is active, and picks up what is new.

The caller says so in a small file, which is rewritten every few seconds. A file that does not change for too long means
the same as one that says that the run is over: never wait for a process that may be dead.
"""

from __future__ import annotations

import enum
import time
import typing as t

from .. import progress as phases
from ..assets.inventory import Rules
from ..errors import AssetsTrouble, SyncError
from ..progress import Progress
from ..source.tree import SourceTree

AT_WORK = "at work"  # and something that differs each time
OVER = "over"

LEASE = 60.0  # seconds for which one write of the file is valid
LOOK = 1.0  # seconds between two scans, at least
SHARE = 20  # wait this many times the duration of a scan until the next one
_MOST = 4096  # bytes of the file that are read


class Next(enum.Enum):
    """What follows a scan of the hub."""

    SYNC = "there is something to do"
    WAIT = "there may be something to do later"
    END = "there will be nothing to do any more"


def decide(*, at_work: bool, news: bool, owed: bool) -> Next:
    """Return what comes next. Pure.

    :param at_work: whether the hub's run was active before the hub's tree was scanned.
    :param news: whether that tree offers something else than at the beginning of the last sync.
    :param owed: whether something was put off until the hub's run is over.
    """
    if news or (owed and not at_work):
        return Next.SYNC
    return Next.WAIT if at_work else Next.END


class Following:
    """What is known about the hub's own run. Without a path there is none, and nothing to wait for.

    :param path: the file that says so.
    """

    def __init__(self, path: str = "", *, clock: t.Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._seen = ""
        self._since = clock()

    def at_work(self) -> bool:
        """Return whether the hub's run is active, as far as known."""
        if not self._path:
            return False
        now, said = self._clock(), self._read()
        if said.startswith(OVER):
            return False
        if said and said != self._seen:
            self._seen, self._since = said, now
        return now - self._since < LEASE

    def _read(self) -> str:
        try:
            with open(self._path, encoding="ascii", errors="replace") as file:
                return file.read(_MOST)
        except OSError:
            return ""

    def wait(self, source: SourceTree, rules: Rules, progress: Progress, *, owed: bool) -> bool:
        """Wait until another sync has something to do, or there is nothing to wait for; return which.

        :param source: the tree, as it was listed for the last sync.
        :param owed: see :func:`decide`.
        """
        seen = _offered(source, rules)
        progress.enter(phases.FOLLOWING)
        while True:
            at_work = self.at_work()  # before the tree is scanned: what is published until it is over counts
            started = self._clock()
            coming = decide(at_work=at_work, news=_has_news(source, rules, seen), owed=owed)
            if coming is not Next.WAIT:
                return coming is Next.SYNC
            time.sleep(max(LOOK, SHARE * (self._clock() - started)))


def _has_news(source: SourceTree, rules: Rules, seen: frozenset[tuple[str, tuple[int, ...]]]) -> bool:
    try:
        source.scan()
    except AssetsTrouble:
        return bool(seen)  # a new hub, where nothing has arrived yet
    except SyncError:
        return True  # the next sync reports it
    return _offered(source, rules) != seen


def _offered(source: SourceTree, rules: Rules) -> frozenset[tuple[str, tuple[int, ...]]]:
    """Return what a tree offers, without what is held back, such as a squashfs whose marker is not there yet."""
    inventory = source.inventory(rules, lambda _image: False)
    entries = [*inventory.files, *inventory.pointers]
    for kernel in inventory.kernels.values():
        entries += kernel
    for image in inventory.images:
        entries += image.entries if image.ready else ()
    return frozenset((entry.path, entry.identity) for entry in entries)
