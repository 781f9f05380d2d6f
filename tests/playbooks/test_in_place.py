# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the netboot server is the control node, modules run in forks of Ansible's workers: with the same results."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.lab.fleet import Fleet, SiteSpec
from tests.lab.runs import IMAGE, SITE, is_delivered

OTHER = "other"
# What two runs of the same do not share, and what Ansible adds to the result of a module.
TRACEBACKS = ("exception", "failed_when_suppressed_exception")
OF_THIS_RUN = ("seconds", "sent_bytes", "saved_bytes", "summary", "invocation", *TRACEBACKS)
MODULES = ("sync_assets", "sync_source", "sync_survey")


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    variables = {"netboot_sync_retries": 0, "netboot_sync_survey_from": 2}
    with Fleet(tmp_path / "fleet", [SiteSpec(SITE), SiteSpec(OTHER)], variables=variables) as fleet:
        fleet.tree.add_kernel()
        fleet.tree.add_image(IMAGE)
        yield fleet


def python_of_another_name(directory: Path) -> str:
    """The same Python under another path: what a user names who does not want that of Ansible."""
    program = directory / "python"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    return str(program)


def told(result: Any) -> Any:
    """A result without what differs from run to run."""
    if isinstance(result, dict):
        return {key: told(value) for key, value in result.items() if key not in OF_THIS_RUN}
    return [told(value) for value in result] if isinstance(result, list) else result


def sent_by_ansible(output: str) -> set[str]:
    """The modules that Ansible has sent."""
    return {name for name in MODULES for line in output.splitlines() if "Using module" in line and f"{name}.py" in line}


@pytest.mark.timeout(600)  # eight playbooks
def test_both_ways_have_the_same_result(fleet: Fleet, tmp_path: Path) -> None:
    """Of what would be done, of a run that sends beside one that fails, and of two with nothing to do."""
    other_python = f"ansible_python_interpreter={python_of_another_name(tmp_path)}"
    fleet.sites[OTHER].server.stop()
    found: list[list[Any]] = []
    for arguments in ((), ("-e", other_python)):
        for path in sorted(fleet.sites[SITE].assets.rglob("*"), reverse=True):
            path.unlink() if path.is_file() else path.rmdir()
        results = []
        for number, more in enumerate((("--check", "--diff"), (), (), ("-e", "netboot_sync_survey_from=100"))):
            run = fleet.run_playbook("sync.yml", "-vvv", *arguments, *more)
            assert run.status == 2, run.output
            expected = set(MODULES) - ({"sync_survey"} if number == 3 else set())
            assert sent_by_ansible(run.output) == (expected if arguments else set())
            results.append(told(run.results))
        assert is_delivered(fleet, fleet.tree.image(IMAGE), SITE)
        found.append(results)
    assert found[0] == found[1]
    assert "refused the connection" in found[0][1][OTHER]["msg"]
    assert found[0][0][SITE]["diff"]


@pytest.mark.parametrize("way", ["here", "become", "environment", "python"])
def test_what_only_ansible_can_do_is_left_to_it(fleet: Fleet, tmp_path: Path, way: str) -> None:
    """Becoming somebody else, another environment, another Python."""
    become = tmp_path / "become"
    become.write_text('#!/bin/sh\nwhile [ "$1" != /bin/sh ]; do shift; done; exec "$@"\n', encoding="utf-8")
    become.chmod(0o755)
    ways: dict[str, dict[str, Any]] = {
        "here": {},
        "become": {"become": True, "vars": {"ansible_become_exe": str(become), "ansible_become_flags": ""}},
        "environment": {"environment": {"A": "b"}},
        "python": {"vars": {"ansible_python_interpreter": python_of_another_name(tmp_path)}},
    }
    task = {"name": way, "netboot.syncer.sync_source": {"src": [str(fleet.tree.root)]}, **ways[way]}
    play = {"name": "P", "hosts": "localhost", "gather_facts": False, "connection": "local", "tasks": [task]}
    file = tmp_path / "play.yml"
    file.write_text(yaml.safe_dump([play]), encoding="utf-8")
    run = fleet.run_playbook(str(file), "-vvv", env={"ANSIBLE_BECOME_ALLOW_SAME_USER": "true"})
    assert run.status == 0, run.output
    assert sent_by_ansible(run.output) == (set() if way == "here" else {"sync_source"})
