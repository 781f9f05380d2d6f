# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why an image is held back: one reason at a time."""

from __future__ import annotations

import pytest
from ansible_collections.netboot.syncer.plugins.module_utils.assets.entries import DIRECTORY, OTHER, Entry

from tests.unit.plugins.module_utils.assets.usual import (
    IMAGE,
    INITRD,
    MARKER,
    NO_MARKER,
    VMLINUZ,
    Change,
    choosing,
    image_of,
    sha256,
    used,
    usual,
)
from tests.unit.plugins.module_utils.trees import KERNEL, squashfs


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        # the marker
        pytest.param(lambda a: a.drop(MARKER), NO_MARKER, id="no-marker"),
        pytest.param(lambda a: a.marker(MARKER, b""), "the marker is empty (a-kernel.json)", id="marker-empty"),
        pytest.param(
            lambda a: a.marker(MARKER, b'{"ver'),
            "the marker is not JSON: Unterminated string starting at, at line 1, column 2 (a-kernel.json)",
            id="marker-cut",
        ),
        pytest.param(
            lambda a: a.marker(MARKER, b"[]"), "the marker is not a JSON object (a-kernel.json)", id="marker-list"
        ),
        pytest.param(
            lambda a: a.marker(MARKER, {"version": "../../etc"}),
            "the marker's version is not the plain name of a kernel directory (a-kernel.json)",
            id="version-leaves-the-tree",
        ),
        pytest.param(
            lambda a: a.marker("prod/a.json", b"["),
            "the marker is not JSON: Expecting value, at line 1, column 2 (a.json)",
            id="one-of-two-markers-broken",
        ),
        pytest.param(
            lambda a: a.drop(MARKER).link(MARKER, "/etc/a.json"),
            "the marker a-kernel.json is a symlink that leaves the tree",
            id="marker-symlink-leaves-the-tree",
        ),
        pytest.param(
            lambda a: a.drop(MARKER).link(MARKER, "b.json"),
            "the marker a-kernel.json is not there",
            id="marker-symlink-leads-nowhere",
        ),
        pytest.param(
            lambda a: a.drop(MARKER).put(Entry(MARKER, OTHER)),
            "the marker a-kernel.json is not a file",
            id="marker-pipe",
        ),
        # the squashfs
        pytest.param(lambda a: a.drop(IMAGE), "the marker is there, but its squashfs is not", id="no-squashfs"),
        pytest.param(
            lambda a: a.file(IMAGE, b""),
            "the squashfs is empty: its upload has not begun, or failed",
            id="squashfs-empty",
        ),
        pytest.param(
            lambda a: a.file(IMAGE, squashfs()[:50]),
            "the squashfs is cut short: 50 bytes are less than a superblock",
            id="squashfs-cut-in-the-superblock",
        ),
        pytest.param(
            lambda a: a.file(IMAGE, squashfs()[: used() - 1]),
            "the squashfs is cut short: {short} of {used} bytes are there",
            id="squashfs-cut-by-one-byte",
        ),
        pytest.param(
            lambda a: a.file(IMAGE, b"x" + squashfs()[1:]),
            "not a squashfs image: the magic number is missing",
            id="no-magic",
        ),
        pytest.param(
            lambda a: a.marker(MARKER, {"size": 4097}),
            "the squashfs has 4096 bytes, but its marker states 4097",
            id="another-size",
        ),
        pytest.param(
            lambda a: a.marker("prod/a.json", {"size": 0}),
            "the squashfs has 4096 bytes, but its marker states 0",
            id="another-size-in-the-second-marker",
        ),
        pytest.param(
            lambda a: a.marker(MARKER, {"sha256": sha256()[::-1]}),
            "the squashfs does not have the sha256 that its marker states",
            id="another-sha256",
        ),
        pytest.param(
            lambda a: a.marker(MARKER, {"sha256": sha256()}).marker("prod/a.json", {"sha256": sha256()[::-1]}),
            "the squashfs does not have the sha256 that its marker states",
            id="another-sha256-in-the-second-marker",
        ),
        pytest.param(
            lambda a: a.drop(IMAGE).put(Entry(IMAGE, DIRECTORY)), "the squashfs is not a file", id="squashfs-directory"
        ),
        pytest.param(
            lambda a: a.drop(IMAGE).put(Entry(IMAGE, OTHER)), "the squashfs is not a file", id="squashfs-pipe"
        ),
        pytest.param(
            lambda a: a.drop(IMAGE).link(IMAGE, "../../a.squashfs"),
            "the squashfs is a symlink that leaves the tree",
            id="squashfs-symlink-leaves-the-tree",
        ),
        pytest.param(
            lambda a: a.drop(IMAGE).link(IMAGE, "b"), "the squashfs is not there", id="squashfs-symlink-leads-nowhere"
        ),
        pytest.param(
            lambda a: a.drop(IMAGE).link(IMAGE, "a.img").file("prod/a.img", squashfs()[: used() - 1]),
            "the squashfs is cut short: {short} of {used} bytes are there",
            id="squashfs-symlink-to-a-cut-file-of-another-suffix",
        ),
        pytest.param(
            lambda a: a.drop(IMAGE).link(IMAGE, "notes.txt").file("prod/notes.txt", b"x" * 4096),
            "not a squashfs image: the magic number is missing",
            id="squashfs-symlink-to-no-image",
        ),
        pytest.param(
            lambda a: (
                a.drop(IMAGE)
                .link(IMAGE, "a.img")
                .file("prod/a.img", squashfs())
                .marker(MARKER, {"sha256": sha256()[::-1]})
            ),
            "the squashfs does not have the sha256 that its marker states",
            id="another-sha256-behind-a-symlink",
        ),
        pytest.param(
            lambda a: a.drop(IMAGE).link(IMAGE, "b").link("prod/b", "a.squashfs"),
            "the squashfs is a symlink in a circle",
            id="squashfs-symlink-in-a-circle",
        ),
        # the kernel
        pytest.param(
            lambda a: a.drop("kernels"), f"it requires {VMLINUZ}, which is not there", id="no-kernel-directory"
        ),
        pytest.param(lambda a: a.drop(VMLINUZ), f"it requires {VMLINUZ}, which is not there", id="no-kernel"),
        pytest.param(lambda a: a.drop(INITRD), f"it requires {INITRD}, which is not there", id="no-initrd"),
        pytest.param(lambda a: a.file(VMLINUZ, b""), f"it requires {VMLINUZ}, which is empty", id="kernel-empty"),
        pytest.param(lambda a: a.file(INITRD, b""), f"it requires {INITRD}, which is empty", id="initrd-empty"),
        pytest.param(
            lambda a: a.drop(INITRD).put(Entry(INITRD, DIRECTORY)),
            f"it requires {INITRD}, which is not a file",
            id="initrd-directory",
        ),
        pytest.param(
            lambda a: a.drop(INITRD).link(INITRD, "/boot/initrd"),
            f"it requires {INITRD}, which is a symlink that leaves the tree",
            id="initrd-symlink-leaves-the-tree",
        ),
        pytest.param(
            lambda a: a.drop(INITRD).link(INITRD, "initrd.img"),
            f"it requires {INITRD}, which is not there",
            id="initrd-symlink-leads-nowhere",
        ),
        pytest.param(
            lambda a: a.drop(INITRD).link(INITRD, "initrd.img").file(f"{INITRD}.img", b""),
            f"it requires {INITRD}, which is empty",
            id="initrd-symlink-to-an-empty-file",
        ),
        pytest.param(
            lambda a: a.drop(INITRD).link(INITRD, "../6.1/initrd").kernel("6.1"),
            f"it requires {INITRD}, a symlink that leaves its kernel directory",
            id="initrd-symlink-to-another-kernel",
        ),
        pytest.param(
            lambda a: a.put(Entry(f"kernels/{KERNEL}/pipe", OTHER)),
            f"it requires kernels/{KERNEL}/pipe: neither a file nor a directory nor a symlink",
            id="pipe-in-the-kernel-directory",
        ),
        pytest.param(
            lambda a: a.link(f"kernels/{KERNEL}/config", "../../../config"),
            f"it requires kernels/{KERNEL}/config: a symlink that leaves the tree",
            id="symlink-leaves-the-tree-in-the-kernel-directory",
        ),
        pytest.param(
            lambda a: a.marker("prod/a.json", {"version": "6.1"}),
            "it requires kernels/6.1/vmlinuz, which is not there",
            id="kernel-of-the-second-marker",
        ),
    ],
)
def test_held_back(change: Change, reason: str) -> None:
    assets = change(usual().image("prod/other", None))
    image = image_of(assets)
    assert image.reason == reason.format(short=used() - 1, used=used())
    assert not image.ready
    assert image_of(assets, path="prod/other.squashfs").ready  # one image never holds back others


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        pytest.param(IMAGE, "the squashfs cannot be read: {}", id="squashfs"),
        pytest.param(MARKER, "the marker a-kernel.json cannot be read: {}", id="marker"),
        pytest.param(VMLINUZ, f"it requires {VMLINUZ}, which cannot be read: {{}}", id="kernel"),
        pytest.param(INITRD, f"it requires {INITRD}, which cannot be read: {{}}", id="initrd"),
        pytest.param(f"kernels/{KERNEL}", f"it requires kernels/{KERNEL}: {{}}", id="kernel-directory"),
        pytest.param("kernels", "it requires kernels: {}", id="kernels"),
    ],
)
@pytest.mark.parametrize("why", ["it changed on the netboot server while it was sent", "Permission denied"])
def test_held_back_where_a_file_changes_or_cannot_be_read(path: str, reason: str, why: str) -> None:
    (image,) = usual().inventory(unreadable={path: why}).images
    assert image.reason == reason.format(why)


def test_held_back_where_its_kernel_is_excluded() -> None:
    image = image_of(usual(), choosing(exclude=("initrd",)))
    assert image.reason == f"it requires {INITRD}, which the exclude patterns leave out"
