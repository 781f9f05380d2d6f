# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``./dev machines`` in its short form, with the package."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import pytest

from tests.lab.fleet import CHECKOUT
from tests.lab.process import STANDARD_PATH

PROGRAMS = ("apt-get", "debootstrap", "systemd-nspawn", "ip", "unshare", "nsenter")
MISSING = [name for name in PROGRAMS if shutil.which(name, path=f"{os.environ['PATH']}:{STANDARD_PATH}") is None]

# One of each kind of mistake; ./dev machines --mistakes makes all of them.
MISTAKES = (
    "wrong-user",
    "closed-port",
    "changed-host-key",
    "misspelt-group",
    "no-mirror",
    "no-disk",
    "second-web-server",
)

pytestmark = [
    pytest.mark.root,
    pytest.mark.timeout(2400),
    pytest.mark.skipif(bool(MISSING), reason=f"./dev machines installs what is missing here: {', '.join(MISSING)}"),
]


def test_bare_machines_become_a_fleet() -> None:
    """With what a user has: the package and an inventory of ten lines, and nothing from the checkout."""
    command = [sys.executable, "-m", "tests.machines", "--short", "--package"]
    ended = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    if ended.returncode == 3:
        pytest.skip(ended.stderr.strip())
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "All of it as it should be" in ended.stdout


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    """The outcome of each mistake; the same two machines are used for all of them."""
    path = tmp_path_factory.mktemp("mistakes") / "outcomes.json"
    command = [sys.executable, "-m", "tests.machines", "--mistakes", "--outcomes", str(path)]
    command += [word for name in MISTAKES for word in ("--only", name)]
    ended = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    if ended.returncode == 3:
        pytest.skip(ended.stderr.strip())
    assert path.exists(), ended.stdout + ended.stderr
    found: dict[str, dict[str, str]] = json.loads(path.read_text("utf-8"))
    return found


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_told_in_one_line_that_helps(outcomes: dict[str, dict[str, str]], name: str) -> None:
    assert outcomes[name]["wrong"] == ""
