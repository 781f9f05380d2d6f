# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The simulation: resources are shared fairly, nothing is lost, and it predicts what real runs have shown."""

from __future__ import annotations

import dataclasses
import json

import pytest

from tests.simulation import real, report
from tests.simulation.__main__ import MEASURED
from tests.simulation.events import Enter, Gate, Places, Process, Shared, Simulation, Until, Use, Wait
from tests.simulation.fleet import Costs, Fleet, Machine, lines

FREE = Costs(
    begin=0,
    dispatch=0,
    near=0,
    far=0,
    near_byte=0,
    far_byte=0,
    held=0,
    answers=0,
    overhead=1,
    controller_memory=1,
    source_memory=1,
)
MEGABYTE = 1e6


def ends(*processes: Process) -> list[tuple[str, float]]:
    """Run processes, named by letters in their order, and return when each ended."""
    simulation, found = Simulation(), []

    def named(name: str, process: Process) -> Process:
        yield from process
        found.append((name, round(simulation.now, 6)))

    for name, process in zip("abcdef", processes, strict=False):
        simulation.start(named(name, process))
    simulation.run()
    return found


def use(of: Shared, amount: float, at_most: float = 1e9, *, after: float = 0) -> Process:
    if after:
        yield Wait(after)
    yield Use(of, amount, at_most)


def test_a_line_is_shared() -> None:
    line = Shared(10)
    assert ends(use(line, 10), use(line, 20)) == [("a", 2.0), ("b", 3.0)]
    assert line.used == pytest.approx(30)


def test_what_one_cannot_use_is_the_others() -> None:
    line = Shared(10)
    assert ends(use(line, 10, 2), use(line, 40)) == [("a", 5.0), ("b", 5.0)]
    line = Shared(10)
    assert ends(use(line, 10, 2), use(line, 20, 4), use(line, 16)) == [("c", 4.0), ("a", 5.0), ("b", 5.0)]


def test_who_comes_later_gets_a_share_too() -> None:
    line = Shared(10)
    assert ends(use(line, 15), use(line, 5, after=1)) == [("a", 2.0), ("b", 2.0)]


def test_places_are_given_in_turn() -> None:
    places = Places(2)

    def process(seconds: float) -> Process:
        yield Enter(places)
        yield Wait(seconds)

    assert ends(process(3), process(1), process(1), process(5)) == [("b", 1.0), ("c", 2.0), ("a", 3.0), ("d", 7.0)]


def test_ten_thousand_over_one_line_take_what_the_line_takes() -> None:
    outcome = Fleet(FREE, [100e6] * 10_000, MEGABYTE).flat(Machine(1, 1e9, 1e9))
    assert len(outcome.seconds) == 10_000
    assert outcome.seconds[-1] == pytest.approx(80, rel=0.001)
    assert outcome.uplink_bytes == pytest.approx(10_000 * MEGABYTE)


def test_slow_lines_hold_up_nobody() -> None:
    outcome = Fleet(FREE, [1e6] * 5 + [100e6] * 5, MEGABYTE).flat(Machine(1, 1e9, 1e9))
    assert outcome.seconds[:5] == pytest.approx([0.08] * 5)
    assert outcome.seconds[5:] == pytest.approx([8.0] * 5)


def test_few_places_let_others_wait() -> None:
    outcome = Fleet(FREE, [8e6] * 4, MEGABYTE).flat(Machine(1, 4, 1e9))  # there is room for two at a time
    assert outcome.seconds == pytest.approx([1, 1, 2, 2])
    assert outcome.at_once == 2


def test_of_a_fleet_with_hubs_only_the_hubs_come_to_the_netboot_server() -> None:
    machine = Machine(1, 1e9, 8e6)
    outcome = Fleet(FREE, [8e6] * 12, MEGABYTE).hubs(machine, [machine] * 2)
    assert outcome.uplink_bytes == pytest.approx(2 * MEGABYTE)
    # Both hubs share the line; then each feeds five sites over its own line.
    assert outcome.seconds == pytest.approx([2, 2, *[7] * 10])


def test_a_slow_hub_holds_up_only_those_behind_it() -> None:
    fast, slow = Machine(1, 1e9, 80e6), Machine(1, 1e9, 8e6)
    outcome = Fleet(FREE, [800e6] * 12, MEGABYTE).hubs(Machine(1, 1e9, 800e6), [fast, slow])
    assert outcome.seconds == pytest.approx([0.1, *[0.6] * 5, 1, *[6] * 5])


def test_slices_take_what_the_hubs_have_from_an_earlier_run() -> None:
    machine = Machine(1, 1e9, 8e6)
    outcome = Fleet(FREE, [8e6] * 12, MEGABYTE).hubs_and_slices(machine, [machine] * 2, [machine] * 2)
    assert outcome.uplink_bytes == pytest.approx(2 * MEGABYTE)
    assert outcome.seconds == pytest.approx([2, 2, *[7] * 10])


def test_a_gate_lets_through_who_waited_and_who_comes_later() -> None:
    gate, simulation, found = Gate(), Simulation(), []

    def process(before: float) -> Process:
        yield Wait(before)
        yield Until(gate)
        found.append(simulation.now)

    def opener() -> Process:
        yield Wait(2)
        simulation.open(gate)

    for one in (process(1), process(3), opener()):
        simulation.start(one)
    simulation.run()
    assert found == [2, 3]


def test_slices_share_one_netboot_server() -> None:
    machine = Machine(1, 1e9, 8e6)
    outcome = Fleet(FREE, [8e6] * 4, MEGABYTE).slices(machine, [machine] * 2)
    assert outcome.seconds == pytest.approx([4] * 4)


def test_a_transfer_that_is_held_to_a_limit_takes_cpu_for_as_long_as_it_lasts() -> None:
    costs = dataclasses.replace(FREE, held=0.01)
    used = [
        Fleet(costs, [100e6] * 4, MEGABYTE).flat(Machine(1, 1e9, 8e6, limited=limited)).source_cpu
        for limited in (False, True)
    ]
    assert used == pytest.approx([0, 4 * 4 * 0.01])


def test_lines_are_the_same_for_the_same_fleet() -> None:
    found = lines(50, report.SHARES)
    assert found == lines(50, report.SHARES)
    assert [found.count(rate) for rate, _share in report.SHARES] == [10, 25, 15]


def test_it_says_of_the_real_runs_what_they_were() -> None:
    """From runs for 1, 10 and 25 sites, it must predict those for 50: the time of the last site, CPU and bytes."""
    known = json.loads(MEASURED.read_text(encoding="utf-8"))
    for one in report.beside(Costs(**known["costs"]), known["cores"], real.CASES, known["real"]):
        outcome, seen = one["outcome"], one["seen"]
        assert len(outcome.seconds) == len(one["real"]) == real.MANY
        assert outcome.seconds[-1] == pytest.approx(one["real"][-1], rel=0.25)
        assert outcome.source_cpu == pytest.approx(seen["near_cpu"] + seen["far_cpu"], rel=0.25)
        assert outcome.uplink_bytes == pytest.approx(seen["line_bytes"], rel=0.05)


def test_the_page_has_what_is_simulated() -> None:
    known = json.loads(MEASURED.read_text(encoding="utf-8"))
    costs = Costs(**known["costs"])
    compared = report.beside(costs, known["cores"], real.CASES, known["real"])
    page = (report.PAGE).read_text(encoding="utf-8")
    assert report.markdown(costs, compared, report.simulated(costs)) in page
