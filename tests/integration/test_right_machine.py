# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The machine that is written to is the site that was named, however the netboot server is reached."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.lab.fleet import CHECKOUT, Fleet, PlaybookRun, SiteSpec
from tests.lab.process import find_program
from tests.lab.runs import IMAGE, SITE, is_delivered, listing, prepare
from tests.lab.sshd import CachingServer

SELF = "is the netboot server itself, and this directory is the tree that is to be copied"


class Stage:
    """A fleet of one site that only its netboot server's ssh_config knows, and a netboot server that is reached by SSH.

    ``fleet.tree`` is what a run would write to if it took the netboot server for the site.
    """

    def __init__(self, fleet: Fleet, netboot: CachingServer, ssh_config: Path) -> None:
        self.fleet = fleet
        self.netboot = netboot
        self.ssh_config = ssh_config
        self.inventory: dict[str, Any] = yaml.safe_load(fleet.inventory.read_text(encoding="utf-8"))
        self.groups = self.inventory["all"]["children"]
        login = {k: v for k, v in self.groups["caching_servers"]["vars"].items() if k.startswith("ansible_ssh")}
        at = {"ansible_host": netboot.address, "ansible_port": netboot.port, "ansible_user": netboot.user}
        self.groups["netboot_server"] = {"hosts": {"netboot": {**login, **at}}}
        for name in login:
            del self.groups["caching_servers"]["vars"][name]
        for name in ("ansible_host", "ansible_port", "ansible_user"):
            del self.site[name]

    @property
    def site(self) -> dict[str, Any]:
        """The site's variables."""
        found: dict[str, Any] = self.groups["caching_servers"]["hosts"][SITE]
        return found

    @property
    def everywhere(self) -> dict[str, Any]:
        """The variables of all sites."""
        found: dict[str, Any] = self.groups["caching_servers"]["vars"]
        return found

    def send_from_here(self) -> None:
        """Make the control node the netboot server."""
        del self.groups["netboot_server"]
        self.everywhere["netboot_sync_source"] = "localhost"

    def configure(self, **options: str | int) -> None:
        """Write to ssh_config how the site is reached."""
        site = self.fleet.sites[SITE].server
        found = {"HostName": site.address, "Port": site.port, "User": site.user, **options}
        lines = [f"Host {SITE}"] + [f"  {name} {value}" for name, value in found.items()]
        self.ssh_config.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def run(self, *args: str, playbook: str = "sync.yml", env: dict[str, str] | None = None) -> PlaybookRun:
        self.fleet.inventory.write_text(yaml.safe_dump(self.inventory), encoding="utf-8")
        return self.fleet.run_playbook(playbook, *args, env=env)

    def play(self, play: dict[str, Any]) -> subprocess.CompletedProcess[str]:
        """Run a custom play, as a user may write it."""
        self.fleet.inventory.write_text(yaml.safe_dump(self.inventory), encoding="utf-8")
        playbook = self.fleet.directory / "play.yml"
        playbook.write_text(yaml.safe_dump([{"hosts": "caching_servers", "gather_facts": False, **play}]))
        return subprocess.run(
            [str(Path(sys.executable).with_name("ansible-playbook")), "-i", str(self.fleet.inventory), str(playbook)],
            cwd=CHECKOUT,
            env={**os.environ, "ANSIBLE_CONFIG": str(CHECKOUT / "ansible.cfg")},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def logins(self) -> int:
        """Return how many logins the site has seen."""
        return self.fleet.sites[SITE].server.log.count("Accepted publickey")

    def delivered(self) -> bool:
        return is_delivered(self.fleet, self.fleet.tree.image(IMAGE))


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    ssh_config = tmp_path / "ssh_config"
    real = find_program("ssh", "openssh-client")
    wrapper = f'#!/bin/sh\nexec {shlex.join([real, "-F", str(ssh_config)])} "$@"\n'
    with Fleet(tmp_path / "fleet", [SiteSpec(SITE)], variables={"netboot_sync_retries": 0}) as fleet:
        fleet.tree.add_kernel()
        fleet.tree.add_image(IMAGE)
        with CachingServer(tmp_path / "netboot", authorized=[fleet.key.public], scripts={"ssh": wrapper}) as netboot:
            with fleet.known_hosts.open("a", encoding="utf-8") as file:
                file.write(netboot.known_hosts_line())
            # ... and for a run that sends from here: first on this process's PATH
            monkeypatch.setenv("PATH", f"{tmp_path / 'front'}:{os.environ['PATH']}")
            (tmp_path / "front").mkdir()
            (tmp_path / "front" / "ssh").write_text(wrapper, encoding="utf-8")
            (tmp_path / "front" / "ssh").chmod(0o755)
            found = Stage(fleet, netboot, ssh_config)
            found.configure()
            yield found


def remote(_stage: Stage) -> None:
    """The netboot server is reached by SSH, on a port of its own."""


def local(stage: Stage) -> None:
    stage.send_from_here()


def surveyed(stage: Stage) -> None:
    stage.everywhere["netboot_sync_survey_from"] = 1


@pytest.mark.parametrize("where", [remote, local])
def test_a_site_that_its_name_alone_leads_to(stage: Stage, where: Callable[[Stage], None]) -> None:
    """No ansible_host, no port, no user: these are what ssh_config on the netboot server says."""
    where(stage)
    before = listing(stage.fleet.tree.root)
    run = stage.run()
    assert run.status == 0, run.output
    assert stage.delivered()
    assert listing(stage.fleet.tree.root) == before
    assert run.results[SITE]["changed"]


@pytest.mark.parametrize("where", [remote, local])
def test_the_survey_looks_at_the_same_site(stage: Stage, where: Callable[[Stage], None]) -> None:
    where(stage)
    surveyed(stage)
    prepare(stage.fleet).run()
    before = stage.logins()
    run = stage.run()
    assert run.status == 0, run.output
    assert run.results == {}  # up to date, so the module was not called
    assert stage.logins() == before + 1
    (stage.fleet.sites[SITE].assets / f"{IMAGE}-kernel.json").unlink()
    assert stage.run().results[SITE]["changed"]
    assert stage.delivered()


WAYS_TO_SAY_IT: dict[str, dict[str, str]] = {
    "own": {"ansible_host": "address", "ansible_port": "port", "ansible_user": "user"},
    "legacy": {"ansible_ssh_host": "address", "ansible_ssh_port": "port", "ansible_ssh_user": "user"},
    "of-the-sync": {"netboot_sync_address": "address", "netboot_sync_port": "port", "netboot_sync_user": "user"},
    "templates": {
        "ansible_host": "address",
        "ansible_port": "port",
        "ansible_user": "user",
        "netboot_sync_address": "{{ ansible_host }}",
        "netboot_sync_port": "{{ ansible_port }}",
        "netboot_sync_user": "{{ ansible_user }}",
    },
}


def test_variables_of_the_site(stage: Stage) -> None:
    """All ways at once, with one server that has a directory for each; their names alone would lead elsewhere."""
    server = stage.fleet.sites[SITE].server
    known = {"address": server.address, "port": server.port, "user": server.user}
    hosts = stage.groups["caching_servers"]["hosts"] = {
        name: {
            **{key: known.get(value, value) for key, value in way.items()},
            "netboot_sync_dest": str(server.assets.with_name(name)),
        }
        for name, way in WAYS_TO_SAY_IT.items()
    }
    elsewhere = f"Host {' '.join(hosts)}\n  HostName 127.0.0.1\n  Port 9\n  User nobody\n"
    stage.ssh_config.write_text(elsewhere, encoding="utf-8")
    for name in hosts:
        server.assets.with_name(name).mkdir()
    run = stage.run()
    assert run.status == 0, run.output
    sent = stage.fleet.tree.image(IMAGE)
    for name in hosts:
        there = server.assets.with_name(name) / sent.path
        assert there.read_bytes() == sent.squashfs.read_bytes(), name


def test_a_template_of_a_site_without_address_means_its_name(stage: Stage) -> None:
    stage.site["netboot_sync_address"] = "{{ ansible_host }}"
    assert stage.run().status == 0
    assert stage.delivered()


@pytest.mark.parametrize("arguments", [["-u", "nobody"], ["-e", "ansible_user=nobody"]], ids=["-u", "-e"])
def test_who_logs_in(stage: Stage, arguments: list[str]) -> None:
    """-u applies to the netboot server, which has its own user; a variable given with -e applies to every host."""
    if arguments[0] == "-e":
        stage.send_from_here()
    run = stage.run(*arguments)
    if arguments[0] == "-u":
        assert run.status == 0, run.output
        assert stage.delivered()
    else:
        assert "nobody@" in run.output


@pytest.mark.parametrize(
    ("where", "arguments"),
    [(remote, []), (remote, ["--check"]), (local, ["-e", "netboot_sync_survey_from=1"])],
    ids=["remote", "check", "survey"],
)
def test_a_name_that_leads_back_to_the_netboot_server(
    stage: Stage, where: Callable[[Stage], None], arguments: list[str]
) -> None:
    where(stage)
    stage.configure(HostName=stage.netboot.address, Port=stage.netboot.port)
    stage.site["netboot_sync_dest"] = str(stage.fleet.tree.root)
    with stage.fleet.known_hosts.open("a", encoding="utf-8") as file:
        file.write(stage.netboot.known_hosts_line())
    before = listing(stage.fleet.tree.root)
    run = stage.run(*arguments)
    assert run.status == 2, run.output
    assert SELF in " ".join(run.output.split())
    assert f"failed: {SITE}: " in run.output
    assert listing(stage.fleet.tree.root) == before
    assert stage.logins() == 0


ROLE = {"roles": [{"role": "netboot.syncer.netboot_sync"}]}
BARE: dict[str, Any] = {
    "tasks": [
        {
            "name": "Sync",
            "netboot.syncer.sync_assets": {
                "src": "{{ netboot_sync_src }}",
                "dest": "{{ netboot_sync_dest }}",
                "private_key_file": "{{ netboot_sync_private_key_file }}",
                "known_hosts_file": "{{ netboot_sync_known_hosts_file }}",
            },
            "delegate_to": "netboot",
        }
    ]
}


@pytest.mark.parametrize("play", [ROLE, {**ROLE, "strategy": "free"}, BARE], ids=["role", "free", "module"])
def test_a_play_of_a_users_own(stage: Stage, play: dict[str, Any]) -> None:
    done = stage.play(play)
    assert done.returncode == 0, done.stdout
    assert stage.delivered()


def no_host_at_all(stage: Stage) -> str:
    stage.groups["netboot_server"]["hosts"] = {}
    return "nobody says where to send from: the group netboot_server has no host"


def no_group(stage: Stage) -> str:
    del stage.groups["netboot_server"]
    return "nobody says where to send from"


def a_name_that_nobody_has(stage: Stage) -> str:
    stage.everywhere["netboot_sync_source"] = "netbot"
    return "netboot_sync_source is 'netbot', and the inventory has no host of this name"


@pytest.mark.parametrize(
    ("without", "how"),
    [
        (no_host_at_all, "playbook"),
        (no_host_at_all, "role"),
        (no_group, "check"),
        (a_name_that_nobody_has, "playbook"),
        (a_name_that_nobody_has, "role"),
        (no_host_at_all, "withdraw.yml"),
        (a_name_that_nobody_has, "withdraw.yml"),
        (no_host_at_all, "prune.yml"),
    ],
)
def test_nothing_is_sent_from_a_machine_that_nobody_named(
    stage: Stage, without: Callable[[Stage], str], how: str
) -> None:
    stage.everywhere.pop("netboot_sync_source")
    words = without(stage)
    if how == "role":
        done = stage.play(ROLE)
        status, output = done.returncode, done.stdout
    else:
        playbook = how if how.endswith(".yml") else "sync.yml"
        named = ["-e", f"netboot_withdraw={IMAGE}", "-e", "netboot_prune_keep_last=1"]
        run = stage.run(*(["--check"] if how == "check" else []), *named, playbook=playbook)
        status, output = run.status, run.output
    assert status == 2, output
    assert words in " ".join(output.split())
    assert stage.fleet.tree.image(IMAGE).marker.exists()
    assert stage.logins() == 0
    assert stage.netboot.log.count("Accepted") == 0


def test_a_netboot_server_outside_the_limit_is_still_the_source(stage: Stage) -> None:
    stage.everywhere.pop("netboot_sync_source")
    run = stage.run("--limit", SITE)
    assert run.status == 0, run.output
    assert stage.delivered()


def limited(_stage: Stage) -> list[str]:
    return ["--limit", "netboot"]


def misspelt(_stage: Stage) -> list[str]:
    return ["-e", "netboot_fleet=caching_server"]


def nobody_in_it(stage: Stage) -> list[str]:
    stage.groups["caching_servers"]["hosts"] = {}
    return []


@pytest.mark.parametrize(
    ("playbook", "how", "words"),
    [
        ("sync.yml", limited, "nothing to do: --limit netboot leaves out all of caching_servers, which has 1."),
        ("resync.yml", limited, "nothing to do: --limit netboot leaves out all of caching_servers, which has 1."),
        ("sync.yml", misspelt, "nothing to do: no host of the inventory is in caching_server."),
        ("sync.yml", nobody_in_it, "nothing to do: no host of the inventory is in caching_servers."),
    ],
)
def test_a_run_about_nobody_is_no_success(
    stage: Stage, playbook: str, how: Callable[[Stage], list[str]], words: str
) -> None:
    run = stage.run(*how(stage), playbook=playbook)
    assert run.status == 2, run.output
    assert words in " ".join(run.output.split())
    assert stage.netboot.log.count("Accepted") == 0


def test_another_group(stage: Stage) -> None:
    stage.groups["caches"] = stage.groups.pop("caching_servers")
    stage.fleet.inventory.write_text(yaml.safe_dump(stage.inventory), encoding="utf-8")
    run = stage.fleet.run_playbook("sync.yml", "-e", "netboot_fleet=caches")
    assert run.status == 0, run.output
    assert stage.delivered()


def test_settings_that_do_not_count_are_named_once(stage: Stage) -> None:
    stage.everywhere.pop("netboot_sync_private_key_file")
    stage.site["ansible_ssh_private_key_file"] = "/on/the/control/node"
    stage.site["ansible_ssh_common_args"] = "-o ProxyJump=gate -o ControlMaster=auto"
    stage.site["ansible_password"] = "secret"  # noqa: S105  # of nobody
    stage.configure(IdentityFile=str(stage.fleet.key.private))
    run = stage.run()
    assert run.status == 0, run.output
    words = " ".join(run.output.split())
    for name, counts in (
        ("ansible_ssh_private_key_file", "netboot_sync_private_key_file, a path on the source"),
        ("ansible_ssh_common_args", "ssh_config on the source"),
        ("ansible_password", "a key: netboot_sync_private_key_file, or an agent on the source"),
    ):
        assert words.count(f"{name} of {SITE} says how Ansible logs in there") == 1, run.output
        assert f"What counts is {counts}." in words
    assert "secret" not in run.output
