# Copyright: (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From two trees to a plan: what it does, in which order, and what it never does."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.netboot.syncer.plugins.module_utils.assets.entries import DIRECTORY, OTHER, Entry
from ansible_collections.netboot.syncer.plugins.module_utils.assets.images import find
from ansible_collections.netboot.syncer.plugins.module_utils.assets.inventory import Rules
from ansible_collections.netboot.syncer.plugins.module_utils.assets.marker import parse
from ansible_collections.netboot.syncer.plugins.module_utils.assets.patterns import Selection
from ansible_collections.netboot.syncer.plugins.module_utils.errors import SyncError
from ansible_collections.netboot.syncer.plugins.module_utils.planning import planner, promises, steps
from ansible_collections.netboot.syncer.plugins.module_utils.planning.order import LARGE_FILE
from ansible_collections.netboot.syncer.plugins.module_utils.planning.plan import Plan
from ansible_collections.netboot.syncer.plugins.module_utils.planning.promises import wanted_markers
from ansible_collections.netboot.syncer.plugins.module_utils.source.tree import SourceTree
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.plugins.module_utils.trees import (
    HOUR,
    KERNEL,
    NOON,
    Assets,
    Server,
    make_plan,
    squashfs,
)

LATEST = "kernels/latest-kernel-version.json"
VMLINUZ = f"kernels/{KERNEL}/vmlinuz"
INITRD = f"kernels/{KERNEL}/initrd"
IMAGE = "prod/a.squashfs"
MARKER = "prod/a-kernel.json"

Change = Callable[[Assets], Assets]


def usual() -> Assets:
    return Assets().kernel().image("prod/a")


def units(plan: Plan) -> list[str]:
    return [f"{unit.kind} {unit.path}" for unit in plan.units]


def actions(planned: Plan | steps.Unit) -> list[str]:
    """All steps in order. A withdrawal that an earlier unit made already is not made again."""
    found = planned.units if isinstance(planned, Plan) else (planned,)
    listed: list[str] = []
    for step in (step for one in found for step in one.steps):
        action = f"{step.name} {step.path}"
        if not isinstance(step, steps.Withdraw) or action not in listed:
            listed.append(action)
    return listed


def seen(planned: Plan | steps.Unit) -> list[str]:
    """The actions that a client can see."""
    visible = ("withdraw", "publish", "permit", "link", "remove")
    return [action for action in actions(planned) if action.split()[0] in visible]


def unit(plan: Plan, path: str) -> steps.Unit:
    """The one unit of this path."""
    (found,) = [one for one in plan.units if one.path == path]
    return found


def delivery(path: str) -> list[str]:
    return [f"{name} {path}" for name in ("send", "check", "flush", "publish")]


def staging(path: str) -> list[str]:
    return delivery(path)[:-1]


def swap(*withdrawn: str) -> list[str]:
    """Replace the image: all that is new lies beside the old one before clients see any of it."""
    return [
        *staging(IMAGE),
        *staging(MARKER),
        *(f"withdraw {marker}" for marker in withdrawn),
        f"publish {IMAGE}",
        f"confirm {IMAGE}",
        f"publish {MARKER}",
    ]


def choosing(*, include: tuple[str, ...] = (), exclude: tuple[str, ...] = ()) -> Rules:
    return Rules(selection=Selection(include=include, exclude=exclude))


# -- the order ----------------------------------------------------------------------------------------------------


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


# -- one image ----------------------------------------------------------------------------------------------------


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


def linked(text: str = "1", *, mtime: int = NOON) -> Assets:
    """An image whose squashfs is a symlink to a file of another name."""
    return Assets().file("prod/a.img", squashfs(text), mtime=mtime).link(IMAGE, "a.img").marker(MARKER, {})


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


# -- kernels ------------------------------------------------------------------------------------------------------


def test_kernel_is_staged_whole_before_any_of_it_shows() -> None:
    plan = make_plan(Assets().kernel(), Assets())
    staged = [f"{name} {path}" for path in (INITRD, VMLINUZ) for name in ("send", "check", "flush")]
    assert actions(plan) == [*staged, f"publish {INITRD}", f"publish {VMLINUZ}"]


def test_kernel_that_changes_hides_its_images_only_for_the_swap() -> None:
    source = usual().kernel(build="2", mtime=NOON + HOUR).kernel("6.1").image("prod/b", "6.1")
    there = usual().kernel("6.1").image("prod/b", "6.1").image("prod/only-there")
    plan = make_plan(source, there)
    staged = [f"{name} {path}" for path in (INITRD, VMLINUZ) for name in ("send", "check", "flush")]
    assert actions(plan) == [
        *staged,
        f"withdraw {MARKER}",
        "withdraw prod/only-there-kernel.json",
        f"publish {INITRD}",
        f"publish {VMLINUZ}",
        f"confirm {IMAGE}",
        *delivery(MARKER),
    ]
    assert "prod/b.squashfs" in plan.unchanged


