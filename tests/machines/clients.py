# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What clients get from the web servers of the machines."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Callable, Sequence

from tests.lab.process import LabError
from tests.lab.waiting import wait_until

from .fleet import Fleet, expect


def see_what_is_theirs(fleet: Fleet, site: str, image: str) -> None:
    """Check types, caching and ranges; and that no hidden names, no files of others by a link and no listing appear."""
    root = fleet.assets(site)
    status, headers, body = fleet.get(site, f"/{image}-kernel.json")
    expect(status == 200 and headers["Cache-Control"] == "no-store", f"the marker came with {headers}")
    expect(headers["Content-Type"] == "application/json" and json.loads(body)["version"], f"a marker: {headers}")
    status, headers, body = fleet.get(site, f"/{image}.squashfs", Range="bytes=0-3")
    expect(status == 206 and body == b"hsqs", f"a range was answered with {status} {body!r}")
    expect(headers["Content-Type"] == "application/octet-stream", f"the squashfs came as {headers}")
    status, headers, _body = fleet.get(site, "/prod/none-kernel.json")
    expect(status == 404 and headers["Cache-Control"] == "no-store", f"no marker: {status} {headers}")
    (root / ".secret").write_text("hidden")
    (root / "prod" / "way-out").symlink_to("/etc/passwd")
    os.chown(root / "prod" / "way-out", root.stat().st_uid, root.stat().st_gid, follow_symlinks=False)
    for path in ("/.secret", "/.netboot-sync/lock", "/prod/way-out", "/prod/", "/%2esecret"):
        expect(fleet.get(site, path)[0] in (403, 404), f"{path} was served")
    (root / ".secret").unlink()
    (root / "prod" / "way-out").unlink()
    log = (fleet.sites[site].root / "var/log/nginx/netboot-access.log").read_text("utf-8").splitlines()
    ranges = [one for one in map(json.loads, log) if one["range"]]
    expect({one["status"] for one in ranges} == {206}, f"the access log says of ranges: {ranges}")


def say_which_is_theirs(fleet: Fleet, sites: Sequence[str]) -> None:
    """Write to the inventory the gateway of each site's clients, and that a sync renews the boot menu."""
    variables = fleet.inventory / "host_vars"
    variables.mkdir()
    for number, site in enumerate(sites, start=1):
        (variables / f"{site}.yml").write_text(f"netboot_boot_menu_gateways: [192.0.2.{number}]\n", "ascii")
    groups = fleet.inventory / "group_vars"
    (groups / "all.yml").write_text("netboot_boot_menu_renew: true\n", "ascii")
    # As inventory.example has it: the account of the sync, which only reads the tree.
    lines = ("ansible_become: true", "ansible_become_user: netboot", "ansible_become_method: ansible.builtin.su")
    if not (groups / "netboot_server.yml").exists():
        (groups / "netboot_server.yml").write_text("\n".join(lines) + "\n", "ascii")


def find_the_site(fleet: Fleet, sites: set[str], on: Sequence[str]) -> None:
    """Check that the scripts on each of these machines send clients to these sites, and to no others."""
    for machine in on:
        status, headers, body = fleet.get(machine, "/boot.ipxe")
        expect(status == 200 and body.startswith(b"#!ipxe\n"), f"{machine} answers {status} for boot.ipxe: {body!r}")
        expect(headers["Cache-Control"] == "no-store", f"boot.ipxe of {machine} may be cached: {headers}")
        named = {name for name, one in fleet.sites.items() if f"http://{one.address}" in body.decode("ascii")}
        expect(named == sites, f"boot.ipxe of {machine} sends clients to {named}")
        status, _headers, body = fleet.get(machine, "/menu.ipxe")
        expect(status == 200 and b"prod/" in body, f"{machine} answers {status} for menu.ipxe: {body!r}")


def wait_for_image(fleet: Fleet, site: str, name: str) -> None:
    """Wait until a site has the marker of an image, and so the image."""
    place = fleet.assets(site) / name
    _wait(fleet, place.with_name(f"{place.name}-kernel.json").exists, f"{name} comes to {site}")
    expect(place.with_name(f"{place.name}.squashfs").exists(), f"{site} has the marker of {name} alone")


def wait_for_deliveries(fleet: Fleet, sites: set[str], images: str) -> int:
    """Wait until the history tells of such images at all of these sites; return how many runs one took at most."""
    _wait(fleet, lambda: fleet.deliveries(images).keys() == sites, f"the history tells of {images} for {sites}")
    return max(fleet.deliveries(images).values())


def wait_for_offer(fleet: Fleet, image: str, on: Sequence[str]) -> None:
    """Wait until the menu on each of these machines offers an image."""

    def offers(machine: str) -> bool:
        return image.encode("ascii") in fleet.get(machine, "/menu.ipxe")[2]

    for machine in on:
        _wait(fleet, functools.partial(offers, machine), f"the menu on {machine} offers {image}")


def _wait(fleet: Fleet, until: Callable[[], bool], otherwise: str) -> None:
    """Wait for what the netboot server does by itself; for three minutes at most."""
    try:
        wait_until(until, otherwise, patience=180, every=0.2)
    except LabError as error:
        journal = fleet.netboot.run("journalctl", "--no-pager", "-u", "netboot-sync*", check=False)
        raise LabError(f"{error}:\n{journal.stdout[-6000:]}") from None
