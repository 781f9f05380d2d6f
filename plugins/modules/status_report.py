#!/usr/bin/python
# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The documentation of the action plugin status_report."""

from __future__ import annotations

DOCUMENTATION = r"""
module: status_report
short_description: Show the state of the fleet, and build status.json, the page and the metrics from it
version_added: 1.0.0
description:
  - Shows a table of all sites, or with many sites only of those that are not in line, and returns what is to be
    written.
  - Runs only on the control node, once for all hosts.
author:
  - Netboot Syncer contributors (@netboot-syncer)
options:
  looks:
    description: Results of M(netboot.syncer.fleet_status), one for each source.
    type: list
    elements: dict
    required: true
  page:
    description: The template of the page, a file of the role.
    type: str
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
  - module: netboot.syncer.fleet_status
  - module: netboot.syncer.status_notify
"""

EXAMPLES = r"""
- name: Show the fleet
  netboot.syncer.status_report:
    looks: ["{{ fleet }}"]
  run_once: true
"""

RETURN = r"""
json:
  description: The content of C(status.json).
  returned: success
  type: str
metrics:
  description: The metrics in OpenMetrics.
  returned: success
  type: str
page:
  description: The page.
  returned: success
  type: str
not_in_line:
  description: The names of the sites that are not in line.
  returned: success
  type: list
  elements: str
subject:
  description: The state of the fleet in one line.
  returned: success
  type: str
  sample: 2 of 12 sites need a look
summary:
  description: The same as a short text, with what needs a look, see M(netboot.syncer.status_notify).
  returned: success
  type: str
troubles:
  description: What needs a look, each by its kind and its name, which stay the same from one check to the next.
  returned: success
  type: list
  elements: str
  sample: ["unreachable bern", "withdrawn prod/21-04-10-gnome-master-9c41d0b.squashfs"]
"""
