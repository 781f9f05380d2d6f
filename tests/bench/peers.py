# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The peers that are compared: commands that bring a tree of the netboot server to caching servers."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import yaml

from tests.lab.process import LabError, find_program
from tests.lab.tree import AssetsTree

from .cost import Cost, Running
from .lab import BenchLab, Site
from .places import CODE, DEST, KEY, KNOWN_HOSTS

ANSIBLE_PLAYBOOK = str(Path(sys.executable).with_name("ansible-playbook"))

MODULE = "ansible_collections.netboot.syncer.plugins.modules.sync_assets"

SYNCHRONIZE = """---
- name: The tree to each caching server, by ansible.posix.synchronize
  hosts: caching_servers
  strategy: free
  gather_facts: false
  tasks:
    - name: Copy
      ansible.posix.synchronize:
        src: "{{ netboot_sync_src }}/"
        dest: "{{ netboot_sync_dest }}/"
        verify_host: true
        rsync_opts:
          - "--exclude=.*"
"""


class Peer:
    """A way to bring *tree* to *sites*; *name* is used in file names and tables."""

    name = ""

    def words(
        self, lab: BenchLab, tree: AssetsTree, sites: Sequence[Site], **options: Any
    ) -> tuple[list[str], dict[str, str]]:
        """The command, and additions to its environment."""
        raise NotImplementedError

    def start(self, lab: BenchLab, tree: AssetsTree, sites: Sequence[Site], **options: Any) -> Running:
        """Start it."""
        words, environment = self.words(lab, tree, sites, **options)
        return lab.start(self.name, words, **environment)

    def run(
        self,
        lab: BenchLab,
        tree: AssetsTree,
        sites: Sequence[Site],
        *,
        timeout: float,
        memory: bool = False,
        **options: Any,
    ) -> Cost:
        """Run it to its end. Raises LabError if it fails or takes longer than *timeout* seconds."""
        words, environment = self.words(lab, tree, sites, **options)
        return lab.run(self.name, words, timeout=timeout, memory=memory, **environment)


class Collection(Peer):
    """This collection, as a user runs it. *options* are variables of the role, without the prefix."""

    name = "collection"

    def words(
        self, lab: BenchLab, tree: AssetsTree, sites: Sequence[Site], **options: Any
    ) -> tuple[list[str], dict[str, str]]:
        """See Peer. *forks*: Ansible's forks, by default one for each site, and at least five."""
        forks = options.pop("forks", max(len(sites), 5))
        file = _inventory(lab, tree, sites, "inventory.yml", options)
        return [sys.executable, ANSIBLE_PLAYBOOK, "playbooks/sync.yml", "-i", file], {"ANSIBLE_FORKS": str(forks)}


class Module(Peer):
    """This collection's module alone, without Ansible: quicker, if only bytes are measured."""

    name = "module"

    def words(
        self, lab: BenchLab, tree: AssetsTree, sites: Sequence[Site], **options: Any
    ) -> tuple[list[str], dict[str, str]]:
        """See Peer. *options* are those of the module."""
        (site,) = sites
        arguments = {
            "src": lab.within(tree.root),
            "dest": DEST,
            "host": site.address,
            "user": "root",
            "private_key_file": KEY,
            "known_hosts_file": KNOWN_HOSTS,
            **options,
        }
        file = lab.server.disk / "peer" / "arguments.json"
        file.write_text(json.dumps({"ANSIBLE_MODULE_ARGS": arguments}), encoding="utf-8")
        return [sys.executable, "-m", MODULE, lab.within(file)], {"PYTHONPATH": f"{CODE}/.collections"}


class Seed(Peer):
    """The old way: rsync of the whole tree, one process per caching server, in the background."""

    name = "seed"

    def words(
        self, lab: BenchLab, tree: AssetsTree, sites: Sequence[Site], **options: Any
    ) -> tuple[list[str], dict[str, str]]:
        """See Peer. *dry*: a dry run (``-n``)."""
        dry = "-n " if options.get("dry") else ""
        source = shlex.quote(lab.within(tree.root))
        rsync = f'rsync {dry}-avh --exclude=".*" -e "ssh -i {KEY}" {source}/'
        return in_background(lab, self.name, [f"{rsync} root@{site.address}:{DEST}/" for site in sites])


