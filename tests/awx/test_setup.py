# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``playbooks/awx.yml`` with the real modules of awx.awx, which check every call, against a double of AWX's API."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.awx.api_double import AwxDouble
from tests.lab.fleet import CHECKOUT

COLLECTIONS = CHECKOUT / ".cache" / "collections"
MODULES = COLLECTIONS / "ansible_collections" / "awx" / "awx" / "plugins" / "modules"
SETTINGS = CHECKOUT / "docs" / "awx" / "settings.yml"
SKELETON = CHECKOUT / "docs" / "awx" / "project"

pytestmark = pytest.mark.timeout(400)
real = pytest.mark.skipif(not MODULES.is_dir(), reason="./dev awx fetches the collection awx.awx")


@pytest.fixture
def double() -> Iterator[AwxDouble]:
    with AwxDouble() as found:
        yield found


def call(double: AwxDouble, directory: Path, *arguments: str) -> tuple[int, str, dict[str, int]]:
    """Run the playbook with the settings from the documentation. Returns status, output and localhost's counters."""
    (directory / "key").write_text("-----BEGIN OPENSSH PRIVATE KEY-----\nsecret\n", encoding="utf-8")
    environment = {
        **os.environ,
        "ANSIBLE_CONFIG": str(CHECKOUT / "ansible.cfg"),
        "ANSIBLE_COLLECTIONS_PATH": f"{CHECKOUT}/.collections:{COLLECTIONS}",
        "ANSIBLE_DEPRECATION_WARNINGS": "false",
        "CONTROLLER_HOST": double.url,
        "CONTROLLER_OAUTH_TOKEN": "token",
    }
    key = json.dumps({"netboot_awx_private_key": f"{{{{ lookup('ansible.builtin.file', '{directory}/key') }}}}"})
    program = str(Path(sys.executable).with_name("ansible-playbook"))
    command = [program, "playbooks/awx.yml", "-i", "localhost,", "-e", f"@{SETTINGS}", "-e", key, *arguments]
    done = subprocess.run(command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=False)
    output = done.stdout + done.stderr
    counters = re.search(r"^localhost +: (.*)$", output, re.MULTILINE)
    found = re.findall(r"(\w+)=(\d+)", counters[1]) if counters else []
    return done.returncode, output, {name: int(value) for name, value in found}


@real
def test_all_is_set_up_and_then_left_alone(double: AwxDouble, tmp_path: Path) -> None:
    status, output, counters = call(double, tmp_path)
    assert status == 0, output + str(double.refused)
    assert double.refused == []
    assert counters["changed"] > 8
    assert "secret" not in output

    credential = double.named("credentials", "Netboot server")
    assert credential["inputs"]["username"] == "netboot"
    assert "secret" in credential["inputs"]["ssh_key_data"]

    sync = double.named("job_templates", "Netboot sync")
    assert (sync["forks"], sync["job_slice_count"], sync["timeout"]) == (50, 1, 14400)
    assert sync["allow_simultaneous"] is False
    assert sync["ask_limit_on_launch"] is sync["ask_job_type_on_launch"] is True
    assert [one["variable"] for one in sync["survey"]["spec"]] == [
        "netboot_limit",
        "netboot_sync_verify",
        "netboot_withdraw",
        "netboot_withdraw_undo",
    ]
    assert double.names("credentials", sync["associated"]["credentials"]) == ["Netboot server"]
    failed = sync["associated"]["notification_templates_error"]
    assert double.names("notification_templates", failed) == ["Netboot mail"]

    assert double.named("inventory_sources", "Netboot")["source_path"] == "inventory/hosts.yml"
    rules = {one["name"]: one["rrule"] for one in double.objects["schedules"].values()}
    assert rules["Netboot every hour"] == "DTSTART;TZID=Europe/Berlin:20260101T000000 RRULE:FREQ=HOURLY;INTERVAL=1"
    night = double.named("schedules", "Netboot every byte of Denver, Sunday night")
    assert night["rrule"].startswith("DTSTART;TZID=America/Denver:20260101T020000 ")
    assert night["unified_job_template"] == sync["id"]
    assert night["limit"] == "cache-denver"

    nodes = {one["identifier"]: one for one in double.objects["workflow_job_template_nodes"].values()}
    assert nodes["sync"]["unified_job_template"] == sync["id"]
    assert nodes["sync"]["associated"]["always_nodes"] == [nodes["status"]["id"]]

    before = repr(double.objects)
    status, output, counters = call(double, tmp_path)
    assert status == 0, output
    assert counters["changed"] == 0, output
    assert repr(double.objects) == before


@real
def test_check_mode_sends_nothing(double: AwxDouble, tmp_path: Path) -> None:
    call(double, tmp_path)
    before = repr(double.objects)
    status, output, counters = call(double, tmp_path, "--check", "--diff", "-e", "netboot_awx_forks=99")
    assert status == 0, output
    assert counters["changed"] == 1, output
    assert "What was skipped" not in output
    assert repr(double.objects) == before


@real
@pytest.mark.parametrize("organization", ["Default", "Boot"])
def test_check_mode_in_an_awx_that_has_nothing_yet(double: AwxDouble, tmp_path: Path, organization: str) -> None:
    before = repr(double.objects)
    status, output, counters = call(
        double, tmp_path, "--check", "--diff", "-e", f"netboot_awx_organization={organization}"
    )
    assert status == 0, output + str(double.refused)
    assert "secret" not in output
    assert "What was skipped would be made as well" in " ".join(output.split())
    # The organization; if AWX has it, also its credential, environment, project, inventory and notification; and the
    # message.
    assert counters["changed"] == (7 if organization == "Default" else 2), output
    assert repr(double.objects) == before


@real
def test_webhook(double: AwxDouble, tmp_path: Path) -> None:
    status, output, _counters = call(double, tmp_path, "-e", "netboot_awx_webhook_service=gitlab")
    assert status == 0, output
    assert double.named("job_templates", "Netboot sync")["webhook_service"] == "gitlab"


def test_what_has_no_default_must_be_said(double: AwxDouble, tmp_path: Path) -> None:
    status, output, _counters = call(double, tmp_path, "-e", "netboot_awx_image=")
    assert status == 2
    assert "netboot_awx_image is not set. docs/awx/settings.yml" in " ".join(output.split())
    assert "job_templates" not in double.objects


def test_the_playbooks_of_the_templates_are_in_the_skeleton() -> None:
    tasks: list[dict[str, Any]] = yaml.safe_load(
        (CHECKOUT / "playbooks" / "tasks" / "awx_templates.yml").read_text(encoding="utf-8")
    )
    named = [task["awx.awx.job_template"]["playbook"] for task in tasks if "awx.awx.job_template" in task]
    assert sorted(named) == ["playbooks/status.yml", "playbooks/sync.yml"]
    assert all((SKELETON / name).is_file() for name in named)
    assert (SKELETON / "inventory" / "hosts.yml").is_file()
