#!/usr/bin/python
# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module assets_info: parameters in, result out."""

from __future__ import annotations

DOCUMENTATION = r"""
module: assets_info
short_description: List what an assets tree holds, image by image
version_added: 1.0.0
description:
  - Read-only. Without O(host), it reads O(src), the tree of the host that it runs on, as a sync would see it.
  - With O(host), or with O(variables) in a task that is delegated to the source, it reads O(dest) of a caching server,
    over the same kind of session as a sync.
  - It takes the options of M(netboot.syncer.sync_assets), so that the same variables work for both; those about how
    files are sent have no effect here.
author:
  - Netboot Syncer contributors (@netboot-syncer)
requirements:
  - paramiko 2.12 or newer, for a caching server
options:
  hash:
    description: Whether to return the SHA-256 of each squashfs; for a caching server it is computed there.
    type: bool
    default: false
extends_documentation_fragment:
  - netboot.syncer.sync_options
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
  - module: netboot.syncer.fleet_status
"""

EXAMPLES = r"""
- name: See what the netboot server holds
  netboot.syncer.assets_info:
    src: /srv/netboot/assets

- name: See what a caching server holds
  netboot.syncer.assets_info:
    variables: netboot_sync_
    hash: true
  delegate_to: "{{ netboot_sync_source }}"
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
      description:
        - On the source, V(ready), V(held_back) or V(withdrawn). On a caching server, V(published), V(incomplete) if a
          marker promises what is not there, or V(unmarked).
      type: str
    reason: {description: The reason for the state., type: str}
    size: {description: The size of the squashfs in bytes., type: int}
    marker: {description: Its marker., type: str}
    kernels: {description: The kernel versions that its markers name., type: list, elements: str}
    since: {description: "Since when it is ready, or published.", type: str}
    age: {description: The same in seconds., type: int}
    sha256: {description: "With O(hash), the hash of the squashfs.", type: str}
  sample:
    - path: prod/21-04-09-gnome-master-f1d734e.squashfs
      state: published
      reason: ''
      size: 4096
      marker: prod/21-04-09-gnome-master-f1d734e-kernel.json
      kernels:
        - 5.8.0-43-generic
      since: '2026-11-28T16:57:27Z'
      age: 7
      sha256: 8c1474727e3e98b4fe15e7d6cf78e44cf4129f88ed27e615abdb25ba3ce85a7a
disk_free:
  description: The free space in bytes; null if unknown.
  returned: success
  type: int
  sample: 59345772544
host:
  description: What was looked at.
  returned: success
  type: str
  sample: berlin
"""

import os
import time
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.netboot.syncer.plugins.module_utils import options, requirements
from ansible_collections.netboot.syncer.plugins.module_utils.assets.entries import FILE, Entry, Tree, follow
from ansible_collections.netboot.syncer.plugins.module_utils.errors import SyncError, printable
from ansible_collections.netboot.syncer.plugins.module_utils.fleet import image_states, looking
from ansible_collections.netboot.syncer.plugins.module_utils.history.record import rfc3339
from ansible_collections.netboot.syncer.plugins.module_utils.run.target import Target, read_target

Found = tuple[dict[str, image_states.ImageState], t.Optional[int]]


def _here(target: Target, hashes: bool) -> Found:
    source, images = looking.inventory_of(target.options.src, target.options.rules)
    if hashes:
        for entry, image in _files(images, source.tree):
            image.sha256 = source.digest(entry)
    found = os.statvfs(source.root)
    return images, found.f_bavail * found.f_frsize


def _there(target: Target, hashes: bool) -> Found:
    with looking.opened(target) as remote:
        tree = remote.tree()
        rules = target.options.rules
        markers = remote.contents(looking.markers_of(tree, rules))
        images = image_states.of_site_alone(tree, rules, markers)
        shown = {one.marker: one for one in images.values() if one.marker}
        for path, since in remote.changed(sorted(shown)).items():
            shown[path].since = since
        if hashes:
            files = _files(images, tree)
            for (_entry, image), digest in zip(files, remote.digests([entry for entry, _image in files])):
                image.sha256 = digest
        return images, remote.disk_free()


def _files(images: dict[str, image_states.ImageState], tree: Tree) -> list[tuple[Entry, image_states.ImageState]]:
    found = []
    for path, image in images.items():
        entry = follow(path, tree).entry
        if entry is not None and entry.kind == FILE:
            found.append((entry, image))
    return found


def _described(path: str, one: image_states.ImageState, now: float) -> dict[str, t.Any]:
    return {
        "path": printable(path),
        "state": one.state,
        "reason": printable(one.reason),
        "size": one.size,
        "marker": printable(one.marker),
        "kernels": list(one.kernels),
        "since": rfc3339(one.since) if one.since is not None else None,
        "age": int(now - one.since) if one.since is not None else None,
        "sha256": one.sha256 or None,
    }


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={**options.ARGUMENTS, "hash": {"type": "bool", "default": False}}, supports_check_mode=True
    )
    p = module.params
    at_site = bool(p["host"])
    trouble = requirements.paramiko_trouble() if at_site else ""
    if trouble:
        module.fail_json(msg=trouble)
    where = p["name"] or p["host"] or p["src"]
    try:
        target = read_target({**p, "host": p["host"] or "localhost"}, check_mode=True)
        images, free = (_there if at_site else _here)(target, p["hash"])
    except ValueError as error:
        module.fail_json(msg=str(error))
    except SyncError as error:
        module.fail_json(msg=error.line(host=where if at_site else ""), host=where)
    now = time.time()
    module.exit_json(
        changed=False,
        host=where,
        disk_free=free,
        images=[_described(path, one, now) for path, one in sorted(images.items())],
    )


if __name__ == "__main__":
    main()
