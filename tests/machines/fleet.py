# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A workstation with this checkout, or with its package alone, and the bare machines that it turns into a fleet."""

from __future__ import annotations

import dataclasses
import http.client
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import ansible

from tests.lab.fleet import CHECKOUT
from tests.lab.namespaces import command
from tests.lab.process import LabError, Supervised
from tests.lab.sshd import ClientKey
from tests.lab.tree import AssetsTree

from .machine import Machine, make_network
from .packages import Base

NETWORK = "10.86.0"
NETBOOT = "netboot"
PATIENCE = 900.0


@dataclasses.dataclass(frozen=True)
class Run:
    """How a playbook ended: its arguments, exit status, output and seconds, and the recap's counters for each host.

    ``changes`` is what the callback lab_changes wrote.
    """

    words: tuple[str, ...]
    status: int
    output: str
    seconds: float
    recap: Mapping[str, Mapping[str, int]]
    changes: Sequence[Mapping[str, str]] = ()

    def counted(self, what: str) -> dict[str, int]:
        """One column of the recap, such as ``changed``."""
        return {host: counts[what] for host, counts in self.recap.items()}


class Fleet:
    """A netboot server and caching servers, all bare, and the administrator's files on the workstation.

    :arg sites: name and size of the data disk in bytes (0: none) of each caching server.
    :arg package: install the collection from its package, and use nothing else from the checkout, not even its
        inventory.
    """

    def __init__(self, base: Base, directory: Path, sites: Mapping[str, int], *, package: bool = False) -> None:
        self.directory = directory
        self.package = package
        self.key = ClientKey.create(directory / "workstation" / "id_ed25519")
        self.known_hosts = directory / "workstation" / "known_hosts"
        self.inventory = directory / "workstation" / "my-inventory"
        places = enumerate({NETBOOT: 0, **sites}.items(), start=10)
        self.machines = {
            name: Machine(base, directory / "machines", name, f"{NETWORK}.{number}", disk=disk)
            for number, (name, disk) in places
        }
        self.netboot = self.machines[NETBOOT]
        self.sites = {name: self.machines[name] for name in sites}
        self.runs: list[Run] = []

    @property
    def tree(self) -> AssetsTree:
        """The assets tree on the netboot server."""
        return AssetsTree(self.netboot.root / "srv" / "netboot" / "assets")

    def assets(self, site: str) -> Path:
        """The assets tree at a site without a data disk."""
        return self.sites[site].root / "srv" / "netboot" / "assets"

    def up(self) -> None:
        """Install and boot all machines, and write the administrator's files: the host keys and the inventory."""
        make_network(f"{NETWORK}.1")
        for machine in self.machines.values():
            machine.install(self.key.public)
            machine.boot()
        self.trust(self.machines.values())
        if self.package:
            self._install_package()
            self.inventory.mkdir()
        else:
            shutil.copytree(CHECKOUT / "inventory.example", self.inventory)
        (self.inventory / "hosts.yml").write_text(self.hosts(), "utf-8")

    def down(self) -> None:
        """Switch all machines off."""
        for machine in self.machines.values():
            machine.off()

    def trust(self, machines: Iterable[Machine]) -> None:
        """Store the host keys that the machines show on their consoles as the administrator's known hosts."""
        text = self.known_hosts.read_text("ascii") if self.known_hosts.exists() else ""
        for machine in machines:
            text = "".join(line for line in text.splitlines(True) if line.split()[0] != machine.address)
            text += machine.known_hosts()
        self.known_hosts.write_text(text, "ascii")

    def hosts(self, user: str = "root") -> str:
        """The inventory of ten lines from the README. In the example inventory, the user is in group_vars instead."""
        sites = "".join(f"        {name}: {{ansible_host: {site.address}}}\n" for name, site in self.sites.items())
        said = f"  vars: {{ansible_user: {user}}}\n" if user and self.package else ""
        return (
            f"all:\n{said}  children:\n    netboot_server:\n      hosts:\n"
            f"        {NETBOOT}: {{ansible_host: {self.netboot.address}}}\n"
            f"    caching_servers:\n      hosts:\n{sites}"
        )

    def _install_package(self) -> None:
        """Build the package from this checkout, and install it like somebody who has only that file."""
        workstation = self.directory / "workstation"
        (workstation / "ansible.cfg").write_text("", "ascii")
        galaxy = [str(Path(sys.executable).with_name("ansible-galaxy")), "collection"]
        environment = {**os.environ, "ANSIBLE_CONFIG": str(workstation / "ansible.cfg")}
        build = [*galaxy, "build", "--output-path", str(workstation), str(CHECKOUT)]
        subprocess.run(build, check=True, capture_output=True, env=environment)
        (package,) = workstation.glob("netboot-syncer-*.tar.gz")
        install = [*galaxy, "install", "--offline", "--no-deps", "-p", str(workstation / "collections"), str(package)]
        subprocess.run(install, check=True, capture_output=True, env=environment)

    def bring_ansible(self) -> bool:
        """Install the workstation's Ansible and collection on the netboot server. False: its Python is too old."""
        ours = Path(ansible.__file__).parents[1]
        info = next(ours.glob("ansible_core-*.dist-info/METADATA")).read_text("utf-8")
        wanted = re.search(r"^Requires-Python: >=3\.(\d+)", info, re.MULTILINE)
        enough = f"import sys; sys.exit(sys.version_info < (3, {wanted[1] if wanted else 0}))"
        if self.netboot.run("python3", "-c", enough, check=False).returncode != 0:
            return False
        there = self.netboot.root / "opt" / "ansible"
        there.mkdir(parents=True)
        without = shutil.ignore_patterns("*.so", "__pycache__")  # compiled for another Python; they work without
        for name in ("ansible", "jinja2", "markupsafe", "yaml", "packaging", "resolvelib", "*.dist-info"):
            for place in ours.glob(name):
                shutil.copytree(place, there / place.name, ignore=without)
        program = self.netboot.root / "usr" / "local" / "bin" / "ansible-playbook"
        program.write_text(
            "#!/usr/bin/python3\nimport sys\nsys.path.insert(0, '/opt/ansible')\n"
            "from ansible.cli.playbook import main\nmain()\n",
            "ascii",
        )
        program.chmod(0o755)
        shutil.copytree(
            self.directory / "workstation" / "collections" / "ansible_collections",
            self.netboot.root / "usr" / "share" / "ansible" / "collections" / "ansible_collections",
        )
        return True

    def deliveries(self, image: str) -> Counter[str]:
        """How many runs brought each site images whose names begin like this, as the netboot server's history says."""
        history = (self.netboot.root / "var/lib/netboot/history.jsonl").read_text("ascii")
        runs = map(json.loads, history.splitlines())
        return Counter(run["site"] for run in runs if any(path.startswith(image) for path in run.get("published", ())))

    def _image(self, name: str) -> AssetsTree:
        """An image that is ready to be uploaded from the workstation."""
        made = AssetsTree(self.directory / "workstation" / "made" / name.replace("/", "-"))
        made.add_kernel()
        made.add_image(name)
        return made

    def upload_by_rename(self, name: str) -> None:
        """Copy an image next to the tree on the netboot server, and move it into place, the marker last."""
        made, into = self._image(name).image(name), self.tree.root
        for path in (made.squashfs, made.marker):
            waiting = into.parent / f"{path.name}.waiting"
            shutil.copy2(path, waiting)
            waiting.rename(into / Path(name).parent / path.name)

    def upload_by_scp(self, name: str) -> None:
        """Copy an image by scp, the marker last."""
        made = self._image(name).image(name)
        to = f"root@{self.netboot.address}:/srv/netboot/assets/{Path(name).parent}/"
        for path in (made.squashfs, made.marker):
            command("scp", *self._login(), str(path), to)

    def upload_by_rsync(self, name: str) -> None:
        """Copy an image by rsync with its times, the marker last."""
        made = self._image(name)
        image = made.image(name)
        for path in (image.squashfs, image.marker):
            shell = " ".join(["ssh", *self._login()])
            source = f"{made.root}/./{path.relative_to(made.root)}"
            to = f"root@{self.netboot.address}:/srv/netboot/assets/"
            command("rsync", "--archive", "--relative", "--no-implied-dirs", "-e", shell, source, to)

    def _login(self) -> list[str]:
        return ["-Fnone", "-oBatchMode=yes", f"-oUserKnownHostsFile={self.known_hosts}", f"-i{self.key.private}"]

    def play(self, playbook: str, *arguments: str) -> Run:
        """Run a playbook of the collection, as the administrator does."""
        program = str(Path(sys.executable).with_name("ansible-playbook"))
        workstation = self.directory / "workstation"
        log, changes = workstation / "ansible.log", workstation / "changes.jsonl"
        changes.write_bytes(b"")
        place = workstation if self.package else CHECKOUT
        named = f"netboot.syncer.{Path(playbook).stem}" if self.package else f"playbooks/{playbook}"
        environment = {
            **os.environ,
            "ANSIBLE_CONFIG": str(place / "ansible.cfg"),
            "ANSIBLE_HOME": str(workstation / "ansible"),
            "ANSIBLE_NOCOLOR": "1",
            # Otherwise another laboratory that runs at the same time with the same addresses would reuse connections.
            "ANSIBLE_SSH_CONTROL_PATH_DIR": str(workstation / "cp"),
            "ANSIBLE_PRIVATE_KEY_FILE": str(self.key.private),
            # It only observes, so it comes from the checkout even if the rest comes from the package.
            "ANSIBLE_CALLBACK_PLUGINS": str(CHECKOUT / "tests" / "lab" / "callback_plugins"),
            "ANSIBLE_CALLBACKS_ENABLED": "lab_changes",
            "NETBOOT_LAB_CHANGES": str(changes),
            "ANSIBLE_SSH_COMMON_ARGS": f"-F none -o BatchMode=yes -o UserKnownHostsFile={self.known_hosts}",
        }
        if self.package:
            environment["ANSIBLE_COLLECTIONS_PATH"] = str(workstation / "collections")
            environment["ANSIBLE_PIPELINING"] = "true"
            environment.pop("PYTHONPATH", None)
        words = [program, named, "-i", str(self.inventory / "hosts.yml"), *arguments]
        started = time.monotonic()
        with log.open("wb") as output:
            status = Supervised(words, stdout=output, stderr=output, cwd=place, env=environment).wait(PATIENCE)
        text = log.read_text("utf-8", errors="replace")
        told = [json.loads(line) for line in changes.read_text("utf-8").splitlines()]
        run = Run(arguments, status, text, time.monotonic() - started, _recap(text), told)
        self.runs.append(run)
        return run

    def get(self, host: str, path: str, **headers: str) -> tuple[int, Mapping[str, str], bytes]:
        """Send a GET to a machine's web server; return the status, the headers and the body of its answer."""
        connection = http.client.HTTPConnection(self.machines[host].address, timeout=20)
        try:
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            connection.close()


def expect(true: bool, otherwise: str, run: Run | None = None) -> None:
    """Raise LabError with *otherwise*, and the end of what *run* printed, unless it is *true*."""
    if not true:
        raise LabError(otherwise + (f"\n{run.output[-6000:]}" if run else ""))


def _recap(text: str) -> dict[str, dict[str, int]]:
    counts = {}
    for line in text.rpartition("PLAY RECAP")[2].splitlines():
        if found := re.match(r"(\S+)\s+: (ok=.*)", line):
            pairs = (pair.split("=") for pair in found[2].split())
            counts[found[1]] = {name: int(value) for name, value in pairs}
    return counts
