# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a tree is sorted: plain files, pointers, kernels, and what the selection leaves."""

from __future__ import annotations

import pytest
from ansible_collections.netboot.syncer.plugins.module_utils.assets.entries import DIRECTORY, OTHER, Entry
from ansible_collections.netboot.syncer.plugins.module_utils.assets.evidence import Evidence
from ansible_collections.netboot.syncer.plugins.module_utils.assets.inventory import (
    Rules,
    assess,
)

from tests.unit.plugins.module_utils.assets.usual import IMAGE, INITRD, VMLINUZ, Change, choosing, usual
from tests.unit.plugins.module_utils.trees import KERNEL


def test_everything_is_sorted_out() -> None:
    assets = usual().kernel("6.1").latest().file("boot/menu.ipxe").file("boot/menu.json").file("README")
    assets.link("boot/default", "menu.ipxe").link("images", "prod").link("all", ".")
    inventory = assets.inventory()
    assert [image.path for image in inventory.images] == [IMAGE]
    assert [entry.path for entry in inventory.files] == ["README", "boot/menu.ipxe", "boot/menu.json"]
    assert {version: [entry.path for entry in entries] for version, entries in inventory.kernels.items()} == {
        KERNEL: [INITRD, VMLINUZ],
        "6.1": ["kernels/6.1/initrd", "kernels/6.1/vmlinuz"],
    }
    pointers = ["all", "boot/default", "images", "kernels/latest-kernel-version.json"]
    assert [entry.path for entry in inventory.pointers] == pointers
    assert inventory.pointed == {"kernels/latest-kernel-version.json": KERNEL}
    assert inventory.held_back == {}
    assert inventory.paths == {path for path, entry in assets.tree.items() if entry.kind != DIRECTORY}


@pytest.mark.parametrize(
    ("put", "reason"),
    [
        pytest.param(lambda a: a.link("x", "/etc/passwd"), "a symlink that leaves the tree", id="absolute"),
        pytest.param(lambda a: a.link("x", "../passwd"), "a symlink that leaves the tree", id="relative"),
        pytest.param(lambda a: a.link("x", "prod/../../y"), "a symlink that leaves the tree", id="detour"),
        pytest.param(lambda a: a.link("x", "nowhere"), "a symlink that leads nowhere", id="nowhere"),
        pytest.param(
            lambda a: a.put(Entry("x", OTHER)), "neither a file nor a directory nor a symlink", id="pipe-or-device"
        ),
    ],
)
def test_what_cannot_be_sent(put: Change, reason: str) -> None:
    inventory = put(usual()).inventory()
    assert inventory.held_back == {"x": reason}
    assert "x" in inventory.paths  # otherwise it would be removed from caching servers
    assert not inventory.files + inventory.pointers


def test_file_that_cannot_be_read() -> None:
    inventory = usual().file("x").inventory(unreadable={"x": "Permission denied"})
    assert inventory.held_back == {"x": "Permission denied"}
    assert inventory.files == ()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param(b'{"version": "5.8.0-43-generic"}', None, id="kernel-is-there"),
        pytest.param(b'{"built": "today"}', None, id="names-no-kernel"),
        pytest.param(b"", "the pointer is empty", id="empty"),
        pytest.param(b"5.8", "the pointer is not a JSON object", id="no-object"),
        pytest.param(
            b'{"version": "../etc"}',
            "the pointer's version is not the plain name of a kernel directory",
            id="leaves-the-tree",
        ),
        pytest.param(
            b'{"version": "6.1"}', "it names kernels/6.1/vmlinuz, which is not there", id="kernel-is-not-there"
        ),
        pytest.param(b'{"version": "6.2"}', "it names kernels/6.2/initrd, which is not there", id="initrd-is-missing"),
    ],
)
def test_pointer(content: bytes, reason: str | None) -> None:
    path = "kernels/latest-kernel-version.json"
    inventory = usual().kernel("6.2").drop("kernels/6.2/initrd").file(path, content).inventory()
    assert inventory.held_back.get(path) == reason
    assert [entry.path for entry in inventory.pointers] == ([] if reason else [path])


def test_pointers_of_ones_own() -> None:
    inventory = usual().file("boot/menu.ipxe").inventory(Rules(pointers=("boot/*.json",)))
    assert [entry.path for entry in inventory.files] == ["boot/menu.ipxe"]
    inventory = usual().marker("boot/menu.json", {"version": KERNEL}).inventory(Rules(pointers=("boot/*.json",)))
    assert [entry.path for entry in inventory.pointers] == ["boot/menu.json"]


def test_included_image_brings_its_kernel_and_no_other() -> None:
    assets = usual().kernel("6.1").image("dev/b", "6.1").latest().file("README")
    inventory = assets.inventory(choosing(include=("prod/**",)))
    assert [image.path for image in inventory.images] == [IMAGE]
    assert list(inventory.kernels) == [KERNEL]
    assert inventory.files + inventory.pointers == ()
    assert inventory.held_back == {}


def test_image_that_is_held_back_brings_no_kernel() -> None:
    inventory = usual().file(IMAGE, b"").inventory(choosing(include=("prod/**",)))
    assert inventory.kernels == {}


def test_excluded_image_leaves_no_trace() -> None:
    inventory = usual().image("dev/b").inventory(choosing(exclude=("dev/**",)))
    assert [image.path for image in inventory.images] == [IMAGE]
    assert not [path for path in inventory.paths if path.startswith("dev/")]


def test_marker_of_an_excluded_image_is_no_plain_file() -> None:
    inventory = usual().image("prod/b").inventory(choosing(exclude=("b.squashfs",)))
    assert not [path for path in inventory.paths if path.startswith("prod/b")]


def test_kernel_that_is_excluded_is_not_sent() -> None:
    inventory = usual().kernel("6.1").inventory(choosing(exclude=("kernels/6.1",)))
    assert list(inventory.kernels) == [KERNEL]


def test_empty_tree() -> None:
    inventory = assess({}, Evidence(), Rules())
    assert not inventory.images + inventory.files + inventory.pointers
    assert inventory.paths == set()
