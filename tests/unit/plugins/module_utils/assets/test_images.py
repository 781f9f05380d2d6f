# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is an image: by name, by content, by a marker beside it; and which marker belongs to which image."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest
from ansible_collections.netboot.syncer.plugins.module_utils.assets.entries import image_name
from ansible_collections.netboot.syncer.plugins.module_utils.assets.inventory import Image, Inventory, Rules, assess
from ansible_collections.netboot.syncer.plugins.module_utils.assets.marker import marker_paths
from ansible_collections.netboot.syncer.plugins.module_utils.planning import basis, steps

from tests.unit.plugins.module_utils.trees import KERNEL, Assets, make_plan, squashfs

HALF = squashfs()[:200]
Change = Callable[[Assets], Assets]


def reasons(assets: Assets, rules: Rules | None = None) -> dict[str, str]:
    return {image.path: image.reason for image in assets.inventory(rules).images}


def only(inventory: Inventory) -> Image:
    (image,) = inventory.images
    return image


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        *((f"a{suffix}", True) for suffix in (".squashfs", ".SQUASHFS", ".sqfs", ".SQFS", ".sfs", ".sqsh")),
        *((f"a{suffix}", False) for suffix in (".img", ".iso", ".squashfs.json", ".squashfs.part", "", ".sqf")),
        ("prod/.squashfs", False),
        ("squashfs", False),
    ],
)
def test_image_name(name: str, is_one: bool) -> None:
    assert image_name(name) == is_one


NAMES = ["x86_64.img", "a.SQUASHFS", "a.sqfs", "a.snap", "a", "a.iso", "gnome-21.04", "a.b.img", "a.txt", "A.IMG"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("suffix", ["-kernel.json", ".json"])
def test_a_squashfs_by_any_name_is_checked_and_sent_with_its_marker(name: str, suffix: str) -> None:
    stem = name.rpartition(".")[0] or name
    for stem_or_name in (stem, name):
        marker = f"ltsp/{stem_or_name}{suffix}"
        assets = Assets().kernel().file(f"ltsp/{name}", squashfs()).marker(marker, {"version": KERNEL})
        image = only(assets.inventory())
        assert (image.path, [one.path for one in image.markers], image.reason) == (f"ltsp/{name}", [marker], "")
        assert [entry.path for entry in assets.inventory().files] == []
        half = only(assets.file(f"ltsp/{name}", HALF).inventory())
        assert half.reason.startswith("the squashfs is cut short: 200 of ")


@pytest.mark.parametrize("name", NAMES)
def test_without_a_marker_it_is_held_back_or_listed_as_unmarked(name: str) -> None:
    assets = Assets().file(f"ltsp/{name}", squashfs())
    assert reasons(assets)[f"ltsp/{name}"].startswith("no marker yet")
    assert assets.inventory().files == ()
    listed = Rules(unmarked_images=("ltsp/**",))
    assert reasons(assets, listed) == {f"ltsp/{name}": ""}
    assert reasons(assets.file(f"ltsp/{name}", HALF), listed)[f"ltsp/{name}"].startswith("the squashfs is cut short")


def test_the_reason_tells_by_what_it_is_one() -> None:
    assets = Assets().file("a.img", squashfs()).file("b.sqfs", squashfs())
    assert "no marker yet (it is a squashfs by its content): " in reasons(assets)["a.img"]
    assert "no marker yet: " in reasons(assets)["b.sqfs"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param(b"", "the squashfs is empty: its upload has not begun, or failed", id="empty"),
        pytest.param(squashfs()[:50], "the squashfs is cut short: 50 bytes are less than a superblock", id="50-bytes"),
        pytest.param(bytes(8192), "not a squashfs image: the magic number is missing", id="zeros-as-allocated-before"),
    ],
)
def test_an_img_beside_its_marker_is_an_image_whatever_is_in_it_yet(content: bytes, reason: str) -> None:
    assets = Assets().file("ltsp/x86_64.img", content).marker("ltsp/x86_64.json", {})
    assert reasons(assets) == {"ltsp/x86_64.img": reason}
    assert assets.inventory().files == ()
    assert reasons(Assets().file("ltsp/x86_64", content).marker("ltsp/x86_64-kernel.json", {})) == {
        "ltsp/x86_64": reason
    }


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda a: a.file("boot/grub.img"), id="img-alone"),
        pytest.param(lambda a: a.file("boot/menu").marker("boot/menu.json", {}), id="no-suffix-and-a-plain-json"),
        pytest.param(lambda a: a.file("boot/menu.ipxe").marker("boot/menu.json", {}), id="another-suffix"),
        pytest.param(lambda a: a.file("boot/memtest.img", b"hsqt" * 100), id="nearly-the-magic"),
        pytest.param(lambda a: a.file("boot/x", b"hsq"), id="too-short-for-the-magic"),
    ],
)
def test_what_is_none(change: Change) -> None:
    inventory = change(Assets()).inventory()
    assert inventory.images == ()
    assert inventory.held_back == {}


