#!/usr/bin/python
# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The documentation of the action plugin status_notify."""

from __future__ import annotations

DOCUMENTATION = r"""
module: status_notify
short_description: Send the summary of a fleet by mail, to a webhook or to a chat
version_added: 1.0.0
description:
  - Sends a text through the modules M(community.general.mail), M(ansible.builtin.uri), M(community.general.mattermost)
    and M(community.general.slack), each if a variable holds options for it, on the host of the task.
  - In these options, C(@SUBJECT@) and C(@SUMMARY@) stand for O(subject) and O(text).
  - The variables are read by name, so that no address or password is a task argument. None of them appears in the
    result or in the system's log.
author:
  - Netboot Syncer contributors (@netboot-syncer)
options:
  subject:
    description: The subject of a mail.
    type: str
    required: true
  text:
    description: The message.
    type: str
    required: true
  troubles:
    description: What needs a look, as M(netboot.syncer.status_report) returns it.
    type: list
    elements: str
    required: true
  when:
    description:
      - V(trouble) sends it if something needs a look.
      - V(changed) sends it if what needs a look differs from O(told), and also when all is well again.
      - V(always) sends it.
    type: str
    choices: [trouble, changed, always]
    required: true
  told:
    description: The O(troubles) of the previous message, as JSON.
    type: str
  variables:
    description:
      - The prefix of the variables whose names end in C(mail), C(webhook), C(mattermost) and C(slack).
    type: str
    default: netboot_status_summary_
extends_documentation_fragment:
  - netboot.syncer.attributes.actiongroup_all
attributes:
  action:
    description: The modules that send run on the host of the task.
    support: full
  check_mode:
    description: Sends nothing.
    support: full
  diff_mode:
    description: There is nothing to show.
    support: none
seealso:
  - module: netboot.syncer.status_report
"""

EXAMPLES = r"""
- name: Send what needs a look
  netboot.syncer.status_notify:
    subject: "{{ report.subject }}"
    text: "{{ report.summary }}"
    troubles: "{{ report.troubles }}"
    when: trouble
  vars:
    netboot_status_summary_mail:
      host: smtp.example.org
      to: [operators@example.org]
  run_once: true
"""

RETURN = r"""
sent:
  description: The variables through which it was sent.
  returned: success
  type: list
  elements: str
  sample: [netboot_status_summary_mail]
"""
