# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter login_trouble: why Ansible could not log in to a machine, and what to do."""

from __future__ import annotations

DOCUMENTATION = r"""
name: login_trouble
short_description: Why Ansible could not log in to a machine, and what to do, in one line
version_added: 1.0.0
author:
  - Netboot Syncer contributors (@netboot-syncer)
description:
  - Takes the message of a result that is C(unreachable) and returns one line that says what is wrong and how to fix it.
positional: _input, variables
options:
  _input:
    description: The message.
    type: str
    required: true
  variables:
    description:
      - The variables of the machine, as in C(hostvars[inventory_hostname]). Of these C(ansible_host),
        C(ansible_port) and C(ansible_user) are read.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Look
  ansible.builtin.raw: "true"
  register: look
  ignore_unreachable: true

- name: See that it can be reached
  ansible.builtin.assert:
    that: not look.unreachable | default(false)
    fail_msg: "{{ inventory_hostname }}: {{ look.msg | netboot.syncer.login_trouble(hostvars[inventory_hostname]) }}"
"""

RETURN = r"""
_value:
  description: The line, without the name of the machine.
  type: str
"""

import typing as t

from ansible_collections.netboot.syncer.plugins.plugin_utils.login_trouble import advice


def login_trouble(said: str, variables: t.Mapping[str, t.Any]) -> str:
    """Return the line."""
    name = variables.get("inventory_hostname", "")
    return advice(
        str(said),
        address=str(variables.get("ansible_ssh_host") or variables.get("ansible_host") or name),
        port=variables.get("ansible_ssh_port") or variables.get("ansible_port") or 22,
        user=str(variables.get("ansible_ssh_user") or variables.get("ansible_user") or ""),
    )


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Return the filter by its name."""
        return {"login_trouble": login_trouble}
