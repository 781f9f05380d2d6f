# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans in short form, for the tests of the planner."""

from __future__ import annotations

from collections.abc import Callable

from ansible_collections.netboot.syncer.plugins.module_utils.assets.inventory import Rules
from ansible_collections.netboot.syncer.plugins.module_utils.assets.patterns import Selection
from ansible_collections.netboot.syncer.plugins.module_utils.planning import steps
from ansible_collections.netboot.syncer.plugins.module_utils.planning.plan import Plan

from tests.unit.plugins.module_utils.trees import (
    KERNEL,
    NOON,
    Assets,
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
    """Return all steps in order. A withdrawal that an earlier unit has made is not repeated."""
    found = planned.units if isinstance(planned, Plan) else (planned,)
    listed: list[str] = []
    for step in (step for one in found for step in one.steps):
        action = f"{step.name} {step.path}"
        if not isinstance(step, steps.Withdraw) or action not in listed:
            listed.append(action)
    return listed


def seen(planned: Plan | steps.Unit) -> list[str]:
    """Return the actions that a client can see."""
    visible = ("withdraw", "publish", "permit", "link", "remove")
    return [action for action in actions(planned) if action.split()[0] in visible]


def unit(plan: Plan, path: str) -> steps.Unit:
    """Return the only unit of this path."""
    (found,) = [one for one in plan.units if one.path == path]
    return found


def delivery(path: str) -> list[str]:
    return [f"{name} {path}" for name in ("send", "check", "flush", "publish")]


def staging(path: str) -> list[str]:
    return delivery(path)[:-1]


def swap(*withdrawn: str) -> list[str]:
    """Return the steps that replace the image: everything new is staged before clients see any of it."""
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


def linked(text: str = "1", *, mtime: int = NOON) -> Assets:
    """An image whose squashfs is a symlink to a file of another name."""
    return Assets().file("prod/a.img", squashfs(text), mtime=mtime).link(IMAGE, "a.img").marker(MARKER, {})