def test_one_file_of_a_kernel_is_swapped_in_one_rename() -> None:
    source = usual().file(INITRD, b"rebuilt", mtime=NOON + HOUR)
    assert actions(make_plan(source, usual())) == delivery(INITRD)


def test_file_that_joins_a_kernel_hides_nothing() -> None:
    source = usual().file(f"kernels/{KERNEL}/config")
    there = usual().drop(MARKER)
    assert actions(make_plan(source, there)) == [
        *delivery(f"kernels/{KERNEL}/config"),
        f"confirm {IMAGE}",
        *delivery(MARKER),
    ]


def test_files_that_join_a_kernel_withdraw_no_image() -> None:
    more = [f"kernels/{KERNEL}/config", f"kernels/{KERNEL}/map"]
    plan = make_plan(usual().file(more[0]).file(more[1]), usual().image("prod/only-there"))
    assert seen(plan) == [f"publish {path}" for path in more]
    assert IMAGE in plan.unchanged


def test_file_that_joins_a_kernel_leaves_what_is_not_chosen() -> None:
    source = usual().file(f"kernels/{KERNEL}/config").file(f"kernels/{KERNEL}/map")
    there = Assets().kernel().image("dev/b")
    assert "withdraw dev/b-kernel.json" not in actions(make_plan(source, there, choosing(exclude=("dev/**",))))


def test_symlinks_of_a_kernel_come_last() -> None:
    source = Assets().kernel().link(f"kernels/{KERNEL}/boot", "vmlinuz")
    plan = make_plan(source, Assets())
    assert seen(plan) == [f"publish {INITRD}", f"publish {VMLINUZ}", f"link kernels/{KERNEL}/boot"]


# -- withdrawn before all else ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lose", "reason"),
    [
        pytest.param(lambda a: a.drop(IMAGE), f"{IMAGE} is not there", id="squashfs"),
        pytest.param(lambda a: a.drop(f"kernels/{KERNEL}"), f"{VMLINUZ} is not there", id="kernel-directory"),
        pytest.param(lambda a: a.drop(VMLINUZ), f"{VMLINUZ} is not there", id="kernel"),
        pytest.param(lambda a: a.drop(INITRD), f"{INITRD} is not there", id="initrd"),
        pytest.param(lambda a: a.file(IMAGE, b""), f"{IMAGE} is empty", id="squashfs-empty"),
        pytest.param(lambda a: a.file(INITRD, b""), f"{INITRD} is empty", id="initrd-empty"),
        pytest.param(lambda a: a.drop(IMAGE).link(IMAGE, "b"), "prod/b is not there", id="squashfs-symlink-to-nowhere"),
    ],
)
def test_marker_without_its_closure_is_withdrawn_first(lose: Change, reason: str) -> None:
    source = usual().file(f"kernels/{KERNEL}/config").file("README").image("prod/new", None, mtime=NOON + HOUR)
    there = lose(usual().file(f"kernels/{KERNEL}/config"))
    plan = make_plan(source, there)
    first = plan.units[0]
    assert (first.kind, first.path, first.outcome, first.reason) == ("withdrawal", IMAGE, "withdrawn", reason)
    assert actions(first) == [f"withdraw {MARKER}"]
    assert actions(plan).count(f"withdraw {MARKER}") == 1
    at = actions(plan).index(f"confirm {IMAGE}")
    assert actions(plan)[at : at + 5] == [f"confirm {IMAGE}", *delivery(MARKER)]


@pytest.mark.parametrize("path", [IMAGE, INITRD])
@pytest.mark.parametrize("kind", [DIRECTORY, OTHER])
def test_only_files_keep_a_promise(path: str, kind: str) -> None:
    plan = make_plan(usual(), usual().drop(path).put(Entry(path, kind)))
    assert actions(plan.units[0]) == [f"withdraw {MARKER}"]
    assert sorted(plan.impossible) == sorted({path, IMAGE})


