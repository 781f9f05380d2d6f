# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The line that says what clients can boot."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.netboot.syncer.plugins.plugin_utils.bootable import line


def image(path: str, state: str, size: int = 1_000_000, sent: int = 0) -> dict[str, Any]:
    return {"path": path, "state": state, "size": size, "sent_bytes": sent}


@pytest.mark.parametrize(
    ("images", "said"),
    [
        pytest.param([], "cache: clients can boot nothing from here yet", id="nothing"),
        pytest.param(
            [image("a", "held_back"), image("b", "failed")],
            "cache: clients can boot nothing from here yet",
            id="failed",
        ),
        pytest.param([image("a", "published", 10, 10)], "cache: clients can boot a", id="all was sent"),
        pytest.param([image("a", "published", 10, 12)], "cache: clients can boot a", id="more was sent"),
        pytest.param(
            [image("a", "published", sent=250_000), image("b", "unchanged"), image("c", "withdrawn")],
            "cache: clients can boot a, b; 1.8 MB of that did not have to be sent",
            id="spared",
        ),
        pytest.param(
            [image(name, "unchanged", 0) for name in "abcdefg"],
            "cache: clients can boot a, b, c, d, e and 2 more",
            id="many",
        ),
    ],
)
def test_line(images: list[dict[str, Any]], said: str) -> None:
    assert line("cache", {"images": images}) == said


def test_without_a_sync() -> None:
    assert line("cache", None, check=True) == "cache: would be prepared, and then be sent all that it lacks"
    assert line("cache", None) == "cache: was not synced"
