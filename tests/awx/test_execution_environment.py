# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The execution environment: what ansible-builder makes of its definition, and what it finds in the collection."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from tests.lab.fleet import CHECKOUT

DEFINITION = CHECKOUT / "docs" / "awx" / "execution-environment"
BUILDER = Path(sys.executable).with_name("ansible-builder")


def build(*arguments: str) -> str:
    done = subprocess.run([str(BUILDER), *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def admits(requirement: str, version: str) -> bool:
    return Requirement(requirement).specifier.contains(version)


@pytest.mark.parametrize("name", ["Containerfile", "Dockerfile"])
def test_a_context_is_made_of_the_definition(tmp_path: Path, name: str) -> None:
    shutil.copytree(DEFINITION, tmp_path / "ee")
    file = tmp_path / "ee" / "execution-environment.yml"
    build("create", "-f", str(file), "-c", str(tmp_path), "--output-filename", name)
    text = (tmp_path / name).read_text(encoding="utf-8")
    assert "ansible-galaxy collection install" in text
    assert (tmp_path / "_build" / "requirements.yml").read_text() == (DEFINITION / "requirements.yml").read_text()
    (installed,) = [line for line in text.splitlines() if line.startswith("ARG ANSIBLE_INSTALL_REFS=")]
    definition = yaml.safe_load((DEFINITION / "execution-environment.yml").read_text(encoding="utf-8"))
    for name in ("ansible_core", "ansible_runner"):
        assert definition["dependencies"][name]["package_pip"] in installed


def test_versions() -> None:
    definition = yaml.safe_load((DEFINITION / "execution-environment.yml").read_text(encoding="utf-8"))
    assert definition["version"] == 3
    core = definition["dependencies"]["ansible_core"]["package_pip"]
    runner = definition["dependencies"]["ansible_runner"]["package_pip"]
    assert [admits(core, one) for one in ("2.18.9", "2.19.0", "2.21.1")] == [False, True, True]
    assert [admits(runner, one) for one in ("2.4.2", "2.4.3")] == [False, True]


def test_what_the_collection_needs_is_found_in_it() -> None:
    found = yaml.safe_load(build("introspect", str(CHECKOUT / ".collections")))
    assert [line.split()[0] for line in found["python"]] == ["paramiko"]
    names = {line.split()[0] for line in found["system"]}
    assert names == {"rsync", "openssh-clients", "openssh-client"}
    own = yaml.safe_load((CHECKOUT / "meta" / "execution-environment.yml").read_text(encoding="utf-8"))
    assert own["version"] == 1
