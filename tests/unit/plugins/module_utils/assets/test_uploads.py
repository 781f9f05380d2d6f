# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is still being uploaded: judged by its name, by the files next to it, and by how long it was left alone."""

from __future__ import annotations

import pytest
from ansible_collections.netboot.syncer.plugins.module_utils.assets import uploads
from ansible_collections.netboot.syncer.plugins.module_utils.assets.inventory import Rules

from tests.unit.plugins.module_utils.trees import KERNEL, Assets, squashfs

SECOND = 10**9
NOW = 1_700_000_000 * SECOND
ISO = "boot/rescue.iso"
JOIN = "a part of a split image, which no client can boot: join the parts into one file"


@pytest.mark.parametrize(
    "name",
    [
        *(
            "x.iso.part",
            "x.iso.PART",
            "x.filepart",
            "x.squashfs.filepart",
            "x.crdownload",
            "x.partial",
            "x.tmp",
            "x.temp",
        ),
        *("x.temp", "x.iso.aria2", "x.img.upload", "x.part.1", "x.!ut", "x.download", "x.iso.incomplete"),
    ],
)
def test_a_temporary_name_is_never_sent(name: str) -> None:
    for content in (squashfs(), b"GIF", b""):
        inventory = Assets().file(f"boot/{name}", content).file("boot/menu").inventory(Rules(unmarked_images=("**",)))
        assert [entry.path for entry in inventory.files] == ["boot/menu"]
        assert "the temporary file of an upload: it is sent once" in inventory.held_back[f"boot/{name}"]
        assert inventory.images == ()


@pytest.mark.parametrize(
    "name", ["apart", "x.parts", "tmp", "x.tmpl", "partial.cfg", "menu.ipxe~", "x.iso.part2", "x.001"]
)
def test_a_name_that_is_none(name: str) -> None:
    assert [entry.path for entry in Assets().file(f"boot/{name}").inventory().files] == [f"boot/{name}"]


def test_a_symlink_to_a_temporary_name_waits() -> None:
    assets = Assets().file("boot/x.iso.part").link("boot/x.iso", "x.iso.part").link("boot/y", "x.iso")
    held_back = assets.inventory().held_back
    assert held_back["boot/x.iso"].startswith("a symlink to boot/x.iso.part, which waits: by its name (.part)")
    assert held_back["boot/y"].startswith("a symlink to boot/x.iso.part, which waits: by its name (.part)")


@pytest.mark.parametrize(
    ("content", "beside", "waits"),
    [
        pytest.param(b"x" * 10, "x.iso.aria2", True, id="aria2"),
        pytest.param(b"x" * 10, "x.iso.lftp-pget-status", True, id="lftp"),
        pytest.param(b"", "x.iso.part", True, id="firefox"),
        pytest.param(b"x" * 10, "x.iso.part", False, id="the-next-one-of-it"),
        pytest.param(b"", "y.iso.aria2", False, id="of-another"),
    ],
)
def test_a_download_with_its_final_name(content: bytes, beside: str, waits: bool) -> None:
    held_back = Assets().file("x.iso", content).file(beside).inventory().held_back
    assert held_back.get("x.iso") == (f"still being downloaded: {beside} lies beside it" if waits else None)


def test_an_image_that_is_being_downloaded() -> None:
    (image,) = Assets().image("prod/a", None).file("prod/a.squashfs.aria2").inventory().images
    assert image.reason == "still being downloaded: a.squashfs.aria2 lies beside it"


@pytest.mark.parametrize(
    "suffix", [".part2", ".part02", ".PART2", "-part2", ".partab", ".002", ".ab", ".part2of3", ".2"]
)
def test_a_part_of_a_split_image(suffix: str) -> None:
    inventory = Assets().file(f"live/filesystem.squashfs{suffix}", b"x" * 4096).inventory()
    assert inventory.held_back == {f"live/filesystem.squashfs{suffix}": JOIN}
    assert inventory.images == ()


@pytest.mark.parametrize("suffix", [".bak", ".sav", ".raw", ".tar", ".BAK", "-bak"])
def test_a_suffix_that_looks_like_a_part(suffix: str) -> None:
    path = f"live/filesystem.squashfs{suffix}"
    for content in (squashfs(), squashfs()[:2048]):
        inventory = Assets().file(path, content).inventory()
        assert inventory.held_back == {}
        (image,) = inventory.images
        assert image.reason.startswith("no marker yet (it is a squashfs by its content)")
    inventory = Assets().file(path, b"x" * 4096).inventory()
    assert inventory.held_back == {}
    assert [entry.path for entry in inventory.files] == [path]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("x.squashfs.part1", "x.squashfs.part2"),
        ("x.img.part1", "x.img.part2"),
        ("rootfs.part1", "rootfs.part2"),
        ("x.squashfs.aa", "x.squashfs.ab"),
        ("rootfs.001", "rootfs.002"),
    ],
)
def test_the_first_part_is_no_image_that_was_cut_short(first: str, second: str) -> None:
    inventory = Assets().file(f"live/{first}", squashfs()[:200]).file(f"live/{second}", squashfs()[200:]).inventory()
    assert inventory.held_back == {f"live/{first}": JOIN, f"live/{second}": JOIN}
    assert inventory.images == ()


