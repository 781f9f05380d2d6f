#!/usr/bin/python
# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module prune_assets: parameters in, result out."""

from __future__ import annotations

DOCUMENTATION = r"""
module: prune_assets
short_description: Retention on the netboot server, by count, age and size
version_added: 1.0.0
description:
  - Removes images from the assets tree of the host that it runs on, for each directory and flavour (the name without
    date and commit), by their number, age and total size.
  - The newest image of each is always kept, and so is what a pointer or a symlink names. Images that are not ready,
    have no marker, or were withdrawn by name are left alone.
  - An image is removed in two runs. The first sets its marker aside, under a hidden name such as
    C(.x-kernel.json.pruned), so that no client finds it. A run at least O(grace) seconds later removes the squashfs,
    and the kernel that no marker and no pointer names any more. Until then, C(mv) undoes it.
author:
  - Netboot Syncer contributors (@netboot-syncer)
options:
  keep_last:
    description:
      - How many images of each directory and flavour to keep.
      - With O(max_age) or O(max_size), these newest ones are kept in any case, and others are removed only if those
        options allow it.
    type: int
  max_age:
    description: The maximum age of an image, by the time of its marker, in seconds or as in V(30d), V(12h), V(2w).
    type: str
  max_size:
    description: The maximum total size of the images of each directory and flavour, in bytes or as in V(20GB),
      V(500MiB).
    type: str
  keep:
    description:
      - Patterns of images that are always kept, compared with the path of the squashfs, with and without its suffix,
        and with the path of the marker. C(**) crosses directories.
    type: list
    elements: str
    default: []
  grace:
    description: Seconds between the removal of the marker and that of what it promised.
    type: int
    default: 300
extends_documentation_fragment:
  - netboot.syncer.sync_options.tree
  - netboot.syncer.attributes.actiongroup_all
attributes:
  check_mode:
    description: Says what would be done, and does nothing.
    support: full
  diff_mode:
    description: Lists what is renamed and removed.
    support: full
seealso:
  - module: netboot.syncer.withdraw_assets
"""

EXAMPLES = r"""
- name: Keep three images of each flavour, and all of the last month
  netboot.syncer.prune_assets:
    keep_last: 3
    max_age: 30d
    keep:
      - prod/21-04-09-gnome-master-f1d734e
"""

RETURN = r"""
images:
  description: One entry for each image.
  returned: success
  type: list
  elements: dict
  contains:
    path: {description: The squashfs., type: str}
    state:
      description: V(kept), V(set_aside), V(removed), or V(untouched) if no retention rule applies.
      type: str
    reason: {description: The reason for the state., type: str}
    size: {description: The size of the squashfs in bytes., type: int}
  sample:
    - path: prod/21-04-09-gnome-master-f1d734e.squashfs
      state: removed
      reason: it is number 2 of its flavour, and keep_last is 1
      size: 4096
    - path: prod/21-04-10-gnome-master-9c41d0b.squashfs
      state: kept
      reason: the newest is always kept
      size: 4096
    - path: prod/half.squashfs
      state: untouched
      reason: 'the squashfs is cut short: 128 of 257 bytes are there'
      size: 128
kernels:
  description: The same for each kernel that a removed image needed.
  returned: success
  type: list
  elements: dict
  sample:
    - path: kernels/5.8.0-43-generic
      state: kept
      reason: another marker or a pointer names it
      size: 65536
paths:
  description: Everything that is removed, or was taken from clients in an earlier run, relative to the tree.
  returned: success
  type: list
  elements: str
  sample:
    - prod/21-04-09-gnome-master-f1d734e-kernel.json
    - prod/21-04-09-gnome-master-f1d734e.squashfs
freed_bytes:
  description: The size of what is removed.
  returned: success
  type: int
  sample: 4096
summary:
  description: The result in one line.
  returned: success
  type: str
  sample: 'images: 1 kept, 1 removed; 4096 bytes freed'
"""

