# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Differences between families of systems: each has every entry that the tasks use, and failures are reported."""

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
# Used only if the package brings its own site: the tasks have a condition for that.
OF_SOME = {"web_default", "web_default_target", "web_verify"}


def families(role: str) -> dict[str, dict[str, object]]:
    """The entries of a role's vars."""
    variables = yaml.safe_load((ROLES / role / "vars" / "main.yml").read_text("utf-8"))
    found: dict[str, dict[str, object]] = variables[f"{role}_families"]
    return found


def asked(role: str) -> set[str]:
    """The entries that the tasks of all roles use for every family."""
    files = ROLES.glob("netboot_*/tasks/*.yml")
    found = {name for path in files for of, name in ASKED.findall(path.read_text("utf-8")) if of == role}
    return found - OF_SOME


@pytest.mark.parametrize("role", ["netboot_server", "netboot_caching_server"])
def test_each_family_has_what_is_asked_of_it(role: str) -> None:
    wanted = asked(role)
    assert "packages" in wanted
    assert {name: wanted - set(entry) for name, entry in families(role).items()} == {"Debian": set(), "RedHat": set()}


def play(directory: Path, tasks_from: str, *words: str, **given: object) -> subprocess.CompletedProcess[str]:
    """Run one of the role's task files on this machine."""
    playbook = directory / "playbook.yml"
    task = {"import_role": {"name": "netboot.syncer.netboot_caching_server", "tasks_from": tasks_from}}
    playbook.write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": [task]}]), "utf-8")
    variables = {
        "ansible_python_interpreter": sys.executable,
        "netboot_caching_server_machine": "cache-berlin",
        **given,
    }
    program = str(Path(sys.executable).with_name("ansible-playbook"))
    command = [program, "-i", "localhost,", "-c", "local", "-e", json.dumps(variables), *words, str(playbook)]
    return subprocess.run(
        command,
        cwd=CHECKOUT,
        env={
            **os.environ,
            "ANSIBLE_HOME": str(directory / "ansible"),
            "ANSIBLE_NOCOLOR": "1",
            "PATH": f"{directory}/bin:{os.environ['PATH']}",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def test_packages_that_cannot_be_installed_are_told_in_one_line(tmp_path: Path) -> None:
    known = families("netboot_caching_server")
    known["RedHat"]["query"] = ["true"]  # rpm, which would list what is installed, is not everywhere
    ended = play(
        tmp_path,
        "packages",
        netboot_caching_server_families=known,
        netboot_caching_server_family="RedHat",
        netboot_caching_server_wanted=["netboot-no-such-package"],
    )
    assert ended.returncode == 2, ended.stdout + ended.stderr
    said = " ".join(ended.stdout.split())
    assert "cache-berlin: netboot-no-such-package cannot be installed (" in said, ended.stdout
    assert str(known["RedHat"]["remedy"]) in said


# No machine here has SELinux in its kernel, and Debian's tools do nothing without it. These scripts replace them: they
# store rules in the format in which semanage(8) lists them, and print what restorecon(8) would print.
STANDING_IN = {
    "selinuxenabled": "exit 0",
    "semanage": """
case "$*" in
  "fcontext --list --locallist --noheading") cat "$HERE/rules" ;;
  "fcontext --add --type "*) grep -qF -- "$5 " "$HERE/rules" && exit 1
    printf '%s   all files   system_u:object_r:%s:s0 \\n' "$5" "$4" >>"$HERE/rules" ;;
  "fcontext --delete "*) grep -vF -- "$3 " "$HERE/rules" >"$HERE/left"; mv "$HERE/left" "$HERE/rules" ;;
  "fcontext --modify --type "*) printf '%s   all files   system_u:object_r:%s:s0 \\n' "$5" "$4" >"$HERE/rules" ;;
  *) echo "semanage: $*" >&2; exit 2 ;;
esac""",
    "restorecon": """
case "$*" in
  "-R -v -n -- "*) [ -e "$HERE/labelled" ] || echo "Would relabel $5" ;;
  "-R -v -- "*) [ -e "$HERE/labelled" ] || echo "Relabeled $4"; touch "$HERE/labelled" ;;
  *) echo "restorecon: $*" >&2; exit 2 ;;
esac""",
}


OTHERWISE = "/srv/assets(/.*)?   all files   system_u:object_r:var_t:s0 \n"


@pytest.mark.parametrize(
    ("before", "runs"),
    [
        pytest.param("", [(["--check"], 2), ([], 2), ([], 0)], id="nothing-said-so-far"),
        pytest.param(OTHERWISE, [([], 2), (["--check"], 0)], id="otherwise-so-far"),
    ],
)
def test_selinux_is_told_once_and_check_mode_only_looks(
    tmp_path: Path, before: str, runs: list[tuple[list[str], int]]
) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "rules").write_text(before, "utf-8")
    for name, text in STANDING_IN.items():
        path = tmp_path / "bin" / name
        path.write_text(f"#!/bin/sh\nHERE={tmp_path}\n{text}\n", "utf-8")
        path.chmod(0o755)
    labels = [{"place": "/srv/assets", "type": "httpd_sys_content_t"}]
    for words, changed in runs:
        ended = play(tmp_path, "selinux", *words, netboot_caching_server_labels=labels)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        assert f"changed={changed} " in ended.stdout, ended.stdout
    rule = "/srv/assets(/.*)?   all files   system_u:object_r:httpd_sys_content_t:s0 \n"
    assert (tmp_path / "rules").read_text("utf-8") == rule
    if not before:
        for words, changed in ((["--check"], 1), ([], 1), ([], 0)):
            ended = play(tmp_path, "selinux_removed", *words, netboot_caching_server_labels=labels)
            assert ended.returncode == 0, ended.stdout + ended.stderr
            assert f"changed={changed} " in ended.stdout, ended.stdout
        assert (tmp_path / "rules").read_text("utf-8") == ""


@pytest.mark.root
@pytest.mark.parametrize("switch", ["1", pytest.param("0", marks=pytest.mark.thorough), None])
def test_the_forced_command_has_a_profile_where_apparmor_wants_one(tmp_path: Path, switch: str | None) -> None:
    (tmp_path / "bin").mkdir()
    parser = tmp_path / "bin" / "apparmor_parser"
    parser.write_text(f'#!/bin/sh\necho "$@" >>{tmp_path}/parsed\n', "utf-8")
    parser.chmod(0o755)
    if switch is not None:
        (tmp_path / "switch").write_text(f"{switch}\n", "ascii")
    given = {
        "netboot_caching_server_userns_switch": str(tmp_path / "switch"),
        "netboot_caching_server_profile": str(tmp_path / "profile"),
        "netboot_caching_server_gate": "/usr/local/bin/gate",
    }
    for words in (["--check"], [], []):
        ended = play(tmp_path, "apparmor", *words, **given)
        assert ended.returncode == 0, ended.stdout + ended.stderr
    if switch == "1":
        profile = (tmp_path / "profile").read_text("utf-8")
        assert "profile netboot-sync-gate /usr/local/bin/gate flags=(unconfined) {\n  userns,\n" in profile
        assert (tmp_path / "parsed").read_text("utf-8") == f"--replace {tmp_path}/profile\n"
    else:
        assert not (tmp_path / "profile").exists()
