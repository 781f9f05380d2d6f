# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the laboratories' commands have in common at the terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import NoReturn

from .process import LabError


def say(text: str) -> None:
    """Print at once: somebody is watching."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def run_command(name: str, main: Callable[[list[str]], int]) -> NoReturn:
    """Run the main function of ``./dev NAME``, and end this process with what it returns, or 1 for a LabError."""
    try:
        status = main(sys.argv[1:])
    except LabError as error:
        sys.stderr.write(f"./dev {name}: {error}\n")
        status = 1
    # threads may still wait for something that ends only with this process
    sys.stdout.flush()
    os._exit(status)