import time
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.netboot.syncer.plugins.module_utils import options
from ansible_collections.netboot.syncer.plugins.module_utils.assets.inventory import Rules
from ansible_collections.netboot.syncer.plugins.module_utils.errors import SyncError, printable
from ansible_collections.netboot.syncer.plugins.module_utils.planning import retention
from ansible_collections.netboot.syncer.plugins.module_utils.run import pruning
from ansible_collections.netboot.syncer.plugins.module_utils.source.tree import SourceTree


def _plan(p: dict[str, t.Any], source: SourceTree) -> retention.Pruning:
    if p["grace"] < 0:
        raise ValueError(f"grace: {p['grace']} makes no sense; it must be a number of seconds")
    policy = retention.Policy(
        keep_last=p["keep_last"],
        max_age=retention.read_age(p["max_age"]) if p["max_age"] else None,
        max_size=retention.read_size(p["max_size"]) if p["max_size"] else None,
        keep=tuple(p["keep"]),
    )
    rules = Rules(marker_names=tuple(p["marker_names"]), pointers=tuple(p["pointers"]))
    source.scan()
    inventory = source.inventory(rules, lambda _image: False)
    return retention.plan(
        inventory,
        source.tree,
        policy,
        now=time.time(),
        records=pruning.find_records(source, inventory, rules),
        named=pruning.texts_of_pointers(source, rules),
        grace=p["grace"],
        withdrawn_versions=pruning.withdrawn_versions(source),
    )


def _described(found: t.Mapping[str, retention.Verdict]) -> list[dict[str, t.Any]]:
    return [
        {"path": printable(path), "state": one.state, "reason": printable(one.reason), "size": one.size}
        for path, one in sorted(found.items())
    ]


def _summary(plan: retention.Pruning, freed: int, check_mode: bool) -> str:
    count: dict[str, int] = {}
    for one in plan.images.values():
        count[one.state] = count.get(one.state, 0) + 1
    to = "to be " if check_mode else ""
    parts = [f"{count.get(retention.KEPT, 0)} kept"]
    parts += [f"{count[s]} {to}{w}" for s, w in _WORDS.items() if count.get(s)]
    return f"images: {', '.join(parts)}" + (f"; {freed} bytes {to}freed" if freed else "")


_WORDS = {retention.SET_ASIDE: "set aside", retention.REMOVED: "removed"}


def main() -> None:
    """Run the module."""
    shared = {name: options.ARGUMENTS[name] for name in ("src", "marker_names", "pointers")}
    module = AnsibleModule(
        argument_spec={
            **shared,
            "keep_last": {"type": "int"},
            "max_age": {"type": "str"},
            "max_size": {"type": "str"},
            "keep": {"type": "list", "elements": "str", "default": []},
            "grace": {"type": "int", "default": 300},
        },
        required_one_of=[("keep_last", "max_age", "max_size")],
        supports_check_mode=True,
    )
    source = SourceTree(module.params["src"])
    try:
        plan = _plan(module.params, source)
        done = list(plan.steps) if module.check_mode else pruning.carry_out(source, plan.steps)
    except ValueError as error:
        module.fail_json(msg=str(error))
    except SyncError as error:
        module.fail_json(msg=error.line())
    freed = sum(
        step.entry.size for step in done if step.entry is not None and not step.new and step.entry.kind == "file"
    )
    found: dict[str, t.Any] = {
        "images": _described(plan.images),
        "kernels": _described(plan.kernels),
        "paths": [printable(path) for path in plan.paths],
        "freed_bytes": freed,
        "summary": _summary(plan, freed, module.check_mode),
    }
    if module._diff:
        lines = [f"{printable(one.old)} -> {printable(one.new) or 'removed'}\n" for one in done]
        found["diff"] = {"prepared": "".join(lines)}
    module.exit_json(changed=bool(done), **found)


if __name__ == "__main__":
    main()
