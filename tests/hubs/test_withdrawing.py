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
from tests.lab.runs import IMAGE, is_delivered, sync
from tests.lab.tree import Image

LEAVES = ("leaf", "other")
MARKER = f"{IMAGE}-kernel.json"
WITHDRAW = ("withdraw.yml", "-e", f"netboot_withdraw={IMAGE}")
UNDO = (*WITHDRAW, "-e", "netboot_withdraw_undo=true")


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    """A netboot server, a hub and two leaves behind it; the leaves are the first hosts of the play."""
    specs = [SiteSpec(name) for name in (*LEAVES, "hub")]
    with Fleet(tmp_path, specs, variables={"netboot_sync_grace": 0}) as found:
        inventory = yaml.safe_load(found.inventory.read_text(encoding="utf-8"))
        hosts = inventory["all"]["children"]["caching_servers"]["hosts"]
        # The whole lab is one machine: only because the path of the hub's tree is named would a task that runs on the
        # hub by mistake find a tree other than the netboot server's.
        tree = str(found.sites["hub"].assets)
        for name in LEAVES:
            hosts[name].update(netboot_sync_source="hub", netboot_sync_src=tree, netboot_sync_retries=0)
        found.inventory.write_text(yaml.safe_dump(inventory, sort_keys=False), encoding="utf-8")
        found.tree.add_kernel()
        yield found


@pytest.fixture
def image(fleet: Fleet) -> Image:
    """An image that all sites have."""
    found = fleet.tree.add_image(IMAGE)
    for name in fleet.sites:
        sync(fleet, name)
    return found


def showing(fleet: Fleet) -> list[str]:
    """The sites at which clients find the image."""
    return [name for name, site in fleet.sites.items() if (site.assets / MARKER).exists()]


def nothing_recorded(fleet: Fleet) -> bool:
    """Whether no site keeps a record of its own, which an undo on the netboot server would not remove."""
    return not any(list(site.assets.glob("prod/.*withdrawn*")) for site in fleet.sites.values())


@pytest.mark.timeout(600)
def test_gone_and_put_back_in_one_run_each(fleet: Fleet, image: Image) -> None:
    run = fleet.run_playbook(*WITHDRAW)
    assert run.status == 0, run.output
    assert showing(fleet) == []
    assert not image.marker.exists()
    assert nothing_recorded(fleet)
    run = fleet.run_playbook(*UNDO)
    assert run.status == 0, run.output
    assert all(is_delivered(fleet, image, name) for name in fleet.sites), run.output


@pytest.mark.timeout(600)
def test_leaves_that_were_away_follow_at_their_next_sync(fleet: Fleet, image: Image) -> None:
    """One of them is synced alone, the other together with its hub."""
    for name in LEAVES:
        fleet.sites[name].server.stop()
    assert fleet.run_playbook(*WITHDRAW).status == 2
    for name in LEAVES:
        fleet.sites[name].server.start()
    assert showing(fleet) == list(LEAVES)
    for arguments, left in ((("--limit", LEAVES[0]), [LEAVES[1]]), ((), [])):
        run = fleet.run_playbook("sync.yml", *arguments)
        assert run.status == 0, run.output
        assert showing(fleet) == left, run.output
        assert nothing_recorded(fleet)
    run = fleet.run_playbook(*UNDO)
    assert all(is_delivered(fleet, image, name) for name in LEAVES), run.output


@pytest.mark.timeout(600)
def test_a_hub_that_still_has_it_gives_it_to_nobody(fleet: Fleet, image: Image, tmp_path: Path) -> None:
    """The hub is like one that the netboot server could not reach; a purge also removes the squashfs from leaves."""
    kept = shutil.copy2(image.marker, tmp_path / "marker")
    assert fleet.run_playbook(*WITHDRAW, "-e", "netboot_withdraw_purge=true").status == 0
    shutil.copy2(kept, fleet.sites["hub"].assets / MARKER)
    leaf = fleet.sites["leaf"].assets
    assert (leaf / image.path).exists()
    run = fleet.run_playbook("sync.yml", "--limit", "leaf")
    assert run.status == 0, run.output
    assert showing(fleet) == ["hub"]
    assert not (leaf / image.path).exists()


@pytest.mark.timeout(600)
def test_a_play_without_the_preflight_says_what_it_does_not_know(fleet: Fleet, image: Image, tmp_path: Path) -> None:
    play = {"hosts": "leaf,hub", "gather_facts": False, "strategy": "free", "roles": ["netboot.syncer.netboot_sync"]}
    file = tmp_path / "own.yml"
    file.write_text(yaml.safe_dump([play]), encoding="utf-8")
    run = fleet.run_playbook(str(file))
    assert run.status == 0, run.output
    said = " ".join(run.output.split())
    assert (
        "leaf: what was withdrawn by name on the netboot server is not known, since no preflight of this play has asked"
        " localhost; what hub has published is sent"
    ) in said
    assert "hub: what was withdrawn" not in said
    assert is_delivered(fleet, image, "leaf")
