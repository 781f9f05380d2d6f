# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""OpenSSH is asked once for a whole fleet, and about each host wherever its answer could be another one."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from ansible_collections.netboot.syncer.plugins.module_utils.ssh import alike
from ansible_collections.netboot.syncer.plugins.module_utils.ssh.alike import Alike
from ansible_collections.netboot.syncer.plugins.module_utils.ssh.settings import Address, Effective, resolve

HOSTS = ("192.0.2.1", "2001:db8::1", "site-a.example.org", "site-b")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The hosts that OpenSSH is asked about."""
    found = []

    def ask(address: Address) -> Effective:
        found.append(address.host)
        return resolve(address)

    monkeypatch.setattr(alike, "resolve", ask)
    return found


def read(monkeypatch: pytest.MonkeyPatch, path: Path, text: str) -> None:
    """Let a file with this text be all that OpenSSH reads, instead of what the tester has."""
    path.write_text(text, encoding="utf-8")
    real = alike._depends_on_host
    monkeypatch.setattr(alike, "_READS", re.compile(b"^(OpenSSH)_.*", re.MULTILINE))
    monkeypatch.setattr(alike, "_depends_on_host", lambda _file: real(str(path)))


@pytest.mark.parametrize("port", [None, 2222])
@pytest.mark.parametrize("user", [None, "netboot"])
def test_the_answer_is_that_of_openssh(port: int | None, user: str | None) -> None:
    """Whatever the ssh_config of who runs this says."""
    fleet = Alike()
    for host in (*HOSTS, "Site-C", "fe80::1%lo", "site_d"):
        address = Address(host, port=port, user=user, known_hosts_file="/known", private_key_file="/key")
        assert fleet.resolve(address) == resolve(address)


ALIKE = """
# Host of a comment
Host *
  SendEnv LANG
Match all
  IdentityFile ~/.ssh/key
"""


def test_one_question_for_all(tmp_path: Path, asked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    read(monkeypatch, tmp_path / "config", ALIKE)
    fleet = Alike()
    for number, host in enumerate(HOSTS):
        fleet.resolve(Address(host, port=2000 + number, user=f"user{number}"))
    assert len(asked) == 1
    fleet.resolve(Address(HOSTS[0], connect_timeout=7))
    assert len(asked) == 2


@pytest.mark.parametrize(
    "line",
    [
        "Host site-*",
        "host=site-a",
        'Host "*" !site-a',
        "Match host site-a",
        'Match exec "true"',
        "Match all host x",
        "HostName 192.0.2.9",
        "IdentityFile ~/.ssh/%h",
        "ProxyCommand nc %h %p",
        "x" * 100_000,
    ],
)
def test_each_is_asked_about(tmp_path: Path, asked: list[str], monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    read(monkeypatch, tmp_path / "config", f"{ALIKE}{line}\n")
    fleet = Alike()
    for host in HOSTS:
        fleet.resolve(Address(host))
    assert asked == list(HOSTS)


def test_each_is_asked_about_where_a_script_stands_for_openssh(
    tmp_path: Path, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    read(monkeypatch, tmp_path / "config", ALIKE)
    script = tmp_path / "ssh"
    script.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} "$@"\n', encoding="utf-8")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    fleet = Alike()
    for host in HOSTS:
        fleet.resolve(Address(host))
    assert asked == list(HOSTS)


def test_a_file_that_cannot_be_read(asked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_path: str) -> bool:
        raise PermissionError

    monkeypatch.setattr(alike, "_READS", re.compile(b"^(OpenSSH)_.*", re.MULTILINE))
    monkeypatch.setattr(alike, "_depends_on_host", refuse)
    Alike().resolve(Address("site-a"))
    assert asked == ["site-a"]
