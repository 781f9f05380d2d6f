# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cache of plans: caching servers that are in line look alike, and so do their plans."""

from __future__ import annotations

import collections
import threading
import typing as t

from ..assets.entries import Tree
from .plan import Plan

KEPT = 16  # maximum number of kinds of caching servers; the oldest is dropped


class KnownPlans:
    """The plans for one listing of a source tree. Thread-safe.

    A plan is kept only if it follows from the two listings and ``choice`` alone: if nothing had to be read on the
    caching server, and no content was compared.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: collections.deque[tuple[t.Hashable, Tree, Plan]] = collections.deque(maxlen=KEPT)

    def get(self, choice: t.Hashable, there: Tree, make: t.Callable[[], Plan | None]) -> Plan | None:
        """Return the plan for a caching server that holds ``there``; if none is known, what ``make`` returns.

        That is kept, unless it is None. One plan is made at a time: all threads would make the same one at once.
        """
        with self._lock:
            plan = next((plan for made_of, tree, plan in self._kept if made_of == choice and tree == there), None)
            if plan is None:
                plan = make()
                if plan is not None:
                    self._kept.append((choice, there, plan))
            return plan
