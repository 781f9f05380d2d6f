#!/usr/bin/python
# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module boot_menu: parameters in, result out."""

from __future__ import annotations

DOCUMENTATION = r"""
module: boot_menu
short_description: Write the iPXE scripts of a netboot server
version_added: 1.0.0
description:
  - Writes C(boot.ipxe), C(menu.ipxe), and C(MAC-<hexraw>.ipxe) for single machines, at the root of the assets tree of
    the host it runs on.
  - A client finds its site by its gateway, asks the caching server of the site for the marker of the image, and takes
    kernel, initrd and squashfs from there. If the marker is missing, or nothing answers in time, it takes all of them
    from the netboot server.
  - Only images that are ready by the rules of M(netboot.syncer.sync_assets) are offered, and the clients of a site see
    only what is selected for that site.
  - Each script is replaced as a whole, and left alone if nothing changed. A script that somebody else wrote is not
    replaced unless O(replace) says so.
author:
  - Netboot Syncer contributors (@netboot-syncer)
options:
  src:
    description: The assets tree.
    type: path
    default: /srv/netboot/assets
  server_url:
    description: Where clients find the tree on the netboot server, such as V(http://192.0.2.1).
    type: str
    required: true
  sites:
    description: The sites. A site without O(sites[].gateways) has no clients that could be recognised.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: The name of the site.
        type: str
        required: true
      cache_url:
        description: Where clients find the tree on the caching server of the site.
        type: str
        required: true
      gateways:
        description: The addresses of its clients' gateway, or IPv4 networks of at most a /24 that contain it.
        type: list
        elements: str
        default: []
      arguments:
        description: Kernel arguments for clients of this site, after all others; without placeholders.
        type: list
        elements: str
        default: []
      include:
        description: Like O(include) of M(netboot.syncer.sync_assets) for this site.
        type: list
        elements: str
        default: []
      exclude:
        description: Like O(exclude) of M(netboot.syncer.sync_assets) for this site.
        type: list
        elements: str
        default: []
  machines:
    description: Machines that boot without a menu. Each gets its own script.
    type: list
    elements: dict
    default: []
    suboptions:
      mac:
        description: The MAC address of its network card.
        type: str
        required: true
      image:
        description: A pattern of images, relative to the tree; the newest that matches is booted.
        type: str
        required: true
      arguments:
        description: Kernel arguments for this machine, after those for all.
        type: list
        elements: str
        default: []
      server_only:
        description: Never ask a caching server. Needed for a caching server that itself boots over the network.
        type: bool
        default: false
  include:
    description: What is offered to clients that belong to no site; everything if empty.
    type: list
    elements: str
    default: []
  exclude:
    description: What is not offered to them.
    type: list
    elements: str
    default: ['dev/**']
  kernel_arguments:
    description:
      - Kernel arguments for all images. V({url}) becomes the address of the squashfs on the server that the client
        chose, V({server_url}) the one on the netboot server.
      - Also known are V({base}) and V({server}), the addresses of these two trees, V({path}) of the squashfs in the
        tree, its V({name}), the V({version}) of the kernel, and V({sha256}); an argument with the latter is left out if
        the marker states none.
    type: list
    elements: str
    default: ['boot=live', 'fetch={url}']
  image_arguments:
    description: Kernel arguments for some images, after those for all.
    type: list
    elements: dict
    default: []
    suboptions:
      images:
        description: Patterns of images, relative to the tree.
        type: list
        elements: str
        required: true
      arguments:
        description: The arguments, with the placeholders of O(kernel_arguments).
        type: list
        elements: str
        required: true
  default:
    description:
      - Patterns. The first one that matches any image counts, and the newest match is what a client boots by default;
        without a match, the newest image of all.
    type: list
    elements: str
    default: ['prod/**']
  wait:
    description: Seconds after which a client boots the default; V(0) waits for a choice.
    type: int
    default: 10
  timeout:
    description: Milliseconds that a client waits for the marker at the caching server.
    type: int
    default: 2000
  stall_timeout:
    description: Milliseconds without progress after which a client gives up on any other download.
    type: int
    default: 10000
  shell:
    description: Offer iPXE's shell.
    type: bool
    default: true
  unmarked_images:
    description: Patterns of squashfs files that have no marker. Only O(machines) can boot them.
    type: list
    elements: str
    default: []
  marker_names:
    description: Like O(marker_names) of M(netboot.syncer.sync_assets).
    type: list
    elements: str
    default: ['{stem}-kernel.json', '{stem}.json', '{stem}.squashfs.json']
  pointers:
    description:
      - Like O(pointers) of M(netboot.syncer.sync_assets). An image that names no kernel boots the one that they name.
    type: list
    elements: str
    default: ['kernels/latest-kernel-version.json']
  kernel_files:
    description:
      - Like O(kernel_files) of M(netboot.syncer.sync_assets). The first entry is the kernel, the second the initrd.
    type: list
    elements: raw
    default: [vmlinuz, initrd]
  replace:
    description: Also replace scripts that somebody else wrote.
    type: bool
    default: false
extends_documentation_fragment:
  - netboot.syncer.attributes.actiongroup_all
attributes:
  check_mode:
    description: Says what would be written.
    support: full
  diff_mode:
    description: Shows what changes in each script.
    support: full
seealso:
  - module: netboot.syncer.sync_assets
"""

EXAMPLES = r"""
- name: Write the boot menu
  netboot.syncer.boot_menu:
    server_url: http://192.0.2.1
    sites:
      - name: berlin
        cache_url: http://203.0.113.5
        gateways: [203.0.113.1]
        exclude: ['dev/**']
    kernel_arguments: ['boot=live', 'fetch={url}', 'quiet']
    image_arguments:
      - images: ['prod/*kde*']
        arguments: [toram]
    machines:
      - mac: 52:54:00:12:34:56
        image: prod/*kiosk*
"""

