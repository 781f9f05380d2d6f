# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m tests.bench``: the bench, as ``./dev bench`` starts it. Needs root."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from tests.lab.console import run_command, say
from tests.lab.fleet import CHECKOUT
from tests.lab.namespaces import isolate, own_directory
from tests.lab.process import LabError

from . import growth, images, measured, report, squash
from .bench import Bench
from .lab import BenchLab
from .results import Result
from .rows import ROWS

CACHE = CHECKOUT / ".cache" / "bench"
PUBLISHED = CHECKOUT / "docs" / "performance"
COLLECTION = CACHE / "peer" / "ansible_collections" / "ansible" / "posix"  # where ./dev bench installs it
PYTHON = CACHE / "python"  # likewise, for what only the plots need
SMALL = 40_000_000  # bytes of an image, in the short form
GROWTH = "growth"


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="./dev bench",
        description="Measures this collection side by side with the seed's rsync, ansible.posix.synchronize and others,"
        " between network namespaces, and tells ratios. Exit status 1 if a target is missed or a row fails.",
        epilog="rows: " + "; ".join(" ".join((row.__doc__ or "").split()) for row in ROWS.values()) + f" {GROWTH}:"
        " nothing to do, for more and more caching servers and images.",
    )
    parser.add_argument(
        "--short", action="store_true", help="small images, few caching servers; times mean nothing then"
    )
    parser.add_argument("--rows", metavar="ROW", nargs="+", choices=[*ROWS, GROWTH], help="only these (default: all)")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write all figures to this file as well")
    parser.add_argument(
        "--out",
        metavar="DIRECTORY",
        type=Path,
        default=CACHE / "results",
        help="for table, figures and plots (default: %(default)s)",
    )
    parser.add_argument(
        "--bytes",
        action="store_true",
        help="what the tests assert: bytes on the line alone, in the short form; rows 3 and 4",
    )
    parser.add_argument(
        "--publish",
        action="store_true",
        help="put table and plots into PERFORMANCE.md and docs/performance; rows that are not measured now stay as they"
        " were last measured, with the machine that they are of",
    )
    parser.add_argument("--synchronize", action=argparse.BooleanOptionalAction, default=True, help="measure it as well")
    options = parser.parse_args(arguments)
    if options.bytes:
        options.short, options.rows = True, ["3", "4"]
    return options


def main(arguments: list[str]) -> int:
    """Run the bench. Returns the exit status."""
    options = parse(arguments)
    if os.geteuid() != 0:
        say("./dev bench needs root: it makes network namespaces, file systems and lines of its own.")
        return 2
    options.out = options.out.absolute()
    options.out.mkdir(parents=True, exist_ok=True)
    # before the process moves to the lab's networks: making images fetches packages; later, they exist already
    sets = _images(options.short)
    isolate("tests.bench", arguments)
    results: list[Result] = []
    failed: list[str] = []
    grown: dict[str, Any] | None = None
    started = time.monotonic()
    kept = [CHECKOUT, Path(sys.prefix), Path(sys.executable).resolve(), Path.cwd(), options.out]
    directory = own_directory(*kept, *([options.json.absolute()] if options.json else []))
    posix = COLLECTION if options.synchronize and COLLECTION.is_dir() else None
    if options.synchronize and posix is None:
        say("ansible.posix is not in .cache/bench: its synchronize is left out")
    lab = BenchLab(directory, posix_collection=posix)
    # patches are made on a disk: images are too large to be kept in memory like the rest of the lab
    work = CACHE / "work"
    work.mkdir(parents=True, exist_ok=True)
    bench = Bench(lab=lab, sets=sets, work=work, short=options.short, say=say, bytes_only=options.bytes)
    interrupted = False
    try:
        for name in options.rows or [*ROWS, GROWTH]:
            say(f"row {name}: {' '.join((ROWS[name].__doc__ or '').split())}" if name in ROWS else "cost as work grows")
            try:
                if name == GROWTH:
                    grown = growth.measure(bench)
                    continue
                for result in ROWS[name](bench):
                    results.append(result)
                    say(f"  {result.what}: {result.shown(result.ratio)} {report._verdict(result)}")
            except LabError as error:
                failed.append(f"row {name}: {error}")
                say(f"  FAILED: {error}")
            finally:
                lab.release()
    except KeyboardInterrupt:
        interrupted = True
    lab.close()
    shutil.rmtree(work, ignore_errors=True)
    facts = {
        "machine": report.machine(),
        "short": options.short,
        "seconds": round(time.monotonic() - started, 1),
        "images": [
            {
                "compression": one.compression,
                "origin": one.origin,
                "bytes": {build: one.size(build) for build in squash.BUILDS},
            }
            for one in sets
        ],
    }
    _write(options, results, grown, facts, failed)
    if interrupted:
        return 130
    return 1 if failed or any(result.met is False for result in results) else 0


def _images(short: bool) -> list[images.ImageSet]:
    if short:
        return [images.machine_set(CACHE / "images", size=SMALL, say=say)]
    return images.large_sets(CACHE / "images", say)


def _write(
    options: argparse.Namespace,
    results: list[Result],
    grown: dict[str, Any] | None,
    facts: dict[str, Any],
    failed: list[str],
) -> None:
    say("\n" + report.table(results))
    for line in failed:
        say(f"FAILED: {line}")
    text = report.table(results)
    data = {**facts, "failed": failed, "results": [result.data() for result in results], "growth": grown}
    report.write_json(options.out / "bench.json", data)
    if options.json is not None:
        report.write_json(options.json, data)
    (options.out / "table.txt").write_text(text + "\n", encoding="utf-8")
    sys.path.append(str(PYTHON))
    now = [measured.Measurement(facts["machine"], facts["images"], results, grown)]
    (options.out / "table.md").write_text(report.markdown(now, _plot(options.out, now)) + "\n", encoding="utf-8")
    if options.publish:
        _publish(now[0])
    say(f"{facts['seconds']:.0f} s; figures, table and plots are in {options.out}")


def _plot(directory: Path, known: list[measured.Measurement]) -> list[str]:
    rows = [one for measurement in known for one in measurement.results]
    try:
        return report.plot(directory, rows, next((one.growth for one in known if one.growth), None))
    except LabError as error:
        say(f"no plots: {error}")
        return []


def _publish(now: measured.Measurement) -> None:
    """Publish the latest results of all machines: in PERFORMANCE.md, and in the files that go with it."""
    PUBLISHED.mkdir(parents=True, exist_ok=True)
    known = measured.merge(measured.read(PUBLISHED / "figures.json"), now)
    measured.write(PUBLISHED / "figures.json", known)
    report.publish(CHECKOUT / "PERFORMANCE.md", report.markdown(known, _plot(PUBLISHED, known)))


if __name__ == "__main__":
    run_command("bench", main)
