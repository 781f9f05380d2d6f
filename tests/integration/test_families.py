# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What differs between families of systems: nothing is asked of one that it has no entry for, and failures are told."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.lab.fleet import CHECKOUT

ROLES = CHECKOUT / "roles"
ASKED = re.compile(r"\b(netboot_(?:caching_)?server)_families\[\w+\]\.(\w+)")
# Asked only where the package brings a site of its own: a condition of the task says so.
OF_SOME = {"web_default", "web_default_target", "web_verify"}


def families(role: str) -> dict[str, dict[str, object]]:
    """The entries of a role's vars."""
    variables = yaml.safe_load((ROLES / role / "vars" / "main.yml").read_text("utf-8"))
    found: dict[str, dict[str, object]] = variables[f"{role}_families"]
    return found


def asked(role: str) -> set[str]:
    """What the tasks of all roles ask of every family."""
    files = ROLES.glob("netboot_*/tasks/*.yml")
    found = {name for path in files for of, name in ASKED.findall(path.read_text("utf-8")) if of == role}
    return found - OF_SOME


@pytest.mark.parametrize("role", ["netboot_server", "netboot_caching_server"])
def test_each_family_has_what_is_asked_of_it(role: str) -> None:
    wanted = asked(role)
    assert "packages" in wanted
    assert {name: wanted - set(entry) for name, entry in families(role).items()} == {"Debian": set(), "RedHat": set()}


def test_packages_that_cannot_be_installed_are_told_in_one_line(tmp_path: Path) -> None:
    known = families("netboot_caching_server")
    known["RedHat"]["query"] = ["true"]  # rpm is not everywhere; it would list what is installed
    playbook = tmp_path / "playbook.yml"
    task = {"import_role": {"name": "netboot.syncer.netboot_caching_server", "tasks_from": "packages"}}
    playbook.write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": [task]}]), "utf-8")
    given = {
        "ansible_python_interpreter": sys.executable,
        "netboot_caching_server_families": known,
        "netboot_caching_server_family": "RedHat",
        "netboot_caching_server_machine": "cache-berlin",
        "netboot_caching_server_wanted": ["netboot-no-such-package"],
    }
    ended = subprocess.run(
        [
            str(Path(sys.executable).with_name("ansible-playbook")),
            "-i",
            "localhost,",
            "-c",
            "local",
            "-e",
            json.dumps(given),
            str(playbook),
        ],
        cwd=CHECKOUT,
        env={**os.environ, "ANSIBLE_HOME": str(tmp_path / "ansible"), "ANSIBLE_NOCOLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert ended.returncode == 2, ended.stdout + ended.stderr
    said = " ".join(ended.stdout.split())
    assert "cache-berlin: netboot-no-such-package cannot be installed (" in said, ended.stdout
    assert str(known["RedHat"]["remedy"]) in said
