# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How often a run logs in at its caching server, according to the log of its sshd."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.netboot.syncer.plugins.module_utils.caching_server.server import SshCachingServer
from ansible_collections.netboot.syncer.plugins.module_utils.ssh.login import Sockets
from ansible_collections.netboot.syncer.plugins.module_utils.ssh.session import Session

from tests.lab.fleet import Fleet
from tests.lab.runs import SITE, add_large_image, address_of, complaint, is_delivered, prepare, sync


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A directory whose path is short enough for sockets."""
    with tempfile.TemporaryDirectory(prefix="nb-", dir="/tmp") as path:
        yield Path(path)


def logins(fleet: Fleet) -> int:
    return fleet.sites[SITE].server.log.count("Accepted publickey")


def test_five_images_take_two_logins_and_nothing_to_do_takes_one(fleet: Fleet) -> None:
    images = [add_large_image(fleet.tree, f"prod/image-{number}", size=1_000_000) for number in range(5)]
    assert sync(fleet).transport == "rsync"
    assert all(is_delivered(fleet, image) for image in images)
    assert logins(fleet) == 2
    assert sync(fleet).actions == []
    assert logins(fleet) == 3


def test_proxy_command_may_need_a_shell(fleet: Fleet, ssh_config: Callable[[str], None]) -> None:
    connect = "import os,socket,sys,threading as t; s=socket.create_connection((sys.argv[1],int(sys.argv[2])))"
    copy = "t.Thread(target=lambda:[s.sendall(b) for b in iter(lambda:os.read(0,65536),b'')],daemon=True).start()"
    back = "[os.write(1,b) for b in iter(lambda:s.recv(65536),b'')]"
    ssh_config(f'Host *\n  ProxyCommand {sys.executable} -c "{connect};{copy};{back}" %h %p 2>/dev/null\n')
    image = add_large_image(fleet.tree, "prod/large", size=1_000_000)
    sync(fleet)
    assert is_delivered(fleet, image)
    assert logins(fleet) == 2


def test_key_that_others_may_read_is_refused_once(fleet: Fleet, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_bytes(fleet.key.private.read_bytes())
    key.chmod(0o644)
    run = prepare(fleet, private_key_file=str(key), retries=3)
    line = complaint(run, fleet.sites[SITE].ssh.address)
    assert f"{key}: ssh does not use the private key, since others may read it (mode 0644)" in line
    assert run.attempts == 1


def test_key_with_lines_as_on_windows(fleet: Fleet, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_bytes(fleet.key.private.read_bytes().replace(b"\n", b"\r\n"))
    key.chmod(0o600)
    run = prepare(fleet, private_key_file=str(key), retries=3)
    line = complaint(run, fleet.sites[SITE].ssh.address)
    assert f"{key}: the private key cannot be used" in line
    assert run.attempts == 1


def test_encrypted_key_of_an_agent(fleet: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "secret", "-f", str(key)], check=True)
    public = key.with_name("key.pub").read_text("ascii")
    fleet.sites[SITE].server.authorize([public])
    line = complaint(prepare(fleet, private_key_file=str(key), retries=3), fleet.sites[SITE].ssh.address)
    assert "the private key has a passphrase" in line
    ask = tmp_path / "ask"
    ask.write_text("#!/bin/sh\necho secret\n", "ascii")
    ask.chmod(0o700)
    socket = tmp_path / "agent"
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.DEVNULL)
    try:
        while not socket.exists():
            assert agent.poll() is None
        monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
        monkeypatch.setenv("SSH_ASKPASS", str(ask))
        monkeypatch.setenv("SSH_ASKPASS_REQUIRE", "force")
        subprocess.run(["ssh-add", "-q", str(key)], check=True)
        monkeypatch.delenv("SSH_ASKPASS")
        image = add_large_image(fleet.tree, "prod/large", size=1_000_000)
        sync(fleet, private_key_file=str(key))
        assert is_delivered(fleet, image)
        assert logins(fleet) == 2
    finally:
        agent.terminate()
        agent.wait()


def test_remote_command_of_ssh_config_does_not_count(fleet: Fleet, ssh_config: Callable[[str], None]) -> None:
    ssh_config("Host *\n  RemoteCommand false\n")
    image = add_large_image(fleet.tree, "prod/large", size=1_000_000)
    sync(fleet)
    assert is_delivered(fleet, image)


def test_certificate_of_a_user(fleet: Fleet, tmp_path: Path) -> None:
    server = fleet.sites[SITE].server
    for name in ("authority", "key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / name)], check=True)
    authority = (tmp_path / "authority.pub").read_text("ascii")
    server.authorize([f"cert-authority {authority}"])
    key = str(tmp_path / "key")
    run = prepare(fleet, private_key_file=key, retries=3)
    assert f"does not accept {key}" in complaint(run, fleet.sites[SITE].ssh.address)
    assert run.attempts == 1
    sign = ["ssh-keygen", "-q", "-s", str(tmp_path / "authority"), "-I", "netboot", "-n", server.user, f"{key}.pub"]
    subprocess.run(sign, check=True)
    image = add_large_image(fleet.tree, "prod/large", size=1_000_000)
    sync(fleet, private_key_file=key)
    assert is_delivered(fleet, image)
    assert logins(fleet) == 2


def test_one_session_for_each_login_is_told(fleet: Fleet) -> None:
    server = fleet.sites[SITE].server
    server.max_sessions = 1
    server.restart()
    run = prepare(fleet, retries=3)
    assert "Raise MaxSessions in its sshd_config" in complaint(run, fleet.sites[SITE].ssh.address)
    assert run.attempts == 1


def test_too_many_keys_of_an_agent(fleet: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    socket = tmp_path / "agent"
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.DEVNULL)
    try:
        while not socket.exists():
            assert agent.poll() is None
        monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
        for number in range(7):
            key = str(tmp_path / f"key-{number}")
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
            subprocess.run(["ssh-add", "-q", key], check=True)
        run = prepare(fleet, private_key_file=None, retries=3)
        assert "too many authentication failures" in complaint(run, fleet.sites[SITE].ssh.address)
        assert run.attempts == 1
    finally:
        agent.terminate()
        agent.wait()


def test_nothing_is_left_of_the_sockets(fleet: Fleet, short_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = short_path
    left = place / "netboot-ssh-killed"
    left.mkdir()
    (left / "held").touch()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(place))
    with Session(address_of(fleet)) as session:
        (directory,) = place.iterdir()  # that of the killed run is gone
        assert directory != left
        assert directory.stat().st_mode & 0o777 == 0o700
        session.bulk()
        with Session(address_of(fleet)):
            assert session.run("say yes").lines == ["yes"]  # the second session did not break the first
    assert list(place.iterdir()) == []


def test_sockets_of_a_run_that_begins_just_now_are_left_alone(
    short_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another run's cleanup must not remove what this one has created and not locked yet."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(short_path))
    lock, others = fcntl.flock, list[Sockets]()

    def flock(file: Any, how: int) -> None:
        monkeypatch.setattr(fcntl, "flock", lock)
        others.append(Sockets())
        assert Path(file.name).exists()
        lock(file, how)

    monkeypatch.setattr(fcntl, "flock", flock)
    ours = Sockets()
    for sockets in (ours, *others):
        assert Path(sockets.path, "held").exists()
        sockets.close()
    assert list(short_path.iterdir()) == []


@pytest.mark.parametrize("name", ["netboot-new-ssh-a", "netboot-ssh-b"])
def test_sockets_without_a_lock_go_after_an_hour(short_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A run was killed when it had just created them, or was about to remove them. Whatever its clock says."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(short_path))
    monkeypatch.setattr(time, "time", lambda: 4e9)
    left = short_path / name
    left.mkdir()
    Sockets().close()
    assert left.exists()
    os.utime(left, (0, 0))
    Sockets().close()
    assert list(short_path.iterdir()) == []


def test_a_login_for_bulk_begins_early_and_only_where_it_is_wanted(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A marker alone is sent over the control connection."""
    expected: list[Sequence[str]] = []
    real = Session.expect_bulk

    def expect_bulk(self: Session, ciphers: Sequence[str] = ()) -> None:
        expected.append(ciphers)
        real(self, ciphers)

    monkeypatch.setattr(Session, "expect_bulk", expect_bulk)
    image = add_large_image(fleet.tree, "prod/large", size=1_000_000)
    sync(fleet)
    assert len(expected) == 1
    image.marker.write_bytes(image.marker.read_bytes() + b" ")
    sync(fleet)
    assert is_delivered(fleet, image)
    assert len(expected) == 1
    assert logins(fleet) == 3


