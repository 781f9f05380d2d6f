# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a kernel directory must hold, under which names; and which of its files a marker promises."""

from __future__ import annotations

import re
from typing import Any

import pytest
from ansible_collections.netboot.syncer.plugins.module_utils.assets.inventory import Rules
from ansible_collections.netboot.syncer.plugins.module_utils.assets.kernels import (
    COMMON_NAMES,
    kernel_paths,
    read_kernel_files,
)
from ansible_collections.netboot.syncer.plugins.module_utils.planning.steps import Confirm

from tests.unit.plugins.module_utils.trees import KERNEL, Assets, make_plan

DIRECTORY = f"kernels/{KERNEL}"


def holding(*names: str) -> Assets:
    assets = Assets().image("prod/a")
    for name in names:
        assets.file(f"{DIRECTORY}/{name}", name.encode())
    return assets


def reason(assets: Assets, kernel_files: Any = ("vmlinuz", "initrd")) -> str:
    (image,) = assets.inventory(Rules(kernel_files=read_kernel_files(kernel_files))).images
    return image.reason


@pytest.mark.parametrize(
    "names",
    [
        pytest.param(("vmlinuz", "initrd"), id="usual"),
        pytest.param(("vmlinuz", "initrd.img"), id="ltsp-and-fedora"),
        pytest.param(("linux", "initrd.gz"), id="debian-installer"),
        pytest.param(("linux", "initrd"), id="suse"),
        pytest.param((f"vmlinuz-{KERNEL}", f"initrd.img-{KERNEL}"), id="boot-of-debian"),
        pytest.param((f"vmlinuz-{KERNEL}", f"initramfs-{KERNEL}.img"), id="boot-of-fedora"),
        pytest.param(("bzImage", "initramfs.img"), id="buildroot"),
        pytest.param(("vmlinuz", "initrd", "initrd.img", "System.map"), id="more-than-needed"),
    ],
)
def test_common_names_just_work(names: tuple[str, ...]) -> None:
    assert reason(holding(*names)) == ""
    plan = make_plan(holding(*names), Assets())
    assert plan.units[0].path == DIRECTORY


@pytest.mark.parametrize(
    ("names", "kernel_files", "told"),
    [
        (("initrd",), ["vmlinuz", "initrd"], "it requires {}/vmlinuz, which is not there"),
        (("vmlinuz",), ["vmlinuz", "initrd"], "it requires {}/initrd, which is not there"),
        (
            ("vmlinuz", "initramfs.cpio"),
            ["vmlinuz", "initrd"],
            "it requires {}/initrd, which is not there (but initramfs.cpio; kernel_files says what it may be called)",
        ),
        (("vmlinuz", "initrd.img"), [["vmlinuz"], ["initrd"]], "it requires {}/initrd, which is not there"),
        (("vmlinuz", "initrd"), ["vmlinuz", "initrd", "dtb"], "it requires {}/dtb, which is not there"),
        (("vmlinuz-lts", "initramfs-lts"), [["vmlinuz-lts"], ["initramfs-lts"]], ""),
        ((f"k-{KERNEL}.efi",), ["k-{version}.efi"], ""),
        (("vmlinuz", "initrd", "b"), ["vmlinuz", "initrd", ["a", "b"]], ""),
    ],
)
def test_what_it_must_hold_is_an_option(names: tuple[str, ...], kernel_files: Any, told: str) -> None:
    assert reason(holding(*names), kernel_files).startswith(told.format(DIRECTORY))
    assert bool(reason(holding(*names), kernel_files)) == bool(told)


def test_every_name_that_is_there_must_be_whole() -> None:
    """A client may ask for any of them."""
    assert reason(holding("vmlinuz", "initrd").file(f"{DIRECTORY}/initrd.img", b"")).endswith(
        "initrd.img, which is empty"
    )
    assert reason(holding("vmlinuz", "initrd").file(f"{DIRECTORY}/linux/Makefile")) == ""
    assert reason(holding("initrd").file(f"{DIRECTORY}/vmlinuz/x")).endswith("vmlinuz, which is not a file")


def test_an_upload_of_a_part_of_it_holds_nothing_up() -> None:
    """Like a hidden name, it says nothing about the files under their final names."""
    inventory = holding("vmlinuz", "initrd", "initrd.filepart").inventory()
    assert inventory.images[0].ready
    assert [entry.path for entry in inventory.kernels[KERNEL]] == [f"{DIRECTORY}/initrd", f"{DIRECTORY}/vmlinuz"]
    assert list(inventory.held_back) == [f"{DIRECTORY}/initrd.filepart"]


def test_a_symlink_to_what_is_being_uploaded_holds_it_up() -> None:
    assets = holding("vmlinuz", "initrd.filepart").link(f"{DIRECTORY}/initrd", "initrd.filepart")
    assert reason(assets).startswith(
        f"it requires {DIRECTORY}/initrd: a symlink to {DIRECTORY}/initrd.filepart, which waits"
    )


