# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What clients still find on the caching server though the netboot server no longer offers it; reported, not
removed."""

from __future__ import annotations

import time

from .draft import Draft


def find(draft: Draft) -> None:
    """Record the images that clients still find there, though the netboot server no longer offers them."""
    for promise in draft.promises.all:
        if promise.marker in draft.withdrawn or not promise.chosen or promise.trouble:
            continue
        if draft.inventory.may_hold(promise.marker) or draft.inventory.may_hold(promise.image):
            continue
        image = draft.images.get(promise.image)
        if promise.image not in draft.source and promise.marker in draft.source:
            # It is held back, so it is not removed either: an upload may be about to bring another squashfs.
            gone = "its squashfs is gone, and its marker is still on"
        elif promise.marker in draft.source or (image is not None and (image.markers or image.ready)):
            continue
        else:
            gone = "its marker is gone from" if promise.image in draft.source else "it is no longer on"
        marked = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(draft.there.tree[promise.marker].mtime))
        draft.left_over[promise.image] = f"still published there (marker of {marked}), but {gone} the netboot server"
        draft.held_back.pop(promise.image, None)
