# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which file is the marker of which image."""

from __future__ import annotations

import dataclasses

import pytest
from ansible_collections.netboot.syncer.plugins.module_utils.assets.entries import OTHER, Entry
from ansible_collections.netboot.syncer.plugins.module_utils.assets.images import find
from ansible_collections.netboot.syncer.plugins.module_utils.assets.inventory import (
    Rules,
    assess,
    find_images,
    wanted_contents,
)

from tests.unit.plugins.module_utils.assets.usual import IMAGE, MARKER, usual
from tests.unit.plugins.module_utils.trees import Assets


@pytest.mark.parametrize(
    ("paths", "pairs"),
    [
        pytest.param([IMAGE, "prod/a-kernel.json"], {"prod/a-kernel.json": IMAGE}, id="kernel"),
        pytest.param([IMAGE, "prod/a.json"], {"prod/a.json": IMAGE}, id="plain"),
        pytest.param([IMAGE, "prod/a.squashfs.json"], {"prod/a.squashfs.json": IMAGE}, id="squashfs"),
        pytest.param(
            [IMAGE, "prod/a-kernel.json", "prod/a.json", "prod/a.squashfs.json"],
            {"prod/a-kernel.json": IMAGE, "prod/a.json": IMAGE, "prod/a.squashfs.json": IMAGE},
            id="three-for-one",
        ),
        pytest.param(
            [IMAGE, "prod/a-kernel.squashfs", "prod/a-kernel.json"],
            {"prod/a-kernel.json": IMAGE},
            id="special-name-wins",
        ),
        pytest.param(
            ["prod/a-kernel.squashfs", "prod/a-kernel.json"],
            {"prod/a-kernel.json": "prod/a-kernel.squashfs"},
            id="the-image-that-is-there-wins",
        ),
        pytest.param(["prod/a-kernel.json"], {"prod/a-kernel.json": IMAGE}, id="special-name-without-squashfs"),
        pytest.param(["prod/a.squashfs.json"], {"prod/a.squashfs.json": IMAGE}, id="squashfs-name-without-squashfs"),
        pytest.param(["prod/a.json"], {}, id="plain-json-elsewhere"),
        pytest.param([IMAGE, "prod/b.json"], {"prod/b.json": "prod/b.squashfs"}, id="plain-json-among-images"),
        pytest.param([IMAGE, "dev/a.json"], {}, id="image-in-another-directory"),
        pytest.param(["kernels/latest.squashfs", "kernels/latest-kernel-version.json"], {}, id="pointer"),
        pytest.param([IMAGE, "prod/a.json/x"], {}, id="directory"),
        pytest.param([IMAGE, "prod/a.txt", "prod/a"], {}, id="other-files"),
    ],
)
def test_pairs(paths: list[str], pairs: dict[str, str]) -> None:
    assets = Assets()
    for path in paths:
        assets.file(path)
    assert find_images(assets.tree, Rules()).pairs == pairs


def test_strictly_a_json_among_images_is_no_marker() -> None:
    assets = usual().file("prod/b.json").file("prod/c-kernel.json")
    assert find(assets.tree, strict=True).pairs == {
        "prod/a-kernel.json": IMAGE,
        "prod/c-kernel.json": "prod/c.squashfs",
    }


def test_marker_names_of_ones_own() -> None:
    assets = Assets().kernel().image("prod/a", suffix=".ready").marker("prod/a-kernel.json", b"not JSON")
    rules = Rules(marker_names=("{stem}.ready",))
    assert find_images(assets.tree, rules).pairs == {"prod/a.ready": IMAGE}
    evidence = dataclasses.replace(assets.evidence(), contents=assets.content)
    inventory = assess(assets.tree, evidence, rules)
    assert [image.reason for image in inventory.images] == [""]
    assert [entry.path for entry in inventory.files] == ["prod/a-kernel.json"]


def test_only_what_decides_is_read() -> None:
    assets = usual().latest().file("prod/notes.txt").file("boot/menu.json").put(Entry("prod/b.json", OTHER))
    pointer = "kernels/latest-kernel-version.json"
    assert sorted(wanted_contents(assets.tree, Rules())) == ["boot/menu.json", pointer, MARKER]