@pytest.mark.parametrize("names", [("vmlinuz", "initrd.img"), ("linux", "initrd.gz")])
def test_a_marker_on_the_caching_server_promises_the_same(names: tuple[str, ...]) -> None:
    """A complete copy is up to date; if its initrd is lost, the marker is withdrawn first."""
    source = holding(*names)
    assert make_plan(source, source.copy()).units == ()
    plan = make_plan(source, source.copy().drop(f"{DIRECTORY}/{names[1]}"))
    assert [(step.name, step.path) for step in plan.units[0].steps] == [("withdraw", "prod/a-kernel.json")]


@pytest.mark.parametrize(
    ("names", "kernel_files"),
    [
        pytest.param(("vmlinuz", "initrd"), ["vmlinuz", ["initd"]], id="mistyped"),
        pytest.param(("vmlinuz", "initrd"), ["vmlinuz", "initrd", "dtb"], id="one-more"),
        pytest.param(("k", "i"), [["k"], ["j"]], id="names-of-ones-own"),
    ],
)
def test_a_rule_that_nothing_fulfils_takes_no_published_image_away(names: tuple[str, ...], kernel_files: Any) -> None:
    rules = Rules(kernel_files=read_kernel_files(kernel_files))
    source = holding(*names)
    plan = make_plan(source, source.copy(), rules)
    assert plan.units == ()
    assert "prod/a.squashfs" in plan.held_back


@pytest.mark.parametrize("kernel_files", [["vmlinuz", ["initd"]], ["vmlinuz", "initrd", "dtb"]])
def test_nor_one_that_only_the_caching_server_has(kernel_files: Any) -> None:
    rules = Rules(kernel_files=read_kernel_files(kernel_files))
    plan = make_plan(Assets().file("boot/menu"), holding("vmlinuz", "initrd"), rules)
    assert [unit.kind for unit in plan.units] == ["file"]


def test_what_the_rule_asks_for_and_the_netboot_server_has_must_be_there() -> None:
    rules = Rules(kernel_files=read_kernel_files(["vmlinuz", "initrd", "dtb"]))
    plan = make_plan(holding("vmlinuz", "initrd", "dtb"), holding("vmlinuz", "initrd"), rules)
    assert plan.units[0].kind == "withdrawal"
    assert plan.units[-1].path == "prod/a.squashfs"


@pytest.mark.parametrize("source", [holding("vmlinuz"), Assets().file("boot/menu")], ids=["lost-here-too", "no-kernel"])
def test_an_initrd_that_is_lost_there_is_a_promise_not_kept(source: Assets) -> None:
    assert make_plan(source, holding("vmlinuz")).units[0].kind == "withdrawal"


def test_a_pointer_waits_for_every_name_of_the_kernel() -> None:
    source = holding("linux", "initrd.img").latest()
    (pointer,) = (unit for unit in make_plan(source, Assets()).units if unit.kind == "pointer")
    (confirm,) = (step for step in pointer.steps if isinstance(step, Confirm))
    assert [entry.path for entry in confirm.entries] == [f"{DIRECTORY}/linux", f"{DIRECTORY}/initrd.img"]


def test_kernel_paths_where_there_is_nothing() -> None:
    assert kernel_paths("6.1", {}, read_kernel_files(["vmlinuz", "initrd"])) == [
        "kernels/6.1/vmlinuz",
        "kernels/6.1/initrd",
    ]


def test_the_usual_names_stand_for_the_common_ones_and_a_list_for_itself() -> None:
    assert read_kernel_files(["initrd", ["vmlinuz"], "dtb"]) == (COMMON_NAMES["initrd"], ("vmlinuz",), ("dtb",))


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ([], "[] is not a list of names"),
        ("vmlinuz", "'vmlinuz' is not a list of names"),
        (None, "None is not a list of names"),
        ([[]], "[] is neither a name nor a list"),
        ([5], "5 is neither a name nor a list"),
        ([{"a": 1}], "{'a': 1} is neither a name nor a list"),
        ([["vmlinuz", 5]], "5 is not a file name"),
        ([" "], "' ' is not a file name"),
        (["../vmlinuz"], "'../vmlinuz' is a path"),
        (["boot/vmlinuz"], "'boot/vmlinuz' is a path"),
        ([[".vmlinuz"]], "'.vmlinuz' is hidden"),
        ([".."], "'..' is hidden"),
        (["vmlinuz", ["linux"]], "'linux' is in two entries"),
        (["a", "a"], "'a' is in two entries"),
        (["vmlinuz-{ver}"], "'vmlinuz-{ver}': only {version} stands for something"),
    ],
)
def test_what_makes_no_sense(given: Any, told: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(f'kernel_files: {told}')}"):
        read_kernel_files(given)
