# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The survey connects from inside the process only where OpenSSH would certainly decide the same."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from ansible_collections.netboot.syncer.plugins.module_utils.ssh import in_process
from ansible_collections.netboot.syncer.plugins.module_utils.ssh.in_process import agrees
from ansible_collections.netboot.syncer.plugins.module_utils.ssh.settings import Address, resolve

LINE = "[127.0.0.1]:2222 ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHatj0dSQulXe9JCdTG1KGHYEfGXy6hCL4BCGJW6Mili\n"


@pytest.fixture
def address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Address:
    monkeypatch.setattr(in_process, "_decides_by_command", lambda: False)  # whatever the tester's ssh_config says
    key = tmp_path / "key"
    key.write_text("a key\n", "ascii")
    key.chmod(0o600)
    (tmp_path / "known").write_text(LINE, "ascii")
    return Address("127.0.0.1", 2222, "netboot", str(key), str(tmp_path / "known"))


def known(address: Address) -> Path:
    return Path(str(address.known_hosts_file))


def key(address: Address) -> Path:
    return Path(str(address.private_key_file))


def test_a_plain_site(address: Address) -> None:
    assert agrees(address, resolve(address))


@pytest.mark.parametrize("marker", ["@revoked", "@cert-authority", " @revoked"])
def test_a_marker_in_known_hosts(address: Address, marker: str) -> None:
    known(address).write_text(f"{LINE}{marker} * {LINE.partition(' ')[2]}", "ascii")
    assert not agrees(address, resolve(address))


def test_a_marker_that_comes_later(address: Address) -> None:
    """What a file of known hosts holds is remembered only as long as the file is the same."""
    assert agrees(address, resolve(address))
    with known(address).open("a", encoding="ascii") as file:
        file.write(f"@revoked * {LINE.partition(' ')[2]}")
    assert not agrees(address, resolve(address))


def test_a_key_that_others_may_read(address: Address) -> None:
    key(address).chmod(0o640)
    assert not agrees(address, resolve(address))


def test_a_key_written_as_on_windows(address: Address) -> None:
    key(address).write_bytes(b"a key\r\n")
    assert not agrees(address, resolve(address))


def test_a_certificate(address: Address) -> None:
    key(address).with_name("key-cert.pub").touch()
    assert not agrees(address, resolve(address))


@pytest.mark.parametrize(
    "said",
    [
        ("proxyusefdpass", "yes"),
        ("knownhostscommand", "/bin/known"),
        ("revokedhostkeys", "/etc/revoked"),
        ("certificatefile", "/etc/cert"),
        ("verifyhostkeydns", "true"),
        ("kexalgorithms", "sntrup761x25519-sha512@openssh.com"),
        ("pubkeyauthentication", "false"),
        ("a-word-of-a-later-openssh", "yes"),
    ],
)
def test_settings_that_paramiko_does_not_know(address: Address, said: tuple[str, str]) -> None:
    settings = resolve(address)
    assert not agrees(address, dataclasses.replace(settings, said=(*settings.said, said)))


def test_without_a_host_key_check_or_a_key_of_its_own(address: Address, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not agrees(dataclasses.replace(address, host_key_checking="false"), resolve(address))
    monkeypatch.setenv("SSH_AUTH_SOCK", "/run/agent")
    agents = dataclasses.replace(address, private_key_file=None)
    assert not agrees(agents, resolve(agents))


@pytest.mark.parametrize("text", ['Match exec "true"', "match host x exec=true", "Match  host a,b  !exec false"])
def test_match_exec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ssh").mkdir()
    decides = in_process._decides_by_command.__wrapped__
    (tmp_path / ".ssh" / "config").write_text("Host *\n  Compression no\nInclude more/*\n", "ascii")
    assert not decides()
    (tmp_path / ".ssh" / "more").mkdir()
    (tmp_path / ".ssh" / "more" / "one").write_text(f"  {text}\n", "ascii")
    assert decides()
