# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An image in a plan: squashfs first, marker last, and what it takes to replace one."""

from __future__ import annotations

import pytest
from ansible_collections.netboot.syncer.plugins.module_utils.assets.inventory import Rules
from ansible_collections.netboot.syncer.plugins.module_utils.planning import steps

from tests.unit.plugins.module_utils.planning.plans import (
    IMAGE,
    INITRD,
    MARKER,
    VMLINUZ,
    Change,
    actions,
    delivery,
    linked,
    seen,
    swap,
    unit,
    units,
    usual,
)
from tests.unit.plugins.module_utils.trees import (
    HOUR,
    KERNEL,
    NOON,
    Assets,
    make_plan,
    squashfs,
)


@pytest.mark.parametrize(
    ("change", "planned"),
    [
        pytest.param(
            lambda a: a.drop("prod"),
            delivery(IMAGE) + [f"confirm {IMAGE}"] + delivery(MARKER),
            id="new",
        ),
        pytest.param(
            lambda a: a.file(IMAGE, squashfs("2"), mtime=NOON - HOUR),
            swap(MARKER),
            id="squashfs-of-another-time-and-content",
        ),
        pytest.param(
            lambda a: a.file(IMAGE, squashfs()[:100]),
            swap(MARKER),
            id="squashfs-of-another-size",
        ),
        pytest.param(
            lambda a: a.file(IMAGE, squashfs()[:100]).marker("prod/a.json", {}),
            swap(MARKER, "prod/a.json"),
            id="squashfs-of-another-size-with-a-second-marker",
        ),
        pytest.param(
            lambda a: a.drop(IMAGE).link(IMAGE, "b").file("prod/b"),
            swap(MARKER),
            id="squashfs-that-is-a-symlink-there",
        ),
        pytest.param(lambda a: a.drop(MARKER), [f"confirm {IMAGE}"] + delivery(MARKER), id="no-marker"),
        pytest.param(
            lambda a: a.marker(MARKER, {}),
            [f"confirm {IMAGE}"] + delivery(MARKER),
            id="another-marker-is-replaced-in-one-rename",
        ),
    ],
)
def test_steps_of_an_image(change: Change, planned: list[str]) -> None:
    plan = make_plan(usual(), change(usual()))
    assert actions(plan) == planned
    assert [(one.kind, one.path, one.outcome) for one in plan.units] == [("image", IMAGE, "published")]


def test_two_markers_go_after_one_confirmation() -> None:
    source = usual().marker("prod/a.json", {"version": KERNEL})
    plan = make_plan(source, Assets().kernel())
    assert actions(plan) == delivery(IMAGE) + [f"confirm {IMAGE}"] + delivery(MARKER) + delivery("prod/a.json")


def test_image_without_marker_promises_nothing() -> None:
    source = Assets().file(IMAGE, squashfs())
    assert actions(make_plan(source, Assets(), Rules(unmarked_images=("prod/*",)))) == delivery(IMAGE)


def test_confirmed_is_all_that_the_marker_promises() -> None:
    source = usual().kernel("6.1").file(f"kernels/{KERNEL}/modules/x").marker("prod/a.json", {"version": "6.1"})
    (confirm,) = [step for step in unit(make_plan(source, Assets()), IMAGE).steps if isinstance(step, steps.Confirm)]
    promised = [IMAGE, INITRD, f"kernels/{KERNEL}/modules/x", VMLINUZ, "kernels/6.1/initrd", "kernels/6.1/vmlinuz"]
    assert [entry.path for entry in confirm.entries] == promised
    assert all(entry == source.tree[entry.path] for entry in confirm.entries)


def test_symlinked_image_promises_what_it_leads_to() -> None:
    source = Assets().image("prod/a", None).link("prod/now.squashfs", "then.squashfs").marker("prod/now.json", {})
    source.link("prod/then.squashfs", "a.squashfs").marker("prod/then.json", {})
    (confirm,) = [
        step for step in unit(make_plan(source, Assets()), "prod/now.squashfs").steps if isinstance(step, steps.Confirm)
    ]
    assert [entry.path for entry in confirm.entries] == ["prod/now.squashfs", "prod/then.squashfs", IMAGE]


def test_squashfs_may_be_a_symlink_to_a_file_of_another_name() -> None:
    assert seen(make_plan(linked(), Assets())) == ["publish prod/a.img", f"link {IMAGE}", f"publish {MARKER}"]
    assert make_plan(linked(), linked()).units == ()


def test_marker_hides_while_the_file_behind_its_squashfs_changes() -> None:
    plan = make_plan(linked("2", mtime=NOON + HOUR), linked())
    assert seen(plan) == [f"withdraw {MARKER}", "publish prod/a.img", f"publish {MARKER}"]


def test_marker_goes_before_the_file_behind_its_squashfs() -> None:
    plan = make_plan(Assets().file("README"), linked().file("README"), delete=True)
    assert seen(plan) == [f"withdraw {MARKER}", "remove prod/a.img", f"remove {IMAGE}", "remove prod"]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda a: a.file(IMAGE, squashfs()[:100]), id="squashfs-cut"),
        pytest.param(lambda a: a.drop(IMAGE), id="no-squashfs"),
        pytest.param(lambda a: a.marker(MARKER, b"{"), id="marker-cut"),
        pytest.param(lambda a: a.marker(MARKER, {"version": "6.1"}), id="no-kernel"),
    ],
)
def test_held_back_image_stays_as_it_is_there(change: Change) -> None:
    source = change(usual()).image("prod/b")
    plan = make_plan(source, usual())
    assert units(plan) == ["image prod/b.squashfs"]
    assert [*plan.held_back, *plan.left_over] == [IMAGE]
    assert {**plan.held_back, **plan.left_over}[IMAGE]
    assert IMAGE not in plan.unchanged
