# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pointers in a plan: only where all that they name is there."""

from __future__ import annotations

import pytest
from ansible_collections.netboot.syncer.plugins.module_utils.assets.inventory import Rules
from ansible_collections.netboot.syncer.plugins.module_utils.planning import steps

from tests.unit.plugins.module_utils.planning.plans import (
    IMAGE,
    INITRD,
    LATEST,
    MARKER,
    VMLINUZ,
    Change,
    actions,
    choosing,
    delivery,
    seen,
    unit,
    units,
    usual,
)
from tests.unit.plugins.module_utils.trees import (
    KERNEL,
    Assets,
    make_plan,
    squashfs,
)


def test_json_pointer_confirms_its_kernel() -> None:
    source = Assets().kernel().latest().file(f"kernels/{KERNEL}/config")
    pointer = unit(make_plan(source, Assets()), LATEST)
    confirm = pointer.steps[0]
    assert isinstance(confirm, steps.Confirm)
    assert sorted(entry.path for entry in confirm.entries) == [f"kernels/{KERNEL}/config", INITRD, VMLINUZ]
    assert actions(pointer)[1:] == delivery(LATEST)


@pytest.mark.parametrize(
    ("target", "confirmed"),
    [
        pytest.param("README", ["README"], id="file"),
        pytest.param("prod", ["prod"], id="directory"),
        pytest.param("./prod/../README", ["README"], id="detour"),
    ],
)
def test_symlink_confirms_where_it_leads(target: str, confirmed: list[str]) -> None:
    source = usual().file("README").link("now", target)
    pointer = unit(make_plan(source, Assets()), "now")
    confirm = pointer.steps[0]
    assert isinstance(confirm, steps.Confirm)
    assert [entry.path for entry in confirm.entries] == confirmed
    assert actions(pointer)[1:] == ["link now"]


def test_pointer_that_states_nothing_needs_nothing() -> None:
    assert actions(make_plan(Assets().marker(LATEST, {}), Assets())) == delivery(LATEST)
    assert actions(make_plan(Assets().file("x").link("tree", "."), Assets().file("x"))) == ["link tree"]


@pytest.mark.parametrize(
    ("path", "rules", "reason"),
    [
        pytest.param(
            LATEST,
            choosing(exclude=(f"kernels/{KERNEL}",)),
            f"it names {VMLINUZ}, which this caching server does not get",
            id="kernel",
        ),
        pytest.param(
            "now", choosing(exclude=("README",)), "it names README, which this caching server does not get", id="file"
        ),
        pytest.param(
            "new",
            choosing(exclude=("prod/**",)),
            "it names prod, which this caching server does not get",
            id="directory",
        ),
    ],
)
def test_pointer_to_what_is_not_sent_is_held_back(path: str, rules: Rules, reason: str) -> None:
    source = Assets().kernel().latest().file("README").link("now", "README").file("prod/x").link("new", "prod")
    plan = make_plan(source, Assets(), rules)
    assert plan.held_back == {path: reason}
    assert f"pointer {path}" not in units(plan)


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda a: a.drop(MARKER), id="no-marker"),
        pytest.param(lambda a: a.file(IMAGE, squashfs()[:100]), id="squashfs-cut"),
        pytest.param(lambda a: a.drop(INITRD), id="no-initrd"),
    ],
)
def test_pointer_to_an_image_that_is_held_back_is_held_back(spoil: Change) -> None:
    source = spoil(usual().latest()).image("prod/b", None)
    source.link("now.squashfs", IMAGE).link("now-kernel.json", MARKER).link("any", IMAGE).link(
        "other", "prod/b.squashfs"
    )
    source.link("further", "any")
    plan = make_plan(source, Assets())
    assert {IMAGE, "now.squashfs", "any", "further"} <= set(plan.held_back)
    assert plan.held_back["any"] == f"it names {IMAGE}, which this caching server does not get"
    assert [one for one in seen(plan) if one.startswith("link")] == ["link other"]


def test_pointer_moves_on_only_when_its_image_is_ready() -> None:
    source = usual().image("prod/b").link("now", "prod/b.squashfs")
    there = usual().link("now", "a.squashfs")
    assert make_plan(source.copy().drop("prod/b-kernel.json"), there).units == ()
    assert seen(make_plan(source, there))[-1] == "link now"


@pytest.mark.parametrize("target", ["/etc/passwd", "../passwd", "prod/../../passwd"])
def test_symlink_that_leaves_the_tree_is_refused(target: str) -> None:
    plan = make_plan(usual().link("x", target), usual().file("x"), delete=True)
    assert plan.units == ()
    assert plan.held_back == {"x": "a symlink that leaves the tree"}
