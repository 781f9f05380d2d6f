# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A netboot server, and a site with its router and its caching server, in networks without any other connection.

The addresses are those of the role's DHCP examples; dnsmasq, ISC dhcpd and Kea run with these examples as they are.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.lab.fleet import CHECKOUT
from tests.lab.namespaces import NAMES, Host, add_network, command
from tests.lab.process import LabError
from tests.lab.sshd import ClientKey
from tests.lab.tree import AssetsTree

from . import dhcp, payload
from .client import MEMORY, Client

SERVER, ROUTER, CACHE, LAN = "server", "router", "cache", "lan"
SERVER_ADDRESS, WAN_GATEWAY = "198.51.100.10", "198.51.100.1"
GATEWAY, CACHE_ADDRESS = "203.0.113.1", "203.0.113.5"
DEST = "/srv/netboot/assets"
DISK = 512 * 1024 * 1024  # bytes

IMAGE = "prod/21-04-09-gnome-master-f1d734e"
OLDER = "prod/21-04-08-gnome-master-aaaaaaa"
NOON = 1_617_969_600  # 2021-04-09 12:00 UTC
DAY = 86_400

# On a busy machine, the kernel may conclude that QEMU's timer does not tick, and go on without interrupts.
CONSOLE = ("console=ttyS0", "panic=-1", "no_timer_check")
SILENCE = """
table ip silence {
  chain out {
    type filter hook output priority 0;
    tcp sport 80 tcp flags & (syn|fin|rst) == 0 drop
  }
}
"""


