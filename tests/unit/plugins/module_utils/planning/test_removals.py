# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a plan removes at its end, and what it never does."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.netboot.syncer.plugins.module_utils.assets.entries import DIRECTORY, OTHER, Entry
from ansible_collections.netboot.syncer.plugins.module_utils.assets.inventory import Rules
from ansible_collections.netboot.syncer.plugins.module_utils.errors import SyncError
from ansible_collections.netboot.syncer.plugins.module_utils.planning import steps
from ansible_collections.netboot.syncer.plugins.module_utils.source.tree import SourceTree

from tests.unit.plugins.module_utils.planning.plans import (
    IMAGE,
    INITRD,
    MARKER,
    VMLINUZ,
    actions,
    choosing,
    delivery,
    seen,
    units,
    usual,
)
from tests.unit.plugins.module_utils.trees import (
    HOUR,
    KERNEL,
    NOON,
    Assets,
    make_plan,
)


def test_nothing_is_removed_unless_asked() -> None:
    plan = make_plan(Assets().kernel(), usual().file("README"))
    assert plan.units == ()
    assert list(plan.only_there) == ["README", MARKER, IMAGE]


def test_markers_are_withdrawn_before_any_file_goes() -> None:
    there = usual().image("dev/b", None).file("README").link("now", "prod/a.squashfs")
    plan = make_plan(Assets().file("INSTALL"), there, delete=True)
    assert actions(plan) == [
        *delivery("INSTALL"),
        "withdraw dev/b-kernel.json",
        f"withdraw {MARKER}",
        "remove README",
        "remove dev/b.squashfs",
        f"remove {INITRD}",
        f"remove {VMLINUZ}",
        "remove now",
        f"remove {IMAGE}",
        "remove prod",
        f"remove kernels/{KERNEL}",
        "remove kernels",
        "remove dev",
    ]
    assert {one.kind for one in plan.units[1:]} == {"removal"}
    assert [
        step.path for one in plan.units for step in one.steps if isinstance(step, steps.Remove) and step.directory
    ] == [
        "prod",
        f"kernels/{KERNEL}",
        "kernels",
        "dev",
    ]


@pytest.mark.parametrize(
    ("max_delete", "refused"),
    [
        pytest.param(3, "", id="as-many-as-allowed"),
        pytest.param(2, "3 files would be removed, but max_delete allows 2: none was removed", id="one-too-many"),
        pytest.param(0, "3 files would be removed, but max_delete allows 0: none was removed", id="none-allowed"),
    ],
)
def test_max_delete(max_delete: int, refused: str) -> None:
    source = Assets().kernel().image("prod/new", None)
    there = usual().file("README")
    plan = make_plan(source, there, delete=True, max_delete=max_delete)
    assert plan.refused.startswith(refused)
    assert bool(plan.refused) == bool(refused)
    removals = [] if refused else [f"withdraw {MARKER}", "remove README", f"remove {IMAGE}"]
    assert actions(plan) == [
        *delivery("prod/new.squashfs"),
        "confirm prod/new.squashfs",
        *delivery("prod/new-kernel.json"),
        *removals,
    ]


@pytest.mark.parametrize("renewed", [False, True])
def test_image_of_which_the_netboot_server_has_only_the_marker_is_left_over(renewed: bool) -> None:
    """It does not matter whether that marker is the site's or a newer one: its squashfs is gone."""
    source = usual()
    if renewed:
        source.marker("prod/a-kernel.json", {"version": KERNEL, "note": "renewed"}, mtime=NOON + 1)
    source.drop(IMAGE)
    for delete in (False, True):
        plan = make_plan(source, usual(), delete=delete)
        assert actions(plan) == []
        assert "but its squashfs is gone, and its marker is still on the netboot server" in plan.left_over[IMAGE]
        assert IMAGE not in plan.held_back


def test_nothing_to_remove_is_allowed_by_any_max_delete() -> None:
    assert make_plan(usual(), usual(), delete=True, max_delete=0).refused == ""