@pytest.mark.parametrize(
    ("source", "held_back"),
    [
        pytest.param(Assets().kernel("6.1"), [], id="only-there"),
        pytest.param(Assets().kernel("6.1").marker(MARKER, {"version": "6.2"}), [IMAGE], id="not-ready"),
    ],
)
def test_marker_that_will_not_come_back_is_withdrawn_all_the_same(source: Assets, held_back: list[str]) -> None:
    there = Assets().kernel("6.1").image("prod/a", "6.0")
    plan = make_plan(source, there)
    assert actions(plan) == [f"withdraw {MARKER}"]
    assert list(plan.held_back) == held_back
    assert MARKER not in plan.only_there


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b'{"version": "5.8.0-43-generic"}', id="complete"),
        pytest.param(b"{}", id="requires-nothing"),
        pytest.param(b'{"version": "../../etc"}', id="names-no-kernel"),
        pytest.param(b"{", id="not-json"),
    ],
)
def test_marker_only_there_stays_while_its_squashfs_does(content: bytes) -> None:
    plan = make_plan(Assets().kernel(), usual().marker(MARKER, content))
    assert plan.units == ()
    assert list(plan.only_there) == [MARKER, IMAGE]


def test_empty_squashfs_that_only_the_caching_server_has_costs_its_marker() -> None:
    there = usual().file(IMAGE, b"")
    plan = make_plan(Assets().kernel(), there)
    assert actions(plan) == [f"withdraw {MARKER}"]
    assert [(one.path, one.outcome, one.reason) for one in plan.units] == [(IMAGE, "withdrawn", f"{IMAGE} is empty")]
    assert list(plan.only_there) == [IMAGE]
    assert seen(make_plan(Assets().kernel(), there, delete=True))[:2] == [f"withdraw {MARKER}", f"remove {IMAGE}"]


def test_marker_outside_the_selection_is_not_withdrawn() -> None:
    there = Assets().image("dev/a")
    assert make_plan(usual(), there, choosing(include=("prod/**",))).units[0].kind == "kernel"
    assert "withdraw dev/a-kernel.json" in actions(make_plan(Assets().file("README"), there))


def test_markers_that_must_be_read_there() -> None:
    source = usual().image("prod/b").image("prod/c")
    there = source.copy().marker("prod/b-kernel.json", {}).image("prod/d").drop("prod/c.squashfs")
    there.link("prod/e-kernel.json", "d-kernel.json").file("README.json").latest()
    there.link("prod/f-kernel.json", "f.txt").file("prod/f.txt", b"{}")
    wanted = ["prod/b-kernel.json", "prod/d-kernel.json", "prod/f.txt"]
    assert wanted_markers(source.inventory(), source.tree, there.tree, Rules()) == wanted


def test_marker_that_could_not_be_read_here_is_read_there() -> None:
    inventory = usual().inventory(unreadable={MARKER: "Permission denied"})
    assert wanted_markers(inventory, usual().tree, usual().tree, Rules()) == [MARKER]


# -- verify -------------------------------------------------------------------------------------------------------


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


# -- permissions --------------------------------------------------------------------------------------------------


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


# -- differences --------------------------------------------------------------------------------------------------


def bases(plan: Plan) -> dict[str, str | None]:
    return {
        step.entry.path: step.basis
        for one in plan.units
        for step in one.steps
        if isinstance(step, steps.Send) and not step.entry.path.endswith(".json")
    }


def test_what_was_sent_early_is_the_basis_of_what_follows() -> None:
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


def test_changed_file_is_the_difference_to_itself() -> None:
    assert bases(make_plan(usual(), usual().file(IMAGE, squashfs("2"), mtime=NOON - 1))) == {IMAGE: IMAGE}


# -- pointers -----------------------------------------------------------------------------------------------------


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


# -- obstacles on the caching server ------------------------------------------------------------------------------


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
            "prod is no directory on the caching server; remove it there",
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
    assert units(plan) == [one for one in everything if one.split()[1] not in prevented]  # all else is tried


def test_files_and_symlinks_take_each_others_place() -> None:
    source = Assets().file("a").file("b").link("c", "a")
    there = Assets().link("a", "b").file("b").file("c")
    assert actions(make_plan(source, there)) == [*delivery("a"), "confirm c", "link c"]


# -- removals -----------------------------------------------------------------------------------------------------


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
    """Whether that marker is the one at the site or a newer one: the squashfs that it was about is gone."""
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
    # What is not mounted is found out before anybody connects; the planner would remove nothing either.
    for name in names:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith("/"):
            path.mkdir()
        else:
            path.touch()
    with pytest.raises(SyncError, match="the assets tree is empty"):
        SourceTree(str(tmp_path)).scan()


# -- at every moment ----------------------------------------------------------------------------------------------

VERSIONS = ("5.8", "6.1")
NAMES = ("prod/a", "prod/b")
SUFFIXES = ("-kernel.json", ".squashfs.json")


