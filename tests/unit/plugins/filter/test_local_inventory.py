# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a netboot server is told about its caching servers, so that it can sync them on its own."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from ansible_collections.netboot.syncer.plugins.filter.local_inventory import local_inventory
from ansible_collections.netboot.syncer.plugins.plugin_utils.boot_inventory import server_url

HOSTVARS: dict[str, dict[str, Any]] = {
    "berlin": {
        "ansible_host": "192.0.2.10",
        "ansible_password": "secret",
        "ansible_become_password": "secret",
        "netboot_sync_exclude": ["dev/**"],
        "netboot_sync_result": {"changed": True},
        "netboot_boot_menu_gateways": ["198.51.100.1"],
        "netboot_boot_menu_renew": True,
        "netboot_boot_menu_result": {"changed": True},
        "netboot_caching_server_web_port": 8080,
        "own": 1,
    },
    "behind": {"ansible_host": "192.0.2.11", "netboot_sync_source": "hub"},
    "named": {"netboot_sync_source": "netboot", "netboot_sync_delete": True},
}


def hosts(found: dict[str, object]) -> dict[str, object]:
    text = yaml.safe_load(yaml.safe_dump(found))
    plain: dict[str, object] = text["all"]["children"]["caching_servers"]["hosts"]
    return plain


def test_what_a_sync_reads_and_nothing_else() -> None:
    found = hosts(local_inventory(HOSTVARS, HOSTVARS, "netboot"))
    assert found["berlin"] == {
        "ansible_host": "192.0.2.10",
        "netboot_boot_menu_gateways": ["198.51.100.1"],
        "netboot_caching_server_web_port": 8080,
        "netboot_sync_exclude": ["dev/**"],
    }


def test_those_that_another_host_feeds_are_left_out() -> None:
    found = hosts(local_inventory(HOSTVARS, HOSTVARS, "netboot"))
    assert found.keys() == {"berlin", "named"}
    assert found["named"] == {"netboot_sync_delete": True}
    assert hosts(local_inventory(HOSTVARS, HOSTVARS, "hub", "netboot")).keys() == {"behind"}


def test_the_netboot_server_is_the_machine_itself_and_defaults_are_those_of_the_group() -> None:
    groups = local_inventory(["berlin"], HOSTVARS, "netboot", defaults={"netboot_sync_user": "sync"})["all"]["children"]
    assert groups["netboot_server"]["hosts"]["netboot"]["ansible_connection"] == "local"
    assert groups["caching_servers"]["vars"] == {"netboot_sync_user": "sync"}


def test_clients_find_the_netboot_server_where_the_whole_inventory_has_it() -> None:
    """Made on the machine itself, a boot menu must not send them to its inventory name, or to another port."""
    variables = {**HOSTVARS, "netboot": {"ansible_host": "192.0.2.1", "netboot_server_web_port": 8000, "own": 1}}
    groups = local_inventory(["berlin"], variables, "netboot")["all"]["children"]
    (machine,) = groups["netboot_server"]["hosts"].values()
    assert machine == {
        "ansible_become": False,
        "ansible_connection": "local",
        "ansible_host": "192.0.2.1",
        "netboot_server_web_port": 8000,
    }
    assert server_url("netboot", machine) == server_url("netboot", variables["netboot"]) == "http://192.0.2.1:8000"


def test_a_boot_menu_is_for_those_behind_hubs_as_well() -> None:
    groups = local_inventory(HOSTVARS, HOSTVARS, "netboot")["all"]["children"]
    assert groups["netboot_sites"]["children"].keys() == {"caching_servers"}
    assert groups["netboot_sites"]["hosts"] == {"behind": {"ansible_host": "192.0.2.11"}}
    assert "netboot_sites" not in local_inventory(HOSTVARS, HOSTVARS, "hub", "netboot")["all"]["children"]


def test_a_variable_that_makes_no_sense() -> None:
    class Broken(dict[str, object]):
        def __getitem__(self, key: str) -> object:
            raise ValueError("'x' is undefined")

    with pytest.raises(AnsibleFilterError, match="berlin: its variables make no sense: 'x' is undefined"):
        local_inventory(["berlin"], {"berlin": Broken(netboot_sync_dest=1)}, "netboot")
