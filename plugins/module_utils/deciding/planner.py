# Copyright: (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From two trees to an ordered plan: what must be done on one caching server, and in which order."""

from __future__ import annotations

import dataclasses
import typing as t

from . import basis as bases
from . import marker as markers
from .assets import DIRECTORY, FILE, SYMLINK, Entry, Tree, kernel_directory, kernel_version_of, link_target, parents
from .readiness import KERNEL_FILES, Image, Inventory, Rules, pair_markers
from .steps import Check, Confirm, Flush, Link, Publish, Remove, Send, Step, Unit, Withdraw

PUBLISHED = "published"
UNCHANGED = "unchanged"
REPAIRED = "repaired"
WITHDRAWN = "withdrawn"
HELD_BACK = "held_back"
FAILED = "failed"


@dataclasses.dataclass(frozen=True)
class There:
    """What is on the caching server.

    ``markers`` holds the content of the markers that are not the netboot server's own by size and time, ``damaged``
    the paths whose content was compared and found to differ.
    """

    tree: Tree
    markers: dict[str, bytes] = dataclasses.field(default_factory=dict)
    damaged: frozenset[str] = frozenset()


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is to be done, in order, and what is not, and why.

    ``unchanged`` and ``only_there`` list paths; ``held_back`` and ``impossible`` give the reason for each path;
    ``refused`` is why nothing at all may be removed.
    """

    units: tuple[Unit, ...] = ()
    unchanged: tuple[str, ...] = ()
    only_there: tuple[str, ...] = ()
    held_back: dict[str, str] = dataclasses.field(default_factory=dict)
    impossible: dict[str, str] = dataclasses.field(default_factory=dict)
    refused: str = ""


def wanted_markers(source: Tree, there: Tree, rules: Rules) -> list[str]:
    """Return the markers on the caching server that must be read there, since they are not the netboot server's."""
    return [
        path
        for path in pair_markers(there, rules, strict=True)
        if there[path].kind == FILE and not there[path].looks_like(source.get(path))
    ]


def make_plan(
    inventory: Inventory, source: Tree, there: There, rules: Rules, *, delete: bool = False, max_delete: int = 10
) -> Plan:
    """Return the plan that brings ``there`` in line with ``inventory``, which was sorted out of ``source``."""
    return _Planner(inventory, source, there, rules).plan(delete=delete, max_delete=max_delete)


