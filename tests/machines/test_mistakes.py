# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``./dev machines --mistakes``: some of those that somebody makes before anything is onboarded."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable

import pytest

# Those after it would want another onboarding here.
MISTAKES = ("wrong-user", "closed-port", "changed-host-key", "misspelt-group", "no-mirror")

pytestmark = [pytest.mark.root, pytest.mark.thorough, pytest.mark.timeout(2400)]


@pytest.fixture(scope="module")
def outcomes(
    machines: Callable[..., subprocess.CompletedProcess[str]], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, dict[str, str]]:
    """The outcome of each mistake; the same two machines are used for all of them."""
    path = tmp_path_factory.mktemp("mistakes") / "outcomes.json"
    named = [word for name in MISTAKES for word in ("--only", name)]
    ended = machines("--mistakes", "--outcomes", str(path), *named)
    assert path.exists(), ended.stdout + ended.stderr
    found: dict[str, dict[str, str]] = json.loads(path.read_text("utf-8"))
    return found


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_told_in_one_line_that_helps(outcomes: dict[str, dict[str, str]], name: str) -> None:
    assert outcomes[name]["wrong"] == ""
