# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A part of sync.yml, run by its tag: the parts before it run as well, and nothing after it does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.fleet import Fleet, SiteSpec
from tests.lab.runs import IMAGE, is_delivered

TASKS = {
    "preflight": "Look at the netboot server",
    "survey": "Find out which",
    "sync": "Bring the",
    "summary": "What became of",
}


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    """Two caching servers that lack an image, with the survey enabled."""
    variables = {"netboot_sync_survey_from": 2, "netboot_sync_retries": 0}
    with Fleet(tmp_path / "fleet", [SiteSpec("a"), SiteSpec("b")], variables=variables) as made:
        made.tree.add_kernel()
        yield made


@pytest.mark.parametrize(
    ("tag", "parts"),
    [
        ("preflight", {"preflight"}),
        ("survey", {"preflight", "survey"}),
        ("sync", {"preflight", "survey", "sync", "summary"}),
    ],
)
def test_a_tag_stands_for_its_part_and_what_that_needs(fleet: Fleet, tag: str, parts: set[str]) -> None:
    image = fleet.tree.add_image(IMAGE)
    run = fleet.run_playbook("sync.yml", "--tags", tag)
    assert run.status == 0, run.output
    assert {name for name, task in TASKS.items() if task in run.output} == parts
    for site in fleet.sites:
        assert is_delivered(fleet, image, site) == ("sync" in parts)
