# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fault laboratory: a netboot server, and lanes of one caching server each, in network namespaces."""

from __future__ import annotations

import contextlib
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.lab import images
from tests.lab.fleet import CHECKOUT
from tests.lab.ledger import MarkerError, closure_of
from tests.lab.namespaces import (
    Host,
    Line,
    add_network,
    assert_in_network,
    enter_network,
    network_id,
)
from tests.lab.sshd import ClientKey

from .lane import Lane
from .places import CODE, CONTROLLER, DEST, EXCLUDE, MIB, SERVER, STRANGE


class FaultLab:
    """The whole laboratory, on its own file system *directory*; a thread per lane works in the server's network."""

    def __init__(self, directory: Path, *, lanes: int, rates: list[int]) -> None:
        self.directory = directory
        self.outer = network_id()
        for name in (SERVER, CONTROLLER):
            add_network(name)
        self.uplink = Line(SERVER, "10.99.0.1", CONTROLLER, "10.99.0.2", device="to0")
        self.server = Host(directory / SERVER, SERVER, size=4096 * MIB)
        self.controller = Host(directory / CONTROLLER, CONTROLLER, size=256 * MIB)
        (directory / "keys").mkdir()
        self.key = ClientKey.create(directory / "keys" / "id_ed25519")
        self.server_key = ClientKey.create(directory / "keys" / SERVER)
        for host in (self.server, self.controller):
            self._install(host)
        self.lanes = [
            # the last of several has a file system that behaves unlike the netboot server's
            Lane(self, index + 1, rate=rates[index], quirks=STRANGE if index == lanes - 1 and lanes > 1 else None)
            for index in range(lanes)
        ]
        known = [f"{lane.address} {lane.host_key.public}\n" for lane in self.lanes]
        known.append(f"10.99.0.1 {self.server_key.public}\n")
        for host in (self.server, self.controller):
            (host.disk / "ssh" / "known_hosts").write_text("".join(known), encoding="ascii")
        self.server.start_sshd("10.99.0.1", host_key=self.server_key.private, authorized=self.key.public)

    def close(self) -> None:
        """End everything."""
        for lane in self.lanes:
            lane.close()
        for host in (self.controller, self.server):
            host.stop_all()

    def _install(self, host: Host) -> None:
        """Put the collection, the key and OpenSSH's configuration on a host that runs the module or the playbooks."""
        code = host.disk / "code"
        target = code / "ansible_collections" / "netboot" / "syncer"
        target.mkdir(parents=True)
        ignored = shutil.ignore_patterns("__pycache__")
        for name in ("plugins", "roles", "playbooks", "meta"):
            shutil.copytree(CHECKOUT / name, target / name, ignore=ignored)
        shutil.copy(CHECKOUT / "galaxy.yml", target)
        shutil.copytree(CHECKOUT / "tests" / "lab" / "callback_plugins", code / "callback_plugins", ignore=ignored)
        settings = [
            "[defaults]",
            f"collections_path = {CODE}",
            "forks = 50",
            "retry_files_enabled = false",
            "[ssh_connection]",
            "pipelining = True",
        ]
        (code / "ansible.cfg").write_text("\n".join(settings) + "\n", encoding="utf-8")
        ssh = host.disk / "ssh"
        ssh.mkdir(mode=0o700)
        for suffix in ("", ".pub"):
            shutil.copy(self.key.private.with_name(self.key.private.name + suffix), ssh)
        # Only these addresses, from an address that only the lab has: outside the lab, ssh cannot even connect.
        binding = "10.99.0.2" if host is self.controller else None
        lines = ["Host 10.99.*", "  StrictHostKeyChecking yes", "  BatchMode yes", "  ControlMaster no"]
        lines += [f"  BindAddress {binding}"] if binding else []
        lines += ["Host *", "  ConnectTimeout 15"]
        (host.root / "etc" / "ssh" / "ssh_config").write_text("\n".join(lines) + "\n", encoding="ascii")
        shutil.rmtree(host.root / "root" / ".ssh", ignore_errors=True)

    def inventory(self, lane: Lane, options: Mapping[str, Any]) -> str:
        """An inventory of the netboot server and one caching server, as a user would write it."""
        key, known_hosts = "/srv/netboot/ssh/id_ed25519", "/srv/netboot/ssh/known_hosts"
        ssh = {
            "ansible_user": "root",
            "ansible_ssh_private_key_file": key,
            "ansible_ssh_common_args": f"-o UserKnownHostsFile={known_hosts}",
            "ansible_python_interpreter": sys.executable,
        }
        variables: dict[str, Any] = {
            "netboot_sync_src": lane.src,
            "netboot_sync_dest": DEST,
            "netboot_sync_private_key_file": key,
            "netboot_sync_known_hosts_file": known_hosts,
            "netboot_sync_exclude": EXCLUDE,
            **{f"netboot_sync_{name}": value for name, value in options.items()},
        }
        groups = {
            "netboot_server": {"hosts": {SERVER: {"ansible_host": "10.99.0.1", **ssh}}},
            "caching_servers": {"vars": variables, "hosts": {lane.name: {"ansible_host": lane.address, **ssh}}},
        }
        return yaml.safe_dump({"all": {"children": groups}}, sort_keys=False)

    @staticmethod
    def whole_closure(root: Path, marker: str, squashfs: str, here: Mapping[str, str]) -> list[str]:
        """What a marker of the netboot server promises, if all of it is there and the squashfs is complete."""
        if marker not in here:
            return []
        try:
            closure = closure_of((root / marker).read_bytes(), squashfs)
            with (root / squashfs).open("rb") as file:
                length = images.bytes_used(file.read(48))
            whole = 0 < length <= (root / squashfs).stat().st_size
        except (MarkerError, OSError):
            return []
        return closure if whole and all(path in here for path in closure) else []

    @contextlib.contextmanager
    def work_here(self) -> Iterator[None]:
        """Move the calling thread to the netboot server: whatever it starts is in the server's network."""
        enter_network(SERVER)
        assert_in_network(SERVER)
        yield
