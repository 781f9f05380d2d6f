# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is damaged, lacks read permission, or is sent as a difference; and what is in the way."""

from __future__ import annotations

import pytest
from ansible_collections.netboot.syncer.plugins.module_utils.assets.entries import DIRECTORY, OTHER, Entry
from ansible_collections.netboot.syncer.plugins.module_utils.planning import basis, steps
from ansible_collections.netboot.syncer.plugins.module_utils.planning.plan import Plan

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
    HOUR,
    KERNEL,
    NOON,
    Assets,
    Server,
    make_plan,
    squashfs,
)


@pytest.mark.parametrize(
    ("damaged", "planned"),
    [
        pytest.param(
            IMAGE,
            [f"withdraw {MARKER}", *delivery(IMAGE), f"confirm {IMAGE}", *delivery(MARKER)],
            id="squashfs",
        ),
        pytest.param(
            INITRD,
            [f"withdraw {MARKER}", *delivery(INITRD), f"confirm {IMAGE}", *delivery(MARKER)],
            id="initrd",
        ),
        pytest.param(MARKER, [f"withdraw {MARKER}", f"confirm {IMAGE}", *delivery(MARKER)], id="marker"),
        pytest.param("README", delivery("README"), id="plain-file"),
        pytest.param(LATEST, [f"confirm {LATEST}", *delivery(LATEST)], id="pointer"),
    ],
)
def test_damage_is_repaired(damaged: str, planned: list[str]) -> None:
    source = usual().latest().file("README").kernel("6.1").image("prod/b", "6.1")
    plan = make_plan(source, source.copy(), damaged=frozenset({damaged}))
    assert actions(plan) == planned
    withdrawals = [one for one in plan.units if one.kind == "withdrawal"]
    assert [one.reason for one in withdrawals] == [f"{damaged} is damaged there"] * len(withdrawals)
    for one in plan.units[len(withdrawals) :]:
        assert (one.outcome, one.reason) == ("repaired", f"{damaged} was damaged on the caching server")
    assert damaged not in plan.unchanged
    assert "prod/b.squashfs" in plan.unchanged


@pytest.mark.parametrize(
    ("there", "damaged"),
    [
        pytest.param(usual(), frozenset({MARKER}), id="damaged"),
        pytest.param(usual().file(IMAGE, b""), frozenset(), id="squashfs-lost"),
    ],
)
def test_withdrawn_marker_is_no_basis(there: Assets, damaged: frozenset[str]) -> None:
    plan = make_plan(usual(), there, damaged=damaged)
    assert f"withdraw {MARKER}" in actions(plan)
    (send,) = [
        step for one in plan.units for step in one.steps if isinstance(step, steps.Send) and step.entry.path == MARKER
    ]
    assert send.basis is None


def test_new_file_is_no_repair() -> None:
    source = usual().image("prod/b", None)
    plan = make_plan(source, usual(), damaged=frozenset({IMAGE}))
    assert unit(plan, "prod/b.squashfs").outcome == "published"


@pytest.mark.parametrize(
    ("closed", "planned", "path"),
    [
        pytest.param(IMAGE, [f"permit {IMAGE}", f"confirm {IMAGE}"], IMAGE, id="squashfs"),
        pytest.param(MARKER, [f"confirm {IMAGE}", *delivery(MARKER)], IMAGE, id="marker-comes-anew-behind-a-look"),
        pytest.param(INITRD, [f"permit {INITRD}"], f"kernels/{KERNEL}", id="initrd"),
        pytest.param("README", ["permit README"], "README", id="plain-file"),
        pytest.param(LATEST, [f"confirm {LATEST}", f"permit {LATEST}"], LATEST, id="pointer"),
    ],
)
def test_file_that_only_its_owner_can_read_is_opened(closed: str, planned: list[str], path: str) -> None:
    source = usual().latest().file("README").image("prod/b", None)
    there = source.copy().mode(0o644, *source.content).mode(0o600, closed)
    plan = make_plan(source, there)
    assert actions(plan) == planned
    reason = f"{closed} could be read by its owner alone on the caching server (mode 0600)"
    assert [(one.path, one.outcome, one.reason) for one in plan.units] == [(path, "repaired", reason)]
    assert closed not in plan.unchanged
    for _unit, _step in Server(there, source).carry_out(plan):
        pass
    assert make_plan(source, there).units == ()


def test_all_of_an_image_is_opened_before_its_marker_shows() -> None:
    plan = make_plan(usual(), usual().mode(0o600, IMAGE, MARKER, INITRD, VMLINUZ))
    assert seen(plan) == [f"permit {INITRD}", f"permit {VMLINUZ}", f"permit {IMAGE}", f"publish {MARKER}"]


def test_what_is_sent_anew_or_not_chosen_is_not_opened() -> None:
    there = (
        usual().file(IMAGE, squashfs()[:100]).file("dev/x").file("only-there").mode(0o600, IMAGE, "dev/x", "only-there")
    )
    plan = make_plan(usual().file("dev/x"), there, choosing(exclude=("dev/**",)))
    assert seen(plan) == [f"withdraw {MARKER}", f"publish {IMAGE}", f"publish {MARKER}"]
    assert [one.outcome for one in plan.units] == ["published"]


