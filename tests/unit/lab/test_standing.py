# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.lab import standing
from tests.lab.fleet import CHECKOUT


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "fleet"
    down(tmp_path / "fleet")


def run(*arguments: str) -> str:
    """Run the program, and return its stderr."""
    command = [sys.executable, "-m", "tests.lab.standing", *arguments]
    return subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False).stderr


def up(directory: Path, *caching_servers: str) -> str:
    return run("up", str(directory), "--netboot-server", "netboot", "--caching-servers", *caching_servers)


def down(directory: Path) -> None:
    assert run("down", str(directory)) == ""


def hosts(directory: Path) -> dict[str, dict[str, Any]]:
    groups = yaml.safe_load((directory / "hosts.yml").read_text(encoding="utf-8"))["all"]["children"]
    return {name: variables for group in groups.values() for name, variables in group["hosts"].items()}


def listens(host: dict[str, Any]) -> bool:
    try:
        with socket.create_connection((host["ansible_host"], host["ansible_port"]), timeout=10):
            return True
    except ConnectionRefusedError:
        return False


def test_servers_stay_until_they_are_told_to_end(directory: Path) -> None:
    assert up(directory, "cache-1", "cache-2", "--sftp-only", "cache-2") == ""
    found = hosts(directory)
    assert found.keys() == {"netboot", "cache-1", "cache-2"}
    assert all(listens(host) for host in found.values())
    known = (directory / "netboot-server" / "ssh" / "known_hosts").read_text(encoding="utf-8")
    assert all(f"[{host['ansible_host']}]:{host['ansible_port']} " in known for host in found.values())
    down(directory)
    assert not any(listens(host) for host in found.values())
    down(directory)


def test_servers_end_when_their_files_are_removed(directory: Path) -> None:
    up(directory, "cache")
    found = hosts(directory)
    shutil.rmtree(directory)
    deadline = time.monotonic() + 20
    while any(listens(host) for host in found.values()):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_second_fleet_in_the_same_directory_is_refused(directory: Path) -> None:
    up(directory, "cache")
    assert "is there already" in up(directory, "cache")
    assert all(listens(host) for host in hosts(directory).values())


def test_what_does_not_come_up_says_why_and_leaves_no_process(directory: Path) -> None:
    assert "File name too long" in up(directory, "cache", "x" * 300)
    with (directory / standing.LOCK).open(encoding="utf-8") as lock:
        assert standing._is_free(lock)


def test_a_process_that_holds_no_lock_is_never_ended(directory: Path) -> None:
    """The fleet was killed, and its process id now belongs to another process."""
    directory.mkdir()
    with subprocess.Popen(["sleep", "60"]) as stranger:
        try:
            (directory / standing.LOCK).write_text(str(stranger.pid), encoding="utf-8")
            down(directory)
            assert stranger.poll() is None
        finally:
            stranger.kill()
