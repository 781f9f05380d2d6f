# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kernel directories, each planned once and as a whole: no client may find the old kernel with the new initrd."""

from __future__ import annotations

import collections

from ..assets.entries import SYMLINK, kernel_directory
from .draft import Draft


def plan_kernels(draft: Draft) -> None:
    """Plan the kernels that no image required."""
    for version in sorted(draft.kernels):
        plan_kernel(draft, version)


def plan_kernel(draft: Draft, version: str) -> None:
    """Plan one kernel directory, once, and as a whole: no client may find the old kernel with the new initrd."""
    entries = draft.kernels.pop(version, ())
    new = [entry for entry in entries if not draft.fits(entry)]
    amended = [entry for entry in entries if draft.amend([entry])]
    draft.unchanged.extend(entry.path for entry in entries if draft.fits(entry) and entry not in amended)
    blocked = {entry.path: reason for entry in new for reason in [draft.obstacle(entry.path)] if reason}
    if blocked or not (new or amended):
        draft.impossible.update(blocked)
        return
    steps = draft.amend(amended)
    for entry in new:
        steps += draft.stage(entry)
    draft.delivered.update(entry.path for entry in new)
    touched = [one for entry in new for one in draft.promises.of(entry.path)]
    times = collections.Counter(one.marker for one in touched)
    for promise in dict.fromkeys(sorted(touched, key=lambda one: one.marker)):
        # One file is swapped in one rename. With several, a client could see a mixture in between; and an image that
        # the netboot server no longer holds like this was never tested with the new kernel.
        swap = times[promise.marker] == 1 and promise.marker not in draft.withdrawn and draft.is_held(promise)
        if promise.chosen and not swap:
            reason = f"{kernel_directory(version)} is about to change"
            steps.append(draft.withdraw(promise.marker, promise.image, reason))
    for entry in sorted(new, key=lambda entry: entry.kind == SYMLINK):
        steps += draft.show(entry)
    draft.add("kernel", kernel_directory(version), steps, [*new, *amended])
