#!/usr/bin/python
# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module sync_source: parameters in, result out."""

from __future__ import annotations

DOCUMENTATION = r"""
module: sync_source
short_description: Check whether this host can send images to caching servers
version_added: 1.0.0
description:
  - Checks whether the host it runs on has everything that M(netboot.syncer.sync_assets) needs there, and can read the
    assets tree. What is wrong is reported in one message, with the name of the host and the remedy.
  - The tasks C(preflight) of the role C(netboot_sync) run it once for each source, before any caching server is
    contacted.
author:
  - Netboot Syncer contributors (@netboot-syncer)
options:
  src:
    description: The assets trees on this host.
    type: list
    elements: path
    default: [/srv/netboot/assets]
  name:
    description: The name of this host in messages; the action plugin sets it to the inventory name.
    type: str
  variables:
    description: The prefix of the variables by which the caller knows the options, for the remedies.
    type: str
  rsync:
    description:
      - Whether some caching server requires rsync, so that it is an error if it is missing here. Otherwise that is a
        warning, since files are then sent whole.
    type: bool
    default: false
  filled:
    description:
      - Whether the trees may be empty, or not there yet, since this host is a hub, and another run of the same play
        fills them.
    type: bool
    default: false
extends_documentation_fragment:
  - netboot.syncer.attributes.actiongroup_all
attributes:
  action:
    description: An action plugin of the same name also reports if Ansible cannot run anything on the host.
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
- name: See whether the netboot server can send
  netboot.syncer.sync_source:
    src: [/srv/netboot/assets]
  delegate_to: netboot-server
  run_once: true
"""

RETURN = r"""
whole_files:
  description: Why every file would be sent whole, without differences; empty if differences work.
  returned: success
  type: str
withdrawn:
  description:
    - For each tree the markers that were set aside in it, percent-encoded, and whether the squashfs of each is to be
      removed from the caching servers. Caching servers behind a hub need this, since a hub has no record of it.
  returned: success
  type: dict
  sample:
    /srv/netboot/assets:
      prod/21-04-09-gnome-master-f1d734e-kernel.json: false
"""

import shutil
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.netboot.syncer.plugins.module_utils import options, requirements
from ansible_collections.netboot.syncer.plugins.module_utils.call import Call, Failed, perform_for


def tree_trouble(src: str, name: str, withdrawn: dict[str, dict[str, bool]], *, filled: bool) -> str:
    """Return why an assets tree cannot be sent from, with the remedy, or an empty string; and what it has withdrawn."""
    from ansible_collections.netboot.syncer.plugins.module_utils.assets.withdrawal import told_records
    from ansible_collections.netboot.syncer.plugins.module_utils.errors import AssetsTrouble, SyncError
    from ansible_collections.netboot.syncer.plugins.module_utils.source.tree import SourceTree

    try:
        source = SourceTree(src)
        source.scan()
    except SyncError as error:
        if filled and isinstance(error, AssetsTrouble):
            return ""
        error.host = name
        return error.line()
    withdrawn[src] = told_records(source.records)
    return ""


def ssh_trouble(name: str) -> str:
    """Return that this host has no OpenSSH client, with the remedy, or an empty string."""
    from ansible_collections.netboot.syncer.plugins.module_utils.ssh.settings import no_client

    if shutil.which("ssh"):
        return ""
    error = no_client()
    error.host = name
    return error.line()


def why_whole() -> str:
    """Return why this host cannot send differences, with the remedy, or an empty string."""
    from ansible_collections.netboot.syncer.plugins.module_utils.ssh import rsync_version

    return rsync_version.trouble(rsync_version.local(), "the netboot server")


SPEC: dict[str, t.Any] = {
    "argument_spec": {
        "src": {"type": "list", "elements": "path", "default": [options.default("src")]},
        "variables": options.ARGUMENTS["variables"],
        "name": {"type": "str"},
        "rsync": {"type": "bool", "default": False},
        "filled": {"type": "bool", "default": False},
    }
}


def perform(call: Call) -> dict[str, t.Any]:
    """Check this host."""
    options.call_by_variables(call.params["variables"] or "")
    name = call.params["name"] or "this host"
    too_old = requirements.python_trouble()
    if too_old:  # nor can it read the rest
        raise Failed(f"{name}: {too_old}")
    paramiko = requirements.paramiko_trouble()
    found = [f"{name}: {paramiko}"] if paramiko else []
    ssh = ssh_trouble(name)
    if ssh:
        found.append(ssh)
    whole = why_whole()
    if whole and call.params["rsync"]:
        found.append(f"{name}: {whole}")
    withdrawn: dict[str, dict[str, bool]] = {}
    filled = call.params["filled"]
    found += [
        text for text in (tree_trouble(src, name, withdrawn, filled=filled) for src in call.params["src"]) if text
    ]
    if found:
        raise Failed(" ".join(found))
    if whole:
        call.warnings.append(f"{name}: every file is sent whole, by SFTP: {whole}")
    return {"changed": False, "whole_files": whole, "withdrawn": withdrawn}


def main() -> None:
    """Run the module."""
    perform_for(AnsibleModule(**SPEC, supports_check_mode=True), perform)


if __name__ == "__main__":
    main()
