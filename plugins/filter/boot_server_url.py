# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter boot_server_url."""

from __future__ import annotations

DOCUMENTATION = r"""
name: boot_server_url
short_description: Where clients find the tree of the netboot server
version_added: 1.0.0
author:
  - Netboot Syncer contributors (@netboot-syncer)
description:
  - Takes the name of the netboot server and returns its C(http://) address, with C(netboot_server_web_port) if that is
    not 80. An address that only the machine itself can reach gives an empty string.
positional: _input, hostvars
options:
  _input:
    description: The inventory name of the netboot server.
    type: str
    required: true
  hostvars:
    description: The variable C(hostvars).
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Show where clients find the tree
  ansible.builtin.debug:
    msg: "{{ 'netboot' | netboot.syncer.boot_server_url(hostvars) }}"
"""

RETURN = r"""
_value:
  description: The address, without a slash at the end.
  type: str
"""

import typing as t

from ansible_collections.netboot.syncer.plugins.plugin_utils import boot_inventory


def boot_server_url(host: str, hostvars: t.Mapping[str, t.Any]) -> str:
    """Return the address."""
    return boot_inventory.server_url(host, hostvars[host]) if host and host in hostvars else ""


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Return the filter by its name."""
        return {"boot_server_url": boot_server_url}
