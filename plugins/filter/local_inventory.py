# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter local_inventory: what a netboot server needs to know to sync its caching servers by itself."""

from __future__ import annotations

DOCUMENTATION = r"""
name: local_inventory
short_description: The inventory with which a netboot server syncs its caching servers by itself
version_added: 1.0.0
author:
  - Netboot Syncer contributors (@netboot-syncer)
description:
  - Takes the names of caching servers, and returns an inventory of those that are synced from one host, in which that
    host is the machine that Ansible itself runs on.
  - It has what a sync and the boot menu need for a caching server, with templates evaluated, and nothing else - no
    password, and no key.
  - Its group V(caching_servers) holds those that are synced. With the usual source, the group V(netboot_sites) holds
    those behind hubs as well, as a boot menu is always for all of them.
  - C(netboot_boot_menu_renew) is not in it. The account of the sync cannot write into the tree.
positional: _input, hostvars, source, usual_source, defaults
options:
  _input:
    description: The names of the caching servers.
    type: list
    elements: str
    required: true
  hostvars:
    description: The variables of all hosts.
    type: dict
    required: true
  source:
    description: The inventory name of the netboot server.
    type: str
    required: true
  usual_source:
    description: The source of those that name none; O(source) by default.
    type: str
  defaults:
    description: Values for caching servers whose own variables do not set them.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Keep the inventory on the netboot server
  ansible.builtin.copy:
    content: "{{ groups['caching_servers'] | netboot.syncer.local_inventory(hostvars, 'netboot') | to_nice_yaml }}"
    dest: /etc/netboot/inventory.yml
    mode: "0640"
"""

RETURN = r"""
_value:
  description: The inventory, as YAML has it.
  type: dict
"""

import typing as t

from ansible.errors import AnsibleFilterError
from ansible_collections.netboot.syncer.plugins.module_utils.options import OPTIONS

# A sync logs in where Ansible itself would, unless one of its own variables overrides that.
_CONNECTION = ("ansible_host", "ansible_port", "ansible_user")
# Its source decides whether a caching server is included at all.
_OF_THE_SYNC = {option.variable_name for option in OPTIONS if option.variable_name} - {"netboot_sync_source"}
_OTHERS = ("netboot_boot_menu_", "netboot_status_")
_OF_CLIENTS = ("netboot_caching_server_web_port",)
_OF_THE_SOURCE = ("netboot_server_web_port",)
_LEFT_OUT = ("netboot_boot_menu_result", "netboot_boot_menu_renew", "netboot_status_result")


def _kept(name: str) -> bool:
    if name in _CONNECTION or name in _OF_THE_SYNC or name in _OF_CLIENTS:
        return True
    return name.startswith(_OTHERS) and name not in _LEFT_OUT


def _plain(value: t.Any) -> t.Any:
    """Return a value in a form that any YAML writer accepts."""
    if isinstance(value, t.Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    if value is None or isinstance(value, (bool, int, float)):
        return value
    return str(value)


def local_inventory(
    names: t.Iterable[str],
    hostvars: t.Mapping[str, t.Mapping[str, t.Any]],
    source: str,
    usual_source: str | None = None,
    defaults: t.Mapping[str, t.Any] | None = None,
) -> dict[str, t.Any]:
    """Return the inventory. Raises AnsibleFilterError if a variable is invalid."""
    hosts: dict[str, t.Any] = {}
    others: dict[str, t.Any] = {}
    usual = usual_source or source
    for name in names:
        variables = hostvars[name]
        try:
            ours = str(variables.get("netboot_sync_source") or usual) == source
            if ours or source == usual:
                (hosts if ours else others)[str(name)] = {
                    key: _plain(variables[key]) for key in sorted(variables) if _kept(key)
                }
        except Exception as error:  # of any type, depending on the template
            raise AnsibleFilterError(f"{name}: its variables make no sense: {error}") from error
    children: dict[str, t.Any] = {
        "netboot_server": {"hosts": {source: _local(source, hostvars.get(source, {}))}},
        "caching_servers": {"hosts": hosts, "vars": _plain(defaults or {})},
    }
    if source == usual:
        children["netboot_sites"] = {"children": {"caching_servers": {}}, "hosts": others}
    return {"all": {"children": children}}


def _local(name: str, variables: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return the variables of the machine itself: how Ansible reaches it, and where clients find its web server."""
    found = {
        "ansible_connection": "local",
        "ansible_become": False,
        "ansible_host": variables.get("ansible_host", name),
    }
    found.update({key: variables[key] for key in _OF_THE_SOURCE if key in variables})
    return t.cast("dict[str, t.Any]", _plain(found))


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Return them by name."""
        return {"local_inventory": local_inventory}
