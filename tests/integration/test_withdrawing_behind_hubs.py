# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Withdrawing by name reaches the leaves of hubs, though hubs keep no record of it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.lab.fleet import Fleet, SiteSpec
from tests.lab.runs import IMAGE, is_delivered
from tests.lab.tree import Image

MARKER = f"{IMAGE}-kernel.json"
WITHDRAW = ("withdraw.yml", "-e", f"netboot_withdraw={IMAGE}")
UNDO = (*WITHDRAW, "-e", "netboot_withdraw_undo=true")


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    """A netboot server, a hub and a leaf behind it; the leaf is the first host of the play."""
    with Fleet(tmp_path, [SiteSpec("leaf"), SiteSpec("hub")], variables={"netboot_sync_grace": 0}) as found:
        inventory = yaml.safe_load(found.inventory.read_text(encoding="utf-8"))
        hosts = inventory["all"]["children"]["caching_servers"]["hosts"]
        hosts["leaf"].update(netboot_sync_source="hub", netboot_sync_retries=0)
        found.inventory.write_text(yaml.safe_dump(inventory, sort_keys=False), encoding="utf-8")
        found.tree.add_kernel()
        yield found


@pytest.fixture
def image(fleet: Fleet) -> Image:
    """An image that hub and leaf have."""
    found = fleet.tree.add_image(IMAGE)
    run = fleet.run_playbook("sync.yml")
    assert run.status == 0, run.output
    assert is_delivered(fleet, found, "leaf")
    return found


def shows(fleet: Fleet, site: str) -> bool:
    """Whether clients find the image there."""
    return (fleet.sites[site].assets / MARKER).exists()


@pytest.mark.timeout(600)
def test_gone_and_put_back_in_one_run_each(fleet: Fleet, image: Image) -> None:
    run = fleet.run_playbook(*WITHDRAW)
    assert run.status == 0, run.output
    assert not shows(fleet, "hub")
    assert not shows(fleet, "leaf")
    run = fleet.run_playbook(*UNDO)
    assert run.status == 0, run.output
    assert is_delivered(fleet, image, "hub")
    assert is_delivered(fleet, image, "leaf"), run.output


@pytest.mark.timeout(600)
@pytest.mark.parametrize("alone", [True, False], ids=["alone", "with its hub"])
def test_a_leaf_that_was_away_follows_at_its_next_sync(fleet: Fleet, image: Image, alone: bool) -> None:
    fleet.sites["leaf"].server.stop()
    assert fleet.run_playbook(*WITHDRAW).status == 2
    fleet.sites["leaf"].server.start()
    assert shows(fleet, "leaf")
    run = fleet.run_playbook("sync.yml", *(("--limit", "leaf") if alone else ()))
    assert run.status == 0, run.output
    assert not shows(fleet, "leaf"), run.output
    # A record at a hub would be one that no undo on the netboot server takes back.
    assert not list(fleet.sites["hub"].assets.glob("prod/.*withdrawn*"))
    run = fleet.run_playbook(*UNDO)
    assert is_delivered(fleet, image, "leaf"), run.output


@pytest.mark.timeout(600)
def test_a_hub_that_still_has_it_gives_it_to_nobody(fleet: Fleet, image: Image, tmp_path: Path) -> None:
    """As a hub does that could not be reached from the netboot server."""
    kept = shutil.copy2(image.marker, tmp_path / "marker")
    assert fleet.run_playbook(*WITHDRAW).status == 0
    shutil.copy2(kept, fleet.sites["hub"].assets / MARKER)
    run = fleet.run_playbook("sync.yml", "--limit", "leaf")
    assert run.status == 0, run.output
    assert not shows(fleet, "leaf")


@pytest.mark.timeout(600)
def test_a_squashfs_that_is_to_go_goes_from_leaves_as_well(fleet: Fleet, image: Image) -> None:
    assert fleet.run_playbook(*WITHDRAW, "-e", "netboot_withdraw_purge=true").status == 0
    assert (fleet.sites["leaf"].assets / image.path).exists()
    run = fleet.run_playbook("sync.yml", "--limit", "leaf")
    assert run.status == 0, run.output
    assert not (fleet.sites["leaf"].assets / image.path).exists()
