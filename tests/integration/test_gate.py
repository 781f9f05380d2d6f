# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a thief of the key could leave on a caching server, or take from it, through the forced command."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.fleet import Fleet, SiteSpec
from tests.lab.process import find_program
from tests.lab.runs import IMAGE, SITE, is_delivered, sync
from tests.lab.waiting import wait_until

from .test_forced_command import GATE, sandbox_works, thief

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


def by_sftp(fleet: Fleet, *lines: str) -> None:
    """Run these commands with a real sftp client; refusals are ignored."""
    site = fleet.sites[SITE]
    batch = fleet.directory / "batch"
    batch.write_text("".join(f"-{line}\n" for line in lines), encoding="utf-8")
    sftp = [find_program("sftp", "openssh-client"), "-F", "none", "-b", str(batch), "-i", str(fleet.key.private)]
    login = [f"-oUserKnownHostsFile={fleet.known_hosts}", "-P", str(site.server.port)]
    subprocess.run([*sftp, *login, f"{site.server.user}@{site.server.address}"], check=True, capture_output=True)


def set_ids(root: Path) -> list[str]:
    bits = stat.S_ISUID | stat.S_ISGID
    return [path.name for path in root.rglob("*") if not path.is_symlink() and path.stat().st_mode & bits]


@pytest.mark.parametrize(
    "command",
    [
        "cp /bin/sh {assets}/sh; chmod u+s {assets}/sh",
        "cp /bin/sh {assets}/sh; chmod 2755 {assets}/sh",
        "install -m 4755 /bin/sh {assets}/sh",
        "mkdir -m 2777 {assets}/new",
        "cp /bin/sh {assets}/sh; unshare -r chmod 6755 {assets}/sh",
        "python3 -c 'import os; os.open(\"{assets}/sh\", os.O_CREAT | os.O_WRONLY, 0o4755)'",
        "python3 -c 'import os; os.mknod(\"{assets}/sh\", 0o104755)'",
        "perl -e 'syscall(85, \"{assets}/sh\", 04755)'",
        "cp /bin/sh {assets}/sh; rsync --chmod=u+s -p {assets}/sh {assets}/sh2",
    ],
)
def test_no_file_gets_the_rights_of_its_owner(gated: Fleet, command: str) -> None:
    assets = gated.sites[SITE].assets
    thief(gated, command.format(assets=assets))
    assert set_ids(assets) == []


def test_nor_by_sftp(gated: Fleet) -> None:
    assets = gated.sites[SITE].assets
    by_sftp(gated, f"put {gated.tree.image(IMAGE).marker} {assets}/file", f"chmod 4755 {assets}/file")
    assert (assets / "file").exists()
    assert set_ids(assets) == []


@pytest.mark.parametrize(
    "name", [".ssh/authorized_keys", ".bashrc", "prod/.htaccess", "prod/.a/.b/c", ".netboot-syncs"]
)
def test_hidden_names_do_not_stay(gated: Fleet, name: str) -> None:
    """Whether a shell or SFTP created them; the sync's own names stay."""
    assets = gated.sites[SITE].assets
    sync(gated)
    parent = (assets / name).parent
    thief(gated, f"mkdir -p {parent}; echo mine >{assets}/{name}")
    assert not os.path.lexists(assets / name)
    by_sftp(gated, f"mkdir {assets}/.ssh", f"put {gated.tree.image(IMAGE).marker} {assets}/.ssh/authorized_keys")
    assert not os.path.lexists(assets / ".ssh")
    assert (assets / ".netboot-sync" / "lock").is_file()
    assert is_delivered(gated, gated.tree.image(IMAGE))


def test_hidden_file_that_was_there_stays_as_it_is(gated: Fleet) -> None:
    assets = gated.sites[SITE].assets
    (assets / ".htaccess").write_text("Require all denied\n", encoding="utf-8")
    (assets / ".link").symlink_to("nowhere")
    for command in ("echo mine >{0}", "rm -f {0}", "mv {0} {0}.old", "echo mine >{0}.new; mv {0}.new {0}"):
        thief(gated, command.format(assets / ".htaccess"))
        assert (assets / ".htaccess").read_text(encoding="utf-8") == "Require all denied\n"
    assert (assets / ".link").is_symlink()


def test_nothing_outside_is_taken_away_with_them(gated: Fleet) -> None:
    """The cleanup does not follow a directory that has meanwhile become a symlink."""
    assets = gated.sites[SITE].assets
    (outside := gated.directory / "outside").mkdir()
    (outside / ".ssh").mkdir()
    thief(gated, f"mkdir {assets}/a; touch {assets}/a/.ssh; rm -r {assets}/a; ln -s {outside} {assets}/a")
    assert (outside / ".ssh").is_dir()


def test_what_a_session_started_ends_when_its_client_is_gone(gated: Fleet) -> None:
    beat = gated.sites[SITE].assets / "beat"
    server = gated.sites[SITE].server
    ssh = [find_program("ssh", "openssh-client"), "-F", "none", "-i", str(gated.key.private), "-oBatchMode=yes"]
    login = [f"-oUserKnownHostsFile={gated.known_hosts}", "-p", str(server.port), f"{server.user}@{server.address}"]
    with subprocess.Popen([*ssh, *login, f"while :; do echo $$ >{beat}; sleep 0.1; done"]) as client:
        wait_until(beat.exists, "it began")
        client.send_signal(signal.SIGKILL)

    def silent() -> bool:
        beat.unlink(missing_ok=True)
        return subprocess.run(["sleep", "0.5"], check=True).returncode == 0 and not beat.exists()

    wait_until(silent, "it has ended")


def gate_as(user: int, dest: Path, command: str, home: Path) -> subprocess.CompletedProcess[str]:
    """Run the gate as sshd would for a user, who need not have an account here: limits do not apply to root."""
    drop = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"] if user else []
    return subprocess.run(
        [*drop, "sh", str(GATE), str(dest)],
        env={"SSH_ORIGINAL_COMMAND": command, "HOME": str(home), "PATH": "/usr/bin:/bin"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.fixture
def own_directory() -> Iterator[Path]:
    """A directory below /tmp, which every user may enter, owned by a user without an account."""
    path = Path("/tmp") / f"netboot-gate-{os.getpid()}"
    path.mkdir(mode=0o755)
    os.chown(path, 54321, 54321)
    yield path
    shutil.rmtree(path)


@pytest.mark.root
def test_processes_and_memory_have_a_limit(own_directory: Path) -> None:
    home = Path("/nonexistent")
    assert gate_as(54321, own_directory, "echo works", home).stdout == "works\n"
    bomb = gate_as(54321, own_directory, "for i in $(seq 600); do sleep 20 & done; echo all of them", home)
    assert "all of them" not in bomb.stdout
    assert "fork" in bomb.stderr.lower()
    eater = gate_as(54321, own_directory, "head -c 3000000000 /dev/zero | tail -c 2900000000 | wc -c", home)
    assert "2900000000" not in eater.stdout


@pytest.mark.parametrize("below", ["", "sub/home"])
def test_directory_that_is_or_holds_a_home_is_refused(tmp_path: Path, below: str) -> None:
    (tmp_path / below).mkdir(parents=True, exist_ok=True)
    answer = gate_as(0, tmp_path, "echo in", tmp_path / below)
    assert answer.returncode == 1
    assert "the home directory of this user" in answer.stderr
    assert answer.stdout == ""