RETURN = r"""
files:
  description: The result for each script.
  returned: success
  type: list
  elements: dict
  sample:
    - path: boot.ipxe
      state: written
    - path: menu.ipxe
      state: written
images:
  description: What is offered, the newest of each flavour first, with the sites that it is offered to.
  returned: success
  type: list
  elements: dict
  sample:
    - path: prod/21-04-10-gnome-master-9c41d0b.squashfs
      version: 5.8.0-43-generic
      sites:
        - berlin
not_offered:
  description: Images that are selected for some client and yet not offered, with the reason.
  returned: success
  type: list
  elements: dict
  sample:
    - path: prod/half.squashfs
      reason: 'the squashfs is cut short: 128 of 257 bytes are there'
lines:
  description: The summary, and a line for each image that is not offered.
  returned: success
  type: list
  elements: str
  sample:
    - 2 images for 1 site; boot.ipxe written, menu.ipxe written
    - 'not offered: prod/half.squashfs: the squashfs is cut short: 128 of 257 bytes are there'
summary:
  description: The result in one line.
  returned: success
  type: str
  sample: 2 images for 1 site; boot.ipxe written, menu.ipxe written
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.netboot.syncer.plugins.module_utils import options
from ansible_collections.netboot.syncer.plugins.module_utils.assets.inventory import Rules
from ansible_collections.netboot.syncer.plugins.module_utils.assets.kernels import read_kernel_files
from ansible_collections.netboot.syncer.plugins.module_utils.assets.patterns import Selection, check_patterns
from ansible_collections.netboot.syncer.plugins.module_utils.boot_menus.menu import (
    check_sites,
    read_arguments,
    read_machine,
    read_rules,
    read_site,
    read_url,
)
from ansible_collections.netboot.syncer.plugins.module_utils.boot_menus.run import BootMenuRun
from ansible_collections.netboot.syncer.plugins.module_utils.boot_menus.scripts import Settings
from ansible_collections.netboot.syncer.plugins.module_utils.errors import SyncError

_STRINGS: dict[str, t.Any] = {"type": "list", "elements": "str"}
ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "src": options.ARGUMENTS["src"],
    "server_url": {"type": "str", "required": True},
    "sites": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "name": {"type": "str", "required": True},
            "cache_url": {"type": "str", "required": True},
            "gateways": {**_STRINGS, "default": []},
            "arguments": {**_STRINGS, "default": []},
            "include": {**_STRINGS, "default": []},
            "exclude": {**_STRINGS, "default": []},
        },
    },
    "machines": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "mac": {"type": "str", "required": True},
            "image": {"type": "str", "required": True},
            "arguments": {**_STRINGS, "default": []},
            "server_only": {"type": "bool", "default": False},
        },
    },
    "include": {**_STRINGS, "default": []},
    "exclude": {**_STRINGS, "default": ["dev/**"]},
    "kernel_arguments": {**_STRINGS, "default": ["boot=live", "fetch={url}"]},
    "image_arguments": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "images": {**_STRINGS, "required": True},
            "arguments": {**_STRINGS, "required": True},
        },
    },
    "default": {**_STRINGS, "default": ["prod/**"]},
    "wait": {"type": "int", "default": 10},
    "timeout": {"type": "int", "default": 2000},
    "stall_timeout": {"type": "int", "default": 10000},
    "shell": {"type": "bool", "default": True},
    **{name: options.ARGUMENTS[name] for name in ("unmarked_images", "marker_names", "pointers", "kernel_files")},
    "replace": {"type": "bool", "default": False},
}


def read_run(parameters: t.Mapping[str, t.Any], *, check_mode: bool) -> BootMenuRun:
    """Return what the parameters of :data:`ARGUMENTS` mean. Raises :class:`ValueError` for invalid values."""
    p = parameters
    for option, least in (("wait", 0), ("timeout", 1), ("stall_timeout", 1)):
        if p[option] < least:
            raise ValueError(f"{option}: {p[option]} makes no sense; it must be a number from {least} on")
    check_patterns(p["default"])
    sites = [read_site(site) for site in p["sites"]]
    check_sites(sites)
    machines = [read_machine(machine) for machine in p["machines"]]
    for machine in machines:
        if [one.mac for one in machines].count(machine.mac) > 1:
            raise ValueError(f"the machine {machine.mac} is named twice")
    settings = Settings(
        server_url=read_url(p["server_url"], "server_url"),
        timeout=p["timeout"],
        stall_timeout=p["stall_timeout"],
        wait=p["wait"],
        default=tuple(p["default"]),
        arguments=read_arguments(p["kernel_arguments"]),
        rules=read_rules(p["image_arguments"]),
        shell=p["shell"],
    )
    rules = Rules(
        selection=Selection(include=p["include"], exclude=p["exclude"]),
        unmarked_images=tuple(p["unmarked_images"]),
        marker_names=tuple(p["marker_names"]),
        pointers=tuple(p["pointers"]),
        kernel_files=read_kernel_files(p["kernel_files"]),
    )
    return BootMenuRun(
        src=p["src"],
        settings=settings,
        sites=sites,
        machines=machines,
        rules=rules,
        replace=p["replace"],
        check_mode=check_mode,
    )


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    try:
        run = read_run(module.params, check_mode=module.check_mode)
        run.run()
    except ValueError as error:
        module.fail_json(msg=str(error))
    except SyncError as error:
        module.fail_json(msg=error.line())
    for warning in run.warnings:
        module.warn(warning)
    module.exit_json(**run.result(diff=module._diff))


if __name__ == "__main__":
    main()
