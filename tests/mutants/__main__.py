# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts each deliberate fault into a copy of the checkout, and runs the one test that is meant to catch it.

First all these tests run on the unchanged code; one that does not pass there proves nothing, and its faults count as
survivors. A fault is caught only when its own test fails with an assertion or an expected error: not when a fixture
breaks, a test is skipped or times out, or pytest itself ends in some other way.

A tool that generates its own mutants (mutmut, cosmic-ray) changes one operator at a time; these faults are mistakes
that somebody could make in this protocol, and most of them are a line that was moved or removed.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.lab.console import say
from tests.lab.fleet import CHECKOUT

from .mutant import AnchorError, Mutant
from .rooms import MUTANTS
from .verdicts import FILE, Verdict, read

# Nobody reads the minimal example that hypothesis finds for a deliberate fault, and finding it takes minutes.
QUICK = ("-q", "-p", "no:cacheprovider", "-p", "tests.mutants.verdicts", "--hypothesis-profile=first-example")
AT_ONCE = 3  # the tests spend most of their time waiting
PATIENCE = 300.0  # seconds for one fault; AT_ONCE times as long for all tests without a fault


def copy_checkout(into: Path) -> None:
    """Copy the files that git tracks, and new ones that it does not ignore."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=CHECKOUT,
        check=True,
        capture_output=True,
    )
    for name in listed.stdout.decode().split("\0"):
        if name and (CHECKOUT / name).exists():
            (into / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(CHECKOUT / name, into / name, follow_symlinks=False)


@contextlib.contextmanager
def made_checkout() -> Iterator[Path]:
    """A copy of the checkout, in a temporary directory that other users may enter: some tests log in as one."""
    with tempfile.TemporaryDirectory(prefix="netboot-mutant-") as directory:
        Path(directory).chmod(0o755)
        checkout = Path(directory) / "checkout"
        copy_checkout(checkout)
        yield checkout


def run_tests(checkout: Path, tests: Sequence[str], *options: str, patience: float) -> list[Verdict]:
    """Run tests in a copy of the checkout, and return their verdicts."""
    verdicts = checkout.parent / "verdicts"
    try:
        subprocess.run(
            [sys.executable, "-m", "pytest", *QUICK, f"--basetemp={checkout.parent}/pytest", *options, *tests],
            cwd=checkout,
            env={**os.environ, "ANSIBLE_CONFIG": str(checkout / "ansible.cfg"), FILE: str(verdicts)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=patience,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return []  # it did not end in time, whatever it did so far
    return read(verdicts)


def of(test: str, verdicts: Sequence[Verdict]) -> list[Verdict]:
    """The verdicts on a test; on all its parameter sets, if none is named."""
    return [one for one in verdicts if one.test == test or one.test.startswith(f"{test}[")]


def broken(tests: Sequence[str]) -> dict[str, str]:
    """Run all tests on the unchanged code. Returns those that prove nothing, with the reason."""
    with made_checkout() as checkout:
        # The tests of one file stay together, as in the whole suite: some make a fleet once for all of them.
        found = run_tests(checkout, tests, f"-n{AT_ONCE}", "--dist=loadfile", patience=AT_ONCE * PATIENCE)
    reasons = {}
    for test in tests:
        mine = of(test, found)
        bad = [one for one in mine if one.outcome == "failed"]
        if bad:
            reasons[test] = f"fails without the fault: {bad[0].failure[:200]}"
        elif not any(one.phase == "call" and one.outcome == "passed" for one in mine):
            reasons[test] = "does not run here"
    return reasons


def catches(mutant: Mutant) -> str:
    """Return why the test does not catch the fault; empty if it does."""
    with made_checkout() as checkout:
        try:
            mutant.put_into(checkout)
        except AnchorError as error:
            return str(error)
        found = of(mutant.test, run_tests(checkout, [mutant.test], "-x", patience=PATIENCE))
    failed = [one for one in found if one.outcome == "failed"]
    if any(one.phase == "call" and mutant.counts(one.failure) for one in failed):
        return ""
    if failed:
        return f"failed for another reason, {failed[0].phase}: {' '.join(failed[0].failure.split())[:200]}"
    return "passes with it" if found else "did not end"


def main() -> int:
    """Try all faults, or those that are named. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="./dev mutants", description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--only", metavar="TEXT", default="", help="those whose name contains this")
    options = parser.parse_args()
    chosen = [mutant for mutant in MUTANTS if options.only in mutant.name]
    started = time.monotonic()
    tests = sorted({mutant.test for mutant in chosen})
    say(f"{len(tests)} tests without a fault ...")
    unproven = broken(tests) if tests else {}
    survivors = 0
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        outcomes = pool.map(lambda mutant: unproven.get(mutant.test) or catches(mutant), chosen)
        for mutant, why_not in zip(chosen, outcomes, strict=True):
            survivors += bool(why_not)
            word = "SURVIVED" if why_not else "caught"
            say(f"{word:<9}{mutant.name}  ({mutant.test}{' ' if why_not else ''}{why_not})")
    took = time.monotonic() - started
    say(f"{len(chosen) - survivors} of {len(chosen)} deliberate faults were caught, in {took:.0f} s.")
    return 1 if survivors or not chosen else 0


if __name__ == "__main__":
    sys.exit(main())
