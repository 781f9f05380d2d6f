# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is removed at the end: what only the caching server has, if that was asked for, each marker first."""

from __future__ import annotations

import posixpath
import typing as t

from .. import states
from ..assets.entries import DIRECTORY, kernel_version_of
from ..assets.withdrawal import BY_NAME
from ..options import called
from . import withdrawals
from .draft import Draft
from .steps import Gone, Remove, Step, Unit

REASON = "the netboot server no longer holds it"


def find_only_there(draft: Draft) -> None:
    """Record what the caching server has and the netboot server does not."""
    ours = draft.inventory.paths
    found = sorted(
        path
        for path, entry in draft.there.tree.items()
        if entry.kind != DIRECTORY
        and draft.is_chosen(path)
        and path not in ours
        and path not in draft.source
        and not draft.inventory.may_hold(path)
        and path not in draft.withdrawn
    )
    draft.only_there = dict.fromkeys(found, "only on the caching server")


def purge(draft: Draft, grace: int) -> None:
    """Plan to remove the squashfs of images withdrawn by name, if that was asked for."""
    for path in sorted(path for path, purge in draft.inventory.withdrawn.items() if purge):
        entry = draft.there.tree.get(path)
        promised = any(one.marker not in draft.withdrawn for one in draft.promises.of(path))
        if entry is None or entry.kind == DIRECTORY or promised or path in draft.only_there:
            continue
        if _is_needed_for_a_while(draft, path, grace):
            draft.held_back[path] = f"{BY_NAME}; its squashfs goes in a run {grace} s from now or later"
        else:
            step = Remove(path, premise=withdrawals.premise_of(draft, path))
            draft.units.append(Unit("removal", path, (step,), states.WITHDRAWN, f"{BY_NAME}, to be removed"))


def _is_needed_for_a_while(draft: Draft, path: str, grace: int) -> bool:
    """Return whether a client may have recently read a marker that promised a path, and still has to fetch it."""
    if not grace:
        return False
    if path in draft.promises.image_paths:
        fresh = posixpath.dirname(path) in draft.there.fresh
    else:
        fresh = bool(kernel_version_of(path)) and bool(draft.there.fresh)
    return fresh or any(one.marker in draft.withdrawn for one in draft.promises.of(path))


def remove(draft: Draft, max_delete: int, grace: int) -> None:
    """Plan to remove what only the caching server has, or record why nothing at all is removed."""
    going = _going(draft)
    draft.refused = _refusal(draft, going, max_delete)
    if draft.refused:
        return
    for promise in draft.promises.all:
        if promise.marker in going:
            draft.add_withdrawal("removal", promise.marker, promise.image, REASON, Gone(promise.marker))
    for path in sorted(going):
        if path not in draft.promises.images and _is_needed_for_a_while(draft, path, grace):
            # It stays for a client that has just read its marker, but does not prevent the marker's removal.
            draft.only_there[path] = f"only on the caching server; it goes in a run {grace} s from now or later"
            going.remove(path)
    for path in sorted(going - set(draft.promises.images)):
        _remove_file(draft, path)
    _remove_directories(draft, going)


def _going(draft: Draft) -> set[str]:
    """Return what can be removed: what a marker promises only if that marker is removed, too, or renewed.

    A renewed marker promises what is in line.
    """
    going = set(draft.only_there)
    while True:
        gone = going | draft.withdrawn | draft.delivered
        staying = {path for path in going if any(one.marker not in gone for one in draft.promises.of(path))}
        if not staying:
            return going
        going -= staying


def _refusal(draft: Draft, going: t.Collection[str], max_delete: int) -> str:
    """Return why nothing may be removed, or an empty string."""
    if all(entry.kind == DIRECTORY for entry in draft.source.values()):
        return "the netboot server's tree is empty: nothing was removed. Is its file system mounted?"
    if len(going) > max_delete:
        return (
            f"{len(going)} files would be removed, but max_delete allows {max_delete}: none was removed."
            f" Is the netboot server's tree whole? Then raise {called('max_delete')}."
        )
    return ""


def _remove_file(draft: Draft, path: str) -> None:
    promises = draft.promises.of(path)
    # If a marker could not be withdrawn before, this is retried, and the file stays with it. If one could not be
    # renewed, the old one may still be visible: the file stays until it is renewed.
    steps: list[Step] = [
        draft.withdraw(one.marker, one.image, REASON, Gone(one.marker))
        for one in promises
        if one.marker not in draft.delivered
    ]
    after = tuple(one.marker for one in promises if one.marker in draft.delivered)
    steps.append(Remove(path, premise=Gone(path)))
    draft.units.append(Unit("removal", path, tuple(steps), states.WITHDRAWN, REASON, after))


def _remove_directories(draft: Draft, going: set[str]) -> None:
    """Plan to remove directories that are empty by then, whether due to this run or an interrupted one; the deepest
    first."""
    left = set(draft.later) - going
    for path in sorted((p for p, e in draft.there.tree.items() if e.kind == DIRECTORY), reverse=True):
        needed = path in draft.source or draft.inventory.may_hold(path) or not draft.is_chosen(path)
        if not needed and not any(other.startswith(path + "/") for other in left):
            left.discard(path)
            step = Remove(path, directory=True, premise=Gone(path))
            draft.units.append(Unit("removal", path, (step,), states.WITHDRAWN, "it is empty"))
