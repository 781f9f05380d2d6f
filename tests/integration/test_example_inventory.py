# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventory.example/ as a newcomer uses it: copied, with addresses and key filled in, and run."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import yaml

from tests.lab.fleet import CHECKOUT, Fleet, SiteSpec
from tests.lab.sshd import CachingServer
from tests.lab.tree import CACHING_SERVER_IMAGE

IMAGE = "prod/21-04-09-gnome-master-f1d734e"
UNTESTED = "dev/21-04-10-gnome-feature-0aa1b2c"


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def store(path: Path, data: Any) -> None:
    path.write_text(yaml.safe_dump(data), encoding="utf-8")


def fill_in(inventory: Path, fleet: Fleet, netboot: CachingServer) -> None:
    """Fill in addresses and key, and what is unusual about this machine's servers: ports and paths of the trees."""
    hosts = load(inventory / "hosts.yml")
    groups = hosts["all"]["children"]
    assert set(groups["caching_servers"]["hosts"]) == set(fleet.sites)
    login = f"-i {fleet.key.private} -o IdentitiesOnly=yes -o UserKnownHostsFile={fleet.known_hosts}"
    groups["netboot_server"]["hosts"]["netboot"].update(
        ansible_host=netboot.address,
        ansible_port=netboot.port,
        ansible_ssh_common_args=login,
        ansible_python_interpreter="{{ ansible_playbook_python }}",
    )
    for name, variables in groups["caching_servers"]["hosts"].items():
        site = fleet.sites[name]
        variables.update(ansible_host=site.ssh.address, ansible_port=site.ssh.port, netboot_sync_dest=str(site.assets))
    store(inventory / "hosts.yml", hosts)
    for group, user in (("netboot_server", netboot.user), ("caching_servers", netboot.user)):
        variables = load(inventory / "group_vars" / f"{group}.yml")
        assert "ansible_user" in variables
        variables["ansible_user"] = user
        if group == "netboot_server":
            # The account netboot does not exist here.
            variables["ansible_become"] = False
        else:
            variables["netboot_sync_user"] = user
            variables["netboot_sync_private_key_file"] = str(fleet.key.private)
            variables["netboot_sync_known_hosts_file"] = str(fleet.known_hosts)
            variables["netboot_sync_src"] = str(fleet.tree.root)
        store(inventory / "group_vars" / f"{group}.yml", variables)


def test_example_inventory_works_when_filled_in(tmp_path: Path) -> None:
    names = load(CHECKOUT / "inventory.example" / "hosts.yml")["all"]["children"]["caching_servers"]["hosts"]
    specs = [SiteSpec(name, sftp_only=name == "cache-munich") for name in names]
    with (
        Fleet(tmp_path / "fleet", specs) as fleet,
        CachingServer(tmp_path / "netboot", authorized=[fleet.key.public]) as netboot,
    ):
        with fleet.known_hosts.open("a", encoding="utf-8") as file:
            file.write(netboot.known_hosts_line())
        fleet.tree.add_kernel()
        for name in (IMAGE, UNTESTED):
            fleet.tree.add_image(name)
        fleet.tree.add_image(CACHING_SERVER_IMAGE, marker=False)
        inventory = tmp_path / "my-inventory"
        shutil.copytree(CHECKOUT / "inventory.example", inventory)
        fill_in(inventory, fleet, netboot)
        fleet.inventory = inventory / "hosts.yml"
        run = fleet.run_playbook("sync.yml")
        assert run.status == 0, run.output
        for name, site in fleet.sites.items():
            assert (site.assets / f"{IMAGE}-kernel.json").is_file()
            assert (site.assets / f"{CACHING_SERVER_IMAGE}.squashfs").is_file()
            assert (site.assets / f"{UNTESTED}.squashfs").exists() == (name == "cache-dev")
        limited = fleet.run_playbook("resync.yml", "--limit", "cache-berlin")
        assert limited.status == 0, limited.output
        assert list(limited.results) == ["cache-berlin"]
        assert all(image["verified"] for image in limited.results["cache-berlin"]["images"])