def test_the_first_part_under_the_final_name() -> None:
    assets = Assets().image("live/filesystem", None).file("live/filesystem.squashfs", squashfs()[:200])
    (image,) = assets.file("live/filesystem.squashfs.part2", squashfs()[200:]).inventory().images
    assert image.reason.startswith("the squashfs is cut short: 200 of ")
    assert image.reason.endswith("; filesystem.squashfs.part2 is another part of it: join them into one file")


def test_a_whole_copy_under_the_name_of_a_part_is_an_image() -> None:
    """This is the name that wget gives to a second copy."""
    (image,) = Assets().file("live/x.squashfs.1", squashfs()).inventory().images
    assert image.path == "live/x.squashfs.1"
    assert "no marker yet" in image.reason


@pytest.mark.parametrize(
    ("mtime", "ctime", "age"),
    [
        pytest.param(-50, -50, 50, id="written"),
        pytest.param(-9999, -14, 14, id="time-of-its-origin-kept"),
        pytest.param(-14, -9999, 14, id="no-ctime-of-its-own"),
        pytest.param(+9999, -300, 300, id="time-of-a-clock-that-was-ahead"),
        pytest.param(+9999, +9999, -9999, id="our-clock-was-set-back"),
        pytest.param(0, 0, 0, id="just-now"),
    ],
)
def test_age(mtime: int, ctime: int, age: float) -> None:
    assert uploads.age(NOW, NOW + mtime * SECOND, NOW + ctime * SECOND) == age


def waiting(age: float, settle: int) -> str | None:
    assets = Assets().file(ISO)
    assets.ages[ISO] = age
    return assets.inventory(Rules(settle=settle)).held_back.get(ISO)


@pytest.mark.parametrize(
    ("age", "settle", "reason"),
    [
        pytest.param(
            14.6, 120, "still being uploaded? last changed 14 s ago; sent once left alone for 120 s", id="new"
        ),
        pytest.param(119.9, 120, "still being uploaded? last changed 119 s ago", id="nearly"),
        pytest.param(120, 120, None, id="old-enough"),
        pytest.param(14, 10, None, id="less-is-enough"),
        pytest.param(0, 0, None, id="off"),
        pytest.param(-99999, 0, None, id="off-whatever-the-clock"),
        pytest.param(-2, 120, "still being uploaded? last changed 0 s ago", id="a-clock-some-seconds-ahead"),
        pytest.param(
            -7200, 120, "nobody can tell whether it is still being uploaded: it was changed 2 hours", id="far"
        ),
    ],
)
def test_a_large_file_waits_until_it_is_left_alone(age: float, settle: int, reason: str | None) -> None:
    found = waiting(age, settle=settle)
    assert found is None if reason is None else found is not None and found.startswith(reason)


def test_it_waits_two_minutes_where_nothing_else_is_said() -> None:
    assets = Assets().file(ISO)
    assets.ages[ISO] = 119
    assert ISO in assets.inventory().held_back
    assets.ages[ISO] = 120
    assert ISO not in assets.inventory().held_back


def test_a_symlink_to_it_waits_too() -> None:
    assets = Assets().file(ISO).link("boot/latest.iso", "rescue.iso").link("latest", "boot/latest.iso")
    assets.ages[ISO] = 5
    held_back = assets.inventory().held_back
    for path in ("boot/latest.iso", "latest"):
        assert held_back[path].startswith(
            f"a symlink to {ISO}, which waits: still being uploaded? last changed 5 s ago"
        )


def test_a_kernel_waits_for_its_large_initrd() -> None:
    assets = Assets().kernel().image("prod/a")
    initrd = f"kernels/{KERNEL}/initrd"
    assets.ages[initrd] = 5
    inventory = assets.inventory()
    assert inventory.images[0].reason.startswith(f"it requires {initrd}: still being uploaded?")
    assert inventory.kernels == {}


def test_a_marker_says_that_an_image_is_whole_and_without_one_it_waits() -> None:
    assets = Assets().image("prod/a", None).file("dev/b.squashfs", squashfs())
    assets.ages.update({"prod/a.squashfs": 5, "dev/b.squashfs": 5})
    unmarked, marked = assets.inventory(Rules(unmarked_images=("dev/**",))).images
    assert unmarked.reason.startswith("still being uploaded? last changed 5 s ago")
    assert marked.ready
