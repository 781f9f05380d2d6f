# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which images the netboot server keeps, and which it removes. Pure.

An image is removed in two runs. The first sets its marker aside, under a hidden name next to it: no client finds it any
more. The second, a grace period later, removes its squashfs, then the kernels that only it needed, and the record last.
The record is the only state, so the next run continues a dead one, and until the second run a ``mv`` undoes everything.
"""

from __future__ import annotations

import dataclasses
import posixpath
import re
import typing as t

from ..assets.entries import DIRECTORY, SYMLINK, Entry, Tree, follow, kernel_version_of
from ..assets.inventory import Image, Inventory
from ..assets.marker import stems
from ..assets.patterns import check_patterns
from ..assets.withdrawal import names_image
from .basis import parse_name

RECORD = ".pruned"

KEPT = "kept"
SET_ASIDE = "set_aside"
REMOVED = "removed"
UNTOUCHED = "untouched"

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_SIZES = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "KI": 2**10, "MI": 2**20, "GI": 2**30, "TI": 2**40}


def read_age(text: t.Any) -> int:
    """Return an age in seconds, from a number or such as ``30d``, ``12h``, ``2w``. Raises :class:`ValueError`."""
    found = re.fullmatch(r"(\d{1,12})\s*([smhdw]?)", str(text).strip().lower())
    if not found or not int(found[1]):
        raise ValueError(f"max_age: {text!r} is not an age; it must be a number of seconds, or such as 30d, 12h, 2w")
    return int(found[1]) * _UNITS[found[2]]


def read_size(text: t.Any) -> int:
    """Return a size in bytes: a number, or such as ``20GB``, ``500MiB``. Raises :class:`ValueError`."""
    found = re.fullmatch(r"(\d{1,18}(?:\.\d{1,6})?)\s*([KMGT]I?|)B?", str(text).strip().upper())
    if not found or not float(found[1]):
        raise ValueError(f"max_size: {text!r} is not a size; it must be a number of bytes, or such as 20GB, 500MiB")
    return int(float(found[1]) * _SIZES[found[2]])


@dataclasses.dataclass(frozen=True)
class Policy:
    """What to keep of each directory and flavour: numbers of images, seconds, bytes. Raises :class:`ValueError`.

    With ``keep_last`` and another limit, that many of the newest are kept in any case, and others are removed only if
    the other limit allows it.
    """

    keep_last: int | None = None
    max_age: int | None = None
    max_size: int | None = None
    keep: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what would keep everything, or nothing."""
        if self.keep_last is None and self.max_age is None and self.max_size is None:
            raise ValueError("say what is to be kept: keep_last, max_age or max_size, one at least")
        if self.keep_last is not None and self.keep_last < 1:
            raise ValueError(f"keep_last: {self.keep_last} makes no sense; the newest image is always kept")
        check_patterns(self.keep)


class Record(t.NamedTuple):
    """A marker that was set aside: the image that it belonged to, the kernel that it names, and when (seconds).

    ``version`` is None if its content is invalid.
    """

    marker: str
    image: str
    version: str | None
    since: float


class Step(t.NamedTuple):
    """One change: ``old`` is renamed to ``new``, or removed if that is empty.

    ``entry`` is what ``old`` was at the time of the decision, None for a record. ``unless`` is a name that must not
    have come back meanwhile.
    """

    old: str
    new: str = ""
    entry: Entry | None = None
    unless: str = ""


class Verdict(t.NamedTuple):
    """The decision about an image, and why."""

    state: str
    reason: str
    size: int = 0


@dataclasses.dataclass
class Pruning:
    """What to do, in this order, and the decision about each image and each removed kernel."""

    steps: list[Step] = dataclasses.field(default_factory=list)
    images: dict[str, Verdict] = dataclasses.field(default_factory=dict)
    kernels: dict[str, Verdict] = dataclasses.field(default_factory=dict)

    @property
    def paths(self) -> list[str]:
        """All that is removed, now or in an earlier run, by the names that sites know."""
        found = {step.old for step in self.steps if not posixpath.basename(step.old).startswith(".")}
        gone = {path for path, one in self.images.items() if one.state in (SET_ASIDE, REMOVED)}
        back = {step.unless for step in self.steps if step.unless}
        return sorted(found | gone | back)


def record_path(marker: str) -> str:
    """Return the hidden path under which a marker is set aside."""
    directory, name = posixpath.split(marker)
    return posixpath.join(directory, f".{name}{RECORD}")


