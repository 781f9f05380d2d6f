# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When something cannot be read or written, one line names host, path and remedy."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.lab.fleet import Fleet, SiteSpec
from tests.lab.runs import IMAGE, SITE, complaint, is_delivered, prepare, sync
from tests.lab.sshd import ClientKey
from tests.lab.waiting import wait_until

SFTP_ONLY = SiteSpec(SITE, sftp_only=True)
BOTH_SERVERS = pytest.mark.parametrize("spec", [SiteSpec(SITE), SFTP_ONLY], indirect=True, ids=["shell", "sftp-only"])


def refused(fleet: Fleet, **changes: Any) -> str:
    """Return what the user reads about a run that must fail."""
    return complaint(prepare(fleet, **changes), fleet.sites[SITE].ssh.address)


def test_source_missing_or_empty(fleet: Fleet) -> None:
    shutil.rmtree(fleet.tree.root)
    line = refused(fleet)
    assert line.startswith(f"netboot server: {fleet.tree.root}: the assets tree is not there.")
    assert "or set src to where it is" in line
    fleet.tree.root.mkdir()
    assert "the assets tree is empty. Is its file system mounted?" in refused(fleet)


def test_wrong_key(fleet: Fleet, tmp_path: Path) -> None:
    other = str(ClientKey.create(tmp_path / "other").private)
    line = refused(fleet, private_key_file=other)
    assert f"does not accept {other}" in line
    assert "authorized_keys" in line


def test_key_file_missing(fleet: Fleet) -> None:
    line = refused(fleet, private_key_file="/nowhere/key")
    assert "/nowhere/key" in line
    assert "private_key_file" in line


def test_unknown_and_changed_host_key(fleet: Fleet) -> None:
    known = fleet.known_hosts.read_text(encoding="utf-8")
    fleet.known_hosts.write_text("", encoding="utf-8")
    line = refused(fleet)
    assert "is not known" in line
    assert "accept-new" in line
    fleet.known_hosts.write_text(known, encoding="utf-8")
    fleet.sites[SITE].server.new_host_key()
    line = refused(fleet)
    assert "has changed" in line
    assert str(fleet.known_hosts) in line


def test_proxy_command_cannot_be_started(fleet: Fleet, ssh_config: Callable[[str], None]) -> None:
    ssh_config("Host *\n  ProxyCommand /nowhere/proxy %h\n")
    line = refused(fleet)
    assert "through the ProxyCommand or ProxyJump of ssh_config failed" in line
    assert re.search(r"/nowhere/proxy: (No such file or directory|not found)", line)  # as the user's shell words it
    assert "Try ssh there by hand, as the user that the module runs as." in line


def test_nothing_is_left_of_a_way_that_leads_nowhere(fleet: Fleet, ssh_config: Callable[[str], None]) -> None:
    """Such as a ProxyJump in a circle: the command has child processes, which ssh does not end."""
    ssh_config("Host *\n  ProxyCommand sh -c 'sleep 98765.25 & sleep 98765.25'\n")
    assert "of ssh_config failed" in refused(fleet, connect_timeout=1)
    assert subprocess.run(["pgrep", "-f", "^sleep 98765[.]25"], check=False).returncode == 1


def test_new_host_key_cannot_be_remembered(fleet: Fleet, tmp_path: Path) -> None:
    file = tmp_path / "new" / ("x" * 300)
    line = refused(fleet, host_key_checking="accept-new", known_hosts_file=str(file))
    assert line.startswith(f"netboot server: {file}: ")
    assert "the new host key cannot be saved (File name too long)" in line
    assert "known_hosts_file" in line


@pytest.mark.parametrize("host", ["cache..example", f"{'x' * 64}.example"], ids=["empty", "too-long"])
def test_name_that_no_host_can_have(fleet: Fleet, host: str) -> None:
    line = refused(fleet, host=host, retries=2)
    assert f"{host} cannot be the name of a host" in line
    assert "Set host" in line


def test_dest_is_made_where_the_directory_above_it_is_there(fleet: Fleet) -> None:
    fleet.sites[SITE].assets.rmdir()
    sync(fleet)
    assert is_delivered(fleet, fleet.tree.image(IMAGE))


@BOTH_SERVERS
def test_web_server_may_enter_what_a_run_makes(fleet: Fleet) -> None:
    """Whatever umask the sessions have; and no directory gets a time in 1970."""
    site = fleet.sites[SITE]
    site.assets.rmdir()
    before = os.umask(0o077)
    try:
        site.server.restart()
    finally:
        os.umask(before)
    began = time.time()
    sync(fleet)
    made = [site.assets, *(path for path in site.assets.rglob("*") if path.is_dir())]
    public = [path.stat() for path in made if ".netboot-sync" not in path.parts]
    assert len(public) > 3
    assert {stat.S_IMODE(one.st_mode) for one in public} == {0o755}
    assert min(one.st_mtime for one in public) > began - 2
    assert site.assets.joinpath(".netboot-sync").stat().st_mode & 0o077 == 0  # the umask did apply


@BOTH_SERVERS
def test_dest_and_the_directory_above_it_missing(fleet: Fleet, tmp_path: Path) -> None:
    """A file system that is not mounted looks like this: nothing is written in its place."""
    dest = tmp_path / "not" / "mounted"
    line = refused(fleet, dest=str(dest))
    assert f"{dest}: the destination is not there, and neither is the directory above it." in line
    assert "set dest" in line
    assert not dest.parent.exists()


@BOTH_SERVERS
def test_dest_is_a_file(fleet: Fleet, tmp_path: Path) -> None:
    dest = tmp_path / "file"
    dest.write_text("precious", encoding="utf-8")
    line = refused(fleet, dest=str(dest))
    assert f"{dest}: the destination is not a directory." in line
    assert dest.read_text(encoding="utf-8") == "precious"


@BOTH_SERVERS
@pytest.mark.parametrize("begun", [False, True], ids=["new", "synced-before"])
def test_dest_cannot_be_written(fleet: Fleet, mount: Callable[[Path, str], None], *, begun: bool) -> None:
    """Permissions do not stop root, so for root the file system is read-only."""
    assets = fleet.sites[SITE].assets
    root = os.geteuid() == 0
    if root:
        mount(assets, "size=8m")
    if begun:
        sync(fleet)
        fleet.tree.add_image("prod/later")
    read_only = ["mount", "-o", "remount,ro", str(assets)] if root else ["chmod", "-R", "a-w", str(assets)]
    # for a moment, a run that has just ended may still have files open there
    wait_until(lambda: subprocess.run(read_only, check=False).returncode == 0, "nobody writes there any more")
    try:
        line = refused(fleet)
    finally:
        if not root:
            subprocess.run(["chmod", "-R", "u+w", str(assets)], check=True)
    assert f"{assets}: the destination cannot be written" in line
    assert ("read-only" if root else f"Give it to {fleet.sites[SITE].server.user}") in line
    assert is_delivered(fleet, fleet.tree.image(IMAGE)) is begun
