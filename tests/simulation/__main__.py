# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``./dev simulate``: 10,000 sites, from what a run for a few of them costs; ``--measure`` measures it again."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from tests.bench.lab import BenchLab
from tests.bench.report import publish
from tests.lab.console import run_command, say
from tests.lab.fleet import CHECKOUT
from tests.lab.namespaces import isolate, own_directory
from tests.lab.process import LabError

from . import real, report
from .fleet import Costs

MEASURED = Path(__file__).with_name("measured.json")

PICTURE = CHECKOUT / "docs" / "performance" / "past-one-machine.svg"
PYTHON = CHECKOUT / ".cache" / "bench" / "python"  # where ./dev installs matplotlib


def measure(arguments: list[str]) -> None:
    """Measure, in the lab's own networks, and write the results to ``measured.json``."""
    if os.geteuid() != 0:
        raise LabError("--measure needs root: it makes network namespaces and lines of its own")
    isolate("tests.simulation", arguments)
    directory = own_directory(CHECKOUT, Path(sys.prefix), Path(sys.executable).resolve(), Path.cwd())
    lab = BenchLab(directory)
    try:
        found = real.measure(lab, say)
    finally:
        lab.close()
    MEASURED.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def main(arguments: list[str]) -> int:
    """Simulate. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="./dev simulate", description=__doc__)
    parser.add_argument("--measure", action="store_true", help="measure the costs and the real runs first; as root")
    parser.add_argument("--publish", action="store_true", help="put tables and picture into docs/past-one-machine.md")
    options = parser.parse_args(arguments)
    if options.measure:
        measure(arguments)
    known = json.loads(MEASURED.read_text(encoding="utf-8"))
    costs = Costs(**known["costs"])
    compared = report.beside(costs, known["cores"], real.CASES, known["real"])
    outcomes = report.simulated(costs)
    text = report.markdown(costs, compared, outcomes)
    say(text)
    if options.publish:
        publish(report.PAGE, text, begin=report.BEGIN, end=report.END)
        sys.path.append(str(PYTHON))
        try:
            report.plot(PICTURE, compared, outcomes)
        except ImportError:
            say(f"matplotlib is not there, so {PICTURE} stays as it is")
    return 0


if __name__ == "__main__":
    run_command("simulate", main)
