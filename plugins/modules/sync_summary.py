#!/usr/bin/python
# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The documentation of the action plugin sync_summary."""

from __future__ import annotations

DOCUMENTATION = r"""
module: sync_summary
short_description: Show the result of each caching server, and pass on the totals
version_added: 1.0.0
description:
  - Shows a table of all hosts of the play, from the results of the role C(netboot_sync), and below it what was held
    back, is left over or failed, and why.
  - Sets the statistic C(netboot_sync_summary) as M(ansible.builtin.set_stats) would; in AWX it is an artifact of the
    job, and a variable of those after it in a workflow.
  - Runs only on the control node, once for all hosts.
author:
  - Netboot Syncer contributors (@netboot-syncer)
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
  - module: netboot.syncer.sync_assets
"""

EXAMPLES = r"""
- name: What became of each caching server
  netboot.syncer.sync_summary:
  run_once: true
  register: summary
"""

RETURN = r"""
sites:
  description:
    - The result of each caching server, V(changed), V(would_change), V(in_line), V(left_over), V(left_for_later) or
      V(failed).
  returned: success
  type: dict
  sample:
    berlin: changed
totals:
  description: How many had which result, the bytes that were sent, and how many images are in which state.
  returned: success
  type: dict
  sample:
    sites: 1
    changed: 1
    would_change: 0
    in_line: 0
    left_over: 0
    left_for_later: 0
    failed: 0
    sent_bytes: 73824
    images:
      published: 2
      repaired: 0
      withdrawn: 0
      left_over: 0
      failed: 0
      held_back: 1
      unchanged: 0
failed_sites:
  description: The names of those that failed.
  returned: success
  type: list
  elements: str
"""