class BootLab:
    """All machines, below *directory*, which is the lab's own file system."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._boots = 0
        self._network()
        self.key = ClientKey.create(directory / "keys" / "client")
        self.host_key = ClientKey.create(directory / "keys" / "host")
        self.server = Host(directory / SERVER, SERVER, size=DISK)
        self.cache = Host(directory / CACHE, CACHE, size=DISK)
        self.router = Host(directory / ROUTER, ROUTER, size=DISK)
        self.assets = self.cache.disk / "assets"
        self.assets.mkdir()
        self.tree = AssetsTree(self.server.disk / "assets")
        self.version = payload.add_kernel(self.tree)
        payload.add_image(self.tree, OLDER, "older", version=self.version, mtime=NOON - DAY)
        payload.add_image(self.tree, IMAGE, "newest", version=self.version, mtime=NOON)
        self.cache.start_sshd(CACHE_ADDRESS, host_key=self.host_key.private, authorized=self.key.public)
        (directory / "known_hosts").write_text(f"{CACHE_ADDRESS} {self.host_key.public}\n")
        self.start_server_web()
        self.start_web()
        self._dhcp()
        self.write_inventory()

    def close(self) -> None:
        """End all that runs."""
        for host in (self.server, self.cache, self.router):
            host.stop_all()

    def _network(self) -> None:
        for name in (SERVER, ROUTER, CACHE, LAN):
            add_network(name)
        command("ip", "-n", LAN, "link", "add", "br0", "type", "bridge")
        command("ip", "-n", LAN, "link", "set", "br0", "up")
        # the kernel wants both names of a pair: in the network where it is made, and in that of its peer
        for near, name, far, peer in ((LAN, "rtr", ROUTER, "lan"), (LAN, "cache", CACHE, "eth0")):
            command("ip", "-n", near, "link", "add", name, "type", "veth", "peer", "name", peer, "netns", far)
            command("ip", "-n", near, "link", "set", name, "master", "br0", "up")
        command("ip", "-n", ROUTER, "link", "add", "wan", "type", "veth", "peer", "name", "eth0", "netns", SERVER)
        command("ip", "-n", LAN, "tuntap", "add", "tap0", "mode", "tap")
        command("ip", "-n", LAN, "link", "set", "tap0", "master", "br0", "up")
        for network, device, address in (
            (ROUTER, "lan", f"{GATEWAY}/24"),
            (ROUTER, "wan", f"{WAN_GATEWAY}/24"),
            (SERVER, "eth0", f"{SERVER_ADDRESS}/24"),
            (CACHE, "eth0", f"{CACHE_ADDRESS}/24"),
        ):
            command("ip", "-n", network, "addr", "add", address, "dev", device)
            command("ip", "-n", network, "link", "set", device, "up")
        command("ip", "-n", SERVER, "route", "add", "default", "via", WAN_GATEWAY)
        command("ip", "-n", CACHE, "route", "add", "default", "via", GATEWAY)
        # without an answer to its router solicitation, iPXE waits about 13 s at every start
        command("ip", "-n", ROUTER, "addr", "add", "fd00:113::1/64", "dev", "lan", "nodad")
        self._inside(ROUTER, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")

    def _inside(self, network: str, *words: str) -> str:
        return command("nsenter", f"--net={NAMES / network}", *words)

    def _dhcp(self) -> None:
        """Start DHCP at the site, as in the example, and TFTP on the netboot server, next to its tree."""
        tftp = self.server.root / "srv" / "tftp"
        tftp.mkdir(parents=True)
        for name in ("undionly.kpxe", "ipxe.efi"):
            shutil.copy(f"/usr/lib/ipxe/{name}", tftp / name)
        self.server.start(
            "tftp", "dnsmasq", *dhcp.DNSMASQ, "--conf-file=/dev/null", "--enable-tftp", "--tftp-root=/srv/tftp"
        )
        advertise = ("--interface=lan", "--bind-interfaces", "--enable-ra", "--dhcp-range=fd00:113::,ra-only")
        self.router.start("advertising", "dnsmasq", *dhcp.DNSMASQ, "--conf-file=/dev/null", *advertise)
        if dhcp.UNPACKED.exists():
            shutil.copytree(dhcp.UNPACKED, self.router.root / dhcp.WITHIN.relative_to("/"), symlinks=True)
        (self.router.root / "run" / "dhcpd.leases").touch()
        self.lead_to(SERVER_ADDRESS)

    def lead_to(self, address: str, *, by: str = "dnsmasq") -> None:
        """Let a DHCP server send clients to the boot.ipxe at this address; its example names the netboot server's.

        Raises LabError if that DHCP server is not on this machine.
        """
        for name in dhcp.SERVERS:
            self.router.stop(name)
        server = dhcp.SERVERS[by]
        program = server.where()
        if program is None:
            raise LabError(f"{by} is not on this machine")
        if program.is_relative_to(dhcp.UNPACKED):
            program = dhcp.WITHIN / program.relative_to(dhcp.UNPACKED)
        text = server.adapt((dhcp.EXAMPLES / server.example).read_text(encoding="utf-8"))
        text = text.replace(f"http://{SERVER_ADDRESS}/", f"http://{address}/")
        (self.router.root / "run" / server.example).write_text(text, encoding="utf-8")
        words = server.serves(f"/run/{server.example}")
        self.router.start(by, str(program), *words, environment=dhcp.environment(dhcp.WITHIN))

    def write_inventory(self, **variables: Any) -> None:
        """Write the inventory; *variables* are for all hosts."""
        everything = {
            "ansible_python_interpreter": sys.executable,
            "netboot_sync_src": str(self.tree.root),
            "netboot_sync_dest": DEST,
            "netboot_sync_exclude": ["hold"],
            "netboot_sync_private_key_file": str(self.key.private),
            "netboot_sync_known_hosts_file": str(self.directory / "known_hosts"),
            "netboot_boot_menu_wait": 2,
            "netboot_boot_menu_kernel_arguments": [
                *CONSOLE,
                "quiet",
                "fetch={url}",
                "netboot_fallback={server_url}",
                "netboot_sha256={sha256}",
                "netboot_stall=10",
            ],
            **variables,
        }
        site = {"ansible_host": CACHE_ADDRESS, "ansible_user": "root", "netboot_boot_menu_gateways": [GATEWAY]}
        groups = {
            "netboot_server": {
                "hosts": {"netboot": {"ansible_host": SERVER_ADDRESS, "ansible_connection": "local"}},
            },
            "caching_servers": {"hosts": {"berlin": site}},
        }
        self.inventory = self.directory / "hosts.yml"
        self.inventory.write_text(yaml.safe_dump({"all": {"vars": everything, "children": groups}}), encoding="utf-8")

    def play(self, playbook: str, **extra: Any) -> str:
        """Run a playbook on the netboot server, and return its output. Raises LabError if it fails."""
        program = str(Path(sys.executable).with_name("ansible-playbook"))
        words = ["nsenter", f"--net={NAMES / SERVER}", program, f"playbooks/{playbook}", "-i", str(self.inventory)]
        for name, value in extra.items():
            words += ["-e", yaml.safe_dump({name: value}, default_flow_style=True).strip()]
        environment = {**os.environ, "ANSIBLE_CONFIG": str(CHECKOUT / "ansible.cfg")}
        done = subprocess.run(
            words, cwd=CHECKOUT, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise LabError(f"{playbook} failed: {done.stdout[-3000:]} {done.stderr[-1000:]}")
        return done.stdout

    def settle(self) -> None:
        """Write the scripts, sync the site, and keep a copy of the trees, to which :meth:`restore` returns."""
        self.play("boot_menu.yml")
        self.play("sync.yml")
        for place, tree in self._places().items():
            command("cp", "-a", str(tree), str(place))

    def restore(self) -> None:
        """Restore both trees, the networks and the web servers to what they were."""
        self.heal()
        for place, tree in self._places().items():
            for entry in tree.iterdir():
                shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
            command("cp", "-a", f"{place}/.", str(tree))
        self.write_inventory()

    def _places(self) -> Mapping[Path, Path]:
        return {self.directory / "kept-server": self.tree.root, self.directory / "kept-cache": self.assets}

    def start_server_web(self) -> None:
        """Start or restart the netboot server's web server."""
        self.server.stop("nginx")
        self.server.start_nginx(SERVER_ADDRESS, serve=DEST, log=True)

    def start_web(self, *, rate: str = "0") -> None:
        """Start or restart the caching server's web server."""
        self.stop_web()
        self.cache.start_nginx(CACHE_ADDRESS, serve=DEST, log=True, rate=rate)

    def stop_web(self) -> None:
        """Stop the caching server's web server: connections are refused."""
        self.cache.stop("nginx")

    def vanish(self) -> None:
        """Unplug the caching server: nothing answers at its address."""
        command("ip", "-n", LAN, "link", "set", "cache", "down")

    def fall_silent(self) -> None:
        """Let the caching server accept connections, and then send nothing."""
        self._inside(CACHE, "nft", SILENCE)

    def heal(self) -> None:
        """Undo all of these faults."""
        self._inside(CACHE, "nft", "flush", "ruleset")
        command("ip", "-n", LAN, "link", "set", "cache", "up")
        self.start_web()
        self.start_server_web()
        self.lead_to(SERVER_ADDRESS)

    def hide_marker(self, *, everywhere: bool = False) -> None:
        """Remove the newest image's marker at the site; with *everywhere*, set it aside on the netboot server, too."""
        marker = f"{IMAGE}-kernel.json"
        (self.assets / marker).unlink()
        if everywhere:
            path = self.tree.root / marker
            path.rename(path.with_name(f".{path.name}.withdrawn"))

    def boot(self, name: str, *, uefi: bool = False, memory: int = MEMORY) -> Client:
        """Switch a client on."""
        for host in (self.server, self.cache):
            (host.root / "run" / "nginx-access.log").write_text("")
        self._boots += 1
        mac = f"52:54:00:00:02:{self._boots:02x}"
        return Client(self.directory / "clients" / name, network=LAN, tap="tap0", mac=mac, uefi=uefi, memory=memory)

    def hold(self) -> contextlib.AbstractContextManager[None]:
        """Let clients that are switched on in the block wait, with kernel and initrd loaded, until the block ends."""
        return self._hold()

    @contextlib.contextmanager
    def _hold(self) -> Any:
        path = self.tree.root / "hold"
        path.write_text("hold\n")
        try:
            yield
        finally:
            path.unlink(missing_ok=True)

    def served(self, client: Client) -> dict[str, str]:
        """Which server gave the client the complete kernel, initrd and squashfs, according to the servers' logs."""
        found: dict[str, str] = {}
        time.sleep(0.2)  # nginx writes its log line after it has sent an answer
        for who, host, root in ((CACHE, self.cache, self.assets), (SERVER, self.server, self.tree.root)):
            for path, status, sent in host.served():
                what = next(
                    (end for end in ("vmlinuz", "initrd", "-kernel.json", ".squashfs") if path.endswith(end)), ""
                )
                size = (root / path.lstrip("/")).stat().st_size if (root / path.lstrip("/")).exists() else sent
                if what and status == 200 and sent == size:
                    found[what] = f"{found[what]}+{who}" if what in found and who not in found[what] else who
        said = re.findall(r"netboot: fetched http://([0-9.]+)/", client.console)
        if said:  # the server whose file the client accepted, which is not always one that sent a complete file
            found[".squashfs"] = {SERVER_ADDRESS: SERVER, CACHE_ADDRESS: CACHE}[said[-1]]
        return found