def bases(plan: Plan) -> dict[str, str | None]:
    return {
        step.entry.path: step.basis
        for one in plan.units
        for step in one.steps
        if isinstance(step, steps.Send) and not step.entry.path.endswith(".json")
    }


def test_what_was_sent_early_is_the_basis_of_what_follows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(basis, "SMALLEST", 0)
    source = Assets().kernel("6.1").kernel("6.2", mtime=NOON + HOUR)
    source.image("prod/21-04-09-gnome-master-f1d734e", "6.2", mtime=NOON + HOUR)
    source.image("prod/21-04-07-gnome-master-0a1b2c3", "6.1")
    source.image("prod/21-04-08-kde-master-0a1b2c3", "6.1")
    assert bases(make_plan(source, Assets().kernel("5.8"))) == {
        "kernels/6.2/initrd": "kernels/5.8/initrd",
        "kernels/6.2/vmlinuz": "kernels/5.8/vmlinuz",
        "kernels/6.1/initrd": "kernels/6.2/initrd",
        "kernels/6.1/vmlinuz": "kernels/6.2/vmlinuz",
        "prod/21-04-09-gnome-master-f1d734e.squashfs": None,
        "prod/21-04-08-kde-master-0a1b2c3.squashfs": None,
        "prod/21-04-07-gnome-master-0a1b2c3.squashfs": "prod/21-04-09-gnome-master-f1d734e.squashfs",
    }


def test_a_small_file_is_no_difference() -> None:
    assert bases(make_plan(usual(), usual().file(IMAGE, squashfs("2"), mtime=NOON - 1))) == {IMAGE: None}


def test_changed_file_is_the_difference_to_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(basis, "SMALLEST", 0)
    assert bases(make_plan(usual(), usual().file(IMAGE, squashfs("2"), mtime=NOON - 1))) == {IMAGE: IMAGE}


@pytest.mark.parametrize(
    ("put", "failed", "reason"),
    [
        pytest.param(
            lambda a: a.link("prod", "/srv/other"),
            IMAGE,
            "prod is a symlink on the caching server, and a sync never writes through one; remove it there",
            id="symlink-for-a-directory",
        ),
        pytest.param(
            lambda a: a.link("prod", "dev").file("dev/x"),
            IMAGE,
            "prod is a symlink on the caching server, and a sync never writes through one; remove it there",
            id="symlink-inside-the-tree-for-a-directory",
        ),
        pytest.param(
            lambda a: a.file("prod"),
            IMAGE,
            "prod is not a directory on the caching server; remove it there",
            id="file-for-a-directory",
        ),
        pytest.param(
            lambda a: a.put(Entry(IMAGE, DIRECTORY)),
            IMAGE,
            "it is a directory on the caching server; remove it there",
            id="directory-for-a-squashfs",
        ),
        pytest.param(
            lambda a: a.put(Entry(MARKER, DIRECTORY)),
            IMAGE,
            "it is a directory on the caching server; remove it there",
            id="directory-for-a-marker",
        ),
        pytest.param(
            lambda a: a.put(Entry(MARKER, OTHER)),
            IMAGE,
            "it is a pipe, a socket or a device on the caching server; remove it there",
            id="pipe-for-a-marker",
        ),
        pytest.param(
            lambda a: a.put(Entry("README", OTHER)),
            "README",
            "it is a pipe, a socket or a device on the caching server; remove it there",
            id="pipe-for-a-file",
        ),
        pytest.param(
            lambda a: a.put(Entry("now", DIRECTORY)),
            "now",
            "it is a directory on the caching server; remove it there",
            id="directory-for-a-symlink",
        ),
        pytest.param(
            lambda a: a.link(f"kernels/{KERNEL}/modules", "/lib/modules"),
            f"kernels/{KERNEL}/modules/x",
            f"kernels/{KERNEL}/modules is a symlink on the caching server,"
            " and a sync never writes through one; remove it there",
            id="symlink-in-a-kernel-directory",
        ),
    ],
)
def test_obstacle(put: Change, failed: str, reason: str) -> None:
    source = Assets().kernel().file(f"kernels/{KERNEL}/modules/x").image("prod/a").image("dev/b", None)
    source.file("README").file("INSTALL").link("now", "INSTALL")
    everything = units(make_plan(source, Assets()))
    plan = make_plan(source, put(Assets()))
    prevented = {failed}
    if failed.startswith("kernels/"):
        prevented = {f"kernels/{KERNEL}", IMAGE}
        assert plan.impossible.pop(IMAGE) == f"it requires {failed}: {reason}"
    assert plan.impossible == {failed: reason}
    assert units(plan) == [one for one in everything if one.split()[1] not in prevented]  # everything else is tried


def test_files_and_symlinks_take_each_others_place() -> None:
    source = Assets().file("a").file("b").link("c", "a")
    there = Assets().link("a", "b").file("b").file("c")
    assert actions(make_plan(source, there)) == [*delivery("a"), "confirm c", "link c"]
