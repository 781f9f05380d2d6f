# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A question without an answer is neither a no nor a difference.

In another project, a timeout was taken for "not there", and a revision was published without its root
(https://github.com/cvmfs/cvmfs/issues/4270).
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import paramiko
import pytest
from ansible_collections.netboot.syncer.plugins.module_utils.assets.entries import FILE, Entry
from ansible_collections.netboot.syncer.plugins.module_utils.caching_server.server import SshCachingServer
from ansible_collections.netboot.syncer.plugins.module_utils.errors import ConnectionTrouble, SyncError
from ansible_collections.netboot.syncer.plugins.module_utils.source.tree import SourceTree
from ansible_collections.netboot.syncer.plugins.module_utils.ssh.session import Session
from ansible_collections.netboot.syncer.plugins.module_utils.ssh.sftp import Sftp

from tests.lab.fleet import Fleet, SiteSpec
from tests.lab.runs import IMAGE, SITE, actions, add_large_image, address_of, prepare, sync
from tests.lab.waiting import meanwhile

SFTP_SERVERS = [Path("/usr/lib/openssh/sftp-server"), Path("/usr/libexec/openssh/sftp-server")]
MB = 1_000_000


class SftpClient(paramiko.SFTPClient):
    """A client over a plain socket; paramiko supports that except in its log, which wants the name of a channel."""

    def _log(self, level: int, msg: str | list[str], *args: object) -> None:
        pass


@contextlib.contextmanager
def sftp_of_nobody() -> Iterator[tuple[Sftp, Path]]:
    """Run OpenSSH's SFTP server as a user to whom permissions apply, with a directory that this user may list."""
    program = next((path for path in SFTP_SERVERS if path.exists()), None)
    if program is None:
        pytest.skip("OpenSSH's sftp-server is not where Debian and Fedora have it")
    user = "nobody" if os.geteuid() == 0 else None
    ours, theirs = socket.socketpair()
    with ours, theirs, tempfile.TemporaryDirectory(prefix="netboot-lab-") as directory:
        Path(directory).chmod(0o755)
        with subprocess.Popen(
            [str(program)], stdin=theirs.fileno(), stdout=theirs.fileno(), user=user, cwd="/"
        ) as server:
            theirs.close()
            try:
                yield Sftp(SftpClient(ours)), Path(directory)  # type: ignore[arg-type]
            finally:
                ours.close()
                server.terminate()


def test_look_tells_a_directory_without_permission_from_absence() -> None:
    with sftp_of_nobody() as (sftp, directory):
        (directory / "closed").mkdir()
        (directory / "closed" / "marker.json").write_text("{}", encoding="utf-8")
        assert sftp.look(f"{directory}/closed/marker.json") is not None
        assert sftp.look(f"{directory}/closed/other.json") is None
        (directory / "closed").chmod(0)
        try:
            for name in ("marker.json", "other.json"):
                with pytest.raises(PermissionError):
                    sftp.look(f"{directory}/closed/{name}")
        finally:
            (directory / "closed").chmod(0o755)


def test_look_tells_any_other_refusal_from_absence(fleet: Fleet) -> None:
    assets = fleet.sites[SITE].assets
    with Session(address_of(fleet)) as session:
        assert session.sftp().look(f"{assets}/{'x' * 255}") is None
        with pytest.raises(OSError, match="Bad message"):  # longer than a name can be
            session.sftp().look(f"{assets}/{'x' * 256}")


@pytest.mark.parametrize("spec", [SiteSpec(SITE, line=True)], indirect=True, ids=["line"])
@pytest.mark.parametrize("fault", ["stall", "cut"])
def test_look_tells_a_line_without_an_answer_from_absence(fleet: Fleet, fault: str) -> None:
    site = fleet.sites[SITE]
    assert site.line is not None
    with Session(address_of(fleet, stall_timeout=1)) as session:
        assert session.sftp().look(str(site.assets)) is not None
        getattr(site.line, fault)()
        with pytest.raises(Exception) as caught:  # noqa: PT011  # paramiko has many kinds
            session.sftp().look(str(site.assets))
        assert isinstance(session.in_words(caught.value), ConnectionTrouble)


@pytest.mark.parametrize("spec", [SiteSpec(SITE, line=True)], indirect=True, ids=["line"])
@pytest.mark.parametrize(
    "ask",
    [
        pytest.param(SshCachingServer.find_destination, id="destination"),
        pytest.param(SshCachingServer.open_for_writing, id="lock"),
        pytest.param(SshCachingServer.tree, id="listing"),
        pytest.param(lambda server: server.look("prod"), id="look"),
        pytest.param(lambda server: server.digests([Entry("kernels/file", FILE, 5)]), id="content"),
    ],
)
def test_silence_is_a_broken_line_whatever_was_asked(fleet: Fleet, ask: Callable[[SshCachingServer], object]) -> None:
    """It is not reported as a problem of permissions, and the run is retried."""
    site = fleet.sites[SITE]
    assert site.line is not None
    sync(fleet)
    with Session(address_of(fleet, stall_timeout=1)) as session:
        server = SshCachingServer(session, SourceTree(str(fleet.tree.root)), str(site.assets))
        site.line.stall()
        with pytest.raises(Exception) as caught:  # noqa: PT011  # paramiko has many kinds
            ask(server)
        # at once, while the connection itself still seems to be up
        assert isinstance(session.in_words(caught.value), ConnectionTrouble)
        assert session.alive()


@pytest.mark.parametrize("spec", [SiteSpec(SITE, line=True, sftp_only=True)], indirect=True, ids=["sftp-only"])
@pytest.mark.parametrize("check_mode", [True, False])
@pytest.mark.parametrize("fault", ["stall", "cut"])
def test_line_that_breaks_while_files_are_read_back_is_no_damage(fleet: Fleet, fault: str, check_mode: bool) -> None:
    site = fleet.sites[SITE]
    line = site.line
    assert line is not None
    add_large_image(fleet.tree, IMAGE, size=24 * MB)
    sync(fleet)
    before = line.bytes_down
    run = prepare(fleet, verify=True, check_mode=check_mode, stall_timeout=2)
    with meanwhile(lambda: line.bytes_down > before + 2 * MB, getattr(line, fault)), pytest.raises(ConnectionTrouble):
        run.run()
    assert actions(run) == []
    assert (site.assets / f"{IMAGE}-kernel.json").exists()


@pytest.mark.parametrize("spec", [SiteSpec(SITE, line=True)], indirect=True, ids=["line"])
@pytest.mark.parametrize("fault", ["stall", "cut"])
def test_line_that_breaks_before_sftp_is_no_lack_of_it(fleet: Fleet, fault: str) -> None:
    site = fleet.sites[SITE]
    assert site.line is not None
    with Session(address_of(fleet, connect_timeout=1, stall_timeout=1)) as session:
        getattr(site.line, fault)()
        with pytest.raises(ConnectionTrouble, match="the connection broke"):
            session.sftp()


@pytest.mark.parametrize("spec", [SiteSpec(SITE, key_options='command="sleep 10"')], indirect=True, ids=["silent"])
def test_sftp_that_says_nothing_is_another_try(fleet: Fleet) -> None:
    with Session(address_of(fleet, stall_timeout=1)) as session, pytest.raises(ConnectionTrouble):
        session.sftp()


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param(SiteSpec(SITE, key_options='command="false"'), id="ends"),
        pytest.param(SiteSpec(SITE, key_options='command="echo Welcome; cat"'), id="says something else"),
    ],
    indirect=True,
)
def test_lack_of_sftp_is_told_as_that(fleet: Fleet) -> None:
    with Session(address_of(fleet)) as session, pytest.raises(SyncError, match="no SFTP at") as caught:
        session.sftp()
    assert not isinstance(caught.value, ConnectionTrouble)
    assert "sshd_config" in caught.value.remedy