def test_a_kernel_directory_has_its_own_img_and_squashfs() -> None:
    """An initrd.img is not an image, and Alpine's modloop is a part of its kernel, but must be complete."""
    directory = f"kernels/{KERNEL}"
    assets = Assets().kernel().image("prod/a").drop(f"{directory}/initrd")
    assets.file(f"{directory}/initrd.img").marker(f"{directory}/initrd.json", {}).file(
        f"{directory}/modloop", squashfs()
    )
    inventory = assets.inventory()
    assert [image.path for image in inventory.images] == ["prod/a.squashfs"]
    assert only(inventory).ready
    assert {entry.path for entry in inventory.kernels[KERNEL]} >= {f"{directory}/initrd.img", f"{directory}/modloop"}
    assert only(assets.file(f"{directory}/modloop", HALF).inventory()).reason.startswith(
        f"it requires {directory}/modloop: the squashfs is cut short: 200 of "
    )


@pytest.mark.parametrize(
    ("image", "markers"),
    [
        ("p/a.squashfs", ["p/a-kernel.json", "p/a.json", "p/a.squashfs.json"]),
        (
            "p/a.img",
            [
                *("p/a-kernel.json", "p/a.json", "p/a.squashfs.json"),
                *("p/a.img-kernel.json", "p/a.img.json", "p/a.img.squashfs.json"),
            ],
        ),
        ("a", ["a-kernel.json", "a.json", "a.squashfs.json"]),
    ],
)
def test_marker_paths(image: str, markers: list[str]) -> None:
    assert marker_paths(image) == markers


def two(marker: str) -> Assets:
    return Assets().file("p/x.squashfs", squashfs()).file("p/x.img", squashfs("2")).marker(f"p/{marker}", {})


@pytest.mark.parametrize("marker", ["x.json", "x-kernel.json"])
def test_a_marker_that_fits_two_images_promises_neither(marker: str) -> None:
    found = reasons(two(marker))
    assert set(found) == {"p/x.squashfs", "p/x.img"}
    for reason in found.values():
        assert reason == (
            f"{marker} fits x.img and x.squashfs alike, and cannot promise two images: rename one of them,"
            " or call the marker x.img.json or x.squashfs.json"
        )


@pytest.mark.parametrize(("marker", "path"), [("x.img.json", "p/x.img"), ("x.squashfs.json", "p/x.squashfs")])
def test_a_marker_with_the_whole_name_belongs_to_that_image(marker: str, path: str) -> None:
    found = reasons(two(marker))
    assert found.pop(path) == ""
    assert all(reason.startswith("no marker yet") for reason in found.values())


def test_what_is_no_squashfs_takes_no_marker_away() -> None:
    assets = Assets().image("p/x", None, suffix=".json").file("p/x.img", b"a floppy").file("p/x.torrent").file("p/x")
    inventory = assets.inventory()
    assert only(inventory).ready
    assert [entry.path for entry in inventory.files] == ["p/x", "p/x.img", "p/x.torrent"]


def test_two_names_of_one_file_are_no_two_images() -> None:
    assets = Assets().file("p/x.img", squashfs()).link("p/x.squashfs", "x.img").marker("p/x.json", {})
    assert reasons(assets) == {"p/x.squashfs": "", "p/x.img": ""}
    plan = make_plan(assets, Assets())
    assert [unit.path for unit in plan.units] == ["p/x.img", "p/x.squashfs"]


def test_a_marker_beside_a_symlink_says_that_what_it_leads_to_is_whole() -> None:
    assets = Assets().file("store/0a1b", squashfs()).link("p/x.squashfs", "../store/0a1b").marker("p/x.json", {})
    assert reasons(assets) == {"p/x.squashfs": "", "store/0a1b": ""}
    for content, marker in ((HALF, {}), (squashfs(), {"size": 5})):
        found = reasons(assets.file("store/0a1b", content).marker("p/x.json", marker))
        assert found["store/0a1b"].startswith("no marker yet")
        assert found["p/x.squashfs"] != ""
    assets = Assets().file("dev/y.sqfs", squashfs()).link("p/x.squashfs", "../dev/y.sqfs").marker("p/x.json", {})
    assert reasons(assets)["dev/y.sqfs"].startswith("no marker yet")  # it needs its own: whoever removed that, meant it


def ltsp(content: bytes = b"", marker: bytes = b"{}") -> Assets:
    return Assets().file("ltsp/x86_64.img", content or squashfs()).marker("ltsp/x86_64.json", marker)