@st.composite
def sources(draw: st.DrawFn) -> Assets:
    """A netboot server's tree: kernels, images with a marker or without, whole or cut, a pointer. No symlinks."""
    assets = Assets().file("README", draw(st.sampled_from([b"1", b"22"])))
    for version in VERSIONS:
        build = draw(st.sampled_from(["", "1", "2"]))
        if build:
            assets.kernel(version, build)
    for name in NAMES:
        text = draw(st.sampled_from(["", "1", "2"]))
        suffix = draw(st.sampled_from(["", *SUFFIXES]))
        if text:
            cut = draw(st.sampled_from([None, None, None, 100]))
            assets.file(f"{name}.squashfs", squashfs(text)[:cut])
        if suffix:
            version = draw(st.sampled_from(["", *VERSIONS]))
            assets.marker(f"{name}{suffix}", {"version": version} if version else {})
    if draw(st.booleans()):
        assets.latest(draw(st.sampled_from(VERSIONS)))
    for path, content in list(assets.content.items()):
        assets.file(path, content, mtime=zlib.crc32(content))  # other content, other time
    return assets


def closures(assets: Assets) -> dict[str, list[bytes | None]]:
    """By marker: its own content, and of all that it promises; None stands for what is not there."""
    found = {}
    for marker, image in find(assets.tree, pointers=Rules().pointers).pairs.items():
        version = parse(assets.content[marker]).version
        kernel = [f"kernels/{version}/{name}" for name in ("vmlinuz", "initrd") if version]
        found[marker] = [assets.content.get(path) for path in (marker, image, *kernel)]
    return found


def promised(source: Assets) -> dict[str, list[bytes | None]]:
    """The same of the images that are ready: nothing else may ever show on a caching server."""
    ready = {entry.path for image in source.inventory().images if image.ready for entry in image.markers}
    return {marker: found for marker, found in closures(source).items() if marker in ready}


def published(source: Assets) -> Assets:
    """A caching server after its first sync."""
    there, allowed = Assets(), promised(source)
    for _unit, _step in Server(there, source).carry_out(make_plan(source, there)):
        assert closures(there).items() <= allowed.items()
    return there


# The order of steps under crashes and failures is for tests/model; here it is the plan, from every state of two trees.
@settings(database=None, derandomize=True, deadline=None, max_examples=60)
@given(before=sources(), source=sources(), data=st.data())
def test_plan_from_any_state(before: Assets, source: Assets, data: st.DataObject) -> None:
    there = published(before)
    lost = data.draw(st.lists(st.sampled_from(sorted(there.tree)), max_size=2))
    there.drop(*lost)
    allowed = [promised(before), promised(source)]
    kept = {marker for marker, found in closures(there).items() if allowed[1].get(marker) == found}
    for one, _step in Server(there, source).carry_out(make_plan(source, there)):
        shown = closures(there)
        if one.kind != "withdrawal":  # what was lost is hidden first
            assert not [marker for marker, found in shown.items() if found not in [one.get(marker) for one in allowed]]
        assert kept <= set(shown)  # never withdrawn: the netboot server still holds it unchanged
    assert promised(source).items() <= closures(there).items()
    assert there.content["README"] == source.content["README"]
    assert make_plan(source, there).units == ()


# -- cost -------------------------------------------------------------------------------------------------------------


def many(count: int) -> Assets:
    """Images of several directories and days, by turns with one of four kernels."""
    found = Assets()
    for number in range(4):
        found.kernel(f"5.{number}.0", mtime=NOON + number)
    for number in range(count):
        found.image(f"{number % 3}/{number:05}-gnome", f"5.{number % 4}.0", mtime=NOON + number % 50 * HOUR)
    return found


def cost(source: Assets, there: Assets) -> int:
    """How many calls a plan takes: the same on every machine."""
    calls = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    inventory = source.inventory()
    known = promises.There(there.tree)
    before = sys.getprofile()
    sys.setprofile(count)
    try:
        planner.make_plan(inventory, source.tree, known, Rules())
    finally:
        sys.setprofile(before)
    return calls


def new_kernels(source: Assets) -> Assets:
    for number in range(4):
        source.kernel(f"5.{number}.0", build="2", mtime=NOON + HOUR)
    return source


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda source: source, id="in-line"),
        pytest.param(new_kernels, id="every-kernel-replaced"),
        pytest.param(lambda source: source.image("0/99999-gnome", None), id="a-new-image"),
    ],
)
def test_four_times_as_many_images_cost_four_times_as_much(change: Change) -> None:
    small, large = (cost(change(many(count)), many(count)) for count in (100, 400))
    assert large / small < 4.6
