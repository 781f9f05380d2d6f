# Copyright: (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A plan that was made is found for what is the same in every part, and for nothing else."""

from __future__ import annotations

from ansible_collections.netboot.syncer.plugins.module_utils.deciding.plans import KEPT, Plans

from tests.unit.plugins.module_utils.deciding.trees import Assets, make_plan

RULES = ("rules", False, 10)


def usual() -> Assets:
    return Assets().kernel().image("prod/a")


def test_a_plan_is_found_for_an_equal_tree_alone() -> None:
    plans = Plans()
    plan = make_plan(usual(), usual())
    plans.keep(RULES, usual().tree, plan)
    assert plans.find(RULES, usual().tree) is plan
    assert plans.find(("rules", True, 10), usual().tree) is None
    for other in (
        usual().image("prod/b"),
        usual().drop("prod/a-kernel.json"),
        usual().mode(0o600, "prod/a.squashfs"),
        usual().file("prod/a.squashfs", mtime=1),
    ):
        assert plans.find(RULES, other.tree) is None


def test_only_some_are_kept() -> None:
    plans = Plans()
    plan = make_plan(usual(), usual())
    for number in range(KEPT + 1):
        plans.keep(number, usual().tree, plan)
    assert plans.find(0, usual().tree) is None
    assert plans.find(1, usual().tree) is plan
