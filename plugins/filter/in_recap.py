# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter in_recap."""

from __future__ import annotations

DOCUMENTATION = r"""
name: in_recap
short_description: Put hosts that did nothing into the recap
version_added: 1.0.0
author:
  - Netboot Syncer contributors (@netboot-syncer)
description:
  - Counts a host of the current play, or each of several, as C(ok) if no task of it was counted so far, and returns
    whether the recap now has all of them. AWX then lists them among the hosts of the job as well.
  - A task that does nothing would do the same, but Ansible starts a process for each task of each host, which takes
    most of the time where hundreds of hosts have nothing to do.
  - It only works in a condition of C(ansible.builtin.meta), which Ansible evaluates itself. Anywhere else, and with a
    version of ansible-core that keeps its statistics in another place, it returns V(false) and does nothing. Then run a
    task for the host.
positional: _input
options:
  _input:
    description: Inventory name of a host of the current play, or a list of such names.
    type: raw
    required: true
"""

EXAMPLES = r"""
- name: If nobody has anything to do, all are done
  ansible.builtin.meta: end_play
  when: with_something_to_do | length == 0 and ansible_play_hosts_all | netboot.syncer.in_recap

- name: Who has nothing to do is done
  ansible.builtin.meta: end_host
  when: inventory_hostname in with_nothing_to_do and inventory_hostname | netboot.syncer.in_recap
"""

RETURN = r"""
_value:
  description: Whether the recap has the host, or all of the hosts.
  type: bool
"""

import typing as t

from ansible_collections.netboot.syncer.plugins.plugin_utils import recap


def in_recap(hosts: str | t.Iterable[str]) -> bool:
    """Count the host, or the hosts, and return whether that was possible."""
    return recap.count([str(hosts)] if isinstance(hosts, str) else [str(host) for host in hosts])


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Return the filter by its name."""
        return {"in_recap": in_recap}
