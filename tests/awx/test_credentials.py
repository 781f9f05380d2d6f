# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which key opens the caching servers, and which host a job accepts as the netboot server."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.awx.conftest import PROJECT, Stage
from tests.lab.fleet import SiteSpec
from tests.lab.runs import IMAGE, is_delivered

pytestmark = pytest.mark.parametrize("specs", [[SiteSpec("a")]], indirect=True)


def login(stage: Stage) -> dict[str, Any]:
    """The variables of the group netboot_server."""
    found: dict[str, Any] = stage.groups["netboot_server"]["vars"]
    return found


def test_a_key_on_the_netboot_server(stage: Stage) -> None:
    """AWX's key opens the netboot server, but no caching server."""
    site = stage.fleet.sites["a"].server
    assert site.run("true", key=stage.credential).returncode == 255
    job = stage.run()
    assert job.status == "successful", job.output
    assert is_delivered(stage.fleet, stage.fleet.tree.image(IMAGE), "a")


def forwarded(stage: Stage) -> None:
    """Leave the netboot server without a key, and let the sites accept AWX's key."""
    del stage.everywhere["netboot_sync_private_key_file"]
    stage.fleet.sites["a"].server.authorize([stage.credential.public])


def test_the_agent_of_the_credential(stage: Stage) -> None:
    forwarded(stage)
    login(stage)["ansible_ssh_common_args"] = "-o ForwardAgent=yes"
    job = stage.run()
    assert job.status == "successful", job.output
    assert is_delivered(stage.fleet, stage.fleet.tree.image(IMAGE), "a")


def test_no_agent_reaches_the_netboot_server_unasked(stage: Stage) -> None:
    forwarded(stage)
    job = stage.run()
    assert job.status == "failed"
    assert not is_delivered(stage.fleet, stage.fleet.tree.image(IMAGE), "a")


def remedy() -> dict[str, Any]:
    """What the project in the documentation sets for the netboot server's host key."""
    file = PROJECT / "inventory" / "group_vars" / "netboot_server.yml"
    found: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return {name: value for name, value in found.items() if name != "ansible_user"}


def trust(stage: Stage, project: Path) -> None:
    """Put the netboot server's current host key into the project."""
    stage.project = project / "project"
    (stage.project / "known_hosts").write_text(stage.netboot.known_hosts_line(), encoding="utf-8")


@pytest.fixture
def project(stage: Stage, tmp_path: Path) -> Path:
    """The parent directory of the test's own copy of the project, which gets a file known_hosts."""
    shutil.copytree(stage.project, tmp_path / "own" / "project")
    return tmp_path / "own"


def test_without_the_remedy_anybody_is_the_netboot_server(stage: Stage, project: Path) -> None:
    """What SECURITY.md warns about: AWX makes Ansible check no host key, whatever known_hosts says."""
    trust(stage, project)
    login(stage)["ansible_ssh_common_args"] = remedy()["ansible_ssh_common_args"]
    stage.netboot.new_host_key()
    job = stage.run()
    assert job.status == "successful", job.output


def test_with_the_remedy_only_the_one_with_its_key_is(stage: Stage, project: Path) -> None:
    trust(stage, project)
    login(stage).update(remedy())
    job = stage.run()
    assert job.status == "successful", job.output
    (stage.fleet.sites["a"].assets / f"{IMAGE}-kernel.json").unlink()
    stage.netboot.new_host_key()
    job = stage.run()
    assert job.status == "failed"
    assert "netboot: " in job.output
    assert "Host key verification failed" in " ".join(job.output.split())
    assert not is_delivered(stage.fleet, stage.fleet.tree.image(IMAGE), "a")
