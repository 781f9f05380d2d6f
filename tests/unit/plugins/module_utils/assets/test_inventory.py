# Copyright: (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a tree is ready, and why the rest is held back: one reason at a time."""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.netboot.syncer.plugins.module_utils.assets.entries import DIRECTORY, OTHER, Entry
from ansible_collections.netboot.syncer.plugins.module_utils.assets.evidence import Evidence
from ansible_collections.netboot.syncer.plugins.module_utils.assets.images import find
from ansible_collections.netboot.syncer.plugins.module_utils.assets.inventory import (
    Image,
    Rules,
    assess,
    find_images,
    wanted_contents,
)
from ansible_collections.netboot.syncer.plugins.module_utils.assets.patterns import Selection

from tests.lab.images import bytes_used
from tests.unit.plugins.module_utils.trees import HOUR, KERNEL, NOON, Assets, squashfs

NO_MARKER = "no marker yet: the upload is not finished, or the image needs none and unmarked_images does not say so"
VMLINUZ = f"kernels/{KERNEL}/vmlinuz"
INITRD = f"kernels/{KERNEL}/initrd"
MARKER = "prod/a-kernel.json"
IMAGE = "prod/a.squashfs"

Change = Callable[[Assets], Assets]


def sha256() -> str:
    return hashlib.sha256(squashfs()).hexdigest()


def used() -> int:
    """The bytes of the image that count; what follows fills up its last page."""
    return bytes_used(squashfs())


def usual() -> Assets:
    """An image with its kernel, ready."""
    return Assets().kernel().image("prod/a")


def image_of(assets: Assets, rules: Rules | None = None, path: str = IMAGE) -> Image:
    (found,) = [image for image in assets.inventory(rules).images if image.path == path]
    return found


def choosing(*, include: tuple[str, ...] = (), exclude: tuple[str, ...] = ()) -> Rules:
    return Rules(selection=Selection(include=include, exclude=exclude))


# -- ready --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda a: a, id="usual"),
        pytest.param(lambda a: a.marker(MARKER, {}).drop("kernels"), id="no-version-no-kernel"),
        pytest.param(
            lambda a: a.marker(MARKER, {"version": KERNEL, "size": 4096, "sha256": sha256()}), id="size-sha256"
        ),
        pytest.param(lambda a: a.file(IMAGE, squashfs() + bytes(4096)), id="longer-than-bytes-used"),
        pytest.param(lambda a: a.file(IMAGE, squashfs()[: used()]), id="exactly-bytes-used"),
        pytest.param(
            lambda a: a.drop(INITRD).link(INITRD, "initrd.img").file(f"{INITRD}.img"), id="symlink-in-kernel-directory"
        ),
        pytest.param(lambda a: a.file(f"kernels/{KERNEL}/modules/a"), id="more-in-the-kernel-directory"),
        pytest.param(
            lambda a: a.drop(IMAGE).link(IMAGE, "../dev/b.squashfs").file("dev/b.squashfs", squashfs()),
            id="squashfs-symlink",
        ),
        pytest.param(
            lambda a: (
                a.drop(IMAGE)
                .link(IMAGE, "a.img")
                .file("prod/a.img", squashfs())
                .marker(MARKER, {"size": 4096, "sha256": sha256()})
            ),
            id="squashfs-symlink-to-another-suffix",
        ),
        pytest.param(
            lambda a: a.drop(MARKER).link(MARKER, "../dev/b.json").marker("dev/b.json", {"version": KERNEL}),
            id="marker-symlink",
        ),
        pytest.param(lambda a: a.marker("prod/a.json", {"version": KERNEL}), id="two-markers"),
        pytest.param(lambda a: a.file("dev/broken.squashfs", b"").marker("dev/broken.json", b"["), id="another-broken"),
    ],
)
def test_ready(change: Change) -> None:
    image = image_of(change(usual()))
    assert image.reason == ""
    assert image.ready


def test_ready_image_tells_what_belongs_to_it() -> None:
    assets = usual().kernel("6.1").file("kernels/6.1/modules/a")
    assets.marker("prod/a.json", {"version": "6.1", "sha256": sha256().upper()}, mtime=NOON + HOUR)
    image = image_of(assets)
    assert [entry.path for entry in image.entries] == [IMAGE, MARKER, "prod/a.json"]  # markers last, the usual first
    assert image.versions == (KERNEL, "6.1")
    required = [INITRD, VMLINUZ, "kernels/6.1/initrd", "kernels/6.1/modules/a", "kernels/6.1/vmlinuz"]
    assert [entry.path for entry in image.requires] == required
    assert image.sha256 == sha256()
    assert image.newest == NOON + HOUR


