# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the collection states about itself as a whole holds for everything in it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.conftest import LONGEST

MODULES = sorted(path.stem for path in Path("plugins/modules").glob("*.py"))
ROLES = sorted(path.parent for path in Path("roles").glob("*/meta"))


def test_module_defaults_of_the_group_reach_every_module() -> None:
    runtime = yaml.safe_load(Path("meta/runtime.yml").read_text(encoding="utf-8"))
    assert runtime["action_groups"]["all"] == MODULES


@pytest.mark.parametrize("module", MODULES)
def test_every_module_tells_of_check_mode(module: str) -> None:
    text = Path(f"plugins/modules/{module}.py").read_text(encoding="utf-8")
    told = yaml.safe_load(text.partition('DOCUMENTATION = r"""')[2].partition('"""')[0])
    assert told["attributes"]["check_mode"]["support"] == "full"


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_every_role_has_a_readme_with_an_example_and_a_specification(role: Path) -> None:
    assert f"netboot.syncer.{role.name}" in (role / "README.md").read_text(encoding="utf-8") or "onboard.yml" in (
        role / "README.md"
    ).read_text(encoding="utf-8")
    assert (role / "meta" / "argument_specs.yml").exists()


def test_the_files_that_begin_first_are_there() -> None:
    for name in LONGEST:
        assert list(Path("tests").rglob(f"{name}.py")), name


def test_what_galaxy_leaves_out_of_its_checks_only_imports_playbooks_of_ours() -> None:
    left_out = yaml.safe_load(Path(".config/ansible-lint.yml").read_text(encoding="utf-8"))["exclude_paths"]
    playbooks = [playbook for path in left_out for playbook in Path(path).rglob("*")]
    assert playbooks
    for playbook in playbooks:
        for play in yaml.safe_load(playbook.read_text(encoding="utf-8")):
            assert play.keys() == {"name", "ansible.builtin.import_playbook"}
            assert play["ansible.builtin.import_playbook"].startswith("netboot.syncer.")
