# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is simulated, a fleet of 10,000 sites in each arrangement; and the report about it, tables and a picture."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.lab.fleet import CHECKOUT

from .fleet import Costs, Fleet, Machine, Outcome, lines

MB, GB = 1e6, 1e9
SITES = 10_000
SIZE = 26 * MB  # a next-week build, sent as the difference from its predecessor: 9 % of 290 MB
SHARES = ((5e6, 0.2), (20e6, 0.5), (100e6, 0.3))  # bit/s of the sites' lines, and how many have each
SERVER = Machine(cores=16, memory=64 * GB, uplink=1e9)
CONTROLLER = Machine(cores=4, memory=16 * GB, uplink=1e9)
HUB = Machine(cores=4, memory=16 * GB, uplink=100e6)
SLICES, HUBS = 10, 100

ARRANGEMENTS: dict[str, Callable[[Fleet], Outcome]] = {
    "flat": lambda fleet: fleet.flat(SERVER),
    f"{SLICES} slices": lambda fleet: fleet.slices(SERVER, [CONTROLLER] * SLICES),
    f"{HUBS} hubs": lambda fleet: fleet.hubs(SERVER, [HUB] * HUBS),
    f"{HUBS} hubs, {SLICES} slices": lambda fleet: fleet.hubs_and_slices(SERVER, [CONTROLLER] * SLICES, [HUB] * HUBS),
}
PAGE = CHECKOUT / "docs" / "past-one-machine.md"
BEGIN, END = "<!-- simulated -->", "<!-- /simulated -->"


def simulated(costs: Costs) -> dict[str, Outcome]:
    """Simulate each arrangement, and return the outcomes."""
    return {name: arrange(Fleet(costs, lines(SITES, SHARES), SIZE)) for name, arrange in ARRANGEMENTS.items()}


def beside(costs: Costs, cores: int, cases: Sequence[Any], real: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return for each case the simulation's outcome and, next to it, what was seen in the real run."""
    found = []
    for case, seen in zip(cases, real, strict=True):
        rates = lines(len(seen["seconds"]), case.shares)
        machine = Machine(cores, 1e15, case.uplink or 1e12, limited=case.uplink is not None)
        outcome = Fleet(costs, rates, case.size).flat(machine, one_machine=True)
        found.append({"name": case.name, "real": seen["seconds"], "outcome": outcome, "seen": seen})
    return found


def middle(values: Sequence[float]) -> float:
    """Return the median; of an even number of values, the upper one."""
    return sorted(values)[len(values) // 2]


def _span(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 180 else f"{seconds / 60:.0f} min"


def _cpu(seconds: float, each_byte: float) -> str:
    return f"{seconds:.2f} s of CPU, and {each_byte * GB:.1f} s for 1 GB"


def markdown(costs: Costs, compared: Sequence[Mapping[str, Any]], outcomes: Mapping[str, Outcome]) -> str:
    """Return the tables of the page."""
    text = [
        "| what a run costs | measured |",
        "|---|---|",
        f"| until the first site is begun | {costs.begin:.1f} s of CPU |",
        f"| for each site, in Ansible's one process | {costs.dispatch:.2f} s of CPU |",
        f"| for each site, on the host that sends | {_cpu(costs.near, costs.near_byte)} |",
        f"| for each site, there | {_cpu(costs.far, costs.far_byte)} |",
        f"| for each site, at both ends, while it is held to a limit | {100 * costs.held:.1f} % of a processor |",
        f"| for each site, waiting for answers | {costs.answers:.1f} s |",
        f"| on the line, for each byte of an image | {costs.overhead:.3f} bytes |",
        f"| memory for each site at work | {costs.controller_memory / MB:.0f} MB where Ansible runs, "
        f"{costs.source_memory / MB:.0f} MB on the host that sends |",
        "",
        "| 50 sites on one machine | | real | simulated | |",
        "|---|---|---|---|---|",
    ]
    for one in compared:
        outcome: Outcome = one["outcome"]
        rows = [
            ("first site has the image", one["real"][0], outcome.seconds[0], "s"),
            ("the middle one", middle(one["real"]), middle(outcome.seconds), "s"),
            ("the last one", one["real"][-1], outcome.seconds[-1], "s"),
            ("CPU of both ends", one["seen"]["near_cpu"] + one["seen"]["far_cpu"], outcome.source_cpu, "s"),
            ("bytes on the lines", one["seen"]["line_bytes"] / MB, outcome.uplink_bytes / MB, "MB"),
        ]
        for what, real, said, unit in rows:
            off = f"{100 * (said - real) / real:+.0f} %"
            text.append(f"| {one['name']} | {what} | {real:.0f} {unit} | {said:.0f} {unit} | {off} |")
    text += [
        "",
        f"| {SITES:,} sites, {SIZE / MB:.0f} MB each | first site | half | last site | leaves the netboot server"
        " | its CPU | CPU of Ansible elsewhere | at work at once |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, outcome in outcomes.items():
        text.append(
            f"| {name} | {_span(outcome.seconds[0])} | {_span(middle(outcome.seconds))} | {_span(outcome.seconds[-1])}"
            f" | {outcome.uplink_bytes / GB:.1f} GB | {outcome.source_cpu / 60:.0f} min"
            f" | {outcome.controller_cpu / 60:.0f} min | {outcome.at_once:,} |"
        )
    return "\n".join(text)


def plot(path: Path, compared: Sequence[Mapping[str, Any]], outcomes: Mapping[str, Outcome]) -> None:
    """Draw the share of the sites that have the image over time. Raises ImportError without matplotlib."""
    import matplotlib

    matplotlib.use("svg")
    # The same figures give the same file.
    matplotlib.rcParams.update(
        {"svg.hashsalt": "netboot", "svg.fonttype": "none", "font.size": 9, "figure.autolayout": True}
    )
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 1 + len(compared), figsize=(4 * (1 + len(compared)), 3.4))
    for axis, one in zip(axes, compared, strict=False):
        axis.set_title(f"50 sites: {one['name']}", fontsize=9)
        for label, seconds, style in (("real", one["real"], "-"), ("simulated", one["outcome"].seconds, "--")):
            axis.step([0, *seconds], _shares(seconds), style, where="post", label=label)
        axis.set_xlabel("seconds")
        axis.set_ylabel("% of the sites have the image")
        axis.legend()
    last = axes[-1]
    last.set_title(f"{SITES:,} sites, simulated", fontsize=9)
    for name, outcome in outcomes.items():
        thin = outcome.seconds[:: max(len(outcome.seconds) // 400, 1)] + outcome.seconds[-1:]
        last.step([0, *(at / 60 for at in thin)], _shares(thin), where="post", label=name)
    last.set_xlabel("minutes")
    last.legend()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def _shares(seconds: Sequence[float]) -> list[float]:
    return [100 * number / len(seconds) for number in range(len(seconds) + 1)]
