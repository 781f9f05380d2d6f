# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter known_hosts: the text of a known hosts file, with the keys of some hosts put in their place."""

from __future__ import annotations

DOCUMENTATION = r"""
name: known_hosts
short_description: The text of a known hosts file with exactly these keys for these hosts
version_added: 1.0.0
author:
  - Netboot Syncer contributors (@netboot-syncer)
description:
  - Takes the text of a known hosts file and returns it with the given keys for some hosts, replacing all that it had
    for them, whether their names are hashed or not.
  - Lines for other hosts stay, and so do those that revoke a key or name an authority.
positional: _input, hosts
options:
  _input:
    description: The text of the file.
    type: str
    required: true
  hosts:
    description:
      - A list of dictionaries, one for each host, with its C(address), its C(port) if that is not 22, and C(keys), a
        list of public keys as they are in C(.pub) files. An empty list removes the host.
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: Forget a host
  ansible.builtin.copy:
    content: "{{ text | netboot.syncer.known_hosts([{'address': '192.0.2.10', 'port': 2222, 'keys': []}]) }}"
    dest: /etc/netboot/known_hosts
    mode: preserve
  vars:
    text: "{{ lookup('ansible.builtin.file', '/etc/netboot/known_hosts') }}"
"""

RETURN = r"""
_value:
  description: The new text; unchanged if nothing had to be changed.
  type: str
"""

import typing as t

from ansible.errors import AnsibleFilterError
from ansible_collections.netboot.syncer.plugins.plugin_utils.known_hosts import host_field, replace


def known_hosts(text: str, hosts: t.Iterable[t.Mapping[str, t.Any]]) -> str:
    """Return the new text. Raises AnsibleFilterError for an invalid key."""
    try:
        wanted = {host_field(str(host["address"]), host.get("port")): list(host["keys"]) for host in hosts}
        return replace(text, wanted)
    except ValueError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Return the filter by its name."""
        return {"known_hosts": known_hosts}
