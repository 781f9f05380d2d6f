# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a user sees while a transfer runs, and that Ctrl-C ends it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.lab.fleet import CHECKOUT, Fleet, SiteSpec
from tests.lab.runs import IMAGE, SITE, add_large_image, is_delivered, run_module
from tests.lab.sessions import Run
from tests.lab.sshd import CachingServer
from tests.lab.waiting import wait_until

RATE = 8e6  # bit/s: what is sent here takes seven to ten seconds
SIZE = 7_500_000
CRAWL = 2e5  # bit/s: the rest would take some minutes, so nothing ends because it is finished
LINE = re.compile(
    rf"^{SITE}: {IMAGE}\.squashfs \d+ %, (\d\.\d MB of 7\.\d MB(, \d+\.\d [kM]B/s, \d+ s left)?|the end of its 7)",
    re.MULTILINE,
)
ANY_LINE = re.compile(rf"^{SITE}: {IMAGE}", re.MULTILINE)


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[Fleet]:
    with Fleet(tmp_path / "fleet", [SiteSpec(SITE, rate=RATE)]) as fleet:
        fleet.tree.add_kernel()
        add_large_image(fleet.tree, IMAGE, size=SIZE)
        yield fleet


@pytest.fixture
def elsewhere(slow: Fleet, tmp_path: Path) -> Iterator[CachingServer]:
    """Give the fleet a netboot server that is reached by SSH, with this user's home directory."""
    with CachingServer(tmp_path / "netboot", authorized=[slow.key.public]) as netboot:
        slow.send_from(netboot, ansible_remote_tmp=str(tmp_path / "remote-tmp"))
        yield netboot


def ansible(program: str, fleet: Fleet, *args: str) -> str:
    """Run one of Ansible's programs with the fleet's inventory, and return what it prints."""
    done = subprocess.run(
        [str(Path(sys.executable).with_name(program)), "-i", str(fleet.inventory), *args],
        cwd=CHECKOUT,
        env={**os.environ, "ANSIBLE_CONFIG": str(CHECKOUT / "ansible.cfg")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def play(fleet: Fleet, **keywords: Any) -> str:
    """Run a play with one task, sync_assets with these task keywords, and return what it prints."""
    at = fleet.sites[SITE]
    arguments = {
        "src": str(fleet.tree.root),
        "dest": str(at.assets),
        "name": SITE,
        "host": at.ssh.address,
        "port": at.ssh.port,
        "user": at.server.user,
        "private_key_file": str(fleet.key.private),
        "known_hosts_file": str(fleet.known_hosts),
        "progress": 1,
    }
    task = {"name": "Sync", "netboot.syncer.sync_assets": arguments, "delegate_to": "localhost", **keywords}
    playbook = fleet.directory / "play.yml"
    playbook.write_text(yaml.safe_dump([{"hosts": SITE, "gather_facts": False, "tasks": [task]}]), encoding="utf-8")
    return ansible("ansible-playbook", fleet, str(playbook))


def begun(fleet: Fleet) -> bool:
    line = fleet.sites[SITE].line
    assert line is not None
    return line.bytes_up > 1_000_000


@pytest.mark.parametrize("transport", ["rsync", "sftp"])
def test_lines_tell_how_far_it_is(slow: Fleet, transport: str) -> None:
    started = time.monotonic()
    run = slow.run_playbook("sync.yml", "-e", f"netboot_sync_progress=1 netboot_sync_transport={transport}")
    assert run.status == 0, run.output
    assert 2 <= len(LINE.findall(run.output)) <= time.monotonic() - started  # at most one per second
    assert len(LINE.findall(run.output)) == len(ANY_LINE.findall(run.output))
    assert not LINE.search(run.output.split("changed: [")[1])  # they came before the result


def test_no_lines_where_none_are_wanted(slow: Fleet) -> None:
    run = slow.run_playbook("sync.yml", "-e", "netboot_sync_progress=0")
    assert run.status == 0
    assert not ANY_LINE.search(run.output)


@pytest.mark.parametrize("arguments", ["", "-o ControlMaster=auto -o ControlPersist=5"], ids=["no-master", "master"])
@pytest.mark.usefixtures("elsewhere")
def test_netboot_server_elsewhere(slow: Fleet, tmp_path: Path, arguments: str) -> None:
    given = json.dumps({"netboot_sync_progress": 1, "ansible_ssh_args": arguments})
    run = slow.run_playbook("sync.yml", "-e", given)
    assert run.status == 0, run.output
    assert len(LINE.findall(run.output)) >= 2
    assert list((tmp_path / "remote-tmp").iterdir()) == []


def test_task_that_is_not_to_be_logged_says_nothing(slow: Fleet) -> None:
    assert IMAGE not in play(slow, no_log=True)
    assert is_delivered(slow, slow.tree.image(IMAGE))


def test_task_in_the_background(slow: Fleet, tmp_path: Path) -> None:
    # Set explicitly, since for the default some versions use HOME, and some the user database.
    said = play(slow, **{"async": 60, "poll": 1, "vars": {"ansible_async_dir": str(tmp_path / "async")}})
    assert not ANY_LINE.search(said)
    assert is_delivered(slow, slow.tree.image(IMAGE))


def test_ad_hoc(slow: Fleet) -> None:
    at = slow.sites[SITE]
    words = (
        f"src={slow.tree.root} dest={at.assets} name={SITE} host={at.ssh.address} port={at.ssh.port}"
        f" user={at.server.user} private_key_file={slow.key.private} known_hosts_file={slow.known_hosts} progress=1"
    )
    said = ansible("ansible", slow, "localhost", "-m", "netboot.syncer.sync_assets", "-a", words)
    assert LINE.search(said)
    assert is_delivered(slow, slow.tree.image(IMAGE))


def test_state_that_cannot_be_written_is_no_trouble(slow: Fleet) -> None:
    module = run_module(slow, progress_file="/proc/nowhere/state")
    assert module.wait(60) == 0
    assert is_delivered(slow, slow.tree.image(IMAGE))


@pytest.mark.parametrize("where", ["here", "elsewhere"])
def test_ctrl_c_ends_the_transfer(slow: Fleet, where: str, request: pytest.FixtureRequest) -> None:
    servers = [request.getfixturevalue("elsewhere")] if where == "elsewhere" else []
    with Run(slow, "-e", "netboot_sync_progress=1", servers=servers) as run:
        wait_until(lambda: begun(slow), "the transfer")
        line = slow.sites[SITE].line
        assert line is not None
        line.set_rate(CRAWL)
        wait_until(lambda: bool(LINE.search(run.output)), "a line of progress")
        assert run.at_work()
        os.kill(run.main, signal.SIGINT)  # a terminal signals its foreground group, which Ansible's workers have left
        wait_until(lambda: run.status is not None, "the playbook's end")
        wait_until(lambda: run.at_work() == [], "the end of all that it started")
        assert run.status != 0
        assert "Traceback" not in run.output
        assert "Ansible worker" not in run.output  # no worker died unexpectedly
    assert not is_delivered(slow, slow.tree.image(IMAGE))
