# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A program that is missing or too old at one of the two ends."""

from __future__ import annotations

import os
import venv
from pathlib import Path

import pytest

from tests.lab.fleet import Fleet, SiteSpec
from tests.lab.process import STANDARD_PATH
from tests.lab.runs import IMAGE, SITE, actions, add_large_image, complaint, is_delivered, prepare, sync

OLD_RSYNC = '#!/bin/sh\necho "rsync  version 3.0.9  protocol version 30"\n'


def source_without(directory: Path, program: str, script: str = "") -> str:
    """Return a PATH with all commands of this machine except one, which is missing or replaced by a script."""
    directory.mkdir()
    for place in [*os.environ["PATH"].split(":"), *STANDARD_PATH.split(":")]:
        for entry in os.scandir(place) if os.path.isdir(place) else ():
            link = directory / entry.name
            if entry.name != program and not link.is_symlink():
                link.symlink_to(entry.path)
    if script:
        (directory / program).write_text(script, encoding="utf-8")
        (directory / program).chmod(0o755)
    return str(directory)


HERE, THERE = "the netboot server", "the caching server"
CASES = [
    pytest.param(SiteSpec(SITE, hide=["rsync"]), None, f"no rsync on {THERE}.", id="none-there"),
    pytest.param(
        SiteSpec(SITE, scripts={"rsync": OLD_RSYNC}), None, f"rsync 3.0.9 on {THERE} is too old.", id="old-there"
    ),
    pytest.param(SiteSpec(SITE), ("rsync", ""), f"no rsync on {HERE}.", id="none-here"),
    pytest.param(SiteSpec(SITE), ("rsync", OLD_RSYNC), f"rsync 3.0.9 on {HERE} is too old.", id="old-here"),
    pytest.param(SiteSpec(SITE, sftp_only=True), None, f"no rsync on {THERE}.", id="sftp-only"),
]


@pytest.mark.parametrize(("spec", "lacking", "why"), CASES, indirect=["spec"])
def test_rsync_cannot_be_used(
    fleet: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lacking: tuple[str, str] | None, why: str
) -> None:
    """If rsync was asked for, an error names the remedy; otherwise SFTP is used, and a warning says why."""
    if lacking:
        monkeypatch.setenv("PATH", source_without(tmp_path / "bin", *lacking))
    line = complaint(prepare(fleet, transport="rsync"), fleet.sites[SITE].ssh.address)
    assert line.startswith(f"{fleet.sites[SITE].ssh.address}: {why}")
    assert "set transport to sftp" in line
    image = add_large_image(fleet.tree, "prod/large", size=1_000_000)
    run = sync(fleet)
    assert run.transport == "sftp"
    assert len(run.warnings) == 1
    assert why in run.warnings[0]
    assert is_delivered(fleet, image)


def test_nothing_goes_without_an_openssh_client(fleet: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", source_without(tmp_path / "bin", "ssh"))
    run = prepare(fleet, transport="sftp", retries=3)
    line = complaint(run, fleet.sites[SITE].ssh.address)
    assert line.startswith("netboot server: there is no OpenSSH client")
    assert "Install the package openssh-client" in line
    assert run.attempts == 1


def test_nothing_is_said_where_sftp_was_asked_for(fleet: Fleet) -> None:
    run = sync(fleet, transport="sftp")
    assert (run.transport, run.warnings) == ("sftp", [])
    assert is_delivered(fleet, fleet.tree.image(IMAGE))


@pytest.mark.parametrize(
    ("spec", "verified"),
    [
        pytest.param(SiteSpec(SITE, hide=["sha256sum"]), False, id="no-sha256sum"),
        pytest.param(SiteSpec(SITE, hide=["flock"]), True, id="no-flock"),
        pytest.param(SiteSpec(SITE, hide=["cat", "timeout"]), True, id="no-cat-no-timeout"),
    ],
    indirect=["spec"],
)
def test_small_programs_missing_there(fleet: Fleet, *, verified: bool) -> None:
    run = sync(fleet)
    assert is_delivered(fleet, fleet.tree.image(IMAGE))
    assert run.images[f"{IMAGE}.squashfs"].verified is verified


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param(SiteSpec(SITE, hide=["openssl"]), id="no-openssl"),
        pytest.param(SiteSpec(SITE, scripts={"openssl": "#!/bin/sh\necho 'SHA2-256(stdin)= 0'\n"}), id="odd"),
        pytest.param(SiteSpec(SITE, scripts={"openssl": "#!/bin/sh\nexit 1\n"}), id="broken"),
    ],
    indirect=True,
)
def test_openssl_that_is_of_no_use_is_no_damage(fleet: Fleet) -> None:
    image = add_large_image(fleet.tree, "prod/large", size=1_000_000)
    assert sync(fleet).images[image.path].verified
    assert actions(sync(fleet, verify=True)) == []


def test_paramiko_missing_on_the_source(fleet: Fleet, tmp_path: Path) -> None:
    """Ansible runs the module with an interpreter that lacks it: one line names host, library and remedy."""
    venv.create(tmp_path / "venv", with_pip=False)
    python = tmp_path / "venv" / "bin" / "python"
    run = fleet.run_playbook("sync.yml", "-e", f"ansible_python_interpreter={python}")
    assert run.status != 0
    # It is one line, which newer versions of Ansible wrap.
    output = " ".join(run.output.split())
    assert f"localhost: there is no paramiko for {python}. Install the package python3-paramiko" in output
    assert "Traceback" not in run.output
    assert list(fleet.sites[SITE].assets.iterdir()) == []