def in_background(lab: BenchLab, name: str, commands: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Return a shell command that runs all of them at once and fails if any does, and its environment."""
    rows = ["#!/bin/sh", "pids="]
    rows += [f'{command} & pids="$pids $!"' for command in commands]
    rows.append("status=0; for pid in $pids; do wait $pid || status=$?; done; exit $status")
    script = lab.server.disk / "peer" / f"{name.replace(' ', '-')}.sh"
    script.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return ["sh", lab.within(script)], {}


class Playbook(Peer):
    """A playbook with one task, and with one fork for each caching server unless *forks* says otherwise.

    :cvar text: the playbook; *environment*: what Ansible needs for it.
    """

    text = ""
    environment: ClassVar[Mapping[str, str]] = {}

    def words(
        self, lab: BenchLab, tree: AssetsTree, sites: Sequence[Site], **options: Any
    ) -> tuple[list[str], dict[str, str]]:
        """See Peer. *forks* as for the collection."""
        forks = options.pop("forks", max(len(sites), 5))
        file = _inventory(lab, tree, sites, "peer.yml", options)
        playbook = lab.server.disk / "peer" / f"{self.name.replace(' ', '-')}.yml"
        playbook.write_text(self.text, encoding="utf-8")
        words = [sys.executable, ANSIBLE_PLAYBOOK, lab.within(playbook), "-i", file]
        return words, {**self.environment, "ANSIBLE_FORKS": str(forks)}


class Synchronize(Playbook):
    """ansible.posix.synchronize with ``strategy: free``."""

    name = "synchronize"
    text = SYNCHRONIZE
    environment: ClassVar[Mapping[str, str]] = {"ANSIBLE_COLLECTIONS_PATH": "/srv/netboot/peer"}


class ExplicitBasis(Peer):
    """rsync of one new image, with its predecessor given as basis by hand: the best that rsync alone can do."""

    name = "rsync with basis"

    def words(
        self, lab: BenchLab, tree: AssetsTree, sites: Sequence[Site], **options: Any
    ) -> tuple[list[str], dict[str, str]]:
        """See Peer. *new*, *basis*: paths in the tree; *block*: the block size in bytes; without it, rsync chooses."""
        (site,) = sites
        new, basis = options["new"], options["basis"]
        aside = site.host.disk / "basis"
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir()
        (aside / Path(new).name).hardlink_to(site.assets / basis)
        words = ["rsync", "-a", "--ignore-times", "--no-whole-file", "--compare-dest=/srv/netboot/basis"]
        words += [f"--block-size={options['block']}"] if options.get("block") else []
        words += ["-e", f"ssh -i {KEY}", f"{lab.within(tree.root)}/{new}"]
        return [*words, f"root@{site.address}:{DEST}/{Path(new).parent}/"], {}


def _inventory(lab: BenchLab, tree: AssetsTree, sites: Sequence[Site], name: str, options: dict[str, Any]) -> str:
    """Write an inventory as a user would; Ansible runs on the netboot server."""
    variables = {
        "ansible_user": "root",
        "ansible_ssh_private_key_file": KEY,
        "ansible_python_interpreter": sys.executable,
        "netboot_sync_src": lab.within(tree.root),
        "netboot_sync_dest": DEST,
        "netboot_sync_private_key_file": KEY,
        "netboot_sync_known_hosts_file": KNOWN_HOSTS,
        **{f"netboot_sync_{option}": value for option, value in options.items()},
    }
    local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    groups = {
        "netboot_server": {"hosts": {"localhost": local}},
        "caching_servers": {
            "vars": variables,
            "hosts": {site.name: {"ansible_host": site.address} for site in sites},
        },
    }
    file = lab.server.disk / "peer" / name
    file.write_text(yaml.safe_dump({"all": {"children": groups}}, sort_keys=False), encoding="utf-8")
    return lab.within(file)


@dataclass(frozen=True)
class Patch:
    """A patch from one image to another."""

    size: int  # bytes
    seconds: float  # to make it

    def figures(self) -> dict[str, object]:
        """For the JSON file."""
        return {"bytes": self.size, "seconds": round(self.seconds, 2)}


def xdelta3(old: Path, new: Path, work: Path, *, timeout: float = 900.0) -> Patch:
    """xdelta3 with a window over the whole image and without secondary compression: the fewest bytes."""
    window = 1 << max(old.stat().st_size, 1 << 26).bit_length()
    program = find_program("xdelta3", "xdelta3")
    return _patch([program, "-e", "-f", "-1", "-S", "none", "-B", str(window), "-s", str(old), str(new)], work, timeout)


def zstd(old: Path, new: Path, work: Path, *, timeout: float = 900.0) -> Patch:
    """``zstd -3 --patch-from``."""
    program = find_program("zstd", "zstd")
    return _patch([program, "-q", "-f", "-3", "--long=31", f"--patch-from={old}", str(new), "-o"], work, timeout)


def _patch(words: Sequence[str], work: Path, timeout: float) -> Patch:
    target = work / "patch"
    target.unlink(missing_ok=True)
    started = time.monotonic()
    done = subprocess.run([*words, str(target)], capture_output=True, text=True, timeout=timeout, check=False)
    seconds = time.monotonic() - started
    if done.returncode != 0:
        raise LabError(f"{words[0]}: {done.stderr.strip()}")
    size = target.stat().st_size
    target.unlink()
    return Patch(size, seconds)
