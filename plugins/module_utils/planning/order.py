# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes first: the order of images, and which plain files are too large to go before them.

A site on a slow line should have its newest image as early as possible. So the newest image of each directory goes
before any older one, round by round, and what no image waits for goes after them, unless it is small.
"""

from __future__ import annotations

import bisect
import posixpath
import typing as t

from ..assets.entries import FILE, Entry
from ..assets.inventory import Image
from ..assets.patterns import matches

# Bytes. Boot menus and boot loaders are smaller, and a slow line has them over in seconds; an ISO is larger.
LARGE_FILE = 4 * 1024 * 1024


def in_order(images: t.Iterable[Image], priority: t.Sequence[str] = ()) -> list[Image]:
    """Return images in the order in which they are sent.

    Matches of the first pattern of ``priority`` go first, then those of the second, and finally those of none. Within
    each of these: the newest of every directory, then the second newest of every directory, and so on; in such a round
    the newest first, and of equally new ones the small before the large.
    """
    found = list(images)
    chosen = {image.path: _choice(image.path, priority) for image in found}
    ages: dict[tuple[int, str], set[int]] = {}
    for image in found:
        if image.ready:  # held back images do not take a turn
            ages.setdefault((chosen[image.path], posixpath.dirname(image.path)), set()).add(image.newest)

    ranks = {group: sorted(found) for group, found in ages.items()}

    def key(image: Image) -> tuple[int, int, int, int, str]:
        choice = chosen[image.path]
        of_group = ranks.get((choice, posixpath.dirname(image.path)), [])
        newer = len(of_group) - bisect.bisect_right(of_group, image.newest)
        return choice, newer, -image.newest, image.squashfs.size if image.squashfs else 0, image.path

    return sorted(found, key=key)


def is_large(entry: Entry) -> bool:
    """Return whether a plain file would hold up the images if it were sent before them."""
    return entry.kind == FILE and entry.size > LARGE_FILE


def _choice(path: str, priority: t.Sequence[str]) -> int:
    """Return the number of the first pattern that matches, counted from 0."""
    return next((i for i, pattern in enumerate(priority) if matches(path, [pattern])), len(priority))
