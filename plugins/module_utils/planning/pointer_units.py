# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pointers: a name for other assets goes only where those are, and after them."""

from __future__ import annotations

import typing as t

from ..assets.entries import SYMLINK, Entry, follow
from ..assets.inventory import Image
from ..assets.kernels import kernel_paths
from . import image_units, order
from .draft import Draft


def plan_pointers(draft: Draft, aliases: t.Iterable[Image]) -> None:
    """Plan images that are symlinks, and all other pointers."""
    pointers: list[Image | Entry] = [*order.in_order(aliases, draft.rules.priority), *draft.inventory.pointers]
    for one in sorted(pointers, key=lambda one: _depth(draft, one)):
        if isinstance(one, Image):
            image_units.plan_image(draft, "pointer", one)
        else:
            _plan_pointer(draft, one)


def _depth(draft: Draft, one: Image | Entry) -> int:
    entries = one.entries if isinstance(one, Image) else (one,)
    return max((len(follow(entry.path, draft.source).names) for entry in entries), default=0)


def _plan_pointer(draft: Draft, entry: Entry) -> None:
    """Plan what names other assets: only if those are there, or will be by then."""
    if entry.kind == SYMLINK:
        names = follow(entry.path, draft.source).names[1:]
        wanted = [draft.source[name] for name in names]
    else:
        version = draft.inventory.pointed.get(entry.path, "")
        kernel = kernel_paths(version, draft.source, draft.rules.kernel_files) if version else []
        wanted = [draft.source[path] for path in kernel]
        wanted += [e for e in draft.inventory.kernels.get(version, ()) if e not in wanted]
    if draft.can_promise(entry.path, wanted):
        draft.single("pointer", entry, tuple(wanted))
