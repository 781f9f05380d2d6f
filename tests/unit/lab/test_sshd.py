# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The caching server: a real OpenSSH server that does what its options say and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import paramiko
import pytest

from tests.lab.fleet import CHECKOUT
from tests.lab.process import LabError
from tests.lab.sshd import CachingServer, ClientKey

ServerFactory = Callable[..., CachingServer]


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> ClientKey:
    return ClientKey.create(tmp_path_factory.mktemp("key") / "id")


@pytest.fixture
def start(tmp_path: Path, key: ClientKey) -> Iterator[ServerFactory]:
    servers: list[CachingServer] = []

    def start(**options: object) -> CachingServer:
        # with a space in its name, which nothing forbids
        directory = tmp_path / f"caching server {len(servers)}"
        servers.append(CachingServer(directory, authorized=[key.public], **options))  # type: ignore[arg-type]
        servers[-1].start()
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state not in "ZX"


def wait_until_gone(pids: list[int]) -> list[int]:
    deadline = time.monotonic() + 5
    while (left := [pid for pid in pids if alive(pid)]) and time.monotonic() < deadline:
        time.sleep(0.01)
    return left


def test_runs_commands_for_the_right_key_only(start: ServerFactory, tmp_path: Path, key: ClientKey) -> None:
    server = start()
    assert server.run("echo", "a  b", "$HOME;'", key=key).stdout == "a  b $HOME;'\n"
    assert server.run("sh", "-c", "exit 3", key=key).returncode == 3
    refused = server.run("true", key=ClientKey.create(tmp_path / "other"))
    assert refused.returncode == 255
    assert "Permission denied" in refused.stderr
    server.authorize([])
    assert server.run("true", key=key).returncode == 255
    assert "Accepted publickey" in server.log


def test_session_does_not_see_the_callers_home(start: ServerFactory, key: ClientKey) -> None:
    server = start()
    assert server.run("sh", "-c", "echo $HOME", key=key).stdout.strip() == str(server.directory / "home")


def test_hidden_and_replaced_commands(start: ServerFactory, key: ClientKey) -> None:
    everything = start()
    assert everything.run("sh", "-c", "command -v cat", key=key).returncode == 0
    server = start(hide={"rsync", "sha256sum"}, scripts={"flock": "#!/bin/sh\necho no lock today\n"})
    for name in ("rsync", "sha256sum"):
        assert server.run("sh", "-c", f"command -v {name}", key=key).stdout == ""
        assert server.run(name, "--version", key=key).returncode == 127
    assert server.run("flock", "x", key=key).stdout == "no lock today\n"
    assert server.run("cat", "--version", key=key).returncode == 0


def test_sftp_only_refuses_commands(start: ServerFactory, key: ClientKey) -> None:
    server = start(sftp_only=True)
    (server.assets / "a").write_text("x", encoding="utf-8")
    refused = server.run("touch", str(server.assets / "b"), key=key)
    assert refused.returncode != 0
    assert not (server.assets / "b").exists()
    with paramiko.SSHClient() as client:
        client.load_host_keys(str(write_known_hosts(server)))
        client.connect(
            server.address, server.port, server.user, key_filename=str(key.private), allow_agent=False, timeout=10
        )
        assert client.open_sftp().listdir(str(server.assets)) == ["a"]


def write_known_hosts(server: CachingServer) -> Path:
    path = server.directory / "known_hosts"
    path.write_text(server.known_hosts_line(), encoding="utf-8")
    return path


def test_new_host_key_is_refused_by_those_who_know_the_old(start: ServerFactory, key: ClientKey) -> None:
    server = start()
    known_hosts = write_known_hosts(server)
    server.new_host_key()
    assert server.run("true", key=key).returncode == 0  # run() uses the current host key
    with paramiko.SSHClient() as client:
        client.load_host_keys(str(known_hosts))
        with pytest.raises(paramiko.BadHostKeyException):
            client.connect(server.address, server.port, server.user, key_filename=str(key.private), timeout=10)


def test_restart_keeps_address_key_and_files(start: ServerFactory, key: ClientKey) -> None:
    server = start()
    before = (server.address, server.port, server.host_key)
    (server.assets / "a").write_text("x", encoding="utf-8")
    server.stop()
    assert not server.running
    assert server.run("true", key=key).returncode == 255
    server.restart()
    assert (server.address, server.port, server.host_key) == before
    assert server.run("cat", str(server.assets / "a"), key=key).stdout == "x"


def test_start_says_why_it_failed(start: ServerFactory, tmp_path: Path, key: ClientKey) -> None:
    first = start()
    second = CachingServer(tmp_path / "b", authorized=[key.public], address=first.address, port=first.port)
    with pytest.raises(LabError, match="Address already in use"):
        second.start()


# leaves its session and its process group, and ignores the signals that ask nicely
STUBBORN = "trap '' HUP TERM INT; echo $$; sleep 300 >&- 2>&- & exec >&- 2>&-; wait"


def test_stop_ends_what_sessions_left_behind(start: ServerFactory, key: ClientKey) -> None:
    server = start()
    started = server.run("setsid", "--fork", "sh", "-c", STUBBORN, key=key, timeout=10)
    pid = int(started.stdout)
    assert alive(pid)
    server.stop()
    assert wait_until_gone([pid]) == []


def test_kill_sessions_leaves_the_server_up(start: ServerFactory, key: ClientKey) -> None:
    server = start()
    pid = int(server.run("setsid", "--fork", "sh", "-c", STUBBORN, key=key, timeout=10).stdout)
    server.kill_sessions()
    assert wait_until_gone([pid]) == []
    assert server.run("true", key=key).returncode == 0


def test_nothing_is_left_when_the_test_itself_is_killed(tmp_path: Path) -> None:
    code = f"""
import os, pathlib, time
from tests.lab.sshd import CachingServer, ClientKey
directory = pathlib.Path({str(tmp_path)!r})
key = ClientKey.create(directory / "id")
server = CachingServer(directory / "server", authorized=[key.public])
server.start()
server.run("setsid", "--fork", "sh", "-c", {STUBBORN!r}, key=key)
print(server._server.process.pid, *server._server.pids(), flush=True)
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=CHECKOUT) as test:
        assert test.stdout is not None
        pids = [int(word) for word in test.stdout.readline().split()]
        # the supervisor, sshd, and the session's sh and sleep; sshd's own process for the session may be ending
        assert sum(alive(pid) for pid in pids) >= 4
        os.kill(test.pid, signal.SIGKILL)
    assert wait_until_gone(pids) == []
