# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter boot_sites."""

from __future__ import annotations

DOCUMENTATION = r"""
name: boot_sites
short_description: Caching servers as sites of the boot menu
version_added: 1.0.0
author:
  - Netboot Syncer contributors (@netboot-syncer)
description:
  - >-
    Takes the names of caching servers and returns each, from its variables, in the form of
    O(netboot.syncer.boot_menu#module:sites).
positional: _input, hostvars
options:
  _input:
    description: Inventory names of caching servers.
    type: list
    elements: str
    required: true
  hostvars:
    description: The variable C(hostvars).
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Write the boot menu
  netboot.syncer.boot_menu:
    server_url: http://192.0.2.1
    sites: "{{ groups.caching_servers | netboot.syncer.boot_sites(hostvars) }}"
"""

RETURN = r"""
_value:
  description: A site for each caching server, in the order given.
  type: list
  elements: dict
"""

import typing as t

from ansible_collections.netboot.syncer.plugins.plugin_utils import boot_inventory


def boot_sites(hosts: t.Iterable[str], hostvars: t.Mapping[str, t.Any]) -> list[dict[str, t.Any]]:
    """Return the sites."""
    return [boot_inventory.site(host, hostvars[host]) for host in hosts]


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Return the filter by its name."""
        return {"boot_sites": boot_sites}
