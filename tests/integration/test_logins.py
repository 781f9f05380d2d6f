# Copyright: (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How often a run logs in at its caching server, as the log of its sshd has it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.lab.fleet import Fleet
from tests.lab.runs import SITE, add_large_image, complaint, is_delivered, prepare, sync


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
    assert "the private key is of no use" in line or logins(fleet) == 0
    assert run.attempts == 1


def test_encrypted_key_of_an_agent(fleet: Fleet, tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
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
        sync(fleet, private_key_file=str(key))
        assert logins(fleet) == 2 or logins(fleet) == 1
    finally:
        agent.terminate()
        agent.wait()


def test_remote_command_of_ssh_config_does_not_count(fleet: Fleet, ssh_config: Callable[[str], None]) -> None:
    ssh_config("Host *\n  RemoteCommand false\n")
    image = add_large_image(fleet.tree, "prod/large", size=1_000_000)
    sync(fleet)
    assert is_delivered(fleet, image)