def test_age_is_that_of_the_marker() -> None:
    assert image_of(Assets().image("prod/a", None).file(IMAGE, squashfs(), mtime=NOON + HOUR)).newest == NOON
    assert image_of(Assets().file(IMAGE, squashfs(), mtime=NOON + HOUR)).newest == NOON + HOUR


def test_sha256_counts_only_once_it_was_computed() -> None:
    assets = usual().marker(MARKER, {"sha256": "0" * 64})
    before = dataclasses.replace(assets.evidence(), digests={})
    assert assess(assets.tree, before, Rules()).images[0].ready
    assert not assets.inventory().images[0].ready


# -- held back ----------------------------------------------------------------------------------------------------


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
            lambda a: a.drop(MARKER).put(Entry(MARKER, OTHER)), "the marker a-kernel.json is no file", id="marker-pipe"
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
            "the squashfs has not the sha256 that its marker states",
            id="another-sha256",
        ),
        pytest.param(
            lambda a: a.marker(MARKER, {"sha256": sha256()}).marker("prod/a.json", {"sha256": sha256()[::-1]}),
            "the squashfs has not the sha256 that its marker states",
            id="another-sha256-in-the-second-marker",
        ),
        pytest.param(
            lambda a: a.drop(IMAGE).put(Entry(IMAGE, DIRECTORY)), "the squashfs is no file", id="squashfs-directory"
        ),
        pytest.param(lambda a: a.drop(IMAGE).put(Entry(IMAGE, OTHER)), "the squashfs is no file", id="squashfs-pipe"),
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
            "the squashfs has not the sha256 that its marker states",
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
            f"it requires {INITRD}, which is no file",
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
    assert image_of(assets, path="prod/other.squashfs").ready  # one image never keeps others back


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


# -- unmarked images ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("patterns", "ready"),
    [
        pytest.param([], False, id="none"),
        pytest.param(["caching-server/*.squashfs"], True, id="by-directory"),
        pytest.param(["caching-server"], True, id="directory"),
        pytest.param(["netboot-*"], True, id="by-name"),
        pytest.param(["**"], True, id="all"),
        pytest.param(["prod/**", "/netboot-*", "*.img"], False, id="others"),
        pytest.param(["prod/**", "caching-server/**"], True, id="one-of-two"),
    ],
)
def test_unmarked_images(patterns: list[str], ready: bool) -> None:
    path = "caching-server/netboot-caching-server.squashfs"
    image = image_of(Assets().file(path, squashfs()), Rules(unmarked_images=tuple(patterns)), path)
    assert image.reason == ("" if ready else NO_MARKER)
    assert image.requires == ()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        pytest.param(
            lambda a: a.file(IMAGE, squashfs()[:50]),
            "the squashfs is cut short: 50 bytes are less than a superblock",
            id="squashfs-cut",
        ),
        pytest.param(
            lambda a: a.marker("prod/a.json", b"5 x"),
            "the marker is not JSON: something follows its end, at line 1, column 3 (a.json)",
            id="broken-marker",
        ),
        pytest.param(
            lambda a: a.marker("prod/a.json", {"version": "6.1"}),
            "it requires kernels/6.1/vmlinuz, which is not there",
            id="marker-without-its-kernel",
        ),
    ],
)
def test_unmarked_image_must_be_whole_all_the_same(change: Change, reason: str) -> None:
    assets = change(Assets().file(IMAGE, squashfs()))
    assert image_of(assets, Rules(unmarked_images=("**",))).reason == reason


@pytest.mark.parametrize("field", ["unmarked_images", "pointers"])
@pytest.mark.parametrize("pattern", ["[z-a]*", "/", "", "../dev/*"])
def test_what_is_no_pattern_is_bad_input(field: str, pattern: str) -> None:
    given: dict[str, Any] = {field: ("prod/*", pattern)}
    with pytest.raises(ValueError, match=f"^{re.escape(f'not a pattern: {pattern!r} ')}"):
        Rules(**given)


# -- which file is a marker ---------------------------------------------------------------------------------------


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


# -- the rest of the tree -----------------------------------------------------------------------------------------


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
    assert "x" in inventory.paths  # or it would be removed elsewhere
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


# -- the selection ------------------------------------------------------------------------------------------------


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
