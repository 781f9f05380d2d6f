#!/usr/bin/python
# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module withdraw_assets: parameters in, result out."""

from __future__ import annotations

DOCUMENTATION = r"""
module: withdraw_assets
short_description: Withdraw images by name on the netboot server
version_added: 1.0.0
description:
  - Sets the markers of images aside on the host that holds the assets tree, or puts them back. A marker that is set
    aside gets a hidden name in the same directory, such as C(prod/.x-kernel.json.withdrawn).
  - Clients of this host no longer find the marker. Every later run of M(netboot.syncer.sync_assets) reads the hidden
    name as "withdraw this image wherever it is". The playbook C(withdraw.yml) does both at once.
  - An image that is a symlink to a withdrawn one is withdrawn with it.
  - A marker that is uploaded again while it is set aside does not bring the image back; O(state=present) does.
author:
  - Netboot Syncer contributors (@netboot-syncer)
options:
  patterns:
    description:
      - Patterns of images, relative to the tree. Each is compared with the path of the squashfs, with and without its
        suffix, and with the path of the marker. C(**) crosses directories.
    type: list
    elements: str
    required: true
  state:
    description: Whether the images are to be withdrawn, or put back.
    type: str
    choices: [withdrawn, present]
    default: withdrawn
  purge:
    description:
      - Record that the squashfs is to be removed from the caching servers as well, once no client can be about to fetch
        it any more. It stays on this host.
    type: bool
    default: false
  only_elsewhere:
    description: Images that only caching servers still have, to be recorded for those that are down.
    type: list
    elements: str
    default: []
extends_documentation_fragment:
  - netboot.syncer.sync_options.tree
  - netboot.syncer.attributes.actiongroup_all
attributes:
  check_mode:
    description: Says what would be done, and does nothing.
    support: full
  diff_mode:
    description: Lists what is renamed.
    support: full
seealso:
  - module: netboot.syncer.sync_assets
"""

EXAMPLES = r"""
- name: Take a bad image from all clients
  netboot.syncer.withdraw_assets:
    patterns:
      - prod/21-04-10-gnome-master-9c41d0b

- name: Put it back
  netboot.syncer.withdraw_assets:
    patterns:
      - prod/21-04-10-gnome-master-9c41d0b
    state: present
"""

RETURN = r"""
images:
  description: One entry for each image that a pattern names.
  returned: success
  type: list
  elements: dict
  contains:
    path: {description: The squashfs., type: str}
    state: {description: "V(withdrawn), V(put_back), or V(unmarked) if there is no marker to set aside.", type: str}
    reason: {description: The reason for the state., type: str}
  sample:
    - path: prod/21-04-10-gnome-master-9c41d0b.squashfs
      state: withdrawn
      reason: ''
summary:
  description: The result in one line.
  returned: success
  type: str
  sample: 'withdrawn: prod/21-04-10-gnome-master-9c41d0b.squashfs'
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.netboot.syncer.plugins.module_utils import options
from ansible_collections.netboot.syncer.plugins.module_utils.assets.inventory import Rules
from ansible_collections.netboot.syncer.plugins.module_utils.assets.patterns import check_patterns
from ansible_collections.netboot.syncer.plugins.module_utils.assets.withdrawal import (
    SettingAside,
    plan_putting_back,
    plan_setting_aside,
)
from ansible_collections.netboot.syncer.plugins.module_utils.errors import SyncError, printable
from ansible_collections.netboot.syncer.plugins.module_utils.source.setting_aside import (
    carry_out,
    record_sizes,
)
from ansible_collections.netboot.syncer.plugins.module_utils.source.tree import SourceTree


def _plan(module: AnsibleModule) -> SettingAside:
    p = module.params
    rules = Rules(marker_names=tuple(p["marker_names"]), pointers=tuple(p["pointers"]))
    check_patterns(p["patterns"])
    source = SourceTree(p["src"])
    source.scan()
    inventory = source.inventory(rules, lambda _image: False)
    sizes = record_sizes(p["src"], source.records)
    if p["state"] == "present":
        return plan_putting_back(inventory, source.records, sizes, p["patterns"], source.tree)
    return plan_setting_aside(
        inventory,
        source.records,
        sizes,
        p["patterns"],
        rules.marker_names,
        purge=p["purge"],
        only_elsewhere=p["only_elsewhere"],
    )


def _summary(plan: SettingAside, patterns: list[str]) -> str:
    words = {"withdrawn": "withdrawn", "put_back": "put back", "unmarked": "not withdrawn"}
    lines = [
        f"{words[state]}: {printable(path)}" + (f" ({reason})" if reason else "")
        for path, (state, reason) in sorted(plan.images.items())
    ]
    return "; ".join(lines) or f"the netboot server has no image that {', '.join(map(printable, patterns))} names"


def main() -> None:
    """Run the module."""
    shared = {name: options.ARGUMENTS[name] for name in ("src", "marker_names", "pointers")}
    module = AnsibleModule(
        argument_spec={
            **shared,
            "patterns": {"type": "list", "elements": "str", "required": True},
            "state": {"type": "str", "choices": ["withdrawn", "present"], "default": "withdrawn"},
            "purge": {"type": "bool", "default": False},
            "only_elsewhere": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    try:
        plan = _plan(module)
        if not module.check_mode:
            carry_out(module.params["src"], plan.renames)
    except ValueError as error:
        module.fail_json(msg=str(error))
    except SyncError as error:
        module.fail_json(msg=error.line())
    images = [
        {"path": printable(path), "state": state, "reason": reason}
        for path, (state, reason) in sorted(plan.images.items())
    ]
    found: dict[str, t.Any] = {"images": images, "summary": _summary(plan, module.params["patterns"])}
    if module._diff:
        lines = [f"{printable(one.old) or 'nothing'} -> {printable(one.new) or 'nothing'}\n" for one in plan.renames]
        found["diff"] = {"prepared": "".join(lines)}
    module.exit_json(changed=bool(plan.renames), **found)


if __name__ == "__main__":
    main()
