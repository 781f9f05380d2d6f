# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan while it is built: both trees, what was planned so far, and the parts that units are made of."""

from __future__ import annotations

import typing as t

from .. import states
from ..assets.entries import DIRECTORY, FILE, SYMLINK, Entry, Tree, follow, parents
from ..assets.inventory import Image, Inventory, Rules
from . import basis
from .promises import Promise, Promises, There
from .steps import Adopt, Check, Confirm, Flush, Link, Permit, Premise, Publish, Send, Step, Unit, Withdraw


class Draft:
    """A plan that the phases of the planner fill, one after another.

    :ivar later: the tree as it will be after the units planned so far: a file sent early is the basis of a later one.
    :ivar delivered: the names that those units published.
    :ivar withdrawn: the markers that those units withdraw.
    :ivar just_withdrawn: those of them for which the images were not searched yet.
    :ivar kernels: the kernel directories that are not planned yet, with their files.
    """

    def __init__(self, inventory: Inventory, source: Tree, there: There, rules: Rules) -> None:
        self.inventory = inventory
        self.source = source
        self.there = there
        self.rules = rules
        self.promises = Promises(inventory, there, rules)
        self.images = {image.path: image for image in inventory.images}
        self.later: Tree = dict(there.tree)
        self.delivered: set[str] = set()
        self.withdrawn: set[str] = set()
        self.just_withdrawn: list[str] = []
        self.kernels = dict(inventory.kernels)
        self.units: list[Unit] = []
        self.unchanged: list[str] = []
        self.only_there: dict[str, str] = {}
        self.left_over: dict[str, str] = {}
        self.held_back = dict(inventory.held_back)
        self.impossible: dict[str, str] = {}
        self.refused = ""

    def fits(self, entry: Entry) -> bool:
        """Return whether a file is there exactly as on the netboot server."""
        return entry.looks_like(self.there.tree.get(entry.path)) and entry.path not in self.there.damaged

    def is_closed(self, entry: Entry) -> bool:
        """Return whether a file is in line except for its mode, with which only its owner there can read it."""
        there = self.there.tree.get(entry.path)
        return there is not None and there.closed and self.fits(entry)

    def amend(self, entries: t.Iterable[Entry]) -> list[Step]:
        """Plan what files with the right content still need: the netboot server's time, a readable mode."""
        steps: list[Step] = []
        for entry in entries:
            if entry.path in self.there.adoptable:
                steps.append(Adopt(entry))
            if self.is_closed(entry):
                steps.append(Permit(entry))
        return steps

    def will_fit(self, entry: Entry) -> bool:
        """Return whether a file is there, or will be after the units planned so far."""
        if entry.kind == DIRECTORY:
            below = entry.path + "/"
            return entry.path in self.later or any(path.startswith(below) for path in self.later)
        return entry.path in self.delivered or self.fits(entry)

    def is_held(self, promise: Promise) -> bool:
        """Return whether the netboot server holds the image of a visible marker, and this marker, exactly as they are
        here."""
        image = self.images.get(promise.image)
        return (
            image is not None
            and image.ready
            and promise.marker in {entry.path for entry in image.markers}
            and all(self.fits(entry) for entry in (*image.entries, *self.led_to(image)))
        )

    def withdraw(self, marker: str, image: str, reason: str, premise: Premise | None = None) -> Withdraw:
        """Plan a withdrawal. Every unit that needs one includes it, since another unit may fail before it gets
        there."""
        if marker not in self.withdrawn:
            self.withdrawn.add(marker)
            self.just_withdrawn.append(marker)
        if marker not in self.delivered:
            self.later.pop(marker, None)
        return Withdraw(marker, image, reason, premise)

    def hide(self, path: str) -> list[Step]:
        """Plan to withdraw all markers that promise a path which is about to change."""
        reason = f"{path} is about to change"
        return [self.withdraw(one.marker, one.image, reason) for one in self.promises.of(path) if one.chosen]

    def obstacle(self, path: str) -> str:
        """Return why nothing can be put at a path of the caching server, or an empty string."""
        for above in parents(path):
            entry = self.there.tree.get(above)
            if entry is not None and entry.kind == SYMLINK:
                return (
                    f"{above} is a symlink on the caching server, and a sync never writes through one; remove it there"
                )
            if entry is not None and entry.kind != DIRECTORY:
                return f"{above} is not a directory on the caching server; remove it there"
        if path in self.there.clashes:
            other = self.there.clashes[path]
            return (
                f"it and {other} are the same name on the file system there; rename one of them on the netboot server"
            )
        entry = self.there.tree.get(path)
        if entry is not None and entry.kind not in (FILE, SYMLINK):
            kind = "directory" if entry.kind == DIRECTORY else "pipe, a socket or a device"
            return f"it is a {kind} on the caching server; remove it there"
        # A marker that is not chosen can neither be withdrawn nor renewed (promise 7), so what it promises stays as it
        # is (promise 1), even if that keeps a chosen image waiting. If that is damaged or lost, the promise is broken
        # anyway: it is best replaced by what the netboot server holds.
        others = [one for one in self.promises.of(path) if not one.chosen]
        if others and entry is not None and path not in self.there.damaged:
            return f"{others[0].marker} on the caching server promises it, and that image is not chosen; choose both"
        return ""

    def replace(self, entry: Entry) -> list[Step]:
        """Plan to publish a file. Markers that promise it are not withdrawn before the new file is staged."""
        return self.stage(entry) + self.hide(entry.path) + self.show(entry)

    def stage(self, entry: Entry) -> list[Step]:
        """Plan to send a file to its hidden name; a symlink takes no time, so it is created when it is published."""
        if entry.kind == SYMLINK:
            return []
        worth_it = entry.size >= basis.SMALLEST
        found = basis.choose(entry.path, self.later, self.promises.image_paths) if worth_it else None
        send = Send(entry, found)
        self.later[entry.path] = entry
        return [send, Check(entry), Flush(entry)]

    def show(self, entry: Entry) -> list[Step]:
        """Plan to rename what was staged to its final name."""
        self.delivered.add(entry.path)
        self.later[entry.path] = entry
        return [Link(entry) if entry.kind == SYMLINK else Publish(entry)]

    def led_to(self, image: Image) -> tuple[Entry, ...]:
        """Return what the image's own files lead to, if they are symlinks."""
        own = {entry.path for entry in image.entries}
        names = [name for entry in image.entries for name in follow(entry.path, self.source).names]
        return tuple(self.source[name] for name in dict.fromkeys(names) if name not in own and name in self.source)

    def can_promise(self, path: str, entries: t.Sequence[Entry]) -> bool:
        """Return whether all that a name is to promise will be there by then; where it will not, note why."""
        impossible = [entry.path for entry in entries if entry.path in self.impossible]
        lacking = [entry.path for entry in entries if not self.will_fit(entry)]
        if impossible:
            self.impossible[path] = f"it requires {impossible[0]}: {self.impossible[impossible[0]]}"
        elif lacking:
            self.held_back[path] = f"it names {lacking[0]}, which this caching server does not get"
        return not (impossible or lacking)

    def single(self, kind: str, entry: Entry, confirm: tuple[Entry, ...] = ()) -> None:
        """Plan a single file, as a unit of that kind; ``confirm`` is what it names, and is checked before it."""
        steps: list[Step] = [Confirm(entry.path, confirm)] if confirm else []
        amendments = self.amend([entry])
        if amendments:
            self.add(kind, entry.path, [*steps, *amendments], [entry])
            return
        if self.fits(entry):
            self.unchanged.append(entry.path)
            return
        obstacle = self.obstacle(entry.path)
        if obstacle:
            self.impossible[entry.path] = obstacle
            return
        self.add(kind, entry.path, steps + self.replace(entry), [entry])

    def add(self, kind: str, path: str, steps: t.Sequence[Step], touched: t.Sequence[Entry]) -> None:
        """Add a unit; it is a repair if any of ``touched`` was damaged there."""
        reasons = [f"{e.path} was damaged on the caching server" for e in touched if e.path in self.there.damaged]
        reasons += [
            f"{e.path} could be read by its owner alone on the caching server (mode {self.there.tree[e.path].mode:04o})"
            for e in touched
            if self.is_closed(e)
        ]
        outcome = states.REPAIRED if reasons else states.PUBLISHED
        if all(isinstance(step, (Adopt, Confirm)) for step in steps):
            outcome, reasons = states.UNCHANGED, ["its content is the same; only its time was another one"]
        self.units.append(Unit(kind, path, tuple(steps), outcome, reasons[0] if reasons else ""))

    def add_withdrawal(self, kind: str, marker: str, image: str, reason: str, premise: Premise | None = None) -> None:
        """Add a unit that withdraws a marker, and does nothing else."""
        # An image that keeps another marker is not withdrawn along with this one.
        alone = list(self.promises.images.values()).count(image) == 1
        path = image if alone else marker
        self.units.append(Unit(kind, path, (self.withdraw(marker, image, reason, premise),), states.WITHDRAWN, reason))

    def is_chosen(self, path: str) -> bool:
        """Return whether the run is about a path on the caching server; about a marker, it is as about its squashfs."""
        return self.rules.selection.has(self.promises.images.get(path, path))
