#!/usr/bin/python
# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The documentation of the action plugin sync_preflight."""

from __future__ import annotations

DOCUMENTATION = r"""
module: sync_preflight
short_description: Check on the control node whether a run over many caching servers can begin
version_added: 1.0.0
description:
  - Works out, for each host of the play, from which inventory host it is synced. Fails if none is named, and if there
    are fewer forks than hosts, so that some would wait for others.
  - Warns about variables that affect only Ansible's login to a host, not the login from its source.
  - Runs only on the control node, once for all hosts.
author:
  - Netboot Syncer contributors (@netboot-syncer)
options:
  variables:
    description: The prefix of the variables, see O(netboot.syncer.sync_assets#module:variables).
    type: str
    default: netboot_sync_
extends_documentation_fragment:
  - netboot.syncer.attributes.actiongroup_all
attributes:
  action:
    description: It is an action plugin; nothing runs on any host.
    support: full
  check_mode:
    description: Never changes anything.
    support: full
  diff_mode:
    description: Nothing changes, so there is nothing to show.
    support: none
seealso:
  - module: netboot.syncer.sync_source
"""

EXAMPLES = r"""
- name: See from where each caching server is synced
  netboot.syncer.sync_preflight:
  run_once: true
  register: preflight
"""

RETURN = r"""
sources:
  description: The hosts to send from.
  returned: success
  type: list
  elements: dict
  contains:
    source: {description: Its inventory name., type: str}
    src: {description: The assets trees on it., type: list, elements: str}
    sites: {description: The caching servers that are synced only from it., type: list, elements: str}
    with_fallback: {description: Those that also have a fallback source., type: list, elements: str}
    rsync: {description: Whether one of them requires rsync., type: bool}
    filled: {description: 'Whether it is a hub that is synced in the same play.', type: bool}
  sample:
    - source: localhost
      src:
        - /srv/netboot/assets
      sites:
        - berlin
      with_fallback: []
      rsync: false
      filled: false
netboot_servers:
  description: The hosts from which all caching servers are synced in the end, whatever hubs are in between.
  returned: success
  type: list
  elements: dict
  contains:
    source: {description: Its inventory name., type: str}
    src: {description: The assets tree on it., type: str}
  sample:
    - source: localhost
      src: /srv/netboot/assets
hubs:
  description: The hosts of the play that feed others, each before those that it feeds.
  returned: success
  type: list
  elements: str
  sample: []
newcomers:
  description:
    - The netboot server that variables name and the inventory lacks, for M(ansible.builtin.add_host); at most one.
    - The tasks C(newcomers) of the role C(netboot_sync) add it.
  returned: success
  type: list
  elements: dict
  contains:
    name: {description: Its address and inventory name., type: str}
    port: {description: Its port; absent if not set., type: int}
    user: {description: The user to log in as; absent if not set., type: str}
"""