def read_record(path: str) -> str:
    """Return the marker that a hidden path records, or nothing if it is no record."""
    directory, name = posixpath.split(path)
    marker = name[1 : -len(RECORD)]
    known = name.startswith(".") and name.endswith(RECORD) and marker and not marker.startswith(".")
    return posixpath.join(directory, marker) if known else ""


def plan(
    inventory: Inventory,
    tree: Tree,
    policy: Policy,
    *,
    now: float,
    records: t.Sequence[Record] = (),
    named: t.Iterable[str] = (),
    grace: float = 0,
    withdrawn_versions: t.Iterable[str | None] = (),
) -> Pruning:
    """Decide.

    :param records: the markers that earlier runs set aside.
    :param named: texts of pointers; what they name stays.
    :param withdrawn_versions: the kernels that markers withdrawn by name state; None for one that cannot be read.
    """
    pruning = Pruning()
    reasons = _protected(inventory, tree, policy, frozenset(named))
    groups: dict[tuple[str, tuple[str, ...]], list[Image]] = {}
    for image in inventory.images:
        untouched = _not_ours(image)
        if untouched:
            pruning.images[image.path] = Verdict(UNTOUCHED, untouched, _size(image))
        else:
            key = (posixpath.dirname(image.path), parse_name(image.path).family)
            groups.setdefault(key, []).append(image)
    fresh: list[Record] = []
    for _key, images in sorted(groups.items()):
        for image, verdict in _judge(images, policy, reasons, now):
            pruning.images[image.path] = verdict
            if verdict.state == SET_ASIDE:
                for marker in image.markers:
                    pruning.steps.append(Step(marker.path, record_path(marker.path), marker))
                    version = inventory.stated.get(marker.path)
                    fresh.append(Record(marker.path, image.path, version, now))
    _finish(pruning, inventory, tree, [*records, *fresh], fresh, grace, now, reasons, withdrawn_versions)
    return pruning


def _not_ours(image: Image) -> str:
    """Return why retention does not apply to an image, or an empty string."""
    if image.squashfs is not None and image.squashfs.kind == SYMLINK:
        return "it is a symlink to another one"
    if not image.markers:
        return "it has no marker"
    if not image.ready:
        return image.reason
    return ""


def _size(image: Image) -> int:
    return image.squashfs.size if image.squashfs is not None else 0


def _protected(inventory: Inventory, tree: Tree, policy: Policy, named: frozenset[str]) -> dict[str, str]:
    """Return why each path, or kernel directory, stays whatever its age."""
    found: dict[str, str] = {}
    for path, entry in tree.items():
        if entry.kind == SYMLINK:
            trail = follow(path, tree)
            for name in trail.names[1:]:
                found[name] = f"{path} leads to it"
    for image in inventory.images:
        words = {image.path, posixpath.basename(image.path), *stems(image.path)}
        words.update(posixpath.join(posixpath.dirname(image.path), stem) for stem in stems(image.path))
        words.update(marker.path for marker in image.markers)
        if not words.isdisjoint(named):
            found[image.path] = "a pointer names it"
        if names_image(policy.keep, image.path, [marker.path for marker in image.markers]):
            found[image.path] = "netboot_prune_keep names it"
    return found


def _judge(
    images: t.Sequence[Image], policy: Policy, reasons: t.Mapping[str, str], now: float
) -> t.Iterator[tuple[Image, Verdict]]:
    """Yield the decisions about the images of one directory and flavour, the newest first."""
    total = 0
    for number, image in enumerate(sorted(images, key=lambda one: (one.newest, one.path), reverse=True)):
        size, age = _size(image), now - image.newest
        why = _why_it_goes(policy, number, age, total + size)
        if image.path in reasons:
            verdict = Verdict(KEPT, reasons[image.path], size)
        elif number == 0:
            verdict = Verdict(KEPT, "the newest is always kept", size)
        elif why:
            verdict = Verdict(SET_ASIDE, why, size)
        else:
            verdict = Verdict(KEPT, "", size)
        if verdict.state == KEPT:
            total += size
        yield image, verdict


