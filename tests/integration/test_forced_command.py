# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The forced command on a caching server: a sync can do all its work through it, and a stolen key little else."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.fleet import CHECKOUT, Fleet, SiteSpec
from tests.lab.process import find_program
from tests.lab.runs import IMAGE, NEXT, SITE, is_delivered, sync
from tests.lab.tree import flip_byte
from tests.lab.waiting import wait_until

GATE = CHECKOUT / "roles" / "netboot_caching_server" / "files" / "netboot-sync-gate"


def sandbox_works() -> bool:
    bwrap = shutil.which("bwrap")
    if bwrap is None:
        return False
    return subprocess.run([bwrap, "--unshare-all", "--ro-bind", "/", "/", "true"], check=False).returncode == 0


pytestmark = pytest.mark.skipif(
    not sandbox_works(), reason="needs bubblewrap, and a kernel that lets it make sandboxes"
)


@pytest.fixture
def gated(tmp_path: Path) -> Iterator[Fleet]:
    spec = SiteSpec(SITE, key_options=f'restrict,command="{GATE} {{assets}}"')
    with Fleet(tmp_path / "fleet", [spec]) as fleet:
        fleet.tree.add_kernel()
        fleet.tree.add_image(IMAGE)
        yield fleet


def thief(fleet: Fleet, command: str, *options: str, timeout: float = 30) -> subprocess.CompletedProcess[bytes]:
    """Send a command to the caching server with the stolen key and a real ssh client."""
    server = fleet.sites[SITE].server
    known_hosts = f"-oUserKnownHostsFile={fleet.known_hosts}"
    ssh = [find_program("ssh", "openssh-client"), "-F", "none", "-i", str(fleet.key.private), known_hosts]
    login = ["-oBatchMode=yes", "-p", str(server.port), *options, f"{server.user}@{server.address}"]
    return subprocess.run(
        ssh + login + ([command] if command else []),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=timeout,
        check=False,
    )


def test_the_sync_does_all_its_work(gated: Fleet) -> None:
    """Differences, hashes on the caching server, the lock, the repair: security costs no feature."""
    first = sync(gated)
    assert first.transport == "rsync"
    assert first.images[f"{IMAGE}.squashfs"].verified
    with gated.tree.image(IMAGE).squashfs.open("ab") as file:
        file.write(os.urandom(2_000_000))
    sync(gated)
    shutil.copy(gated.tree.image(IMAGE).squashfs, copy := gated.directory / "next.squashfs")
    image = gated.tree.add_image(NEXT, content=copy)
    second = sync(gated)
    assert second.images[image.path].basis == f"{IMAGE}.squashfs"
    assert second.images[image.path].sent_bytes < 0.1 * image.squashfs.stat().st_size
    flip_byte(gated.sites[SITE].assets / image.path)
    assert sync(gated, verify=True).images[image.path].state == "repaired"
    assert is_delivered(gated, image)


@pytest.mark.parametrize(
    "command",
    [
        pytest.param("", id="a shell"),
        pytest.param("cat {secret}", id="read a file"),
        pytest.param("cat /etc/ssh/sshd_config", id="read the configuration"),
        pytest.param("echo taken >{outside}/new", id="write a file"),
        pytest.param("ln -s {outside} {assets}/way && echo taken >{assets}/way/new", id="write through a symlink"),
        pytest.param("ln {secret} {assets}/stolen && cat {assets}/stolen", id="hard-link a file"),
        pytest.param("cat {assets}/../../../secret", id="leave by dots"),
        pytest.param("kill -9 {pid}", id="kill a process"),
        pytest.param("mount -t tmpfs tmpfs {assets}", id="mount"),
        pytest.param("bash -c 'echo >/dev/tcp/{address}/{port}'", id="connect to the network"),
        pytest.param("unshare -r cat {secret}", id="another namespace"),
    ],
)
def test_a_stolen_key_is_good_for_nothing_else(gated: Fleet, command: str) -> None:
    site = gated.sites[SITE]
    outside = gated.directory / "outside"
    outside.mkdir()
    secret = gated.directory / "secret"
    secret.write_text("only for us", encoding="utf-8")
    bystander = subprocess.Popen(["sleep", "60"])
    try:
        text = command.format(
            secret=secret,
            outside=outside,
            assets=site.assets,
            pid=bystander.pid,
            address=site.server.address,
            port=site.server.port,
        )
        answer = thief(gated, text)
        assert answer.returncode != 0
        assert b"only for us" not in answer.stdout + answer.stderr
        assert list(outside.iterdir()) == []
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_a_stolen_key_opens_no_tunnel(gated: Fleet) -> None:
    server = gated.sites[SITE].server
    answer = thief(gated, "", "-W", f"{server.address}:{server.port}")
    assert answer.returncode != 0
    assert b"SSH-2.0" not in answer.stdout


def test_sftp_sees_the_tree_and_nothing_else(gated: Fleet) -> None:
    (gated.directory / "secret").write_text("only for us", encoding="utf-8")
    site = gated.sites[SITE]
    batch = gated.directory / "batch"
    lines = [
        f"-get {gated.directory}/secret {gated.directory}/stolen",
        f"-put {batch} {gated.directory}/planted",
        f"put {batch} {site.assets}/allowed",
    ]
    batch.write_text("\n".join(lines) + "\n", encoding="utf-8")
    sftp = [find_program("sftp", "openssh-client"), "-F", "none", "-b", str(batch), "-i", str(gated.key.private)]
    login = [f"-oUserKnownHostsFile={gated.known_hosts}", "-P", str(site.server.port)]
    subprocess.run([*sftp, *login, f"{site.server.user}@{site.server.address}"], check=True, capture_output=True)
    assert not (gated.directory / "stolen").exists()
    assert not (gated.directory / "planted").exists()
    assert (site.assets / "allowed").exists()


def test_rsync_writes_below_the_tree_and_nowhere_else(gated: Fleet) -> None:
    site = gated.sites[SITE]
    (outside := gated.directory / "outside").mkdir()
    ssh = f"ssh -F none -p {site.server.port} -i {gated.key.private} -oUserKnownHostsFile={gated.known_hosts}"
    rsync = [find_program("rsync", "rsync"), "--rsh", ssh, str(gated.tree.image(IMAGE).marker)]
    at = f"{site.server.user}@{site.server.address}"
    subprocess.run([*rsync, f"{at}:{site.assets}/allowed"], check=True, capture_output=True)
    assert subprocess.run([*rsync, f"{at}:{outside}/planted"], check=False, capture_output=True).returncode != 0
    assert list(outside.iterdir()) == []


def test_nothing_of_a_session_outlives_it(gated: Fleet) -> None:
    beat = gated.sites[SITE].assets / "beat"
    command = (
        f"(while :; do echo x >{beat}; sleep 0.05; done) >/dev/null 2>&1 & until [ -s {beat} ]; do sleep 0.05; done"
    )
    assert thief(gated, command).returncode == 0
    wait_until(lambda: not any(os.fsencode(beat) in command_of(one) for one in os.listdir("/proc")), "its end")
    beat.unlink()
    time.sleep(0.2)  # several writes of the loop, if it were still running
    assert not beat.exists()


def command_of(process: str) -> bytes:
    try:
        return Path("/proc", process, "cmdline").read_bytes()
    except OSError:
        return b""