def test_a_login_for_plain_files_begins_before_all_is_listed(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a long line it takes as long as the listing, so the newest are looked for while the lock is taken."""
    happened: list[str] = []
    begin, tree = Session.expect_bulk, SshCachingServer.tree

    def expect_bulk(self: Session, ciphers: Sequence[str] = ()) -> None:
        happened.append("login")
        begin(self, ciphers)

    def listed(self: SshCachingServer, *given: Any) -> Any:
        found = tree(self, *given)
        happened.append("listed")
        return found

    monkeypatch.setattr(Session, "expect_bulk", expect_bulk)
    monkeypatch.setattr(SshCachingServer, "tree", listed)
    for name in ("boot/a.cfg", "boot/b.cfg"):
        (fleet.tree.root / name).parent.mkdir(exist_ok=True)
        (fleet.tree.root / name).write_text(name, encoding="utf-8")
    sync(fleet, check_mode=True)
    assert happened == ["listed"]
    sync(fleet)
    assert happened[1:3] == ["login", "listed"]
    assert (fleet.sites[SITE].assets / "boot" / "b.cfg").exists()
    before = len(happened)
    sync(fleet)
    assert happened[before:] == ["listed"]
    (fleet.tree.root / "boot" / "b.cfg").write_text("longer than before", encoding="utf-8")
    (fleet.tree.root / "boot" / "c.cfg").touch()
    before = len(happened)
    sync(fleet)
    assert happened[before : before + 2] == ["login", "listed"]