class _Planner:
    def __init__(self, inventory: Inventory, source: Tree, there: There, rules: Rules) -> None:
        self.inventory = inventory
        self.source = source
        self.there = there
        self.rules = rules
        # a directory or a pipe under the name of a marker promises nothing to anybody
        self.pairs = {
            path: image
            for path, image in pair_markers(there.tree, rules, strict=True).items()
            if there.tree[path].kind in (FILE, SYMLINK)
        }
        self.contents = {path: self._versions(path) for path in self.pairs}
        # The tree as it will be after the units planned so far: a file sent early is the basis of a later one.
        self.later: Tree = dict(there.tree)
        self.withdrawn: set[str] = set()
        self.units: list[Unit] = []
        self.unchanged: list[str] = []
        self.held_back = dict(inventory.held_back)
        self.impossible: dict[str, str] = {}

    def plan(self, *, delete: bool, max_delete: int) -> Plan:
        self._withdraw_broken()
        for version in self._kernels_by_need():
            self._kernel(version, self.inventory.kernels[version])
        for entry in self.inventory.files:
            self._single("file", entry)
        aliases = [image for image in self.inventory.images if any(e.kind == SYMLINK for e in image.entries)]
        for image in self._by_age(image for image in self.inventory.images if image not in aliases):
            self._image("image", image)
        for image in self._by_age(aliases):
            self._image("pointer", image)
        for entry in self.inventory.pointers:
            self._pointer(entry)
        only_there = self._only_there()
        refused = self._remove(only_there, max_delete) if delete else ""
        return Plan(
            units=tuple(self.units),
            unchanged=tuple(self.unchanged),
            only_there=tuple(only_there),
            held_back=self.held_back,
            impossible=self.impossible,
            refused=refused,
        )

    # What is there already

    def _fits(self, entry: Entry) -> bool:
        return entry.looks_like(self.there.tree.get(entry.path)) and entry.path not in self.there.damaged

    def _versions(self, path: str) -> tuple[str, ...]:
        """Return the kernel versions that a marker on the caching server names; a broken marker names none."""
        entry = self.there.tree[path]
        if path not in self.there.markers and entry.looks_like(self.source.get(path)):
            return next((i.versions for i in self.inventory.images if path in {m.path for m in i.markers}), ())
        try:
            version = markers.parse(self.there.markers.get(path, b"{}")).version
        except ValueError:
            return ()
        return (version,) if version else ()

    def _is_held(self, marker: str) -> bool:
        """Tell whether the netboot server holds the image of a visible marker as it is here."""
        image = next((one for one in self.inventory.images if one.path == self.pairs[marker]), None)
        return image is not None and image.ready and all(self._fits(entry) for entry in image.entries)

    def _withdraw(self, marker: str, reason: str) -> Withdraw:
        """Plan a withdrawal. Every unit that needs one has it, since another unit may fail before it comes to it."""
        self.withdrawn.add(marker)
        return Withdraw(marker, self.pairs[marker], reason)

    def _is_file_there(self, path: str) -> bool:
        entry = self.there.tree.get(path)
        return entry is not None and entry.kind in (FILE, SYMLINK)

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
        entry = self.there.tree.get(path)
        if entry is not None and entry.kind not in (FILE, SYMLINK):
            kind = "directory" if entry.kind == DIRECTORY else "pipe, a socket or a device"
            return f"it is a {kind} on the caching server; remove it there"
        return ""

    # Phase by phase

    def _withdraw_broken(self) -> None:
        """Withdraw every marker whose promise is not kept on the caching server, before all else."""
        for path, image in sorted(self.pairs.items()):
            if not self.rules.selection.has(image):
                continue
            wanted = [image] + [
                f"{kernel_directory(version)}/{name}" for version in self.contents[path] for name in KERNEL_FILES
            ]
            wanted += [
                entry.path
                for version in self.contents[path]
                for entry in self.inventory.kernels.get(version, ())
                if entry.path not in wanted
            ]
            missing = [name for name in wanted if not self._is_file_there(name)]
            damaged = [name for name in [path] + wanted if name in self.there.damaged]
            if missing or damaged:
                reason = f"{missing[0]} is not there" if missing else f"{damaged[0]} is damaged there"
                self.units.append(Unit("withdrawal", image, (self._withdraw(path, reason),), WITHDRAWN, reason))

    def _kernels_by_need(self) -> list[str]:
        need: dict[str, int] = dict.fromkeys(self.inventory.kernels, 0)
        for image in self.inventory.images:
            for version in image.versions:
                if version in need:
                    need[version] = max(need[version], image.newest)
        return sorted(need, key=lambda version: (-need[version], version))

    def _kernel(self, version: str, entries: tuple[Entry, ...]) -> None:
        """Plan one kernel directory as a whole: no client may find the old kernel beside the new initrd."""
        new = [entry for entry in entries if not self._fits(entry)]
        self.unchanged.extend(entry.path for entry in entries if self._fits(entry))
        blocked = {entry.path: reason for entry in new for reason in [self._obstacle(entry.path)] if reason}
        if blocked or not new:
            self.impossible.update(blocked)
            return
        regular = [entry for entry in new if entry.kind == FILE]
        steps: list[Step] = []
        for entry in regular:
            steps += [Send(entry, bases.choose(entry.path, self.later)), Check(entry), Flush(entry)]
            self.later[entry.path] = entry
        # One replaced file is swapped in one rename. Of several, a client could see a mixture in between; and an image
        # that the netboot server no longer holds like this was never tested with the new kernel.
        replaced = [entry for entry in new if entry.path in self.there.tree]
        swap = len(new) == 1
        for path, versions in sorted(self.contents.items()):
            if replaced and version in versions and not (swap and self._is_held(path)):
                steps.append(self._withdraw(path, f"{kernel_directory(version)} is about to change"))
        steps += [Publish(entry) for entry in regular]
        steps += [Link(entry) for entry in new if entry.kind == SYMLINK]
        self._add("kernel", kernel_directory(version), steps, [entry.path for entry in new])

    def _single(self, kind: str, entry: Entry, confirm: tuple[Entry, ...] = ()) -> None:
        if self._fits(entry):
            self.unchanged.append(entry.path)
            return
        obstacle = self._obstacle(entry.path)
        if obstacle:
            self.impossible[entry.path] = obstacle
            return
        steps: list[Step] = [Confirm(entry.path, confirm)] if confirm else []
        self._add(kind, entry.path, steps + self._deliver(entry), [entry.path])

    def _deliver(self, entry: Entry) -> list[Step]:
        if entry.kind == SYMLINK:
            self.later[entry.path] = entry
            return [Link(entry)]
        send = Send(entry, bases.choose(entry.path, self.later))
        self.later[entry.path] = entry
        return [send, Check(entry), Flush(entry), Publish(entry)]

    def _by_age(self, images: t.Iterable[Image]) -> list[Image]:
        """The newest first, so that a site on a slow line can boot today's image soon; small ones before large."""
        return sorted(images, key=lambda i: (-i.newest, i.squashfs.size if i.squashfs else 0, i.path))

    def _image(self, kind: str, image: Image) -> None:
        if not image.ready:
            self.held_back[image.path] = image.reason
            return
        whole = image.squashfs is not None and self._fits(image.squashfs)
        new_markers = [m for m in image.markers if not self._fits(m) or m.path in self.withdrawn]
        if whole and not new_markers:
            self.unchanged.append(image.path)
            return
        obstacles = [reason for entry in image.entries for reason in [self._obstacle(entry.path)] if reason]
        if obstacles:
            self.impossible[image.path] = obstacles[0]
            return
        steps: list[Step] = []
        if not whole:
            for path in self._promising(image.path):
                steps.append(self._withdraw(path, f"{image.path} is about to change"))
            steps += self._deliver(image.squashfs) if image.squashfs else []
            new_markers = list(image.markers)
        if image.markers:
            steps.append(Confirm(image.path, self._promise(image)))
            for entry in new_markers:
                steps += self._deliver(entry)
        self._add(kind, image.path, steps, [entry.path for entry in image.entries + image.requires])

    def _promise(self, image: Image) -> tuple[Entry, ...]:
        """All that the image's markers promise; a symlinked squashfs with the file that it leads to."""
        entries = [image.squashfs] if image.squashfs else []
        entry = image.squashfs
        while entry is not None and entry.kind == SYMLINK and len(entries) < 9:
            target = link_target(entry.path, entry.target)
            entry = self.source.get(target) if target else None
            if entry is not None:
                entries.append(entry)
        return tuple(entries) + image.requires

    def _pointer(self, entry: Entry) -> None:
        """Plan what names other assets: only where those are, or will be by then."""
        if entry.kind == SYMLINK:
            target = link_target(entry.path, entry.target) or ""
            wanted = [self.source[target]] if target in self.source else []
        else:
            version = self.inventory.pointed.get(entry.path, "")
            directory = kernel_directory(version)
            wanted = [self.source[f"{directory}/{name}"] for name in KERNEL_FILES] if version else []
            wanted += [e for e in self.inventory.kernels.get(version, ()) if e not in wanted]
        for one in wanted:
            below = one.path + "/"
            if one.path not in self.later and not any(path.startswith(below) for path in self.later):
                self.held_back[entry.path] = f"it names {one.path}, which this caching server does not get"
                return
        self._single("pointer", entry, tuple(wanted))

    # Removals

    def _only_there(self) -> list[str]:
        ours = self.inventory.paths
        return sorted(
            path
            for path, entry in self.there.tree.items()
            if entry.kind != DIRECTORY
            and self.rules.selection.has(path)
            and path not in ours
            and path not in self.source
            and path not in self.withdrawn
        )

    def _remove(self, only_there: t.Sequence[str], max_delete: int) -> str:
        reason = "the netboot server no longer holds it"
        gone = set(only_there) | self.withdrawn
        going = {path for path in only_there if all(marker in gone for marker in self._promising(path))}
        if len(going) > max_delete:
            return (
                f"{len(going)} files would be removed, but max_delete allows {max_delete}: none was removed."
                " Is the netboot server's tree whole? Then raise netboot_sync_max_delete."
            )
        for path in sorted(going & set(self.pairs)):
            self.units.append(Unit("removal", self.pairs[path], (self._withdraw(path, reason),), WITHDRAWN, reason))
        for path in sorted(going - set(self.pairs)):
            # Where one of its markers could not be withdrawn before, this is tried again, and the file stays with it.
            steps: list[Step] = [self._withdraw(marker, reason) for marker in self._promising(path)]
            self.units.append(Unit("removal", path, (*steps, Remove(path)), WITHDRAWN, reason))
        self._remove_directories(going)
        return ""

    def _promising(self, path: str) -> list[str]:
        """Return the markers on the caching server that promise a path."""
        version = kernel_version_of(path)
        return sorted(
            marker
            for marker, image in self.pairs.items()
            if marker != path and (image == path or (version and version in self.contents[marker]))
        )

    def _remove_directories(self, going: set[str]) -> None:
        left = {above for path in self.later if path not in going for above in self._holders(path)}
        emptied = {above for path in going for above in parents(path) if above not in left and above not in self.source}
        for path in sorted(emptied, reverse=True):
            self.units.append(Unit("removal", path, (Remove(path, directory=True),), WITHDRAWN, "it is empty"))

    def _holders(self, path: str) -> list[str]:
        return [] if self.later[path].kind == DIRECTORY else parents(path)

    # Units

    def _add(self, kind: str, path: str, steps: t.Sequence[Step], touched: t.Sequence[str]) -> None:
        damaged = [name for name in touched if name in self.there.damaged]
        outcome = REPAIRED if damaged else PUBLISHED
        reason = f"{damaged[0]} was damaged on the caching server" if damaged else ""
        self.units.append(Unit(kind, path, tuple(steps), outcome, reason))