@pytest.mark.parametrize(
    ("rules", "removed"),
    [
        pytest.param(Rules(), ["dev/x", "prod/x", "x"], id="everything"),
        pytest.param(choosing(include=("prod/**",)), ["prod/x"], id="include"),
        pytest.param(choosing(exclude=("prod/**", "/x")), ["dev/x"], id="exclude"),
        pytest.param(choosing(include=("prod/**",), exclude=("x",)), [], id="both"),
    ],
)
def test_nothing_outside_the_selection_is_removed(rules: Rules, removed: list[str]) -> None:
    source = Assets().file("dev/keep").file("prod/keep").file("keep")
    there = source.copy().file("dev/x").file("prod/x").file("x")
    there.file(".hidden").file("prod/.hidden").file(".netboot-sync/lock")
    plan = make_plan(source, there, rules, delete=True)
    assert actions(plan) == [f"remove {path}" for path in removed]
    assert list(plan.only_there) == removed


@pytest.mark.parametrize(
    ("source", "there", "told"),
    [
        pytest.param(usual(), usual().marker("prod/a.json", {}), ["prod/a.json"], id="one-of-two"),
        pytest.param(
            usual(),
            usual().marker("prod/a.json", {}).marker("prod/a.squashfs.json", {}),
            ["prod/a.json", "prod/a.squashfs.json"],
            id="two-of-three",
        ),
        pytest.param(Assets().kernel(), usual(), [IMAGE], id="the-only-one"),
    ],
)
def test_image_is_withdrawn_only_with_its_last_marker(source: Assets, there: Assets, told: list[str]) -> None:
    plan = make_plan(source, there, delete=True)
    hiding = [one for one in plan.units if isinstance(one.steps[0], steps.Withdraw)]
    assert [one.path for one in hiding][: len(told)] == told
    assert (IMAGE in plan.unchanged) == (IMAGE not in told)


def test_broken_marker_beside_a_good_one_is_told_by_its_own_name() -> None:
    there = usual().marker("prod/a.json", {"version": "5.7"})
    assert units(make_plan(usual(), there)) == ["withdrawal prod/a.json"]


@pytest.mark.parametrize(
    "source",
    [
        pytest.param(usual().drop(MARKER), id="no-marker"),
        pytest.param(usual().file(IMAGE, b""), id="squashfs-empty"),
        pytest.param(usual().marker(MARKER, b"{"), id="marker-cut"),
        pytest.param(usual().drop(INITRD), id="no-initrd"),
    ],
)
def test_squashfs_that_is_held_back_is_not_removed(source: Assets) -> None:
    plan = make_plan(source, usual(), delete=True)
    assert f"remove {IMAGE}" not in actions(plan)


def test_file_that_cannot_be_sent_is_not_removed() -> None:
    source = Assets().put(Entry("x", OTHER)).link("y", "/etc").file("z")
    assert make_plan(source, Assets().file("x").file("y").file("z"), delete=True).units == ()


@pytest.mark.parametrize(
    "rules",
    [
        pytest.param(choosing(exclude=("dev/**",)), id="marker-outside-the-selection"),
        pytest.param(Rules(), id="marker-of-an-image-that-is-held-back"),
    ],
)
def test_kernel_that_a_marker_there_names_stays(rules: Rules) -> None:
    source = Assets().kernel("6.1").marker("dev/b-kernel.json", {"version": "6.1"}, mtime=NOON + HOUR)
    there = Assets().kernel("6.1").kernel("5.8").kernel("5.7").image("dev/b", "5.8")
    plan = make_plan(source, there, rules, delete=True)
    assert seen(plan) == ["remove kernels/5.7/initrd", "remove kernels/5.7/vmlinuz", "remove kernels/5.7"]


def test_kernel_goes_with_the_last_image_that_names_it() -> None:
    source = Assets().kernel("6.1").image("prod/a", "6.1")
    there = source.copy().kernel("5.8").image("prod/b", "5.8").image("prod/c", "5.8")
    assert seen(make_plan(source, there, delete=True)) == [
        "withdraw prod/b-kernel.json",
        "withdraw prod/c-kernel.json",
        "remove kernels/5.8/initrd",
        "remove kernels/5.8/vmlinuz",
        "remove prod/b.squashfs",
        "remove prod/c.squashfs",
        "remove kernels/5.8",
    ]


@pytest.mark.parametrize("path", ["kernels/5.8/initrd", "prod/b.squashfs"])
def test_file_that_was_promised_goes_only_with_its_marker(path: str) -> None:
    # The unit that withdraws the marker may have failed before.
    there = Assets().kernel("5.8").image("prod/b", "5.8")
    removal = [one for one in make_plan(Assets().file("x"), there, delete=True).units if one.path == path][-1]
    assert actions(removal) == ["withdraw prod/b-kernel.json", f"remove {path}"]


