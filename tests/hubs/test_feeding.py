# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Caching servers that feed others, as an operator runs them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.lab.fleet import Fleet, SiteSpec
from tests.lab.runs import IMAGE, NEXT, is_delivered, sync


def hubs(fleet: Fleet, sources: Mapping[str, str], *, paths_told: bool = False) -> None:
    """Write to the inventory which host feeds which; the order of hosts stays, since a play's first host acts for all.

    The whole lab is one machine. Only with *paths_told*, which names the path of the hub's tree, would a task that runs
    on the hub by mistake find a tree other than the netboot server's.
    """
    inventory: dict[str, Any] = yaml.safe_load(fleet.inventory.read_text(encoding="utf-8"))
    for site, source in sources.items():
        inventory["all"]["children"]["caching_servers"]["hosts"][site]["netboot_sync_source"] = source
        if paths_told:
            tree = str(fleet.sites[source].assets)
            inventory["all"]["children"]["caching_servers"]["hosts"][site]["netboot_sync_src"] = tree
    fleet.inventory.write_text(yaml.safe_dump(inventory, sort_keys=False), encoding="utf-8")


def test_a_leaf_gets_what_its_hub_has_published_and_no_more(tmp_path: Path) -> None:
    """The leaf is the play's first host, so the first host's variables must not count for all."""
    with Fleet(tmp_path, [SiteSpec("leaf"), SiteSpec("hub")]) as fleet:
        hubs(fleet, {"leaf": "hub"})
        fleet.tree.add_kernel()
        image = fleet.tree.add_image(IMAGE)
        sync(fleet, "hub")
        later = fleet.tree.add_image(NEXT)
        run = fleet.run_playbook("sync.yml", "--limit", "leaf")
        assert run.status == 0, run.output
        assert is_delivered(fleet, image, "leaf")
        assert not (fleet.sites["leaf"].assets / later.path).exists()


@pytest.mark.timeout(600)
def test_pruned_on_the_netboot_server(tmp_path: Path) -> None:
    with Fleet(tmp_path, [SiteSpec("leaf"), SiteSpec("hub")]) as fleet:
        hubs(fleet, {"leaf": "hub"}, paths_told=True)
        fleet.tree.add_kernel()
        old, new = fleet.tree.add_image(IMAGE), fleet.tree.add_image(NEXT)
        sync(fleet, "hub")
        run = fleet.run_playbook("prune.yml", "-e", "netboot_prune_keep_last=1")
        assert run.status == 0, run.output
        assert sum(image.marker.exists() for image in (old, new)) == 1


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("sources", "told"),
    [
        pytest.param({"a": "a"}, "a: it is its own source", id="its own leaf"),
        pytest.param({"a": "b", "b": "a"}, "a -> b -> a: these caching servers feed", id="two"),
        pytest.param({"a": "c", "b": "a", "c": "b"}, "a -> b -> c -> a: these caching servers", id="three"),
    ],
)
def test_circles_are_refused_before_anything_is_sent(tmp_path: Path, sources: dict[str, str], told: str) -> None:
    with Fleet(tmp_path, [SiteSpec(name) for name in ("a", "b", "c", "d")]) as fleet:
        hubs(fleet, sources)
        fleet.tree.add_kernel()
        image = fleet.tree.add_image(IMAGE)
        run = fleet.run_playbook("sync.yml")
        assert run.status == 2
        assert " ".join(run.output.split()).split("fatal: ")[1].count(told) == 1, run.output
        assert not any(is_delivered(fleet, image, site) for site in fleet.sites)


@pytest.mark.timeout(600)
def test_a_hub_that_is_down_and_its_leaves(tmp_path: Path) -> None:
    """One leaf has a fallback, the other is told what is wrong."""
    with Fleet(tmp_path, [SiteSpec("leaf"), SiteSpec("lost"), SiteSpec("hub")]) as fleet:
        hubs(fleet, {"leaf": "hub", "lost": "hub"})
        inventory: dict[str, Any] = yaml.safe_load(fleet.inventory.read_text(encoding="utf-8"))
        hosts = inventory["all"]["children"]["caching_servers"]["hosts"]
        hosts["leaf"]["netboot_sync_fallback_source"] = "localhost"
        fleet.inventory.write_text(yaml.safe_dump(inventory, sort_keys=False), encoding="utf-8")
        fleet.tree.add_kernel()
        image = fleet.tree.add_image(IMAGE)
        fleet.sites["hub"].server.stop()
        run = fleet.run_playbook("sync.yml")
        assert run.status == 2
        assert is_delivered(fleet, image, "leaf"), run.output
        assert not is_delivered(fleet, image, "lost")
        said = " ".join(run.output.split())
        assert "leaf: it is synced from localhost, since hub cannot be used" in said
        assert re.search(r"failed: hub: Ansible cannot reach it .* \(lost\)", said), run.output
        assert re.search(r"leaf : ok=\d+ +changed=1 .*failed=0", said), run.output
