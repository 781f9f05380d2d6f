# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a tree holds, image by image, and how far a caching server is behind its source. Pure."""

from __future__ import annotations

import dataclasses
import typing as t

from ..assets.entries import DIRECTORY, FILE, Tree, follow
from ..assets.inventory import Image, Inventory, Rules, find_images, version_stated
from ..assets.kernels import kernel_paths
from ..assets.withdrawal import BY_NAME

# Of the netboot server's tree
READY = "ready"
HELD_BACK = "held_back"
WITHDRAWN = "withdrawn"

# Of a caching server's, besides these
PUBLISHED = "published"
MISSING = "missing"
ON_ITS_WAY = "on_its_way"
OUTDATED = "outdated"
LEFT_OVER = "left_over"
INCOMPLETE = "incomplete"
UNMARKED = "unmarked"

BEHIND = frozenset((MISSING, ON_ITS_WAY, OUTDATED))


@dataclasses.dataclass
class ImageState:
    """An image: times are seconds since the epoch, sizes are bytes, ``percent`` is how much of it has arrived.

    :ivar arrived: for one in transit, the bytes that are there; ``rate`` is how many arrive per second.
    """

    state: str
    reason: str = ""
    size: int = 0
    marker: str = ""
    kernels: tuple[str, ...] = ()
    since: float | None = None
    percent: int | None = None
    arrived: int | None = None
    rate: float | None = None
    sha256: str = ""


def of_source(inventory: Inventory, tree: Tree) -> dict[str, ImageState]:
    """Return the images of the tree that all others copy; each is ready since the time of its files."""
    found = {}
    for image in inventory.images:
        state = WITHDRAWN if image.path in inventory.withdrawn else READY if image.ready else HELD_BACK
        entry = follow(image.path, tree).entry
        found[image.path] = ImageState(
            state,
            image.reason,
            size=entry.size if entry is not None else 0,
            marker=image.markers[0].path if image.markers else "",
            kernels=image.versions,
            since=ready_since(image),
        )
    for path in inventory.withdrawn:
        found.setdefault(path, ImageState(WITHDRAWN, BY_NAME))
    return found


def ready_since(image: Image) -> float | None:
    """Return when the last file of an image last changed: seconds since the epoch."""
    times = [max(one.identity[3:5]) / 1e9 for one in (*image.entries, *image.requires) if len(one.identity) > 4]
    return max(times, default=None)


def of_site_alone(tree: Tree, rules: Rules, contents: t.Mapping[str, bytes]) -> dict[str, ImageState]:
    """Return the images of a caching server, without its source; ``contents`` are those of its markers."""
    known = find_images(tree, rules)
    markers: dict[str, list[str]] = {path: [] for path in known.paths}
    for marker, image in sorted(known.pairs.items()):
        markers[image].append(marker)
    found = {}
    for path, its in sorted(markers.items()):
        if not rules.selection.has(path):
            continue
        entry = follow(path, tree).entry
        versions = tuple(sorted({version_stated(contents[m]) for m in its if m in contents} - {""}))
        lacks = [name for version in versions for name in _lacking(version, tree, rules)]
        if not its:
            state, reason = UNMARKED, "no marker lies beside it"
        elif entry is None or entry.kind != FILE:
            state, reason = INCOMPLETE, "its squashfs is not there"
        elif lacks:
            state, reason = INCOMPLETE, f"{lacks[0]} is not there"
        else:
            state, reason = PUBLISHED, ""
        size = entry.size if entry is not None else 0
        found[path] = ImageState(state, reason, size, its[0] if its else "", versions)
    return found


def _lacking(version: str, tree: Tree, rules: Rules) -> list[str]:
    """Return what the kernel of a marker lacks."""
    if not rules.kernel_files:
        return []
    paths = kernel_paths(version, tree, rules.kernel_files)
    present = [path for path in paths if path in tree]
    return [] if len(present) >= len(rules.kernel_files) else [path for path in paths if path not in tree] or [version]


@dataclasses.dataclass
class SiteState:
    """A caching server compared with its source."""

    images: dict[str, ImageState]
    behind_images: int = 0
    behind_seconds: int = 0


def of_site(
    inventory: Inventory,
    source: Tree,
    there: Tree,
    rules: Rules,
    *,
    now: float,
    arrived: t.Mapping[str, int] | None = None,
) -> SiteState:
    """Compare a caching server with its source.

    :param arrived: for each squashfs in transit, how many bytes are there already.
    """
    images: dict[str, ImageState] = {}
    waiting: list[float] = []
    known = find_images(there, rules, inventory.image_paths)
    its_markers: dict[str, list[str]] = {}
    for marker, path in known.pairs.items():
        its_markers.setdefault(path, []).append(marker)
    for image in inventory.images:
        if image.path in inventory.withdrawn:
            continue
        found = _beside(image, source, there, its_markers.get(image.path, []))
        if found.state == MISSING and arrived and image.path in arrived and found.size:
            found.state = ON_ITS_WAY
            found.arrived = arrived[image.path]
            found.percent = min(100 * arrived[image.path] // found.size, 99)
        images[image.path] = found
        if found.state in BEHIND:
            since = ready_since(image)
            waiting.append(now - since if since is not None else 0.0)
    for path, markers in its_markers.items():
        if not rules.selection.has(path) or path in images:
            continue
        entry = there.get(path)
        size = entry.size if entry is not None else 0
        if path in inventory.withdrawn:
            images[path] = ImageState(WITHDRAWN, f"{BY_NAME}, but clients still find it here", size, markers[0])
        elif not inventory.may_hold(path):
            images[path] = ImageState(LEFT_OVER, "the netboot server no longer offers it", size, markers[0])
    return SiteState(images, len(waiting), int(max(waiting, default=0)))


def _beside(image: Image, source: Tree, there: Tree, markers: t.Sequence[str]) -> ImageState:
    entry = follow(image.path, source).entry
    size = entry.size if entry is not None else 0
    marker = image.markers[0].path if image.markers else ""
    shown = bool(markers) if image.markers else image.path in there
    if not image.ready:
        # Without a marker it is not an image at the site: the squashfs of a pruned one stays for a while.
        if not image.markers and markers:
            return ImageState(LEFT_OVER, "the netboot server no longer has its marker", size, markers[0])
        return ImageState(HELD_BACK, image.reason, size, marker)
    if not shown:
        return ImageState(MISSING, "", size, marker, image.versions)
    names = {name for one in image.entries for name in follow(one.path, source).names}
    names.update(one.path for one in image.requires)
    for name in sorted(names):
        ours = source.get(name)
        if ours is not None and ours.kind != DIRECTORY and not ours.looks_like(there.get(name)):
            return ImageState(OUTDATED, f"{name} is another one here", size, marker, image.versions)
    return ImageState(PUBLISHED, "", size, marker, image.versions)
