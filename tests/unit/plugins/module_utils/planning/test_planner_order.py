# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The order of a plan: what goes first, and what waits."""

from __future__ import annotations

from ansible_collections.netboot.syncer.plugins.module_utils.assets.inventory import Rules
from ansible_collections.netboot.syncer.plugins.module_utils.planning.order import LARGE_FILE

from tests.unit.plugins.module_utils.planning.plans import IMAGE, INITRD, LATEST, VMLINUZ, seen, units, usual
from tests.unit.plugins.module_utils.trees import (
    HOUR,
    KERNEL,
    NOON,
    Assets,
    make_plan,
    squashfs,
)


def test_order_of_all() -> None:
    source = Assets().kernel("5.8").kernel("6.1").latest("6.1").file("README").file("boot/menu.ipxe")
    source.link("boot/default", "menu.ipxe")
    source.image("prod/old", "5.8").image("prod/new", "6.1", mtime=NOON + HOUR).image(
        "dev/middle", "5.8", mtime=NOON + 1
    )
    source.link("prod/current.squashfs", "new.squashfs").link("prod/current-kernel.json", "new-kernel.json")
    there = Assets().kernel("5.7").image("prod/gone", "5.7").image("dev/broken", "5.6", mtime=NOON + 2 * HOUR)
    plan = make_plan(source, there, delete=True)
    assert units(plan) == [
        "withdrawal dev/broken.squashfs",
        "file README",
        "file boot/menu.ipxe",
        "kernel kernels/6.1",  # the newest image needs it
        "image prod/new.squashfs",
        "kernel kernels/5.8",
        "image dev/middle.squashfs",
        "image prod/old.squashfs",
        f"pointer {LATEST}",
        "pointer prod/current.squashfs",
        "pointer boot/default",
        "removal prod/gone.squashfs",
        "removal dev/broken.squashfs",
        "removal kernels/5.7/initrd",
        "removal kernels/5.7/vmlinuz",
        "removal prod/gone.squashfs",
        "removal kernels/5.7",
    ]
    assert seen(plan)[-6:] == [
        "withdraw prod/gone-kernel.json",
        "remove dev/broken.squashfs",
        "remove kernels/5.7/initrd",
        "remove kernels/5.7/vmlinuz",
        "remove prod/gone.squashfs",
        "remove kernels/5.7",
    ]


def test_order_of_images() -> None:
    source = Assets()
    source.image("oldest", None).file("oldest.squashfs", squashfs(), mtime=NOON + 3 * HOUR)  # the marker's time counts
    source.image("c", None, mtime=NOON + HOUR).image("b", None, mtime=NOON + HOUR)
    source.image("a-large", None, mtime=NOON + HOUR).file("a-large.squashfs", squashfs() + b"more")
    source.file("unmarked.squashfs", squashfs(), mtime=NOON + 2 * HOUR)
    plan = make_plan(source, Assets(), Rules(unmarked_images=("unmarked.squashfs",)))
    assert [one.path for one in plan.units] == [
        "unmarked.squashfs",
        "b.squashfs",
        "c.squashfs",
        "a-large.squashfs",
        "oldest.squashfs",
    ]


def test_each_kernel_goes_right_before_the_first_image_that_needs_it() -> None:
    source = Assets().kernel("5.7").kernel("5.8").kernel("6.1").latest("5.7")
    source.image("prod/c", "6.1", mtime=NOON + 2 * HOUR)
    source.image("prod/b", "5.8", mtime=NOON + HOUR).image("prod/a", "6.1")
    source.marker("prod/held-back-kernel.json", {"version": "5.7"}, mtime=NOON + 3 * HOUR)
    assert units(make_plan(source, Assets())) == [
        "kernel kernels/6.1",
        "image prod/c.squashfs",
        "kernel kernels/5.8",
        "image prod/b.squashfs",
        "image prod/a.squashfs",
        "kernel kernels/5.7",  # no image waits for it, but a pointer does
        f"pointer {LATEST}",
    ]


def test_image_that_loses_its_marker_to_a_kernel_does_not_wait_for_a_large_one() -> None:
    there = Assets().kernel("5.8").kernel("6.1").image("prod/a", "5.8").image("prod/b", "5.8").image("prod/c", "5.8")
    source = there.copy().kernel("5.8", "2", mtime=NOON + HOUR)
    source.image("prod/d", "5.8", mtime=NOON + 4 * HOUR).image("prod/e", "6.1", mtime=NOON + 3 * HOUR)
    source.marker("prod/a-kernel.json", {"version": "5.8", "build": 2}, mtime=NOON + 2 * HOUR)
    source.marker("prod/b-kernel.json", {"version": "6.1"}, mtime=NOON + HOUR)
    source.image("prod/c", "5.8", text="2", mtime=NOON + 1)
    assert units(make_plan(source, there)) == [
        "kernel kernels/5.8",
        "image prod/a.squashfs",
        "image prod/b.squashfs",
        "image prod/d.squashfs",
        "image prod/e.squashfs",
        "image prod/c.squashfs",
    ]


def test_large_plain_file_holds_up_no_image() -> None:
    large = b"x" * (LARGE_FILE + 1)
    source = usual().latest().file("boot/rescue.iso", large).file("README").file("tools/memtest", large[1:])
    source.link("tools/iso", "../boot/rescue.iso").file("a.iso", large)
    assert units(make_plan(source, Assets())) == [
        "file README",
        "file tools/memtest",
        f"kernel kernels/{KERNEL}",
        f"image {IMAGE}",
        "file boot/rescue.iso",  # a symlink waits for it
        f"pointer {LATEST}",
        "pointer tools/iso",
        "file a.iso",
    ]


def test_nothing_to_do() -> None:
    source = usual().latest().file("README").link("boot", "prod")
    plan = make_plan(source, source.copy(), delete=True)
    assert plan.units == ()
    assert sorted(plan.unchanged) == sorted(["README", "boot", INITRD, VMLINUZ, LATEST, IMAGE])
    assert plan.only_there == {}
    assert plan.held_back == {}
    assert plan.impossible == {}
    assert plan.refused == ""
