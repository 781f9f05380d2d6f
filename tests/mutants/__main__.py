# Copyright: (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts each deliberate fault into a copy of the checkout, and runs the tests that must catch it.

A tool that makes up its own mutants (mutmut, cosmic-ray) changes one operator at a time; these faults are the ones that
somebody could make in this protocol, and most of them are a line that moved or went.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.lab.fleet import CHECKOUT

from .faults import MUTANTS, Mutant


def copy_checkout(into: Path) -> None:
    """Copy what git knows of, and what is new."""
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


# Nobody reads the smallest example of a fault that was put in, and to find it takes minutes.
QUICK = ("-p", "no:cacheprovider", "--hypothesis-profile=first-example")
AT_ONCE = 3


def catches(mutant: Mutant) -> tuple[bool, str]:
    """Tell whether a test fails, and which one it is."""
    with tempfile.TemporaryDirectory(prefix="netboot-mutant-") as directory:
        checkout = Path(directory) / "checkout"
        checkout.mkdir()
        copy_checkout(checkout)
        file = checkout / mutant.file
        file.write_text(mutant.put_into(file.read_text(encoding="utf-8")), encoding="utf-8")
        basetemp = f"--basetemp={directory}/pytest"
        run = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-x", *QUICK, basetemp, *mutant.tests],
            cwd=checkout,
            env={**os.environ, "ANSIBLE_CONFIG": str(checkout / "ansible.cfg")},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    failed = [line for line in run.stdout.splitlines() if line.startswith("FAILED ")]
    # Only a test that ran and failed counts: not one that could not be collected, nor a crash of pytest.
    if run.returncode == 1 and failed:
        return True, failed[0].removeprefix("FAILED ").split(" - ")[0]
    return False, "no test failed" if run.returncode == 0 else f"pytest ended with {run.returncode}"


def say(line: str) -> None:
    """Tell at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> int:
    """Run all, or those that are named. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="./dev mutants", description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--only", metavar="TEXT", default="", help="those whose name contains this")
    options = parser.parse_args()
    survivors = 0
    chosen = [mutant for mutant in MUTANTS if options.only in mutant.name]
    # The tests wait most of the time.
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        for mutant, (caught, by) in zip(chosen, pool.map(catches, chosen), strict=True):
            survivors += not caught
            word = "caught" if caught else "SURVIVED"
            say(f"{word:<9}{mutant.name}  ({by})")
    say(f"{len(chosen) - survivors} of {len(chosen)} deliberate faults were caught.")
    return 1 if survivors or not chosen else 0


if __name__ == "__main__":
    sys.exit(main())
