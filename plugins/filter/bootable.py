# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter bootable: in one line, what the clients of a caching server can boot."""

from __future__ import annotations

DOCUMENTATION = r"""
name: bootable
short_description: What the clients of a caching server can boot, in one line
version_added: 1.0.0
author:
  - Netboot Syncer contributors (@netboot-syncer)
description:
  - Takes the inventory name of a caching server and says, from the result of the role C(netboot_sync), which images its
    clients can boot from it, and how much did not have to be sent since it was already there.
positional: _input, variables
options:
  _input:
    description: The inventory name.
    type: str
    required: true
  variables:
    description: The variables of that host, as in C(hostvars[inventory_hostname]).
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: What clients can boot now
  ansible.builtin.debug:
    msg: "{{ inventory_hostname | netboot.syncer.bootable(hostvars[inventory_hostname]) }}"
"""

RETURN = r"""
_value:
  description: The line.
  type: str
"""

import typing as t

from ansible_collections.netboot.syncer.plugins.plugin_utils.bootable import line


def bootable(name: str, variables: t.Mapping[str, t.Any]) -> str:
    """Return the line."""
    result: t.Mapping[str, t.Any] | None = variables.get("netboot_sync_result")
    result = result or variables.get("netboot_sync_survey", {}).get("sites", {}).get(name)
    return line(name, result, check=bool(variables.get("ansible_check_mode")))


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Return the filter by its name."""
        return {"bootable": bootable}
