# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with the netboot server is reported once, before any caching server is called."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.lab.fleet import Fleet, PlaybookRun, SiteSpec
from tests.lab.runs import IMAGE, is_delivered
from tests.lab.sshd import CachingServer, ClientKey

NAMES = ("a", "b", "c")


class Stage:
    """Three caching servers, and a netboot server that is reached by SSH."""

    def __init__(self, fleet: Fleet, netboot: CachingServer) -> None:
        self.fleet = fleet
        self.netboot = netboot
        self.inventory: dict[str, Any] = yaml.safe_load(fleet.inventory.read_text(encoding="utf-8"))
        self.groups = self.inventory["all"]["children"]
        self.everywhere: dict[str, Any] = self.groups["caching_servers"]["vars"]
        login = {key: value for key, value in self.everywhere.items() if key.startswith("ansible_")}
        at = {"ansible_host": netboot.address, "ansible_port": netboot.port, "ansible_user": netboot.user}
        self.source: dict[str, Any] = {**login, **at}
        self.groups["netboot_server"] = {"hosts": {"netboot": self.source}}

    def run(self, *args: str, playbook: str = "sync.yml") -> PlaybookRun:
        self.fleet.inventory.write_text(yaml.safe_dump(self.inventory), encoding="utf-8")
        return self.fleet.run_playbook(playbook, *args)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    variables = {"netboot_sync_retries": 0}
    with Fleet(tmp_path / "fleet", [SiteSpec(name) for name in NAMES], variables=variables) as fleet:
        fleet.tree.add_kernel()
        fleet.tree.add_image(IMAGE)
        with CachingServer(tmp_path / "netboot", authorized=[fleet.key.public]) as netboot:
            with fleet.known_hosts.open("a", encoding="utf-8") as file:
                file.write(netboot.known_hosts_line())
            yield Stage(fleet, netboot)


def unreachable(stage: Stage) -> str:
    stage.netboot.stop()
    return "netboot: Ansible cannot reach it (ssh: connect to host"


def wrong_login(stage: Stage) -> str:
    stage.netboot.authorize([ClientKey.create(stage.fleet.directory / "another").public])
    return "netboot: it refuses Ansible's login (root@"


def no_python(stage: Stage) -> str:
    stage.source["ansible_python_interpreter"] = "/usr/bin/python9"
    return "netboot: there is no Python at /usr/bin/python9. Install the package python3, or set"


def python_with(stage: Stage, paramiko: str) -> None:
    """Give the netboot server a Python that imports this code as paramiko, before any other."""
    place = stage.fleet.directory / "python"
    (place / "paramiko").mkdir(parents=True)
    (place / "paramiko" / "__init__.py").write_text(paramiko, encoding="utf-8")
    program = place / "python3"
    program.write_text(f'#!/bin/sh\nPYTHONPATH={place} exec {sys.executable} "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    stage.source["ansible_python_interpreter"] = str(program)


def no_paramiko(stage: Stage) -> str:
    python_with(stage, "raise ModuleNotFoundError('No module', name='paramiko')\n")
    return f"netboot: there is no paramiko for {sys.executable}. Install the package python3-paramiko"


def old_paramiko(stage: Stage) -> str:
    python_with(stage, "__version__ = '2.11.1'\nraise_ = HostKeys = MissingHostKeyPolicy = object\n")
    (stage.fleet.directory / "python" / "paramiko" / "hostkeys.py").write_text("HostKeyEntry = object\n")
    return "netboot: paramiko 2.11.1 of"


def no_tree(stage: Stage) -> str:
    stage.everywhere["netboot_sync_src"] = "/nowhere/assets"
    return "netboot: /nowhere/assets: the assets tree is not there. Mount it, or set netboot_sync_src to where it is."


def empty_tree(stage: Stage) -> str:
    shutil.rmtree(stage.fleet.tree.root)
    stage.fleet.tree.root.mkdir()
    return f"netboot: {stage.fleet.tree.root}: the assets tree is empty. Is its file system mounted?"


def no_rsync(stage: Stage) -> str:
    stage.netboot.stop()
    stage.netboot.hide = frozenset({"rsync"})
    stage.netboot.start()
    stage.everywhere["netboot_sync_transport"] = "rsync"
    return "netboot: no rsync on the netboot server. Install it there"


def no_ssh(stage: Stage) -> str:
    no_rsync(stage)
    stage.netboot.stop()
    stage.netboot.hide = frozenset({"ssh"})
    stage.netboot.start()
    return "netboot: there is no OpenSSH client, which every connection needs. Install the package openssh-client"


@pytest.mark.parametrize(
    "begin",
    [unreachable, wrong_login, no_python, no_paramiko, old_paramiko, no_tree, empty_tree, no_rsync, no_ssh],
)
def test_it_is_told_once_with_its_name_and_the_remedy(stage: Stage, begin: Callable[[Stage], str]) -> None:
    words = begin(stage)
    run = stage.run(*(["--check"] if begin is no_tree else []))
    assert run.status == 2, run.output
    assert run.output.count("fatal: [") == 1, run.output
    assert words in " ".join(run.output.split()), run.output
    assert "Traceback" not in run.output
    assert run.results == {}
    assert all(site.server.log.count("Accepted") == 0 for site in stage.fleet.sites.values())


def test_without_rsync_files_go_whole_and_that_is_said_once(stage: Stage) -> None:
    no_rsync(stage)
    stage.everywhere["netboot_sync_transport"] = "auto"
    run = stage.run()
    assert run.status == 0, run.output
    assert " ".join(run.output.split()).count("every file is sent whole") == 1, run.output
    assert all(is_delivered(stage.fleet, stage.fleet.tree.image(IMAGE), name) for name in NAMES)


def test_one_of_several_sources(stage: Stage) -> None:
    """A hub that cannot send holds up only its own sites; the table names it once."""
    stage.inventory["all"]["hosts"] = {"hub": {"ansible_host": "127.0.0.1", "ansible_port": 1}}
    for name in ("b", "c"):
        stage.groups["caching_servers"]["hosts"][name]["netboot_sync_source"] = "hub"
    run = stage.run()
    assert run.status == 2
    assert is_delivered(stage.fleet, stage.fleet.tree.image(IMAGE), "a")
    table = run.output[run.output.index("caching server  came out") :]
    assert table.count("failed: hub: Ansible cannot reach it") == 1
    (reason,) = [line for line in table.splitlines() if line.startswith("failed: hub: ")]
    assert reason.endswith("(b, c)")
    for name in NAMES:
        assert f"\n{name}  " in run.output[run.output.index("PLAY RECAP") :]
