# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""known_hosts is read, and written if asked for, the way OpenSSH does it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.netboot.syncer.plugins.module_utils.errors import AccessRefused
from ansible_collections.netboot.syncer.plugins.module_utils.ssh.session import Session

from tests.lab.fleet import Fleet
from tests.lab.runs import (
    IMAGE,
    NEXT,
    SITE,
    actions,
    add_large_image,
    address_of,
    complaint,
    is_delivered,
    prepare,
    sync,
)

MB = 1_000_000

SPOILED = [
    pytest.param(b"cache ssh-ed25519 AAA", id="cut"),
    pytest.param(b"cache ssh-ed25519", id="without a key"),
    pytest.param(b"cache ssh-ed25519 AAAA", id="empty key"),
    pytest.param(b"cache ssh-rsa AAAAB3NzaC1yc2EAAAA=", id="no numbers in it"),
    pytest.param(b"|1|x|y ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHatj0dSQulXe9JCdTG1KGHYEfGXy6hCL4BCGJW6Mili", id="hash"),
    pytest.param(b"# caf\xe9", id="not UTF-8"),
    pytest.param(b"<<<<<<< HEAD", id="a merge"),
]


@pytest.mark.parametrize("line", SPOILED)
def test_line_that_cannot_be_read_is_skipped(fleet: Fleet, line: bytes) -> None:
    """The lines around it still count, for paramiko and for the OpenSSH client that rsync uses."""
    known = fleet.known_hosts.read_bytes()
    fleet.known_hosts.write_bytes(line + b"\n" + known)
    sync(fleet)
    assert is_delivered(fleet, fleet.tree.image(IMAGE))
    fleet.known_hosts.write_bytes(known.replace(b" ", b"\t ", 1) + line + b"\n")
    assert sync(fleet).actions == []
    fleet.known_hosts.write_bytes(line + b"\n")
    assert "is not known" in complaint(prepare(fleet), fleet.sites[SITE].ssh.address)


@pytest.mark.parametrize("before", [None, b"", b"# ours\n", b"# without an end"])
def test_new_key_is_learned_on_a_line_of_its_own(fleet: Fleet, before: bytes | None) -> None:
    known = fleet.known_hosts.read_bytes()
    if before is None:
        fleet.known_hosts.unlink()
    else:
        fleet.known_hosts.write_bytes(before)
    sync(fleet, host_key_checking="accept-new")
    assert is_delivered(fleet, fleet.tree.image(IMAGE))
    lines = fleet.known_hosts.read_bytes().splitlines()
    assert lines == [*(before or b"").splitlines(), known.strip()]
    assert sync(fleet).actions == []


def test_alias_stands_alone_whatever_the_port(fleet: Fleet, ssh_config: Callable[[str], None]) -> None:
    """As in OpenSSH: both connections read and learn keys under that name alone, and a changed key is refused."""
    ssh_config("Host *\n  HostKeyAlias cache-by-name\n")
    server = fleet.sites[SITE].server
    assert server.port != 22
    line = f"cache-by-name {server.host_key}\n"
    fleet.known_hosts.write_text(line, encoding="utf-8")
    image = add_large_image(fleet.tree, NEXT, size=MB)
    assert sync(fleet, transport="rsync").images[image.path].sent_bytes > MB
    fleet.known_hosts.write_text("", encoding="utf-8")
    image = add_large_image(fleet.tree, f"{NEXT}-later", size=MB)
    assert sync(fleet, transport="rsync", host_key_checking="accept-new").images[image.path].sent_bytes > MB
    assert is_delivered(fleet, image)
    assert fleet.known_hosts.read_text(encoding="utf-8") == line
    server.new_host_key()
    assert "has changed" in complaint(prepare(fleet), server.address)
    assert "has changed" in complaint(prepare(fleet, host_key_checking="accept-new"), server.address)


@pytest.mark.parametrize("before", [None, b"# ours\n"])
def test_check_mode_learns_nothing(fleet: Fleet, before: bytes | None) -> None:
    """Nor does the survey, which runs in check mode; and a changed key is refused in check mode as well."""
    fleet.known_hosts.unlink()
    if before is not None:
        fleet.known_hosts.write_bytes(before)
    run = sync(fleet, host_key_checking="accept-new", check_mode=True)
    assert ("publish", f"{IMAGE}-kernel.json") in actions(run)
    assert (fleet.known_hosts.read_bytes() if fleet.known_hosts.exists() else None) == before
    sync(fleet, host_key_checking="accept-new")
    known = fleet.known_hosts.read_bytes()
    again = sync(fleet, host_key_checking="accept-new", check_mode=True)
    assert (again.actions, fleet.known_hosts.read_bytes()) == ([], known)
    server = fleet.sites[SITE].server
    server.new_host_key()
    changed = prepare(fleet, host_key_checking="accept-new", check_mode=True)
    assert "has changed" in complaint(changed, server.address)


def test_accept_new_takes_no_other_key_of_a_known_host(fleet: Fleet, tmp_path: Path) -> None:
    """A host that is known by a key of another type is not a new host."""
    server = fleet.sites[SITE].server
    subprocess.run(["ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-f", str(tmp_path / "other")], check=True)
    kind, key = (tmp_path / "other.pub").read_text(encoding="ascii").split()[:2]
    line = f"[{server.address}]:{server.port} {kind} {key}\n"
    fleet.known_hosts.write_text(line, encoding="ascii")
    assert "has changed" in complaint(prepare(fleet, host_key_checking="accept-new"), server.address)
    assert fleet.known_hosts.read_text(encoding="ascii") == line
    assert not list(fleet.sites[SITE].assets.glob("prod/*"))


@pytest.mark.parametrize("checking", ["true", "accept-new"])
def test_rsync_goes_by_the_same_known_hosts(fleet: Fleet, checking: str) -> None:
    """It has its own connection: an attacker who intercepts that one gets nothing."""
    server = fleet.sites[SITE].server
    with Session(address_of(fleet, host_key_checking=checking)) as session:
        session.bulk()
        session.drop_bulk()
        server.new_host_key()
        with pytest.raises(AccessRefused, match="has changed"):
            session.bulk()


@pytest.mark.parametrize("checking", ["true", "accept-new"])
@pytest.mark.parametrize("also_known", [True, False])
def test_revoked_key_is_refused_and_not_learned(fleet: Fleet, checking: str, *, also_known: bool) -> None:
    known = fleet.known_hosts.read_text("ascii")
    revoked = f"@revoked * {' '.join(known.split()[1:3])}\n"
    before = revoked + (known if also_known else "")
    fleet.known_hosts.write_text(before, "ascii")
    line = complaint(prepare(fleet, host_key_checking=checking, retries=3), fleet.sites[SITE].ssh.address)
    assert f"is revoked in {fleet.known_hosts}" in line
    assert fleet.known_hosts.read_text("ascii") == before
    assert not is_delivered(fleet, fleet.tree.image(IMAGE))


def test_key_of_an_authority_is_no_key_of_the_host(fleet: Fleet) -> None:
    known = fleet.known_hosts.read_text("ascii")
    fleet.known_hosts.write_text(f"@cert-authority {known}", "ascii")
    assert "is not known" in complaint(prepare(fleet), fleet.sites[SITE].ssh.address)
