# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a plan withdraws before anything else."""

from __future__ import annotations

import pytest
from ansible_collections.netboot.syncer.plugins.module_utils.assets.entries import DIRECTORY, OTHER, Entry
from ansible_collections.netboot.syncer.plugins.module_utils.assets.inventory import Rules
from ansible_collections.netboot.syncer.plugins.module_utils.planning.promises import wanted_markers

from tests.unit.plugins.module_utils.planning.plans import (
    IMAGE,
    INITRD,
    MARKER,
    VMLINUZ,
    Change,
    actions,
    choosing,
    delivery,
    seen,
    usual,
)
from tests.unit.plugins.module_utils.trees import (
    HOUR,
    KERNEL,
    NOON,
    Assets,
    make_plan,
)


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
