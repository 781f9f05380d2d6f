# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kernels in a plan: each as a whole, and which images they hide while they change."""

from __future__ import annotations

from tests.unit.plugins.module_utils.planning.plans import (
    IMAGE,
    INITRD,
    MARKER,
    VMLINUZ,
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