def _why_it_goes(policy: Policy, number: int, age: float, total: int) -> str:
    if policy.keep_last is not None and number < policy.keep_last:
        return ""
    if policy.max_age is not None and age > policy.max_age:
        return f"it is {int(age // 86400)} days old"
    if policy.max_size is not None and total > policy.max_size:
        return f"those up to it have {total} bytes together, and max_size is {policy.max_size}"
    if policy.keep_last is not None and policy.max_age is None and policy.max_size is None:
        return f"it is number {number + 1} of its flavour, and keep_last is {policy.keep_last}"
    return ""


def _finish(
    pruning: Pruning,
    inventory: Inventory,
    tree: Tree,
    records: t.Sequence[Record],
    fresh: t.Sequence[Record],
    grace: float,
    now: float,
    reasons: t.Mapping[str, str],
    withdrawn_versions: t.Iterable[str | None],
) -> None:
    """Plan the removal of what was set aside a grace period ago: squashfs, kernels, records."""
    of_image: dict[str, list[Record]] = {}
    for one in records:
        of_image.setdefault(one.image, []).append(one)
    due: list[Record] = []
    ends: list[Step] = []
    for image, ones in sorted(of_image.items()):
        entry = tree.get(image)
        shown = [one.marker for one in ones if one.marker in tree and one not in fresh]
        touched = entry is not None and not set(ones) & set(fresh) and _touched(entry) > max(one.since for one in ones)
        if shown or touched or (entry is not None and image in reasons):
            # Somebody brought it back, is about to, or points to it again: then treat it as if it had never been set
            # aside.
            ends += [Step(record_path(one.marker)) for one in ones if one not in fresh]
            continue
        if min(now - one.since for one in ones) < grace:
            if not set(ones) & set(fresh):
                why = f"set aside before; its squashfs goes in a run {int(grace)} s after that"
                pruning.images[image] = Verdict(UNTOUCHED, why, entry.size if entry else 0)
            continue
        if entry is not None and entry.kind != DIRECTORY:
            before = pruning.images.get(image)
            reason = before.reason if before is not None and before.state == SET_ASIDE else "set aside before"
            pruning.images[image] = Verdict(REMOVED, reason, entry.size)
            pruning.steps.append(Step(image, entry=entry, unless=ones[0].marker))
        due += ones
        ends += [Step(record_path(one.marker)) for one in ones]
    staying = [one.version for one in records if one not in due] + list(withdrawn_versions)
    _remove_kernels(pruning, inventory, tree, due, staying, reasons)
    pruning.steps += ends


def _touched(entry: Entry) -> float:
    """Return when a file last changed, including its name and times: seconds."""
    return max(entry.identity[3:5], default=0) / 1e9 if entry.identity else float(entry.mtime)


def _remove_kernels(
    pruning: Pruning,
    inventory: Inventory,
    tree: Tree,
    due: t.Sequence[Record],
    staying: t.Sequence[str | None],
    reasons: t.Mapping[str, str],
) -> None:
    """Plan to remove the kernels that only removed images needed, unless something else may name them."""
    gone = {one.marker for one in due}
    candidates = sorted({one.version for one in due if one.version})
    unread = [path for path in inventory.pairs if path in tree and path not in inventory.stated]
    unknown = bool(inventory.unlisted or unread) or None in staying
    needed = {version for path, version in inventory.stated.items() if path not in gone}
    needed |= set(inventory.pointed.values()) | {version for version in staying if version}
    for version in candidates:
        directory = f"kernels/{version}"
        inside = [entry for path, entry in sorted(tree.items()) if kernel_version_of(path) == version]
        files = [entry for entry in inside if entry.kind != DIRECTORY]
        size = sum(entry.size for entry in files)
        if not inside and directory not in tree:
            continue
        if version in needed:
            pruning.kernels[directory] = Verdict(KEPT, "another marker or a pointer names it", size)
        elif unknown:
            why = "a marker or a directory cannot be read, and it may be what names it"
            pruning.kernels[directory] = Verdict(KEPT, why, size)
        elif any(name == directory or name.startswith(directory + "/") for name in reasons):
            pruning.kernels[directory] = Verdict(KEPT, "a symlink leads to it", size)
        else:
            pruning.kernels[directory] = Verdict(REMOVED, "no marker names it any more", size)
            pruning.steps += [Step(entry.path, entry=entry) for entry in files]
            below = [entry for entry in inside if entry.kind == DIRECTORY]
            pruning.steps += [Step(entry.path, entry=entry) for entry in reversed(below)]
            if directory in tree:
                pruning.steps.append(Step(directory, entry=tree[directory]))
