# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""More than one tree at a site, and more than one fleet, in one inventory: as documented."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.lab.fleet import CHECKOUT, Fleet, SiteSpec
from tests.lab.runs import IMAGE, NEXT
from tests.lab.tree import AssetsTree

PAGE = CHECKOUT / "docs" / "docsite" / "how-to" / "several.md"


def examples() -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the inventories of the page: the one of two trees, and the one of two fleets."""
    trees, fleets = (
        yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    )
    return trees, fleets


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    with Fleet(tmp_path / "fleet", [SiteSpec("berlin"), SiteSpec("school-1")]) as fleet:
        fleet.tree.add_kernel()
        fleet.tree.add_image(IMAGE)
        yield fleet


def write_inventory(fleet: Fleet, groups: dict[str, Any], places: dict[str, Path]) -> None:
    """Write an inventory of the page, with the lab's addresses in place of its own, and its paths moved to *places*."""
    lab = yaml.safe_load(fleet.inventory.read_text("utf-8"))["all"]
    known = lab["children"]["caching_servers"]
    del known["vars"]["netboot_sync_source"]
    at = {"203.0.113.5": "berlin", "198.51.100.7": "school-1"}
    for group in groups.values():
        for host, variables in group["hosts"].items():
            site = known["hosts"].get(at.get(variables["ansible_host"], ""), {"ansible_connection": "local"})
            moved = {key: str(places[value]) for key, value in variables.items() if value in places}
            group["hosts"][host] = {**variables, **site, **moved}
        group["vars"] = {
            **known["vars"],
            **{key: str(places.get(value, value)) for key, value in group.get("vars", {}).items()},
        }
    fleet.inventory.write_text(yaml.safe_dump({"all": {"vars": lab["vars"], "children": groups}}), "utf-8")


def held(place: Path) -> set[str]:
    return {str(path.relative_to(place)) for path in place.rglob("*.squashfs")}


def other_tree(fleet: Fleet) -> AssetsTree:
    tree = AssetsTree(fleet.directory / "other")
    tree.add_kernel()
    tree.add_image(NEXT)
    return tree


def test_two_trees_at_one_site(fleet: Fleet) -> None:
    groups, _fleets = examples()
    there = fleet.sites["berlin"].assets.with_name("kiosk")
    there.mkdir()
    ours = other_tree(fleet)
    groups["netboot_server"] = {"hosts": {"netboot": {"ansible_host": "192.0.2.10"}}}
    kiosk = groups["caching_servers"]["hosts"]["berlin-kiosk"]
    assert kiosk["netboot_sync_src"] == kiosk["netboot_sync_dest"]  # so the latter needs its own value below
    kiosk["netboot_sync_dest"] = "there"
    write_inventory(fleet, groups, {"/srv/netboot/kiosk": ours.root, "there": there})
    run = fleet.run_playbook("sync.yml", "-e", "netboot_sync_delete=true")
    assert run.status == 0, run.output
    assert held(there) == {f"{NEXT}.squashfs"}
    assert held(fleet.sites["berlin"].assets) == {f"{IMAGE}.squashfs"}
    assert {name: len(result["images"]) for name, result in run.results.items()} == {"berlin": 1, "berlin-kiosk": 1}


def test_two_fleets(fleet: Fleet) -> None:
    _trees, groups = examples()
    ours = other_tree(fleet)
    write_inventory(fleet, groups, {"/srv/school/images": ours.root})
    run = fleet.run_playbook("sync.yml", "-e", "netboot_fleet=school_servers")
    assert run.status == 0, run.output
    assert run.results.keys() == {"school-1"}
    assert held(fleet.sites["school-1"].assets) == {f"{NEXT}.squashfs"}
    assert held(fleet.sites["berlin"].assets) == set()
    run = fleet.run_playbook("sync.yml")
    assert run.status == 0, run.output
    assert run.results.keys() == {"berlin"}
    assert held(fleet.sites["berlin"].assets) == {f"{IMAGE}.squashfs"}
