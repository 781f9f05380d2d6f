# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the inventory says about sites and their clients."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.netboot.syncer.plugins.plugin_utils import boot_inventory


@pytest.mark.parametrize(
    ("variables", "url"),
    [
        pytest.param({}, "http://cache-berlin", id="inventory-name"),
        pytest.param({"ansible_host": "192.0.2.10"}, "http://192.0.2.10", id="ansible-host"),
        pytest.param({"ansible_host": "a", "netboot_sync_address": "b"}, "http://b", id="address-of-the-sync"),
        pytest.param({"ansible_host": "2001:db8::1"}, "http://[2001:db8::1]", id="ipv6"),
        pytest.param({"netboot_caching_server_web_port": 8080}, "http://cache-berlin:8080", id="port"),
        pytest.param({"netboot_boot_menu_cache_url": "http://x/y"}, "http://x/y", id="said"),
    ],
)
def test_where_a_site_is_asked(variables: dict[str, Any], url: str) -> None:
    assert boot_inventory.site("cache-berlin", variables)["cache_url"] == url


def test_what_a_site_says() -> None:
    variables = {
        "netboot_boot_menu_gateways": "192.0.2.9",
        "netboot_boot_menu_site_arguments": ["console=ttyS0"],
        "netboot_sync_exclude": ["dev/**"],
        "netboot_sync_include": None,
    }
    assert boot_inventory.site("berlin", variables) == {
        "name": "berlin",
        "cache_url": "http://berlin",
        "gateways": ["192.0.2.9"],
        "arguments": ["console=ttyS0"],
        "include": [],
        "exclude": ["dev/**"],
    }


def test_a_caching_server_that_boots_over_the_network() -> None:
    assert boot_inventory.machine({}) is None
    found = boot_inventory.machine({"netboot_boot_menu_mac": "52:54:00:00:00:05"})
    assert found == {"mac": "52:54:00:00:00:05", "image": "caching-server/**", "server_only": True}


@pytest.mark.parametrize(
    ("variables", "url"),
    [
        pytest.param(
            {"ansible_host": "192.0.2.1", "netboot_server_web_port": 8080}, "http://192.0.2.1:8080", id="port"
        ),
        pytest.param({}, "http://netboot", id="inventory-name"),
        pytest.param({"ansible_host": "127.0.0.1"}, "", id="loopback"),
        pytest.param({"ansible_host": "localhost"}, "", id="localhost"),
    ],
)
def test_where_the_netboot_server_is_found(variables: dict[str, Any], url: str) -> None:
    assert boot_inventory.server_url("netboot", variables) == url