def steps_of(source: Assets, there: Assets, *, delete: bool = False) -> list[tuple[str, str]]:
    plan = make_plan(source, there, delete=delete)
    assert plan.impossible == {}
    return [
        (step.name, step.path)
        for unit in plan.units
        for step in unit.steps
        if step.name in ("withdraw", "publish", "link", "remove")
    ]


def test_a_new_one_is_published_squashfs_first() -> None:
    assert steps_of(ltsp(), Assets()) == [("publish", "ltsp/x86_64.img"), ("publish", "ltsp/x86_64.json")]
    assert make_plan(ltsp(), ltsp()).units == ()


def test_what_came_there_as_two_plain_files_is_put_right() -> None:
    """As an earlier version left them: half of the squashfs, and its marker."""
    assert steps_of(ltsp(), ltsp(HALF)) == [
        ("withdraw", "ltsp/x86_64.json"),
        ("publish", "ltsp/x86_64.img"),
        ("publish", "ltsp/x86_64.json"),
    ]


def test_what_is_half_uploaded_over_it_leaves_it_as_it_is() -> None:
    plan = make_plan(ltsp(HALF), ltsp())
    assert plan.units == ()
    assert plan.held_back["ltsp/x86_64.img"].startswith("the squashfs is cut short")


@pytest.mark.parametrize("name", ["x86_64.img", "x86_64.sqfs", "x86_64.SQUASHFS", "x86_64.snap", "x86_64"])
def test_what_only_the_caching_server_has_goes_marker_first(name: str) -> None:
    there = Assets().file("boot/menu").file(f"ltsp/{name}", squashfs()).marker("ltsp/x86_64.json", {})
    removal = steps_of(Assets().file("boot/menu"), there, delete=True)
    names = [(what, path) for what, path in removal if path.startswith("ltsp/x86_64")]
    assert names[0] == ("withdraw", "ltsp/x86_64.json")


def test_the_netboot_server_says_what_is_an_image_there() -> None:
    """Its marker is gone here, and its name shows nothing; nor does its length, which mksquashfs -nopad leaves odd."""
    image = squashfs() + b"x"
    there = Assets().file("p/rootfs", image).marker("p/rootfs.json", {})
    plan = make_plan(Assets().file("p/rootfs", image), there)
    assert plan.markers == {"p/rootfs.json": "p/rootfs"}
    assert plan.images == {"p/rootfs"}


def test_a_plain_file_with_a_json_beside_it_is_none_there_either() -> None:
    source = Assets().file("boot/menu", bytes(4096)).file("boot/menu.json", b"{}").file("boot/x", b"1")
    assert make_plan(source, source.copy().file("boot/menu", bytes(8192))).markers == {}
    assert make_plan(source, Assets().file("boot/menu", bytes(8192))).held_back == {}
    there = source.copy().file("boot/own.cfg", b"own").file("boot/own.json", b"{}")
    assert make_plan(source, there).markers == {}


def test_an_image_that_only_the_caching_server_has_gets_no_plain_file_as_its_marker() -> None:
    source = Assets().file("boot/x.json", b"{}").file("boot/menu")
    plan = make_plan(source, Assets().file("boot/x.sqfs", squashfs()))
    assert plan.held_back == {"boot/x.json": "it would be the marker of boot/x.sqfs, which only the caching server has"}


def test_a_predecessor_under_another_suffix_is_the_basis(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(basis, "SMALLEST", 0)
    new, old = "p/21-04-09-gnome-master-f1d734e.img", "p/21-04-08-gnome-master-aaaaaa1.sqfs"
    source = Assets().file(new, squashfs()).marker("p/21-04-09-gnome-master-f1d734e.json", {})
    plan = make_plan(source, Assets().file(old, squashfs("2")))
    assert [step.basis for unit in plan.units for step in unit.steps if isinstance(step, steps.Send)][:1] == [old]


@pytest.mark.parametrize("name", ["a.json", "a-kernel.json"])
def test_a_marker_that_was_set_aside_is_one_though_its_squashfs_has_gone(name: str) -> None:
    assets = Assets().file("boot/menu")
    evidence = dataclasses.replace(assets.evidence(), records={f"dev/{name}": False})
    assert assess(assets.tree, evidence, Rules()).withdrawn == {"dev/a.squashfs": False}


@pytest.mark.parametrize("marker", ["gnome-21-kernel.json", "gnome-21.json"])
@pytest.mark.parametrize("image", ["gnome-21.squashfs", "gnome-21.img", "gnome-21"])
def test_a_name_that_ends_with_a_version_takes_nobody_elses_marker(image: str, marker: str) -> None:
    """A good image is not held back because another one arrives beside it."""
    assets = Assets().kernel().file(image, squashfs()).marker(marker, {"version": KERNEL}).file("gnome-21.04", HALF)
    found = reasons(assets)
    assert found[image] == ""
    assert found["gnome-21.04"].startswith("no marker yet")
