# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What comes first: images that were withdrawn by name, and markers whose promise is not kept."""

from __future__ import annotations

import typing as t

from ..assets.withdrawal import BY_NAME, names_image
from .draft import Draft
from .steps import SetAside


def by_name(draft: Draft, patterns: t.Sequence[str] = ()) -> None:
    """Withdraw what was withdrawn by name wherever it is, whatever else the run handles or may remove."""
    for promise in draft.promises.all:
        marker, image = promise.marker, promise.image
        # A symlink that leads to such an image offers it just as well.
        withdrawn = [name for name in (image, *promise.names) if name in draft.inventory.withdrawn]
        if withdrawn or (patterns and names_image(patterns, image, [marker])):
            premise = premise_of(draft, withdrawn[0]) if withdrawn else None
            draft.add_withdrawal("withdrawal", marker, image, BY_NAME, premise)


def premise_of(draft: Draft, image: str) -> SetAside:
    """Return the premise for actions on an image that was withdrawn by name."""
    return SetAside(tuple(marker for marker, one in draft.inventory.pairs.items() if one == image))


def broken(draft: Draft) -> None:
    """Withdraw every marker whose promise is not kept on the caching server, first of all."""
    for promise in draft.promises.all:
        damaged = [name for name in promise.names if name in draft.there.damaged]
        reason = promise.trouble or (f"{damaged[0]} is damaged there" if damaged else "")
        if reason and promise.chosen and promise.marker not in draft.withdrawn:
            draft.add_withdrawal("withdrawal", promise.marker, promise.image, reason)
