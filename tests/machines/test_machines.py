# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``./dev machines`` in its short form, with the package."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest

pytestmark = [pytest.mark.root, pytest.mark.timeout(2400)]


def test_bare_machines_become_a_fleet(machines: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    """With what a user has: the package and an inventory of ten lines, and nothing from the checkout."""
    ended = machines("--short", "--package")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "All of it as it should be" in ended.stdout
