# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter sync_summary: the results of a fleet as a table."""

from __future__ import annotations

DOCUMENTATION = r"""
name: sync_summary
short_description: The results of all caching servers, as a table
version_added: 1.0.0
author:
  - Netboot Syncer contributors (@netboot-syncer)
description:
  - Takes the names of caching servers and says, from the results of the role C(netboot_sync), what was published, sent,
    held back or failed.
positional: _input, hostvars
options:
  _input:
    description: Inventory names of caching servers.
    type: list
    elements: str
    required: true
  hostvars:
    description:
      - The variable C(hostvars), in which the role left C(netboot_sync_result) for each of them, or
        C(netboot_sync_survey) if that found that there was nothing to do.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: What became of each caching server
  ansible.builtin.debug:
    msg: "{{ ansible_play_hosts_all | netboot.syncer.sync_summary(hostvars) }}"
  run_once: true
"""

RETURN = r"""
_value:
  description: A table with a line for each caching server, then a line for each thing held back or failed.
  type: str
"""

import typing as t

from ansible_collections.netboot.syncer.plugins.module_utils import reporting
from ansible_collections.netboot.syncer.plugins.plugin_utils import outcomes


def sync_summary(hosts: t.Iterable[str], hostvars: t.Mapping[str, t.Any]) -> str:
    """Return the table."""
    return reporting.table({host: outcomes.result_of(host, hostvars[host]) for host in hosts})


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Return the filter by its name."""
        return {"sync_summary": sync_summary}
