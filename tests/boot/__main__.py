# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m tests.boot``: real clients, as ``./dev boot`` starts it. Needs root."""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from tests.lab.console import say
from tests.lab.fleet import CHECKOUT
from tests.lab.namespaces import OUTER_NETWORK, isolate, own_directory
from tests.lab.process import LabError

from . import debian, dhcp, payload
from .cases import CASES, REAL, SHORT, UEFI, Case
from .lab import BootLab

TELLING = r"(?i)netboot: |CLIENT|^http://\S+\.\.\.|^Debian GNU/Linux|login:"
SHOWN = ("published", "after-the-grace", "withdrawn-by-name", *REAL)  # cases whose console is shown on the page
EVERY = {**CASES, **REAL}


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="./dev boot",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Real clients boot in QEMU, from what sync.yml and boot_menu.yml made, in networks of their own.\n"
        "Exit status 1 where one did not boot, or was given something by another server than it should have been.",
        epilog="cases:\n" + "\n".join(f"  {case.name:<22} {case.about}" for case in EVERY.values()),
    )
    parser.add_argument("cases", nargs="*", metavar="CASE", help="which ones; without any, all but the last two")
    parser.add_argument("--everything", action="store_true", help="the last two as well: a real Debian")
    parser.add_argument("--short", action="store_true", help=f"only {' and '.join(SHORT)}")
    parser.add_argument("--bios", action="store_true", help="no client with UEFI")
    parser.add_argument("--uefi", action="store_true", help="only clients with UEFI")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write what was seen to this file")
    parser.add_argument("--report", metavar="FILE", type=Path, help="write a page about it to this file")
    parser.add_argument("--consoles", metavar="DIRECTORY", type=Path, help="write the clients' consoles there")
    options = parser.parse_args(arguments)
    if options.everything and (options.cases or options.short):
        parser.error("--everything goes without names of cases and without --short")
    unknown = [name for name in options.cases if name not in EVERY]
    if unknown:
        parser.error(f"there is no case {unknown[0]}")
    return options


def chosen(options: argparse.Namespace) -> list[tuple[Case, bool]]:
    """The cases to play, each with whether to use UEFI."""
    names = list(options.cases) or list(SHORT if options.short else EVERY if options.everything else CASES)
    plain = [] if options.uefi else [(EVERY[name], False) for name in names]
    with_uefi = options.uefi or not (options.short or options.bios or options.cases)
    return plain + [(EVERY[name], True) for name in names if with_uefi and (name in UEFI or options.cases)]


def main(arguments: list[str]) -> int:
    """Run the cases. Returns the exit status."""
    options = parse(arguments)
    if os.geteuid() != 0:
        say("./dev boot needs root: it makes network namespaces and file systems of its own.")
        return 2
    missing = payload.missing()
    if missing:
        say(f"./dev boot: missing: {', '.join(missing)}. On Debian and its like, ./dev boot installs what it needs.")
        return 2
    if any(case.name in REAL for case, _uefi in chosen(options)) and OUTER_NETWORK not in os.environ:
        try:
            debian.make(say)
        except (LabError, debian.NoDebian) as error:
            say(f"./dev boot: no Debian can be made here: {error}")
            return 2
    isolate("tests.boot", arguments)
    targets = [path.absolute() for path in (options.json, options.report, options.consoles) if path]
    kept = [CHECKOUT, payload.KERNEL_FILES, Path(sys.prefix), Path(sys.executable).resolve(), Path.cwd(), *targets]
    lab = BootLab(own_directory(*kept))
    lab.settle()
    rows: list[dict[str, Any]] = []
    for case, uefi in chosen(options):
        if dhcp.SERVERS[case.dhcp].where() is None:
            say(f"left out: {case.name}, which needs {case.dhcp}; ./dev boot fetches it where packages are Debian's")
            continue
        rows.append(play(lab, case, uefi=uefi))
        say(line_of(rows[-1]))
        if options.consoles:
            options.consoles.mkdir(parents=True, exist_ok=True)
            name = f"{case.name}{'-uefi' if uefi else ''}.txt"
            shutil.copy(lab.directory / "clients" / case.name / "console", options.consoles / name)
    lab.close()
    if options.json:
        options.json.write_text(json.dumps({"cases": rows}, indent=2) + "\n", encoding="utf-8")
    if options.report:
        options.report.write_text(page(rows, arguments), encoding="utf-8")
    wrong = [row for row in rows if not row["right"]]
    say(f"{len(rows)} boots, {len(wrong)} not as they have to be")
    return 1 if wrong else 0


def play(lab: BootLab, case: Case, *, uefi: bool) -> dict[str, Any]:
    """Play one case."""
    started = time.monotonic()
    console = ""
    try:
        seen = case.run(lab, uefi=uefi)
        text, right, console = str(seen), seen == case.expected, seen.console
    except LabError as error:
        text, right = str(error), False
    return {
        "case": case.name,
        "firmware": "UEFI" if uefi else "BIOS",
        "seen": text,
        "expected": str(case.expected),
        "right": right,
        "seconds": round(time.monotonic() - started, 1),
        "console": telling(console),
    }


def telling(console: str) -> list[str]:
    """The console lines that show which server was asked and with what result; repeated lines appear once."""
    lines = [line.strip() for line in console.splitlines() if re.search(TELLING, line)]
    lines = [re.sub(r"( +\d+%\x08+ *\x08*)+", "", line) for line in lines]  # progress of a slow download
    return [line for number, line in enumerate(lines) if number == 0 or line != lines[number - 1]]


def line_of(row: dict[str, Any]) -> str:
    """A case on one line, with the expected outcome on a second line if it was another."""
    came = "ok  " if row["right"] else "FAIL"
    line = f"{came} {row['firmware']} {row['case']:<22} {row['seconds']:6.1f} s  {row['seen']}"
    return line if row["right"] else f"{line}\n     expected: {row['expected']}"


def page(rows: list[dict[str, Any]], arguments: list[str]) -> str:
    """A page of documentation: which server gave what in each case, and the consoles of some clients."""
    lines = [
        "# Clients, as they were tried",
        "",
        f"Written by `./dev boot {' '.join(arguments)}`. How it is done is in [Clients](clients.md).",
        "",
        "| case | firmware | what happens | kernel, initrd and squashfs came from | as it has to be |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        came = row["seen"].partition("; ")[2] or row["seen"]
        right = "yes" if row["right"] else "no"
        lines.append(f"| {row['case']} | {row['firmware']} | {EVERY[row['case']].about} | {came} | {right} |")
    for row in rows:
        if row["case"] in SHOWN and row["firmware"] == "BIOS":
            lines += ["", f"`{row['case']}`, on the client's console:", "", *(f"    {line}" for line in row["console"])]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