def test_what_the_netboot_server_holds_is_not_removed_whatever_it_is() -> None:
    source = Assets().kernel().image("prod/b").file("x/y")  # prod/b is not chosen, x is a directory
    there = Assets().kernel().image("prod/b").file("x")
    plan = make_plan(source, there, choosing(exclude=("b.squashfs",)), delete=True)
    assert plan.units == ()
    assert plan.only_there == {}
    assert list(plan.impossible) == ["x/y"]


def test_directory_stays_while_anything_needs_it() -> None:
    source = Assets().put(Entry("kept", DIRECTORY)).file("a/new")
    there = Assets().file("kept/x").file("a/x").file("b/c/x").file("b/y")
    plan = make_plan(source, there, choosing(exclude=("y",)), delete=True)
    assert seen(plan) == ["publish a/new", "remove a/x", "remove b/c/x", "remove kept/x", "remove b/c"]


@pytest.mark.parametrize(
    ("rules", "chosen"),
    [
        pytest.param(choosing(include=("*.squashfs",)), True, id="include-squashfs-only"),
        pytest.param(choosing(exclude=("*.json",)), True, id="exclude-json"),
        pytest.param(choosing(include=("*.json",)), False, id="include-json-only"),
        pytest.param(choosing(exclude=("*.squashfs",)), False, id="exclude-squashfs-only"),
        pytest.param(choosing(include=("prod",), exclude=("a-kernel.json",)), True, id="exclude-this-marker"),
    ],
)
def test_marker_is_chosen_exactly_when_its_squashfs_is(rules: Rules, chosen: bool) -> None:
    image = Assets().image("prod/a", None)
    assert seen(make_plan(image, Assets(), rules)) == ([f"publish {IMAGE}", f"publish {MARKER}"] if chosen else [])
    hidden = [f"withdraw {MARKER}"] if chosen else []
    assert seen(make_plan(Assets().file("x.md"), image.copy().drop(IMAGE).file("x.md"), rules))[:1] == hidden
    gone = seen(make_plan(Assets().file("x.md"), image.copy().file("x.md"), rules, delete=True))
    assert gone[:2] == ([f"withdraw {MARKER}", f"remove {IMAGE}"] if chosen else [])


@pytest.mark.parametrize(
    ("include", "removed"),
    [
        pytest.param(("dev/old/**",), ["dev/old/x"], id="below-a-directory"),
        pytest.param(("dev/old",), ["dev/old/x", "dev/old"], id="with-the-directory"),
        pytest.param(("dev/**",), ["dev/old/x", "dev/old"], id="one-level-further-up"),
        pytest.param(("x",), ["dev/old/x"], id="by-name"),
        pytest.param((), ["dev/old/x", "dev/old", "dev"], id="everything"),
    ],
)
def test_emptied_directory_goes_only_where_it_is_chosen_itself(include: tuple[str, ...], removed: list[str]) -> None:
    plan = make_plan(
        Assets().file("README"), Assets().file("README").file("dev/old/x"), choosing(include=include), delete=True
    )
    assert seen(plan) == [f"remove {path}" for path in removed]


@pytest.mark.parametrize(
    "source",
    [
        pytest.param(Assets(), id="nothing"),
        pytest.param(Assets().put(Entry("prod", DIRECTORY)).put(Entry("kernels", DIRECTORY)), id="only-directories"),
    ],
)
def test_nothing_is_removed_for_an_empty_source(source: Assets) -> None:
    plan = make_plan(source, usual().file("README"), delete=True)
    assert plan.refused.startswith("the netboot server's tree is empty: nothing was removed")
    assert plan.units == ()


@pytest.mark.parametrize(
    "names",
    [
        pytest.param([], id="nothing"),
        pytest.param(["prod/", "kernels/5.8/"], id="only-directories"),
        pytest.param([".lost+found", "prod/.keep"], id="only-hidden-names"),
    ],
)
def test_empty_source_never_becomes_a_plan(tmp_path: Path, names: list[str]) -> None:
    # A tree that is not mounted is noticed before any connection; the planner would remove nothing either.
    for name in names:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith("/"):
            path.mkdir()
        else:
            path.touch()
    with pytest.raises(SyncError, match="the assets tree is empty"):
        SourceTree(str(tmp_path)).scan()
