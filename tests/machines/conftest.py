# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all tests with machines need, and when they are left out."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.lab.fleet import CHECKOUT
from tests.lab.process import STANDARD_PATH

from .__main__ import NO_SYSTEM

PROGRAMS = ("apt-get", "debootstrap", "systemd-nspawn", "ip", "unshare", "nsenter")
MISSING = [name for name in PROGRAMS if shutil.which(name, path=f"{os.environ['PATH']}:{STANDARD_PATH}") is None]


@pytest.fixture(scope="session")
def machines() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run ``./dev machines`` with arguments."""
    if MISSING:
        pytest.skip(f"./dev machines installs what is missing here: {', '.join(MISSING)}")

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        # The longest of all: if it had to share a busy machine evenly, everything would wait for it at the end.
        command = ["nice", "-n", "-5", sys.executable, "-m", "tests.machines", *words]
        ended = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
        if ended.returncode == NO_SYSTEM:
            pytest.skip(ended.stderr.strip())
        return ended

    return run
