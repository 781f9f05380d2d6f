# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The project from the documentation, with the collection's package installed in it, and a fleet to run its jobs on."""

from __future__ import annotations

import itertools
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.awx.job import Job, Launch
from tests.lab.fleet import CHECKOUT, Fleet, SiteSpec
from tests.lab.runs import IMAGE
from tests.lab.sshd import CachingServer, ClientKey

PROJECT = CHECKOUT / "docs" / "awx" / "project"


class Stage:
    """A fleet whose netboot server is reached by SSH with AWX's only key; the sites do not accept that key.

    :ivar groups: the inventory, which a test may change before a job.
    """

    def __init__(self, fleet: Fleet, netboot: CachingServer, credential: ClientKey, update: tuple[Path, Path]) -> None:
        self.fleet = fleet
        self.netboot = netboot
        self.credential = credential
        self.project, self.requirements = update
        self._jobs = ExitStack()
        self._numbers = itertools.count(1)
        groups: dict[str, Any] = yaml.safe_load(fleet.inventory_text())["all"]["children"]
        sites = groups["caching_servers"]
        for name in [name for name in sites["vars"] if name.startswith("ansible_") or name == "netboot_sync_source"]:
            del sites["vars"][name]  # AWX cannot reach them, and does not say where to send from
        login = {"ansible_user": netboot.user, "ansible_python_interpreter": sys.executable}
        self.groups: dict[str, Any] = {
            "netboot_server": {
                "vars": login,
                "hosts": {"netboot": {"ansible_host": netboot.address, "ansible_port": netboot.port}},
            },
            "caching_servers": sites,
        }

    @property
    def everywhere(self) -> dict[str, Any]:
        """The variables of all caching servers."""
        found: dict[str, Any] = self.groups["caching_servers"]["vars"]
        return found

    def known_by_variables(self) -> None:
        """Name the netboot server by variables, for slices that do not contain it."""
        self.everywhere["netboot_sync_source_address"] = self.netboot.address
        self.everywhere["netboot_sync_source_port"] = self.netboot.port

    def job(self, **launch: Any) -> Job:
        """A job that is not started yet; it is stopped at the end of the test."""
        directory = self.fleet.directory / f"job-{next(self._numbers)}"
        directory.mkdir()
        made = Job(
            directory,
            Launch(**launch),
            self.groups,
            project=self.project,
            requirements=self.requirements,
            key=self.credential.private,
        )
        self._jobs.callback(made.stop)
        return made

    def run(self, **launch: Any) -> Job:
        """Run a job to its end."""
        return self.job(**launch).wait()

    def close(self) -> None:
        """Stop all jobs."""
        self._jobs.close()


@pytest.fixture(scope="session")
def update(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """An update of the project: its files, and where its requirements are installed.

    The package is built from this checkout, since there is no Galaxy server here.
    """
    directory = tmp_path_factory.mktemp("awx-project")
    project, requirements = directory / "project", directory / "requirements_collections"
    shutil.copytree(PROJECT, project)
    galaxy = str(Path(sys.executable).with_name("ansible-galaxy"))
    environment = {
        "HOME": str(directory),
        "PATH": "/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "ANSIBLE_COLLECTIONS_PATH": str(requirements),
    }

    def call(*arguments: str) -> None:
        command = [galaxy, "collection", *arguments]
        done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    call("build", "--output-path", str(directory), str(CHECKOUT))
    (package,) = directory.glob("netboot-syncer-*.tar.gz")
    wanted = project / "collections" / "requirements.yml"
    (one,) = yaml.safe_load(wanted.read_text(encoding="utf-8"))["collections"]
    assert one["name"] == "netboot.syncer"
    wanted.write_text(yaml.safe_dump({"collections": [{"name": str(package), "type": "file"}]}), encoding="utf-8")
    call("install", "-r", "collections/requirements.yml")
    return project, requirements


@pytest.fixture
def specs(request: pytest.FixtureRequest) -> list[SiteSpec]:
    """The sites; a test can ask for others with ``parametrize("specs", ..., indirect=True)``."""
    found = getattr(request, "param", [SiteSpec("a"), SiteSpec("b")])
    assert isinstance(found, list)
    return found


@pytest.fixture
def stage(tmp_path: Path, specs: list[SiteSpec], update: tuple[Path, Path]) -> Iterator[Stage]:
    variables = {"netboot_sync_retries": 0, "netboot_sync_survey_from": 99}
    with Fleet(tmp_path / "fleet", specs, variables=variables) as fleet:
        fleet.tree.add_kernel()
        fleet.tree.add_image(IMAGE)
        credential = ClientKey.create(tmp_path / "credential" / "id_ed25519")
        with CachingServer(tmp_path / "netboot", authorized=[credential.public]) as netboot:
            found = Stage(fleet, netboot, credential, update)
            try:
                yield found
            finally:
                found.close()
