# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole fleet on loopback: the netboot server's tree, caching servers, their lines, and the inventory."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import yaml

from .client import BootClient, Event
from .ledger import Ledger
from .line import Line
from .process import Supervised, find_program
from .sshd import CachingServer, ClientKey
from .tree import AssetsTree
from .web import AssetsWeb

CHECKOUT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class SiteSpec:
    """The specification of a site. The fleet chooses addresses and ports that are left out.

    :ivar rate: bit/s of its line in each direction; with a rate, a latency or ``line=True`` there is a
        :class:`~tests.lab.line.Line` before it.
    :ivar latency: seconds in each direction.
    :ivar variables: host variables for the inventory.
    :ivar key_options: the options before the key in authorized_keys, ``{assets}`` for the site's assets tree.
    :ivar traced: whether the system calls of its server are recorded, in ``trace`` of its directory.
    :ivar sftp_only: see :class:`~tests.lab.sshd.CachingServer`, as for *hide* and *scripts*.
    """

    name: str
    rate: float | None = None
    latency: float = 0.0
    line: bool = False
    variables: Mapping[str, Any] = field(default_factory=dict)
    key_options: str = ""
    traced: bool = False
    sftp_only: bool = False
    hide: Sequence[str] = ()
    scripts: Mapping[str, str] = field(default_factory=dict)
    address: str | None = None
    port: int | None = None
    line_address: str | None = None
    line_port: int | None = None
    web_port: int | None = None


@dataclass(frozen=True)
class Site:
    """A running site: its OpenSSH server, its web server and the line to it, if it has one."""

    spec: SiteSpec
    server: CachingServer
    web: AssetsWeb
    line: Line | None

    @property
    def name(self) -> str:
        """The inventory name."""
        return self.spec.name

    @property
    def assets(self) -> Path:
        """The assets tree on this caching server."""
        return self.server.assets

    @property
    def ssh(self) -> CachingServer | Line:
        """Where the netboot server reaches it: ``address`` and ``port``."""
        return self.line or self.server


@dataclass(frozen=True)
class PlaybookRun:
    """How a run of ansible-playbook ended: exit status, output, and what sync_assets returned for each host."""

    status: int
    output: str
    results: dict[str, dict[str, Any]]


