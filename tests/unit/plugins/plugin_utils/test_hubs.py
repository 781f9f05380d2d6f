# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The path from the netboot server to a caching server, through hubs."""

from __future__ import annotations

import pytest
from ansible_collections.netboot.syncer.plugins.plugin_utils.hubs import CircularSources, way_to

SOURCES = {"near": "netboot", "hub": "netboot", "deep": "hub", "deeper": "deep", "orphan": ""}
CIRCLE = {"b": "c", "c": "a", "a": "b", "behind": "a"}


@pytest.mark.parametrize(
    ("host", "way"),
    [
        ("near", ["netboot", "near"]),
        ("deeper", ["netboot", "hub", "deep", "deeper"]),
        ("orphan", ["orphan"]),
        ("netboot", ["netboot"]),
    ],
)
def test_way(host: str, way: list[str]) -> None:
    assert way_to(host, lambda name: SOURCES.get(name, "netboot"), SOURCES.keys(), "source") == way


@pytest.mark.parametrize("host", CIRCLE)
def test_a_circle_is_told_alike_from_wherever_it_is_found(host: str) -> None:
    with pytest.raises(CircularSources) as caught:
        way_to(host, CIRCLE.__getitem__, CIRCLE.keys(), "source")
    assert str(caught.value).startswith("a -> ")
    assert str(caught.value).count("->") == 3
