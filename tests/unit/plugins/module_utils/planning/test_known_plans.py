# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cached plan is found for input that is the same in every part, and for nothing else."""

from __future__ import annotations

import concurrent.futures
import time

from ansible_collections.netboot.syncer.plugins.module_utils.planning.known_plans import KEPT, KnownPlans
from ansible_collections.netboot.syncer.plugins.module_utils.planning.plan import Plan

from tests.unit.plugins.module_utils.trees import Assets, make_plan

RULES = ("rules", False, 10)


def usual() -> Assets:
    return Assets().kernel().image("prod/a")


def never() -> Plan:
    raise AssertionError("it is known")


def test_a_plan_is_found_for_an_equal_tree_alone() -> None:
    plans = KnownPlans()
    plan = make_plan(usual(), usual())
    assert plans.get(RULES, usual().tree, lambda: plan) is plan
    assert plans.get(RULES, usual().tree, never) is plan
    other_rules = ("rules", True, 10)
    assert plans.get(other_rules, usual().tree, lambda: None) is None
    for other in (
        usual().image("prod/b"),
        usual().drop("prod/a-kernel.json"),
        usual().mode(0o600, "prod/a.squashfs"),
        usual().file("prod/a.squashfs", mtime=1),
    ):
        assert plans.get(RULES, other.tree, lambda: None) is None


def test_what_is_not_known_is_asked_again() -> None:
    plans = KnownPlans()
    assert plans.get(RULES, usual().tree, lambda: None) is None
    plan = make_plan(usual(), usual())
    assert plans.get(RULES, usual().tree, lambda: plan) is plan


def test_only_some_are_kept() -> None:
    plans = KnownPlans()
    plan = make_plan(usual(), usual())
    for number in range(KEPT + 1):
        plans.get(number, usual().tree, lambda: plan)
    assert plans.get(1, usual().tree, never) is plan
    assert plans.get(0, usual().tree, lambda: None) is None


def test_threads_do_not_make_the_same_plan_at_once() -> None:
    plans = KnownPlans()
    plan = make_plan(usual(), usual())
    made = []

    def make() -> Plan:
        made.append(1)
        time.sleep(0.05)
        return plan

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _number: plans.get(RULES, usual().tree, make), range(8)))
    assert found == [plan] * 8
    assert len(made) == 1
