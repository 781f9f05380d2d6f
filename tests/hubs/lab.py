# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A netboot server, two hubs with lines of their own, and three leaves behind each, in network namespaces.

A leaf has a line to its hub only, so everything that it has comes from there. Ansible runs on the netboot server.
"""

from __future__ import annotations

import json
import shutil
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import yaml

from tests.lab import checkout
from tests.lab.namespaces import NAMES, Host, Line, add_network, assert_in_network, enter_network
from tests.lab.process import STANDARD_PATH, LabError, Supervised
from tests.lab.sshd import ClientKey
from tests.lab.tree import AssetsTree

MIB = 1024 * 1024
SERVER = "server"
HUBS = ("quick", "slow")
LEAVES = 3  # behind each hub
QUICK = 200_000_000  # bit/s
SLOW = 2_000_000
ASSETS, CODE, SSH = "/srv/netboot/assets", "/srv/netboot/code", "/srv/netboot/ssh"
PATIENCE = 300.0  # seconds that the whole run may take


def leaves_of(hub: str) -> list[str]:
    """The names of the leaves behind a hub."""
    return [f"{hub}-leaf{number}" for number in range(1, LEAVES + 1)]


@dataclass(frozen=True)
class Place:
    """A caching server: the machine, its address, and the line to the host that feeds it."""

    host: Host
    address: str
    line: Line


class HubLab:
    """The whole laboratory, on its own file system *directory*."""

    def __init__(self, directory: Path) -> None:
        add_network(SERVER)
        enter_network(SERVER)
        assert_in_network(SERVER)
        self.key = ClientKey.create(directory / "keys" / "id_ed25519")
        self._host_key = ClientKey.create(directory / "keys" / "host")
        self._directory = directory
        self.server = Host(directory / SERVER, SERVER, size=256 * MIB)
        self.tree = AssetsTree(self.server.disk / "assets")
        self.places: dict[str, Place] = {}
        for number, hub in enumerate(HUBS, 1):
            self._add(hub, SERVER, f"10.98.{number}", rate=SLOW if hub == "slow" else QUICK)
            for leaf_number, leaf in enumerate(leaves_of(hub), 1):
                self._add(leaf, hub, f"10.98.{number}{leaf_number}", rate=QUICK)
        checkout.install(self.server.disk / "code")
        self._give_keys(self.server)
        for place in self.places.values():
            self._give_keys(place.host)
            assert_in_network(SERVER)
            place.host.start_sshd(place.address, host_key=self._host_key.private, authorized=self.key.public)
            (place.host.disk / "assets").mkdir()

    def _add(self, name: str, source: str, network: str, *, rate: int) -> None:
        add_network(name)
        line = Line(source, f"{network}.1", name, f"{network}.2", device=name)
        line.set_rate(rate)
        self.places[name] = Place(Host(self._directory / name, name, size=256 * MIB), f"{network}.2", line)

    def close(self) -> None:
        """End everything."""
        for place in self.places.values():
            place.host.stop_all()

    def _give_keys(self, host: Host) -> None:
        """Give a host what it needs to send: the key, and the host key that all caching servers of the lab share."""
        ssh = host.disk / "ssh"
        ssh.mkdir(mode=0o700)
        for suffix in ("", ".pub"):
            shutil.copy(self.key.private.with_name(self.key.private.name + suffix), ssh)
        known = [f"{place.address} {self._host_key.public}\n" for place in self.places.values()]
        (ssh / "known_hosts").write_text("".join(known), encoding="ascii")
        lines = ["Host 10.98.*", "  StrictHostKeyChecking yes", f"  UserKnownHostsFile {SSH}/known_hosts"]
        lines += [f"  IdentityFile {SSH}/id_ed25519", "  BatchMode yes", "Host *", "  ConnectTimeout 15"]
        (host.root / "etc" / "ssh" / "ssh_config").write_text("\n".join(lines) + "\n", encoding="ascii")
        shutil.rmtree(host.root / "root" / ".ssh", ignore_errors=True)

    def inventory(self) -> str:
        """The inventory of the lab, with the leaves first, since the order must not matter."""
        hosts: dict[str, Any] = {}
        for hub in HUBS:
            for leaf in leaves_of(hub):
                hosts[leaf] = {"ansible_host": self.places[leaf].address, "netboot_sync_source": hub}
        for hub in HUBS:
            hosts[hub] = {"ansible_host": self.places[hub].address}
        variables = {
            "ansible_user": "root",
            "ansible_python_interpreter": sys.executable,
            "netboot_sync_source": "localhost",
            "netboot_sync_dest": ASSETS,
            "netboot_sync_private_key_file": f"{SSH}/id_ed25519",
            "netboot_sync_known_hosts_file": f"{SSH}/known_hosts",
            "netboot_sync_survey_from": 99,
        }
        return yaml.safe_dump({"all": {"children": {"caching_servers": {"vars": variables, "hosts": hosts}}}})

    def start_sync(self) -> Supervised:
        """Start sync.yml on the netboot server; its output goes to :attr:`log`."""
        (self.server.disk / "hosts.yml").write_text(self.inventory(), encoding="utf-8")
        into = ["nsenter", f"--net={NAMES / SERVER}", "chroot", str(self.server.root), "env", "-C", CODE]
        playbook = str(Path(sys.executable).with_name("ansible-playbook"))
        words = [sys.executable, playbook, "playbooks/sync.yml", "-i", "/srv/netboot/hosts.yml"]
        environment = {
            "PATH": f"{Path(sys.executable).parent}:{STANDARD_PATH}",
            "HOME": "/root",
            "LC_ALL": "C.UTF-8",
            "ANSIBLE_CONFIG": f"{CODE}/ansible.cfg",
        }
        assert_in_network(SERVER)
        with self.log.open("wb") as output:
            return Supervised([*into, *words], stdout=output, stderr=output, env=environment)

    @property
    def log(self) -> Path:
        """The file with the playbook's output, in the lab's directory."""
        return self._directory / "sync.log"


class Order:
    """Notes the order in which images appear at caching servers, as clients see them: by their markers.

    :ivar seen: pairs of site and marker, in the order of their appearance.
    """

    def __init__(self, lab: HubLab, markers: Sequence[str], on_event: Callable[[Order], None]) -> None:
        self.seen: list[tuple[str, str]] = []
        self._on_event = on_event
        self._waiting = {
            (site, marker): place.host.disk / "assets" / marker
            for site, place in lab.places.items()
            for marker in markers
        }
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="order", daemon=True)

    def _watch(self) -> None:
        while self._waiting and not self._over.wait(0.005):
            for event, path in list(self._waiting.items()):
                if path.exists():
                    del self._waiting[event]
                    self.seen.append(event)
                    self._on_event(self)

    def __enter__(self) -> Order:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()


def measure(lab: HubLab, markers: Sequence[str]) -> dict[str, Any]:
    """Run a sync, and return what was seen. *markers* are in the order in which they are sent.

    The slow line stays slow until everything that it is meant to show has been seen; then the rest need not take long.
    """
    shown = {(leaf, marker) for leaf in leaves_of("quick") for marker in markers}
    shown |= {(leaf, markers[0]) for leaf in leaves_of("slow")}
    quickened = threading.Event()

    def quicken(order: Order) -> None:
        if not quickened.is_set() and shown <= set(order.seen):
            quickened.set()
            lab.places["slow"].line.set_rate(QUICK)

    with Order(lab, markers, quicken) as order:
        run = lab.start_sync()
        try:
            started = time.monotonic()
            status = run.wait(PATIENCE)
            seconds = time.monotonic() - started
        finally:
            run.stop()
    output = lab.log.read_text(encoding="utf-8", errors="replace")
    if status != 0:
        raise LabError(f"sync.yml ended with status {status}: {output[-2000:]}")
    return {"order": order.seen, "seconds": round(seconds, 1), "output": output}


def troubles(order: Sequence[tuple[str, str]], markers: Sequence[str]) -> list[str]:
    """The broken promises in what was seen, one line for each."""
    place = {event: number for number, event in enumerate(order)}
    found = [
        f"{site} never had {marker}"
        for site in (*HUBS, *(leaf for hub in HUBS for leaf in leaves_of(hub)))
        for marker in markers
        if (site, marker) not in place
    ]
    if found:
        return found
    last_of_slow = place[("slow", markers[-1])]
    found += [
        f"{leaf} was not through while the slow hub still worked"
        for leaf in leaves_of("quick")
        if any(place[(leaf, marker)] > last_of_slow for marker in markers)
    ]
    found += [
        f"{leaf} had no image before its hub had its last"
        for leaf in leaves_of("slow")
        if place[(leaf, markers[0])] > last_of_slow
    ]
    found += [
        f"{leaf} had {marker} before its hub"
        for hub in HUBS
        for leaf in leaves_of(hub)
        for marker in markers
        if place[(leaf, marker)] < place[(hub, marker)]
    ]
    return found


def report(figures: dict[str, Any]) -> str:
    """The figures as JSON, without the playbook's output."""
    return json.dumps({name: value for name, value in figures.items() if name != "output"}, indent=1)
