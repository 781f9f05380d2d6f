# Copyright: (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From two trees to an ordered plan: what must be done on one caching server, and in which order."""

from __future__ import annotations

import collections
import dataclasses
import heapq
import posixpath
import time
import typing as t

from ..assets.entries import DIRECTORY, FILE, SYMLINK, Entry, Tree, follow, kernel_directory, kernel_version_of, parents
from ..assets.inventory import Image, Inventory, Rules
from ..assets.kernels import kernel_paths
from ..assets.withdrawal import BY_NAME, names_image
from . import basis as bases
from . import order
from .promises import Promise, Promises, There
from .steps import (
    Adopt,
    Check,
    Confirm,
    Flush,
    Gone,
    Link,
    Permit,
    Premise,
    Publish,
    Remove,
    Send,
    SetAside,
    Step,
    Unit,
    Withdraw,
)

PUBLISHED = "published"
UNCHANGED = "unchanged"
REPAIRED = "repaired"
WITHDRAWN = "withdrawn"
LEFT_OVER = "left_over"
HELD_BACK = "held_back"
FAILED = "failed"


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is to be done, in order, and what is not, and why.

    ``unchanged`` lists paths; ``only_there``, ``left_over``, ``held_back`` and ``impossible`` give the reason for each
    path; ``refused`` is why nothing at all may be removed; ``markers`` names the image of each marker on the caching
    server, and ``images`` are the paths of all images on either side.
    """

    units: tuple[Unit, ...] = ()
    unchanged: tuple[str, ...] = ()
    only_there: dict[str, str] = dataclasses.field(default_factory=dict)
    left_over: dict[str, str] = dataclasses.field(default_factory=dict)
    held_back: dict[str, str] = dataclasses.field(default_factory=dict)
    impossible: dict[str, str] = dataclasses.field(default_factory=dict)
    refused: str = ""
    markers: dict[str, str] = dataclasses.field(default_factory=dict)
    images: frozenset[str] = frozenset()


def make_plan(
    inventory: Inventory,
    source: Tree,
    there: There,
    rules: Rules,
    *,
    delete: bool = False,
    max_delete: int = 10,
    grace: int = 0,
) -> Plan:
    """Return the plan that brings ``there`` in line with ``inventory``, which was sorted out of ``source``.

    With a ``grace`` (seconds), what a client may be about to fetch is not removed in the run that withdraws its marker.
    """
    return _Planner(inventory, source, there, rules).plan(delete=delete, max_delete=max_delete, grace=grace)


def plan_withdrawal(inventory: Inventory, there: There, rules: Rules, patterns: t.Sequence[str]) -> Plan:
    """Return the plan that takes images from clients at once, and does nothing else.

    Those are the images that were withdrawn by name on the netboot server, and those on the caching server that
    ``patterns`` name.
    """
    return _Planner(inventory, {}, there, rules).withdrawal(patterns)


class _Planner:
    def __init__(self, inventory: Inventory, source: Tree, there: There, rules: Rules) -> None:
        self.inventory = inventory
        self.source = source
        self.there = there
        self.rules = rules
        self.promises = Promises(inventory, there, rules)
        # The tree as it will be after the units planned so far: a file sent early is the basis of a later one.
        self.later: Tree = dict(there.tree)
        self.delivered: set[str] = set()
        self.withdrawn: set[str] = set()
        self.just_withdrawn: list[str] = []  # since the images were last looked through
        self.images = {image.path: image for image in inventory.images}
        self.units: list[Unit] = []
        self.unchanged: list[str] = []
        self.only_there: dict[str, str] = {}
        self.held_back = dict(inventory.held_back)
        self.impossible: dict[str, str] = {}
        self.kernels = dict(inventory.kernels)  # that are not planned yet

    def withdrawal(self, patterns: t.Sequence[str]) -> Plan:
        self._withdraw_by_name(patterns)
        return Plan(units=tuple(self.units), markers=self.promises.images, images=self.promises.image_paths)

    def plan(self, *, delete: bool, max_delete: int, grace: int) -> Plan:
        self._withdraw_by_name()
        self._withdraw_broken()
        aliases = [image for image in self.inventory.images if any(e.kind == SYMLINK for e in image.entries)]
        first, before_pointers, last = self._files(aliases)
        for entry in first:
            self._file(entry)
        self._images([image for image in self.inventory.images if image not in aliases])
        for version in sorted(self.kernels):
            self._kernel(version)
        for entry in before_pointers:
            self._file(entry)
        pointers: list[Image | Entry] = [*self._in_order(aliases), *self.inventory.pointers]
        for one in sorted(pointers, key=self._depth):  # what leads to another one comes after it
            if isinstance(one, Image):
                self._image("pointer", one)
            else:
                self._pointer(one)
        for entry in last:
            self._file(entry)
        self.only_there = dict.fromkeys(self._find_only_there(), "only on the caching server")
        refused = self._remove(max_delete, grace) if delete else ""
        self._purge(grace)
        return Plan(
            units=tuple(self.units),
            unchanged=tuple(self.unchanged),
            only_there=self.only_there,
            left_over=self._left_over(),
            held_back=self.held_back,
            impossible=self.impossible,
            refused=refused,
            markers=self.promises.images,
            images=self.promises.image_paths,
        )

    # What is there already

    def _fits(self, entry: Entry) -> bool:
        return entry.looks_like(self.there.tree.get(entry.path)) and entry.path not in self.there.damaged

    def _is_closed(self, entry: Entry) -> bool:
        """Tell whether a file is in line but for its mode, by which only its owner there can read it."""
        there = self.there.tree.get(entry.path)
        return there is not None and there.closed and self._fits(entry)

    def _amend(self, entries: t.Iterable[Entry]) -> list[Step]:
        """Plan what files need whose content is in line: the time of the netboot server, a mode to be read with."""
        steps: list[Step] = []
        for entry in entries:
            if entry.path in self.there.adoptable:
                steps.append(Adopt(entry))
            if self._is_closed(entry):
                steps.append(Permit(entry))
        return steps

    def _will_fit(self, entry: Entry) -> bool:
        if entry.kind == DIRECTORY:
            below = entry.path + "/"
            return entry.path in self.later or any(path.startswith(below) for path in self.later)
        return entry.path in self.delivered or self._fits(entry)

    def _is_held(self, promise: Promise) -> bool:
        """Tell whether the netboot server holds the image of a visible marker, and this marker, as they are here."""
        image = self.images.get(promise.image)
        return (
            image is not None
            and image.ready
            and promise.marker in {entry.path for entry in image.markers}
            and all(self._fits(entry) for entry in (*image.entries, *self._led_to(image)))
        )

    def _withdraw(self, marker: str, image: str, reason: str, premise: Premise | None = None) -> Withdraw:
        """Plan a withdrawal. Every unit that needs one has it, since another unit may fail before it comes to it."""
        if marker not in self.withdrawn:
            self.withdrawn.add(marker)
            self.just_withdrawn.append(marker)
        if marker not in self.delivered:
            self.later.pop(marker, None)
        return Withdraw(marker, image, reason, premise)

    def _hide(self, path: str) -> list[Step]:
        """Plan to withdraw all markers that promise a path which is about to change."""
        reason = f"{path} is about to change"
        return [self._withdraw(one.marker, one.image, reason) for one in self.promises.of(path) if one.chosen]

    def _obstacle(self, path: str) -> str:
        """Return why nothing can be put at a path of the caching server, or an empty string."""
        for above in parents(path):
            entry = self.there.tree.get(above)
            if entry is not None and entry.kind == SYMLINK:
                return (
                    f"{above} is a symlink on the caching server, and a sync never writes through one; remove it there"
                )
            if entry is not None and entry.kind != DIRECTORY:
                return f"{above} is no directory on the caching server; remove it there"
        if path in self.there.clashes:
            other = self.there.clashes[path]
            return f"it and {other} are one name on the file system there; rename one of them on the netboot server"
        entry = self.there.tree.get(path)
        if entry is not None and entry.kind not in (FILE, SYMLINK):
            kind = "directory" if entry.kind == DIRECTORY else "pipe, a socket or a device"
            return f"it is a {kind} on the caching server; remove it there"
        # A marker that is not chosen can neither be withdrawn nor renewed (promise 7), so what it promises stays as it
        # is (promise 1), even where that keeps a chosen image waiting. What is damaged or lost is no promise kept: it
        # is best replaced by what the netboot server holds.
        others = [one for one in self.promises.of(path) if not one.chosen]
        if others and entry is not None and path not in self.there.damaged:
            return f"{others[0].marker} on the caching server promises it, and that image is not chosen; choose both"
        return ""

    # Phase by phase

    def _withdraw_by_name(self, patterns: t.Sequence[str] = ()) -> None:
        """Withdraw what was withdrawn by name wherever it is, whatever the run is about and may remove."""
        for promise in self.promises.all:
            marker, image = promise.marker, promise.image
            # A symlink that leads to such an image offers it just as well.
            withdrawn = [name for name in (image, *promise.names) if name in self.inventory.withdrawn]
            if withdrawn or (patterns and names_image(patterns, image, [marker])):
                premise = self._set_aside(withdrawn[0]) if withdrawn else None
                self._add_withdrawal("withdrawal", marker, image, BY_NAME, premise)

    def _set_aside(self, image: str) -> SetAside:
        """Return the premise for what is done to an image that was withdrawn by name."""
        return SetAside(tuple(marker for marker, one in self.inventory.pairs.items() if one == image))

    def _withdraw_broken(self) -> None:
        """Withdraw every marker whose promise is not kept on the caching server, before all else."""
        for promise in self.promises.all:
            damaged = [name for name in promise.names if name in self.there.damaged]
            reason = promise.trouble or (f"{damaged[0]} is damaged there" if damaged else "")
            if reason and promise.chosen and promise.marker not in self.withdrawn:
                self._add_withdrawal("withdrawal", promise.marker, promise.image, reason)

    def _add_withdrawal(self, kind: str, marker: str, image: str, reason: str, premise: Premise | None = None) -> None:
        # An image that keeps another marker is not withdrawn with this one.
        alone = list(self.promises.images.values()).count(image) == 1
        path = image if alone else marker
        self.units.append(Unit(kind, path, (self._withdraw(marker, image, reason, premise),), WITHDRAWN, reason))

    def _in_order(self, images: t.Iterable[Image]) -> list[Image]:
        return order.in_order(images, self.rules.priority)

    def _images(self, images: t.Iterable[Image]) -> None:
        """Plan images in their order, each right after the kernels that it requires.

        Before their turn come those that are whole there, but have no marker until a kernel is renewed or repaired.
        They cost little, and nobody could boot them while a large one is sent.
        """
        waiting = {image.path: image for image in self._in_order(images)}
        turns = {path: turn for turn, path in enumerate(waiting)}
        of_marker = {entry.path: image for image in waiting.values() for entry in image.markers}
        early: list[tuple[int, str]] = []
        while waiting:
            self._kernels_of(next(iter(waiting.values())))
            for marker in self.just_withdrawn:
                image = of_marker.get(marker)
                if image is not None and self._lacks_its_marker(image):
                    heapq.heappush(early, (turns[image.path], image.path))
            self.just_withdrawn.clear()
            while early and early[0][1] not in waiting:
                heapq.heappop(early)
            image = waiting[early[0][1]] if early else next(iter(waiting.values()))
            self._kernels_of(image)
            self._image("image", image)
            del waiting[image.path]

    def _kernels_of(self, image: Image) -> None:
        for version in image.versions if image.ready else ():
            self._kernel(version)

    def _lacks_its_marker(self, image: Image) -> bool:
        lost = any(entry.path in self.withdrawn for entry in image.markers)
        return lost and image.ready and image.squashfs is not None and self._fits(image.squashfs)

    def _kernel(self, version: str) -> None:
        """Plan one kernel directory, once, and as a whole: no client may find the old kernel beside the new initrd."""
        entries = self.kernels.pop(version, ())
        new = [entry for entry in entries if not self._fits(entry)]
        amended = [entry for entry in entries if self._amend([entry])]
        self.unchanged.extend(entry.path for entry in entries if self._fits(entry) and entry not in amended)
        blocked = {entry.path: reason for entry in new for reason in [self._obstacle(entry.path)] if reason}
        if blocked or not (new or amended):
            self.impossible.update(blocked)
            return
        steps = self._amend(amended)
        for entry in new:
            steps += self._stage(entry)
        self.delivered.update(entry.path for entry in new)
        touched = [one for entry in new for one in self.promises.of(entry.path)]
        times = collections.Counter(one.marker for one in touched)
        for promise in dict.fromkeys(sorted(touched, key=lambda one: one.marker)):
            # One file is swapped in one rename. Of several, a client could see a mixture in between; and an image that
            # the netboot server no longer holds like this was never tested with the new kernel.
            swap = times[promise.marker] == 1 and promise.marker not in self.withdrawn and self._is_held(promise)
            if promise.chosen and not swap:
                reason = f"{kernel_directory(version)} is about to change"
                steps.append(self._withdraw(promise.marker, promise.image, reason))
        for entry in sorted(new, key=lambda entry: entry.kind == SYMLINK):
            steps += self._show(entry)
        self._add("kernel", kernel_directory(version), steps, [*new, *amended])

    def _files(self, aliases: t.Iterable[Image]) -> tuple[list[Entry], list[Entry], list[Entry]]:
        """Return the plain files that go before the images, those that pointers wait for, and those that go last."""
        pointing = [*self.inventory.pointers, *(entry for image in aliases for entry in image.entries)]
        named = {name for entry in pointing for name in follow(entry.path, self.source).names}
        first: list[Entry] = []
        before_pointers: list[Entry] = []
        last: list[Entry] = []
        for entry in self.inventory.files:
            marks = bool(self._marks_there(entry))  # all kernels tell first which markers are withdrawn
            if not marks and not order.is_large(entry):
                first.append(entry)
            elif marks or not named.isdisjoint([entry.path, *parents(entry.path)]):
                before_pointers.append(entry)
            else:
                last.append(entry)
        return first, before_pointers, last

    def _marks_there(self, entry: Entry) -> list[str]:
        """Return the squashfs that only the caching server has, and whose marker a plain file would be there."""
        return self.promises.found.fitting(entry.path)

    def _file(self, entry: Entry) -> None:
        # A plain file here, for want of a squashfs beside it, would there promise an old squashfs anew.
        promised = self._marks_there(entry)
        if promised and (not self._fits(entry) or entry.path in self.withdrawn):
            self.held_back[entry.path] = f"it would be the marker of {promised[0]}, which only the caching server has"
        else:
            self._single("file", entry)

    def _single(self, kind: str, entry: Entry, confirm: tuple[Entry, ...] = ()) -> None:
        steps: list[Step] = [Confirm(entry.path, confirm)] if confirm else []
        amendments = self._amend([entry])
        if amendments:
            self._add(kind, entry.path, [*steps, *amendments], [entry])
            return
        if self._fits(entry):
            self.unchanged.append(entry.path)
            return
        obstacle = self._obstacle(entry.path)
        if obstacle:
            self.impossible[entry.path] = obstacle
            return
        self._add(kind, entry.path, steps + self._replace(entry), [entry])

    def _replace(self, entry: Entry) -> list[Step]:
        """Plan to put a file in its place. What promises it is not withdrawn before the new one lies beside it."""
        return self._stage(entry) + self._hide(entry.path) + self._show(entry)

    def _stage(self, entry: Entry) -> list[Step]:
        """Plan to bring a file to its hidden name; a symlink needs no time and so is made when it is shown."""
        if entry.kind == SYMLINK:
            return []
        send = Send(entry, bases.choose(entry.path, self.later, self.promises.image_paths))
        self.later[entry.path] = entry
        return [send, Check(entry), Flush(entry)]

    def _show(self, entry: Entry) -> list[Step]:
        """Plan to put what was staged under its final name."""
        self.delivered.add(entry.path)
        self.later[entry.path] = entry
        return [Link(entry) if entry.kind == SYMLINK else Publish(entry)]

    def _depth(self, one: Image | Entry) -> int:
        entries = one.entries if isinstance(one, Image) else (one,)
        return max((len(follow(entry.path, self.source).names) for entry in entries), default=0)

    def _image(self, kind: str, image: Image) -> None:
        if not image.ready:
            self.held_back[image.path] = image.reason
            return
        if not self._can_promise(image.path, self._led_to(image)):
            return
        whole = image.squashfs is not None and self._fits(image.squashfs)
        # A marker that cannot be read is not seen: it comes anew, behind a look at all that it promises.
        new_markers = [m for m in image.markers if not self._fits(m) or m.path in self.withdrawn or self._is_closed(m)]
        if not whole:
            new_markers = list(image.markers)
        steps = self._amend(e for e in image.entries if e not in new_markers)
        if whole and not (new_markers or steps):
            self.unchanged.append(image.path)
            return
        if not self._can_promise(image.path, image.requires):
            return
        changing = new_markers if whole else image.entries
        obstacles = [reason for entry in changing for reason in [self._obstacle(entry.path)] if reason]
        if obstacles:
            self.impossible[image.path] = obstacles[0]
            return
        staged: tuple[Entry, ...] = ()
        if image.squashfs is not None and not whole:
            steps += self._stage(image.squashfs)
            if any(one.chosen and one.marker not in self.withdrawn for one in self.promises.of(image.path)):
                # Clients are to be without a marker for two renames, and not until the new one has arrived.
                staged = tuple(new_markers)
                steps += [step for entry in staged for step in self._stage(entry)]
            steps += self._hide(image.path) + self._show(image.squashfs)
        if image.markers:
            steps.append(Confirm(image.path, self._promise(image)))
        for entry in new_markers:
            stage = [] if entry in staged else self._stage(entry)
            steps += stage + self._hide(entry.path) + self._show(entry)
        self._add(kind, image.path, steps, image.entries + image.requires)

    def _led_to(self, image: Image) -> tuple[Entry, ...]:
        """Return what the image's own files lead to, where they are symlinks."""
        own = {entry.path for entry in image.entries}
        names = [name for entry in image.entries for name in follow(entry.path, self.source).names]
        return tuple(self.source[name] for name in dict.fromkeys(names) if name not in own and name in self.source)

    def _promise(self, image: Image) -> tuple[Entry, ...]:
        """All that the image's markers promise; a symlink with the file that it leads to."""
        return ((image.squashfs,) if image.squashfs else ()) + self._led_to(image) + image.requires

    def _can_promise(self, path: str, entries: t.Sequence[Entry]) -> bool:
        """Tell whether all that a name is to promise will be there by then; where it will not, note why."""
        impossible = [entry.path for entry in entries if entry.path in self.impossible]
        lacking = [entry.path for entry in entries if not self._will_fit(entry)]
        if impossible:
            self.impossible[path] = f"it requires {impossible[0]}: {self.impossible[impossible[0]]}"
        elif lacking:
            self.held_back[path] = f"it names {lacking[0]}, which this caching server does not get"
        return not (impossible or lacking)

    def _pointer(self, entry: Entry) -> None:
        """Plan what names other assets: only where those are, or will be by then."""
        if entry.kind == SYMLINK:
            names = follow(entry.path, self.source).names[1:]
            wanted = [self.source[name] for name in names]
        else:
            version = self.inventory.pointed.get(entry.path, "")
            kernel = kernel_paths(version, self.source, self.rules.kernel_files) if version else []
            wanted = [self.source[path] for path in kernel]
            wanted += [e for e in self.inventory.kernels.get(version, ()) if e not in wanted]
        if self._can_promise(entry.path, wanted):
            self._single("pointer", entry, tuple(wanted))

    # Removals

    def _is_chosen(self, path: str) -> bool:
        """Tell whether the run is about a path on the caching server; about a marker, it is as about its squashfs."""
        return self.rules.selection.has(self.promises.images.get(path, path))

    def _find_only_there(self) -> list[str]:
        ours = self.inventory.paths
        return sorted(
            path
            for path, entry in self.there.tree.items()
            if entry.kind != DIRECTORY
            and self._is_chosen(path)
            and path not in ours
            and path not in self.source
            and not self.inventory.may_hold(path)
            and path not in self.withdrawn
        )

    def _left_over(self) -> dict[str, str]:
        """Return the images that clients still find there, though the netboot server no longer offers them."""
        found: dict[str, str] = {}
        for promise in self.promises.all:
            image = self.images.get(promise.image)
            offered = promise.marker in self.source or (image is not None and (image.markers or image.ready))
            if offered or promise.marker in self.withdrawn or not promise.chosen or promise.trouble:
                continue
            if self.inventory.may_hold(promise.marker):
                continue
            gone = "its marker is gone from" if promise.image in self.source else "it is no longer on"
            marked = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(self.there.tree[promise.marker].mtime))
            found[promise.image] = f"still published there (marker of {marked}), but {gone} the netboot server"
            self.held_back.pop(promise.image, None)
        return found

    def _purge(self, grace: int) -> None:
        """Plan to remove the squashfs of what was withdrawn by name, where that was asked for."""
        for path in sorted(path for path, purge in self.inventory.withdrawn.items() if purge):
            entry = self.there.tree.get(path)
            promised = any(one.marker not in self.withdrawn for one in self.promises.of(path))
            if entry is None or entry.kind == DIRECTORY or promised or path in self.only_there:
                continue
            if self._is_needed_for_a_while(path, grace):
                self.held_back[path] = f"{BY_NAME}; its squashfs goes in a run {grace} s from now or later"
            else:
                step = Remove(path, premise=self._set_aside(path))
                self.units.append(Unit("removal", path, (step,), WITHDRAWN, f"{BY_NAME}, to be removed"))

    def _is_needed_for_a_while(self, path: str, grace: int) -> bool:
        """Tell whether a client may have read a marker not long ago that promised a path, and still has to fetch it."""
        if not grace:
            return False
        if path in self.promises.image_paths:
            fresh = posixpath.dirname(path) in self.there.fresh
        else:
            fresh = bool(kernel_version_of(path)) and bool(self.there.fresh)
        return fresh or any(one.marker in self.withdrawn for one in self.promises.of(path))

    def _remove(self, max_delete: int, grace: int) -> str:
        reason = "the netboot server no longer holds it"
        # What a marker promises goes only if that marker goes too, or is renewed: then it promises what is in line.
        going = set(self.only_there)
        while True:
            gone = going | self.withdrawn | self.delivered
            staying = {path for path in going if any(one.marker not in gone for one in self.promises.of(path))}
            if not staying:
                break
            going -= staying
        if all(entry.kind == DIRECTORY for entry in self.source.values()):
            return "the netboot server's tree is empty: nothing was removed. Is its file system mounted?"
        if len(going) > max_delete:
            return (
                f"{len(going)} files would be removed, but max_delete allows {max_delete}: none was removed."
                " Is the netboot server's tree whole? Then raise netboot_sync_max_delete."
            )
        for promise in self.promises.all:
            if promise.marker in going:
                self._add_withdrawal("removal", promise.marker, promise.image, reason, Gone(promise.marker))
        for path in sorted(going):
            if path not in self.promises.images and self._is_needed_for_a_while(path, grace):
                # It stays for a client that has just read its marker, and does not keep the marker from going.
                self.only_there[path] = f"only on the caching server; it goes in a run {grace} s from now or later"
                going.remove(path)
        for path in sorted(going - set(self.promises.images)):
            promises = self.promises.of(path)
            # Where a marker could not be withdrawn before, this is tried again, and the file stays with it. Where one
            # could not be renewed, the old one may still be seen: the file stays until it is.
            steps: list[Step] = [
                self._withdraw(one.marker, one.image, reason, Gone(one.marker))
                for one in promises
                if one.marker not in self.delivered
            ]
            after = tuple(one.marker for one in promises if one.marker in self.delivered)
            self.units.append(
                Unit("removal", path, (*steps, Remove(path, premise=Gone(path))), WITHDRAWN, reason, after)
            )
        self._remove_directories(going)
        return ""

    def _remove_directories(self, going: set[str]) -> None:
        """Plan to remove what is empty by then, be it of this run or of one that was cut off; the deepest first."""
        left = set(self.later) - going
        for path in sorted((p for p, e in self.there.tree.items() if e.kind == DIRECTORY), reverse=True):
            needed = path in self.source or self.inventory.may_hold(path) or not self._is_chosen(path)
            if not needed and not any(other.startswith(path + "/") for other in left):
                left.discard(path)
                step = Remove(path, directory=True, premise=Gone(path))
                self.units.append(Unit("removal", path, (step,), WITHDRAWN, "it is empty"))

    # Units

    def _add(self, kind: str, path: str, steps: t.Sequence[Step], touched: t.Sequence[Entry]) -> None:
        reasons = [f"{e.path} was damaged on the caching server" for e in touched if e.path in self.there.damaged]
        reasons += [
            f"{e.path} could be read by its owner alone on the caching server (mode {self.there.tree[e.path].mode:04o})"
            for e in touched
            if self._is_closed(e)
        ]
        outcome = REPAIRED if reasons else PUBLISHED
        if all(isinstance(step, (Adopt, Confirm)) for step in steps):
            outcome, reasons = UNCHANGED, ["its content is the same; only its time was another one"]
        self.units.append(Unit(kind, path, tuple(steps), outcome, reasons[0] if reasons else ""))