class Fleet:
    """A fleet in *directory*; existing content is reused.

    :arg specs: the sites.
    :arg variables: variables of the group ``caching_servers``.
    """

    def __init__(
        self, directory: Path, specs: Sequence[SiteSpec], *, variables: Mapping[str, Any] | None = None
    ) -> None:
        self.directory = directory.absolute()
        self.variables = dict(variables or {})
        self.tree = AssetsTree(self.directory / "netboot-server" / "assets")
        self.ledger = Ledger(self.tree.root)
        self.key = ClientKey.create(self.directory / "netboot-server" / "ssh" / "id_ed25519")
        self.known_hosts = self.directory / "netboot-server" / "ssh" / "known_hosts"
        self.inventory = self.directory / "hosts.yml"
        self._results = self.directory / "results.json"
        self.sites = {spec.name: self._site(spec) for spec in specs}

    @classmethod
    def load(cls, directory: Path) -> Fleet:
        """The fleet that :meth:`up` was called for in *directory*, on the same addresses and ports."""
        saved = json.loads((directory / "fleet.json").read_text(encoding="utf-8"))
        return cls(directory, [SiteSpec(**spec) for spec in saved["sites"]], variables=saved["variables"])

    def _site(self, spec: SiteSpec) -> Site:
        directory = self.directory / "sites" / spec.name
        options = spec.key_options.format(assets=directory / "assets")
        server = CachingServer(
            directory,
            authorized=[f"{options} {self.key.public}".strip()],
            address=spec.address,
            port=spec.port,
            sftp_only=spec.sftp_only,
            hide=spec.hide,
            scripts=spec.scripts,
            trace=directory / "trace" if spec.traced else None,
        )
        web = AssetsWeb(server.assets, address=server.address, port=spec.web_port)
        line = None
        if spec.line or spec.rate is not None or spec.latency > 0:
            line = Line(
                (server.address, server.port),
                rate=spec.rate,
                latency=spec.latency,
                address=spec.line_address,
                port=spec.line_port,
            )
        settled = dataclasses.replace(
            spec,
            address=server.address,
            port=server.port,
            web_port=web.port,
            line_address=line.address if line else None,
            line_port=line.port if line else None,
        )
        return Site(settled, server, web, line)

    def up(self) -> None:
        """Start all servers and lines and write known_hosts, inventory and ``fleet.json``."""
        try:
            for site in self.sites.values():
                site.server.start()
                site.web.start()
                if site.line is not None:
                    site.line.start()
        except BaseException:
            self.down()
            raise
        self.write_known_hosts()
        self.inventory.write_text(self.inventory_text(), encoding="utf-8")
        saved = {"variables": self.variables, "sites": [dataclasses.asdict(site.spec) for site in self.sites.values()]}
        (self.directory / "fleet.json").write_text(json.dumps(saved, indent=2), encoding="utf-8")

    def down(self) -> None:
        """Stop everything; the files stay."""
        for site in self.sites.values():
            if site.line is not None:
                site.line.stop()
            site.web.stop()
            site.server.stop()

    def __enter__(self) -> Fleet:
        self.up()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.down()

    def write_known_hosts(self) -> None:
        """Write the servers' current host keys; call it again after a host key change that should be known."""
        lines = [
            site.server.known_hosts_line(address=site.ssh.address, port=site.ssh.port) for site in self.sites.values()
        ]
        self.known_hosts.write_text("".join(lines), encoding="utf-8")

    def send_from(self, netboot: CachingServer, **variables: object) -> None:
        """Write an inventory in which the netboot server is another machine, with additional *variables* for it."""
        with self.known_hosts.open("a", encoding="utf-8") as file:
            file.write(netboot.known_hosts_line())
        inventory = yaml.safe_load(self.inventory.read_text(encoding="utf-8"))
        groups = inventory["all"]["children"]
        login = {key: value for key, value in groups["caching_servers"]["vars"].items() if key.startswith("ansible_")}
        at = {"ansible_host": netboot.address, "ansible_port": netboot.port, "ansible_user": netboot.user}
        groups["netboot_server"] = {"hosts": {"netboot": {**login, **at, **variables}}}
        self.inventory.write_text(yaml.safe_dump(inventory), encoding="utf-8")

    def inventory_text(self) -> str:
        """The inventory as YAML. The source is a group ``netboot_server`` that a test adds, or the control node."""
        key, known_hosts = str(self.key.private), str(self.known_hosts)
        group = {
            "ansible_ssh_private_key_file": key,
            "ansible_ssh_common_args": f"""-o IdentitiesOnly=yes -o 'UserKnownHostsFile="{known_hosts}"'""",
            "netboot_sync_source": "{{ groups['netboot_server'] | default(['localhost']) | first }}",
            "netboot_sync_src": str(self.tree.root),
            "netboot_sync_private_key_file": key,
            "netboot_sync_known_hosts_file": known_hosts,
            **self.variables,
        }
        hosts = {
            site.name: {
                "ansible_host": site.ssh.address,
                "ansible_port": site.ssh.port,
                "ansible_user": site.server.user,
                "netboot_sync_dest": str(site.assets),
                **site.spec.variables,
            }
            for site in self.sites.values()
        }
        everything = {
            "all": {
                "vars": {"ansible_python_interpreter": "{{ ansible_playbook_python }}"},
                "children": {"caching_servers": {"vars": group, "hosts": hosts}},
            }
        }
        return yaml.safe_dump(everything, sort_keys=False, width=1000)

    def start_playbook(
        self, playbook: str, *args: str, output: int | IO[Any] | None = None, env: Mapping[str, str] | None = None
    ) -> Supervised:
        """Start ``ansible-playbook playbooks/<playbook>`` with this inventory, from the checkout; or an absolute path.

        Its whole process tree ends with ``stop()``; when it has ended by itself, :meth:`results` has the results.
        *output* as for subprocess (None: the caller's own); *env* is added to the environment.
        """
        beside = Path(sys.executable).with_name("ansible-playbook")
        program = str(beside) if beside.exists() else find_program("ansible-playbook", "ansible-core")
        self._results.unlink(missing_ok=True)
        ours = {
            "ANSIBLE_CONFIG": str(CHECKOUT / "ansible.cfg"),
            "ANSIBLE_CALLBACK_PLUGINS": str(Path(__file__).with_name("callback_plugins")),
            "ANSIBLE_CALLBACKS_ENABLED": "lab_results",
            "NETBOOT_LAB_RESULTS": str(self._results),
        }
        return Supervised(
            [program, str(CHECKOUT / "playbooks" / playbook), "-i", str(self.inventory), *args],
            stdout=output,
            stderr=output,
            cwd=CHECKOUT,
            env={**os.environ, **ours, **(env or {})},
        )

    def run_playbook(
        self, playbook: str, *args: str, timeout: float = 300, env: Mapping[str, str] | None = None
    ) -> PlaybookRun:
        """Run a playbook to its end and keep its output. Raises LabError if it takes longer than *timeout* s."""
        log = self.directory / "ansible-playbook.log"
        with log.open("wb") as output:
            status = self.start_playbook(playbook, *args, output=output, env=env).wait(timeout)
        return PlaybookRun(status, log.read_text(encoding="utf-8", errors="replace"), self.results())

    def results(self) -> dict[str, dict[str, Any]]:
        """What sync_assets returned for each host in the last run of a playbook; empty if that did not end."""
        if not self._results.exists():
            return {}
        return dict(json.loads(self._results.read_text(encoding="utf-8")))

    def client(self, *, on_event: Callable[[Event], None] | None = None, full_every: float = 30.0) -> BootClient:
        """A booting machine that knows all sites; start it using ``with``."""
        webs = {site.name: site.web for site in self.sites.values()}
        return BootClient(webs, self.ledger, on_event=on_event, full_every=full_every)
