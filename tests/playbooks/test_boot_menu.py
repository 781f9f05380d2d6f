# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook boot_menu.yml, and the boot menu at the end of a sync."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.fleet import Fleet, SiteSpec
from tests.lab.runs import IMAGE, NEXT

UNTESTED = "dev/21-04-10-kde-topic-0aa1b2c"


@pytest.fixture
def sites(tmp_path: Path) -> Iterator[Fleet]:
    """Two caching servers, one of which also holds dev/; the control node is the netboot server."""
    specs = [
        SiteSpec(
            "berlin",
            variables={"netboot_boot_menu_gateways": ["203.0.113.1"], "netboot_sync_exclude": ["dev/**"]},
        ),
        SiteSpec(
            "devel",
            variables={
                "netboot_boot_menu_gateways": ["203.0.113.{{ 100 + 1 }}"],
                "netboot_boot_menu_cache_url": "http://{{ inventory_hostname }}.example.org",
            },
        ),
    ]
    variables = {"netboot_boot_menu_server_url": "http://198.51.100.10", "netboot_sync_source": "localhost"}
    with Fleet(tmp_path / "fleet", specs, variables=variables) as fleet:
        fleet.tree.add_kernel()
        fleet.tree.add_image(IMAGE)
        fleet.tree.add_image(UNTESTED)
        yield fleet


def test_check_do_check_do(sites: Fleet) -> None:
    scripts = [sites.tree.root / name for name in ("boot.ipxe", "menu.ipxe")]
    for arguments, changed, there in (
        (["--check", "--diff"], True, False),
        ([], True, True),
        (["--check", "--diff"], False, True),
        (["--limit", "berlin"], False, True),
    ):
        run = sites.run_playbook("boot_menu.yml", *arguments)
        assert run.status == 0, run.output
        assert ("changed=1 " in run.output) is changed, run.output
        assert ("+set cache http://devel.example.org" in run.output) is (changed and "--diff" in arguments)
        assert [path.exists() for path in scripts] == [there, there]
    boot, menu = (path.read_text() for path in scripts)
    assert "iseq ${netX/gateway} 203.0.113.101 &&" in boot
    assert "iseq ${site} devel && goto menu1 ||" in menu
    run = sites.run_playbook("boot_menu.yml", "-e", '{"netboot_boot_menu_leave_out": ["devel"]}')
    assert run.status == 0, run.output
    assert "devel" not in scripts[0].read_text()


def test_a_sync_brings_the_scripts_to_the_sites(sites: Fleet) -> None:
    assert sites.run_playbook("boot_menu.yml").status == 0
    run = sites.run_playbook("sync.yml")
    assert run.status == 0, run.output
    for site in sites.sites.values():
        for name in ("boot.ipxe", "menu.ipxe"):
            assert (site.assets / name).read_bytes() == (sites.tree.root / name).read_bytes()


def test_a_sync_that_changed_something_renews_them(sites: Fleet) -> None:
    menu = sites.tree.root / "menu.ipxe"
    run = sites.run_playbook("sync.yml")
    assert run.status == 0, run.output
    assert not menu.exists()
    sites.tree.add_image(NEXT)
    for images, told in ((True, True), (True, False)):
        run = sites.run_playbook("sync.yml", "-e", "netboot_boot_menu_renew=true")
        assert run.status == 0, run.output
        assert (NEXT in menu.read_text()) is images
        assert ("menu.ipxe written" in run.output) is told


def test_nobody_knows_where_the_scripts_go(sites: Fleet) -> None:
    run = sites.run_playbook("boot_menu.yml", "-e", "netboot_boot_menu_host=")
    assert run.status != 0
    assert "no host is in the group netboot_server" in " ".join(run.output.split())
    assert not list(sites.tree.root.glob("*.ipxe"))


def test_nobody_knows_where_clients_find_the_tree(sites: Fleet) -> None:
    run = sites.run_playbook("boot_menu.yml", "-e", "netboot_boot_menu_server_url=")
    assert run.status != 0
    assert "Set netboot_boot_menu_server_url" in " ".join(run.output.split())
