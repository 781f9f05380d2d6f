# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From two trees to an ordered plan: what must be done on one caching server, and in which order."""

from __future__ import annotations

import typing as t

from ..assets.entries import SYMLINK, Tree
from ..assets.inventory import Inventory, Rules
from . import file_units, image_units, kernel_units, left_over, pointer_units, removals, withdrawals
from .draft import Draft
from .plan import Plan
from .promises import There


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

    With a ``grace`` (seconds), files that a client may be about to fetch are not removed in the run that withdraws
    their marker.
    """
    draft = Draft(inventory, source, there, rules)
    aliases = [image for image in inventory.images if any(entry.kind == SYMLINK for entry in image.entries)]
    files = file_units.sort_files(draft, aliases)

    withdrawals.by_name(draft)
    withdrawals.broken(draft)
    file_units.plan_files(draft, files.first)
    image_units.plan_images(draft, [image for image in inventory.images if image not in aliases])
    kernel_units.plan_kernels(draft)
    file_units.plan_files(draft, files.before_pointers)
    pointer_units.plan_pointers(draft, aliases)
    file_units.plan_files(draft, files.last)
    removals.find_only_there(draft)
    if delete:
        removals.remove(draft, max_delete, grace)
    removals.purge(draft, grace)
    left_over.find(draft)
    return _finished(draft)


def plan_withdrawal(inventory: Inventory, there: There, rules: Rules, patterns: t.Sequence[str]) -> Plan:
    """Return the plan that takes images from clients at once, and does nothing else.

    It covers the images withdrawn by name on the netboot server, and those on the caching server that match
    ``patterns``.
    """
    draft = Draft(inventory, {}, there, rules)
    withdrawals.by_name(draft, patterns)
    return Plan(units=tuple(draft.units), markers=draft.promises.images, images=draft.promises.image_paths)


def _finished(draft: Draft) -> Plan:
    return Plan(
        units=tuple(draft.units),
        unchanged=tuple(draft.unchanged),
        only_there=draft.only_there,
        left_over=draft.left_over,
        held_back=draft.held_back,
        impossible=draft.impossible,
        refused=draft.refused,
        markers=draft.promises.images,
        images=draft.promises.image_paths,
    )
