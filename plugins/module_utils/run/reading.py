# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading both sides, as far as a plan needs it, and making the plan."""

from __future__ import annotations

import dataclasses

from .. import progress as phases
from ..assets.entries import Entry, Tree, follow
from ..assets.inventory import Image, Inventory
from ..caching_server.protocol import CachingServer
from ..planning import planner
from ..planning.known_plans import KnownPlans
from ..planning.plan import Plan
from ..planning.promises import There, wanted_markers
from ..progress import Progress
from ..source.tree import SourceTree
from .comparing import Comparing
from .target import Options

LIKELY = 16  # of the newest plain files the caching server is asked first


class Reading:
    """What one attempt reads before it does anything.

    :param known: existing plans, if many runs share one source; such a run has no time to compare.
    :ivar there: what the caching server was found to hold, with all that was read of it; None if no more than its
        listing was wanted.
    """

    def __init__(
        self,
        server: CachingServer,
        source: SourceTree,
        options: Options,
        comparing: Comparing,
        *,
        known: KnownPlans | None,
        progress: Progress,
    ) -> None:
        self._server = server
        self._source = source
        self._options = options
        self._comparing = comparing
        self._known = known
        self._progress = progress
        self.tree: Tree = {}
        self.there: There | None = None

    def likely(self) -> list[Entry]:
        """Return what will be sent if anything is, apart from images: whether one of those is, much else decides."""
        files = self._source.inventory(self._options.rules, lambda _image: False).files
        return sorted(files, key=lambda entry: entry.identity[-1:])[-LIKELY:]  # by when they came here

    def plan(self) -> Plan:
        """List the caching server, read what else is wanted, and return the plan."""
        options = self._options
        self._progress.enter(phases.READING)
        self.tree = self._server.tree(self._source.tree)
        if options.withdraw:
            inventory = self._source.inventory(options.rules, lambda _image: False)
            return planner.plan_withdrawal(inventory, There(self.tree), options.rules, options.withdraw)
        if self._known is not None and not options.verify:
            choice = (options.rules, options.delete, options.max_delete)
            known = self._known.get(choice, self.tree, self._plan_by_listing)
            if known is not None:
                return known
        inventory = self._source.inventory(options.rules, lambda image: options.verify or self._is_new(image))
        self.there = self._read(inventory)
        return self._make_plan(inventory, self.there)

    def _read(self, inventory: Inventory) -> There:
        """Read what the listing does not show: content that may be the same or damaged, and markers."""
        options, tree = self._options, self.tree
        adoptable: frozenset[str] = frozenset()
        damaged: frozenset[str] = frozenset()
        if self._comparing.is_cheap:
            if self._known is None:
                same = self._comparing.adoptable(inventory, tree)
                for path in same:
                    tree[path] = dataclasses.replace(tree[path], mtime=self._source.tree[path].mtime)
                adoptable = same.difference(self._server.rounded)
            if options.verify:
                damaged = self._comparing.damaged(inventory, tree, but=adoptable)
        contents = {
            path: self._server.read_marker(tree[path])
            for path in wanted_markers(inventory, self._source.tree, tree, options.rules)
        }
        fresh = self._server.fresh(options.grace)
        return There(tree, contents, damaged, adoptable, fresh, self._server.clashes)

    def _plan_by_listing(self) -> Plan | None:
        """Return the plan if it follows from the two listings alone; None if something there has to be read."""
        inventory = self._source.inventory(self._options.rules, self._is_new)
        if wanted_markers(inventory, self._source.tree, self.tree, self._options.rules):
            return None
        return self._make_plan(inventory, There(self.tree))

    def _make_plan(self, inventory: Inventory, there: There) -> Plan:
        options = self._options
        return planner.make_plan(
            inventory,
            self._source.tree,
            there,
            options.rules,
            delete=options.delete,
            max_delete=options.max_delete,
            grace=options.grace,
        )

    def _is_new(self, image: Image) -> bool:
        """Return whether any part of an image is not there yet. The existing parts were hashed when they were sent."""
        names = {name for entry in image.entries for name in follow(entry.path, self._source.tree).names}
        return not all(self._source.tree[name].looks_like(self.tree.get(name)) for name in names)
