#!/usr/bin/python
# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module sync_survey: parameters in, result out."""

from __future__ import annotations

DOCUMENTATION = r"""
module: sync_survey
short_description: Find out which caching servers have nothing to do
version_added: 1.0.0
description:
  - Checks many caching servers in one process, as M(netboot.syncer.sync_assets) would in check mode, and reports which
    of them are in line with the assets tree of this host.
  - If most are, this costs a fraction of a call of M(netboot.syncer.sync_assets) for each, and needs no forks.
  - It never fails because of a caching server. One that is behind, cannot be reached, or is too slow to answer along
    with the others, is left to M(netboot.syncer.sync_assets), which reports the problem.
author:
  - Netboot Syncer contributors (@netboot-syncer)
requirements:
  - paramiko 2.12 or newer
options:
  sites:
    description:
      - The caching servers, each as a dictionary of the options of M(netboot.syncer.sync_assets). V(null) counts as not
        set. With C(verify) set, a caching server is skipped, since its content has to be compared. So is one with
        invalid options, and those that share a C(name).
      - One of this, O(variables) and O(site_variable) is needed.
    type: list
    elements: dict
  variables:
    description:
      - The prefix of the variables that hold the options of each host of the play, see
        O(netboot.syncer.sync_assets#module:variables). Only hosts whose C(netboot_sync_source) is where the task runs
        are checked; the task itself runs once.
    type: str
  site_variable:
    description:
      - The name of a variable with such a dictionary. It is evaluated for each host of the play, with the variables of
        that host; the task itself runs once.
    type: str
  source_variable:
    description:
      - With O(site_variable), the name of a variable that says for each host of the play where it is synced from. Only
        hosts for which it is the same as for the task are checked.
    type: str
  started_by:
    description: As for M(netboot.syncer.sync_assets); the action plugin sets this for itself.
    type: dict
notes:
  - An option of M(netboot.syncer.sync_assets) that the task has, such as one that C(module_defaults) sets for the group
    C(netboot.syncer.all), applies to each caching server that does not override it.
extends_documentation_fragment:
  - netboot.syncer.attributes.actiongroup_all
attributes:
  action:
    description: The controller evaluates O(variables) and O(site_variable).
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
- name: Find out which caching servers have nothing to do
  netboot.syncer.sync_survey:
    sites:
      - name: site-a
        host: 192.0.2.10
        user: netboot
      - name: site-b
        host: 192.0.2.20
        user: netboot
  register: survey

- name: Find out which hosts of the play have nothing to do
  netboot.syncer.sync_survey:
    variables: netboot_sync_
  delegate_to: "{{ netboot_sync_source }}"
  run_once: true
  register: survey
"""

RETURN = r"""
in_line:
  description: The names of the caching servers that have nothing to do, in the order given.
  returned: success
  type: list
  elements: str
  sample:
    - berlin
sites:
  description:
    - By name, for each of them what M(netboot.syncer.sync_assets) would return, without unchanged images and files.
  returned: success
  type: dict
summary:
  description: The result in one line.
  returned: success
  type: str
  sample: 1 of 1 caching servers are in line
"""

import collections
import time
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.netboot.syncer.plugins.module_utils import options, requirements, results
from ansible_collections.netboot.syncer.plugins.module_utils.call import Call, Failed, perform_for
from ansible_collections.netboot.syncer.plugins.module_utils.run.lifeline import Abandoned, Lifeline
from ansible_collections.netboot.syncer.plugins.module_utils.run.survey import Survey
from ansible_collections.netboot.syncer.plugins.module_utils.run.sync_run import SyncRun
from ansible_collections.netboot.syncer.plugins.module_utils.run.target import Target, read_target


def _read_sites(given: t.Sequence[dict[str, t.Any]]) -> list[Target]:
    """Return the caching servers that can be checked. sync_assets reports what is wrong with the others."""
    validator = ArgumentSpecValidator(options.ARGUMENTS)
    names = collections.Counter(str(one.get("name") or one.get("host")) for one in given)
    sites = []
    for one in given:
        checked = validator.validate({key: value for key, value in one.items() if value is not None})
        if checked.error_messages:
            continue
        try:
            site = read_target(checked.validated_parameters, check_mode=True)
        except ValueError:
            continue
        # With two of the same name, the result would be ambiguous.
        if not site.options.verify and names[site.name] == 1:
            sites.append(site)
    return sites


SPEC: dict[str, t.Any] = {
    "argument_spec": {
        "sites": {"type": "list", "elements": "dict"},
        "site_variable": {"type": "str"},
        "source_variable": {"type": "str"},
        "variables": {"type": "str"},
        "started_by": {"type": "dict"},
    },
    "required_one_of": [("sites", "site_variable", "variables")],
}


def perform(call: Call) -> dict[str, t.Any]:
    """Check the caching servers."""
    trouble = requirements.paramiko_trouble()
    if trouble:
        raise Failed(trouble)
    started = time.monotonic()
    sites = _read_sites(call.params["sites"] or ())

    def without_unchanged(run: SyncRun) -> dict[str, t.Any]:
        return results.result(run, time.monotonic() - started, check_mode=call.check_mode, unchanged=False)

    try:
        with Lifeline():
            found = Survey(sites, without_unchanged).run()
    except Abandoned as error:
        raise Failed("the survey was told to end, or nobody waits for it") from error
    if not call.check_mode:
        chosen = {
            site.name: {"history": site.options.history, "withdraw": site.options.withdraw, "verify": False}
            for site in sites
        }
        call.warnings += results.keep(found, chosen, call.params["started_by"])
    summary = f"{len(found)} of {len(call.params['sites'] or ())} caching servers are in line"
    return {"changed": False, "in_line": list(found), "sites": found, "summary": summary}


def main() -> None:
    """Run the module."""
    perform_for(AnsibleModule(**SPEC, supports_check_mode=True), perform)


if __name__ == "__main__":
    main()
