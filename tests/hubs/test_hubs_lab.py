# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hubs and leaves on lines with rates: who has what before whom."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hubs.lab import HUBS, leaves_of, troubles
from tests.lab.fleet import CHECKOUT
from tests.lab.process import STANDARD_PATH

ENVIRONMENT = {**os.environ, "PYTHONPATH": ".collections"}  # as ./dev hubs sets it
PROGRAMS = ("ip", "tc", "unshare", "nsenter", "mksquashfs")
MISSING = [name for name in PROGRAMS if shutil.which(name, path=f"{os.environ['PATH']}:{STANDARD_PATH}") is None]
MARKERS = ("first", "last")
QUICK, SLOW = ([(site, marker) for marker in MARKERS for site in (hub, *leaves_of(hub))] for hub in HUBS)


def _no_networks() -> bool:
    """Whether not even root can make network namespaces on this machine, as in some containers."""
    return not MISSING and subprocess.run(["unshare", "--net", "--mount", "true"], check=False).returncode != 0


@pytest.mark.root
@pytest.mark.timeout(400)
@pytest.mark.skipif(bool(MISSING), reason=f"./dev hubs installs what is missing here: {', '.join(MISSING)}")
@pytest.mark.skipif(os.geteuid() == 0 and _no_networks(), reason="network namespaces cannot be made here")
def test_no_leaf_waits_for_anything_but_its_own_hub(tmp_path: Path) -> None:
    figures = tmp_path / "hubs.json"
    command = [sys.executable, "-m", "tests.hubs", "--json", str(figures)]
    ended = subprocess.run(command, cwd=CHECKOUT, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    data = json.loads(figures.read_text(encoding="utf-8"))
    assert data["troubles"] == []
    assert len(data["order"]) == 3 * len(HUBS) * (1 + len(leaves_of(HUBS[0])))


@pytest.mark.parametrize(
    ("order", "found"),
    [
        pytest.param([*QUICK, *SLOW], 0, id="as promised"),
        pytest.param([*SLOW, *QUICK], 3, id="the quick waited for the slow"),
        pytest.param([*QUICK, *sorted(SLOW, key=lambda one: one[0] != "slow")], 3, id="the leaves waited for it all"),
        pytest.param([QUICK[1], QUICK[0], *QUICK[2:], *SLOW], 1, id="not from its hub"),
        pytest.param([*QUICK, *SLOW[:-1]], 1, id="never"),
    ],
)
def test_what_is_not_as_promised_is_seen(order: list[tuple[str, str]], found: int) -> None:
    assert len(troubles(order, MARKERS)) == found


@pytest.mark.skipif(os.geteuid() == 0, reason="shows what happens without root")
def test_without_root_it_says_so() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "tests.hubs"],
        cwd=CHECKOUT,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2
    assert "needs root" in ended.stdout
