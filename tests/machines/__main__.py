# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``./dev machines``: bare machines become a fleet."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
import time
from pathlib import Path

from tests.lab.console import run_command, say
from tests.lab.fleet import CHECKOUT
from tests.lab.namespaces import OUTER_NETWORK, isolate, own_directory
from tests.lab.process import LabError

from . import report
from .mistakes import MISTAKES, Newcomer
from .packages import Base
from .story import Story

NO_SYSTEM = 3  # exit status if apt offers none, for example without a network
BASE = CHECKOUT / ".cache" / "machines"


def main(arguments: list[str]) -> int:
    """Make the base system, move to the lab's own network, and play the story. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="./dev machines", description=__doc__)
    parser.add_argument("--short", action="store_true", help="one site less and fewer steps, in some minutes")
    parser.add_argument(
        "--package", action="store_true", help="with the collection's package alone, and an inventory of ten lines"
    )
    parser.add_argument("--mistakes", action="store_true", help="the mistakes of somebody new instead, each for real")
    parser.add_argument("--only", action="append", default=[], choices=MISTAKES, help="of the mistakes, this one")
    parser.add_argument("--outcomes", type=Path, help="write what came of each mistake to this file, as JSON")
    parser.add_argument("--report", type=Path, help="write what happened to this file, as a page of the documentation")
    parser.add_argument("--base", type=Path, default=BASE, help="where the bare system and its packages are kept")
    given = parser.parse_args(arguments)
    base = Base(given.base)
    if OUTER_NETWORK not in os.environ:
        try:
            base.make()
        except LabError as exc:
            sys.stderr.write(f"./dev machines: no bare system to begin with: {exc}\n")
            return NO_SYSTEM
    isolate("tests.machines", arguments)
    directory = own_directory(CHECKOUT, given.base, Path(sys.executable).parent)
    started = time.monotonic()
    if given.mistakes:
        return make_mistakes(base, directory, given)
    story = Story(base, directory, short=given.short, package=given.package, tell=say)
    try:
        story.all()
    finally:
        story.end()
    say(f"All of it as it should be, in {time.monotonic() - started:.0f} s.")
    if given.report:
        given.report.write_text(report.page(story.lines, story.fleet.runs), encoding="utf-8")
    return 0


def make_mistakes(base: Base, directory: Path, given: argparse.Namespace) -> int:
    """Make all mistakes, or those that are named. Returns the exit status."""
    newcomer = Newcomer(base, directory)
    outcomes = {}
    try:
        for name, outcome in newcomer.all(given.only):
            outcomes[name] = outcome
            say(f"{name}: {outcome.line}")
            if outcome.wrong:
                say(f"WRONG: {outcome.wrong}")
    finally:
        newcomer.end()
    if given.outcomes:
        plain = {name: dataclasses.asdict(outcome) for name, outcome in outcomes.items()}
        given.outcomes.write_text(json.dumps(plain), "utf-8")
    if given.report:
        given.report.write_text(report.mistakes(outcomes), encoding="utf-8")
    return 1 if any(outcome.wrong for outcome in outcomes.values()) else 0


if __name__ == "__main__":
    run_command("machines", main)
