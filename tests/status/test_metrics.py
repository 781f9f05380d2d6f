# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The metrics and the alert rules, judged by Prometheus' own promtool."""

from __future__ import annotations

import copy
import json
import shutil
import subprocess
from pathlib import Path

import pytest
from ansible_collections.netboot.syncer.plugins.plugin_utils import fleet_report

from tests.lab.fleet import CHECKOUT
from tests.status.sample import sample

FILES = CHECKOUT / "roles" / "netboot_status" / "files"


@pytest.fixture
def promtool() -> str:
    found = shutil.which("promtool")
    if found is None:
        pytest.skip("promtool is not here; ./dev test fetches it where packages are Debian's (package prometheus)")
    return found


def test_promtool_finds_nothing_wrong_with_the_metrics(promtool: str) -> None:
    status = sample(300)
    status["sites"]['q"\\\n'] = copy.deepcopy(status["sites"]["basel"])
    text = fleet_report.metrics(status)
    assert 'site="q\\"\\\\\\n"' in text
    run = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout + run.stderr) == (0, "")


def test_the_alert_rules_fire_when_they_should(promtool: str, tmp_path: Path) -> None:
    shutil.copy(FILES / "alerts.yml", tmp_path)
    shutil.copy(Path(__file__).with_name("alerts_test.yml"), tmp_path)
    run = subprocess.run(
        [promtool, "test", "rules", str(tmp_path / "alerts_test.yml")], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr


def test_the_rules_and_the_dashboard_speak_of_metrics_that_there_are() -> None:
    status = sample(300)
    for site in status["sites"].values():
        site.update(disk_days=3.0, behind_limit=86400)
    made = {line.split()[2] for line in fleet_report.metrics(status).splitlines() if line.startswith("# TYPE")}
    texts = (FILES / "alerts.yml").read_text(encoding="utf-8"), (FILES / "grafana.json").read_text(encoding="utf-8")
    words = {word for text in texts for word in _words(text)}
    named = {word for word in words if word.startswith(("netboot_site_", "netboot_image_"))}
    assert named
    assert named <= made
    assert json.loads(texts[1])["panels"]


def _words(text: str) -> list[str]:
    return "".join(char if char.isalnum() or char == "_" else " " for char in text).split()


def test_the_metrics_end_as_openmetrics_wants() -> None:
    text = fleet_report.metrics(sample(3))
    assert text.endswith("# EOF\n")
    assert 'netboot_site_state{site="basel",state="in_line"} 1\n' in text
    assert 'netboot_site_behind_images{site="bern"} 1\n' in text
