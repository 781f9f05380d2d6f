# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes first."""

from __future__ import annotations

import pytest
from ansible_collections.netboot.syncer.plugins.module_utils.assets.entries import FILE, Entry
from ansible_collections.netboot.syncer.plugins.module_utils.assets.inventory import Image, Rules
from ansible_collections.netboot.syncer.plugins.module_utils.planning.order import in_order


def image(name: str, newest: int, size: int = 100, reason: str = "") -> Image:
    path = f"{name}.squashfs"
    return Image(path, Entry(path, FILE, size), (Entry(f"{name}.json", FILE, 2, newest),), reason=reason)


@pytest.mark.parametrize(
    ("images", "priority", "order"),
    [
        pytest.param([], [], [], id="none"),
        pytest.param([image("a", 1), image("b", 3), image("c", 2)], [], ["b", "c", "a"], id="newest-first"),
        pytest.param(
            [image("prod/3", 30), image("prod/2", 29), image("prod/1", 28), image("dev/2", 9), image("dev/1", 8)],
            [],
            ["prod/3", "dev/2", "prod/2", "dev/1", "prod/1"],
            id="newest-of-each-directory-before-older-ones",
        ),
        pytest.param(
            [image("a", 1, size=3), image("b", 1, size=2), image("c", 1, size=2), image("d", 2, size=9)],
            [],
            ["d", "b", "c", "a"],
            id="small-before-large-among-equals",
        ),
        pytest.param(
            [image("prod/a", 9, size=2), image("prod/b", 9, size=1), image("dev/a", 1)],
            [],
            ["prod/b", "prod/a", "dev/a"],
            id="equally-new-are-of-one-round",
        ),
        pytest.param(
            [image("prod/2", 9, reason="cut short"), image("prod/1", 8), image("dev/2", 7), image("dev/1", 6)],
            [],
            ["prod/2", "prod/1", "dev/2", "dev/1"],
            id="held-back-takes-no-turn",
        ),
        pytest.param(
            [image("prod/2", 9), image("prod/1", 8), image("dev/1", 1)],
            ["dev/**"],
            ["dev/1", "prod/2", "prod/1"],
            id="priority-before-age",
        ),
        pytest.param(
            [image("prod/kde-2", 9), image("prod/gnome-2", 8), image("prod/kde-1", 7), image("dev/gnome-1", 6)],
            ["*gnome*", "prod"],
            ["prod/gnome-2", "dev/gnome-1", "prod/kde-2", "prod/kde-1"],
            id="first-pattern-that-matches-counts",
        ),
        pytest.param(
            [image("prod/kde-3", 9), image("prod/gnome-2", 8), image("prod/gnome-1", 7), image("dev/gnome-1", 6)],
            ["*gnome*"],
            ["prod/gnome-2", "dev/gnome-1", "prod/gnome-1", "prod/kde-3"],
            id="rounds-within-a-pattern",
        ),
    ],
)
def test_order(images: list[Image], priority: list[str], order: list[str]) -> None:
    for given in (images, images[::-1]):
        assert [one.path for one in in_order(given, priority)] == [f"{name}.squashfs" for name in order]


def test_priority_that_is_no_pattern_is_refused() -> None:
    with pytest.raises(ValueError, match="not a pattern"):
        Rules(priority=("../x",))
