#!/usr/bin/python
# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module fleet_status: parameters in, result out."""

from __future__ import annotations

DOCUMENTATION = r"""
module: fleet_status
short_description: Check what each caching server holds, and how far it is behind
version_added: 1.0.0
description:
  - Checks many caching servers in one process, and compares each with the assets tree of this host, image by image.
  - Never fails because of a caching server; one that cannot be reached is reported as such, with its last known
    content.
author:
  - Netboot Syncer contributors (@netboot-syncer)
requirements:
  - paramiko 2.12 or newer
options:
  sites:
    description: The caching servers, each as a dictionary of the options of M(netboot.syncer.sync_assets).
    type: list
    elements: dict
  variables:
    description:
      - The prefix of the variables that hold the options of each host of the play, see
        O(netboot.syncer.sync_assets#module:variables). Only hosts whose C(netboot_sync_source) is where the task runs
        are checked; the task itself runs once.
    type: str
  previous:
    description: The C(status.json) of an earlier check, on this host; the times that it recorded are carried over.
    type: path
  wait_for:
    description: A pattern of images. The module keeps checking until they are published at O(share) of the sites.
    type: str
  share:
    description: The percentage of sites at which the images of O(wait_for) have to be published.
    type: int
    default: 100
  timeout:
    description: Maximum number of seconds to wait.
    type: int
    default: 3600
  every:
    description: Seconds between two checks.
    type: int
    default: 10
extends_documentation_fragment:
  - netboot.syncer.attributes.actiongroup_all
attributes:
  action:
    description: The controller evaluates O(variables).
    support: full
  check_mode:
    description: Never changes anything.
    support: full
  diff_mode:
    description: Nothing changes, so there is nothing to show.
    support: none
seealso:
  - module: netboot.syncer.sync_assets
  - module: netboot.syncer.assets_info
"""

EXAMPLES = r"""
- name: See which site has what
  netboot.syncer.fleet_status:
    variables: netboot_sync_
  delegate_to: "{{ netboot_sync_source }}"
  run_once: true
  register: fleet
"""

RETURN = r"""
status:
  description: The content of C(status.json).
  returned: success
  type: dict
ready:
  description: With O(wait_for), the sites at which the images are published.
  returned: success
  type: list
  elements: str
waiting:
  description: With O(wait_for), the other sites.
  returned: success
  type: list
  elements: str
satisfied:
  description: With O(wait_for), whether the share was reached.
  returned: success
  type: bool
"""

import json
import time
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.netboot.syncer.plugins.module_utils import options, requirements
from ansible_collections.netboot.syncer.plugins.module_utils.call import Call, Failed, perform_for
from ansible_collections.netboot.syncer.plugins.module_utils.fleet import status
from ansible_collections.netboot.syncer.plugins.module_utils.fleet.looking import FAILED, Found, look_at_all
from ansible_collections.netboot.syncer.plugins.module_utils.history.log import Log
from ansible_collections.netboot.syncer.plugins.module_utils.history.record import Known, latest
from ansible_collections.netboot.syncer.plugins.module_utils.run.lifeline import Abandoned, Lifeline
from ansible_collections.netboot.syncer.plugins.module_utils.run.target import Target, read_target


def _read_sites(given: t.Sequence[dict[str, t.Any]]) -> tuple[list[Target], dict[str, Found]]:
    """Return the caching servers that can be checked, and what is wrong with the others."""
    validator = ArgumentSpecValidator(options.ARGUMENTS)
    targets: dict[str, Target] = {}
    wrong: dict[str, Found] = {}
    for one in given:
        name = str(one.get("name") or one.get("host"))
        checked = validator.validate({key: value for key, value in one.items() if value is not None})
        try:
            if checked.error_messages:
                raise ValueError(checked.error_messages[0])
            targets[name] = read_target(checked.validated_parameters, check_mode=True)._replace(name=name)
        except ValueError as error:
            wrong[name] = Found(FAILED, str(error))
    return list(targets.values()), wrong


def _previous(path: str | None) -> t.Any:
    try:
        with open(path or "", "rb") as file:
            return json.loads(file.read(status.MAX_SIZE))
    except (OSError, ValueError, RecursionError):
        return None


def _history(targets: t.Sequence[Target]) -> dict[str, Known]:
    """Return the runs of each caching server from the history on this host."""
    found: dict[str, Known] = {}
    for path in sorted({one.options.history for one in targets} - {""}):
        names = [one.name for one in targets if one.options.history == path]
        found.update(latest(Log(path).newest_first(), names))
    return found


SPEC: dict[str, t.Any] = {
    "argument_spec": {
        "sites": {"type": "list", "elements": "dict"},
        "variables": {"type": "str"},
        "previous": {"type": "path"},
        "wait_for": {"type": "str"},
        "share": {"type": "int", "default": 100},
        "timeout": {"type": "int", "default": 3600},
        "every": {"type": "int", "default": 10},
    },
    "required_one_of": [("sites", "variables")],
}


def perform(call: Call) -> dict[str, t.Any]:
    """Look at the fleet, once or until enough of it has what is waited for."""
    trouble = requirements.paramiko_trouble()
    if trouble:
        raise Failed(trouble)
    p = call.params
    targets, wrong = _read_sites(p["sites"] or ())
    end = time.monotonic() + p["timeout"]
    result: dict[str, t.Any] = {}
    try:
        with Lifeline():
            while True:
                now = time.time()
                found = {**look_at_all(targets, now=now), **wrong}
                result["status"] = status.document(
                    found, now=now, previous=_previous(p["previous"]), history=_history(targets)
                )
                if not p["wait_for"]:
                    break
                ready, waiting = status.have(result["status"], p["wait_for"])
                enough = 100 * len(ready) >= p["share"] * (len(ready) + len(waiting))
                result.update(ready=ready, waiting=waiting, satisfied=enough)
                if enough or time.monotonic() + p["every"] > end:
                    break
                time.sleep(p["every"])
    except ValueError as error:
        raise Failed(str(error)) from error
    except Abandoned as error:
        raise Failed("the look at the fleet was told to end, or nobody waits for it") from error
    return {"changed": False, **result}


def main() -> None:
    """Run the module."""
    perform_for(AnsibleModule(**SPEC, supports_check_mode=True), perform)


if __name__ == "__main__":
    main()
