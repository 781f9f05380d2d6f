# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images, in order, each right after the kernels that it requires: squashfs first, marker last."""

from __future__ import annotations

import heapq
import typing as t

from ..assets.entries import Entry
from ..assets.inventory import Image
from . import kernel_units, order
from .draft import Draft
from .steps import Confirm


def plan_images(draft: Draft, images: t.Iterable[Image]) -> None:
    """Plan images in order, each right after the kernels that it requires.

    Before their turn come those that are complete there, but have no marker until a kernel is renewed or repaired.
    They cost little, and otherwise could not be booted while a large one is sent.
    """
    waiting = {image.path: image for image in order.in_order(images, draft.rules.priority)}
    turns = {path: turn for turn, path in enumerate(waiting)}
    of_marker = {entry.path: image for image in waiting.values() for entry in image.markers}
    early: list[tuple[int, str]] = []
    while waiting:
        _plan_kernels_of(draft, next(iter(waiting.values())))
        for marker in draft.just_withdrawn:
            image = of_marker.get(marker)
            if image is not None and _lacks_its_marker(draft, image):
                heapq.heappush(early, (turns[image.path], image.path))
        draft.just_withdrawn.clear()
        while early and early[0][1] not in waiting:
            heapq.heappop(early)
        image = waiting[early[0][1]] if early else next(iter(waiting.values()))
        _plan_kernels_of(draft, image)
        plan_image(draft, "image", image)
        del waiting[image.path]


def _plan_kernels_of(draft: Draft, image: Image) -> None:
    """Plan the kernels that an image requires; they go with the first image that does."""
    for version in image.versions if image.ready else ():
        kernel_units.plan_kernel(draft, version)


def _lacks_its_marker(draft: Draft, image: Image) -> bool:
    lost = any(entry.path in draft.withdrawn for entry in image.markers)
    return lost and image.ready and image.squashfs is not None and draft.fits(image.squashfs)


def plan_image(draft: Draft, kind: str, image: Image) -> None:
    """Plan one image, as a unit of that kind."""
    if not image.ready:
        draft.held_back[image.path] = image.reason
        return
    if not draft.can_promise(image.path, draft.led_to(image)):
        return
    whole = image.squashfs is not None and draft.fits(image.squashfs)
    # A marker that cannot be read is not visible: it is published again, after a check of all that it promises.
    new_markers = [m for m in image.markers if not draft.fits(m) or m.path in draft.withdrawn or draft.is_closed(m)]
    if not whole:
        new_markers = list(image.markers)
    steps = draft.amend(e for e in image.entries if e not in new_markers)
    if whole and not (new_markers or steps):
        draft.unchanged.append(image.path)
        return
    if not draft.can_promise(image.path, image.requires):
        return
    changing = new_markers if whole else image.entries
    obstacles = [reason for entry in changing for reason in [draft.obstacle(entry.path)] if reason]
    if obstacles:
        draft.impossible[image.path] = obstacles[0]
        return
    staged: tuple[Entry, ...] = ()
    if image.squashfs is not None and not whole:
        steps += draft.stage(image.squashfs)
        if any(one.chosen and one.marker not in draft.withdrawn for one in draft.promises.of(image.path)):
            # Clients should be without a marker for two renames, not until the new one has arrived.
            staged = tuple(new_markers)
            steps += [step for entry in staged for step in draft.stage(entry)]
        steps += draft.hide(image.path) + draft.show(image.squashfs)
    if image.markers:
        steps.append(Confirm(image.path, _promise(draft, image)))
    for entry in new_markers:
        stage = [] if entry in staged else draft.stage(entry)
        steps += stage + draft.hide(entry.path) + draft.show(entry)
    draft.add(kind, image.path, steps, image.entries + image.requires)


def _promise(draft: Draft, image: Image) -> tuple[Entry, ...]:
    """All that the image's markers promise; symlinks with their targets."""
    return ((image.squashfs,) if image.squashfs else ()) + draft.led_to(image) + image.requires
