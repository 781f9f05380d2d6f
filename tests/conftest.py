# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hooks and fixtures for all tests."""

from __future__ import annotations

import contextlib
import os
import sys

import hypothesis
import pytest

hypothesis.settings.register_profile(
    "first-example", phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate], database=None
)
# A file runs on a single worker, so the longest files begin first: no run should end by waiting for one of them. A
# worker always has a second test waiting: behind the single test of a file, that is one of the next file, which waits
# with it. So after as many files as there are workers come as many short ones as there are such files.
LONGEST = [
    *("test_machines", "test_day", "test_mistakes", "test_killed", "test_notify", "test_setup", "test_withdraw"),
    *("test_execution_environment", "test_page"),
    *("test_right_machine", "test_limits", "test_survey", "test_jobs", "test_in_place", "test_ends", "test_progress"),
    *("test_sync", "test_in_ansible", "test_lines", "test_preflight", "test_protocol", "test_withdrawing"),
    *("test_following", "test_faults", "test_lifeline", "test_endless", "test_changing_source", "test_no_progress"),
    *("test_strange_disks", "test_slices", "test_families", "test_scenarios", "test_boot", "test_bench"),
    *("test_feeding", "test_hostile_server", "test_hubs_lab"),
]


@pytest.fixture(autouse=True)
def blocking_descriptors() -> None:
    """Undo what an earlier test's ssh left: it shares our standard error, and has made it non-blocking."""
    for descriptor in (0, 1, 2):
        with contextlib.suppress(OSError):
            os.set_blocking(descriptor, True)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish() -> None:
    """Let pytest remove what a killed session left: it recurses for each level of a tree, and some have 1,200."""
    sys.setrecursionlimit(10_000)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest tests, and skip those that need root if we are not root; the summary names them."""
    items.sort(key=lambda item: LONGEST.index(item.path.stem) if item.path.stem in LONGEST else len(LONGEST))
    if os.geteuid() == 0:
        return
    without_root = pytest.mark.skip(reason="needs root: network namespaces, rate limits or small file systems")
    for item in items:
        if item.get_closest_marker("root"):
            item.add_marker(without_root)
