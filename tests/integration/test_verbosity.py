# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each level of -v adds: the result, then the route and the retries, then what the remote end offers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.fleet import Fleet, SiteSpec
from tests.lab.runs import IMAGE, SITE, add_large_image, is_delivered
from tests.lab.waiting import meanwhile


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    variables = {"netboot_sync_retry_delay": 1}
    with Fleet(tmp_path / "fleet", [SiteSpec(SITE, line=True)], variables=variables) as fleet:
        fleet.tree.add_kernel()
        yield fleet


@pytest.mark.parametrize("level", [1, 2, 3])
def test_each_level_adds_something(fleet: Fleet, level: int) -> None:
    image = add_large_image(fleet.tree, IMAGE, size=8_000_000)
    line = fleet.sites[SITE].line
    assert line is not None
    line.cut_after(4_000_000)
    with meanwhile(line.was_cut.is_set, line.restore):
        run = fleet.run_playbook("sync.yml", "-" + "v" * level)
    assert run.status == 0, run.output
    assert is_delivered(fleet, image)
    result = run.results[SITE]
    assert len(result["retried"]) == result["stats"]["attempts"] - 1 == 1
    assert result["server"]["shell"] is True
    assert "What arrived is kept" in result["retried"][0]
    text = " ".join(run.output.split())
    site = fleet.sites[SITE]
    way = f"{SITE}: from {fleet.tree.root} on localhost to {site.assets} at {site.server.user}@{site.ssh.address}"
    for least, words in (
        (1, "basis: null"),
        (2, way),
        (2, f"{SITE}: tried again: {result['retried'][0]}"),
        (3, f"{SITE}: it offers rsync 3."),
    ):
        assert (words in text) == (level >= least), words
