# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m tests.faults``: the fault laboratory, as ``./dev faults`` starts it. Needs root."""

from __future__ import annotations

import argparse
import os
import random
import sys
import time
from pathlib import Path

from tests.lab.console import run_command, say
from tests.lab.fleet import CHECKOUT
from tests.lab.namespaces import isolate, own_directory

from . import report
from .faults import FAULTS
from .lab import FaultLab
from .rounds import Campaign, Round, plan

RATES = (24_000_000, 40_000_000, 60_000_000, 30_000_000, 50_000_000, 36_000_000)  # bit/s, one for each lane
SHORT_ROUNDS = 18
PLAYBOOK_RECOVERY = 0.3  # probability that a recovery run is sync.yml itself, rather than only the module that it calls


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="./dev faults",
        description="Real syncs to caching servers in network namespaces, real faults at random moments, and clients"
        " that hold every caching server to its promises. Exit status 1 on any violation or failed recovery.",
        epilog="faults: " + "; ".join(f"{name}: {fault.about}" for name, fault in FAULTS.items()),
    )
    parser.add_argument("--rounds", type=int, default=60, help="how many faults are to strike (default: %(default)s)")
    parser.add_argument("--seed", help="play the rounds of this seed (default: a new one, which is printed)")
    parser.add_argument("--only", metavar="FAULT", action="append", default=[], choices=list(FAULTS), help="may repeat")
    parser.add_argument("--lanes", type=int, default=6, choices=range(1, len(RATES) + 1), help="caching servers")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write all figures to this file")
    parser.add_argument("--short", action="store_true", help=f"{SHORT_ROUNDS} rounds, in less than a minute")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    """Run the laboratory. Returns the exit status."""
    options = parse(arguments)
    if os.geteuid() != 0:
        say("./dev faults needs root: it makes network namespaces, file systems and lines of its own.")
        return 2
    if options.json is not None and not options.json.absolute().parent.is_dir():
        say(f"./dev faults: there is no directory {options.json.absolute().parent}")
        return 2
    isolate("tests.faults", arguments)
    seed = options.seed or f"{random.SystemRandom().getrandbits(32):08x}"
    rounds = SHORT_ROUNDS if options.short else options.rounds
    kept = [CHECKOUT, Path(sys.prefix), Path(sys.executable).resolve(), Path.cwd()]
    directory = own_directory(*kept, *([options.json.absolute()] if options.json else []))
    say(f"seed {seed}: {rounds} faults, {options.lanes} caching servers")
    started = time.monotonic()
    lab = FaultLab(directory, lanes=options.lanes, rates=list(RATES))

    def tell(played: Round, count: int) -> None:
        say(report.line_of(played, count, rounds))

    campaign = Campaign(lab, seed, plan(rounds, seed, options.only), 0.0 if options.short else PLAYBOOK_RECOVERY, tell)
    interrupted = False
    try:
        campaign.run()
        lab.close()
    except KeyboardInterrupt:
        # whatever still runs ends with this process; the table shows the rounds so far
        interrupted = True
    figures = report.Figures(
        seed=seed,
        lanes=len(lab.lanes),
        planned=rounds,
        seconds=round(time.monotonic() - started, 1),
        polls=sum(lane.machine.polls for lane in lab.lanes),
        polls_visible=sum(lane.machine.visible for lane in lab.lanes),
        checks=sum(lane.machine.checks for lane in lab.lanes),
        unanswered=sum(lane.machine.unanswered for lane in lab.lanes),
        changes=sum(lane.witness.steps for lane in lab.lanes),
        late_violations=[str(violation) for violation in campaign.late_violations()],
        trouble=campaign.trouble,
    )
    say(report.summary(campaign.rounds, figures))
    if options.json is not None:
        report.write_json(options.json, campaign.rounds, figures)
    if interrupted:
        return 130
    return 0 if report.good(campaign.rounds, figures) else 1


if __name__ == "__main__":
    run_command("faults", main)
