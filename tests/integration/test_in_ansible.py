# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Ansible and AWX get from a run: recap, statistics, and a readable table; and module defaults."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.lab.fleet import CHECKOUT, Fleet, PlaybookRun, SiteSpec
from tests.lab.runs import IMAGE, NEXT, is_delivered, prepare

NAMES = ("a", "b", "c")
DEFAULTS = {"group/netboot.syncer.all": {"retries": 0, "stall_timeout": 30, "progress": 0}}


@pytest.fixture
def sites(tmp_path: Path) -> Iterator[Fleet]:
    """Three caching servers that are up to date, with the survey enabled."""
    variables = {"netboot_sync_survey_from": 2, "netboot_sync_retries": 0}
    with Fleet(tmp_path / "fleet", [SiteSpec(name) for name in NAMES], variables=variables) as fleet:
        fleet.tree.add_kernel()
        fleet.tree.add_image(IMAGE)
        for name in NAMES:
            prepare(fleet, name).run()
        yield fleet


def recap(run: PlaybookRun) -> dict[str, dict[str, int]]:
    """Return the recap: the counters of each host."""
    lines = run.output[run.output.index("PLAY RECAP") :].splitlines()[1:]
    found = {}
    for line in lines:
        name, _colon, counters = line.partition(" : ")
        if counters:
            found[name.strip()] = {key: int(value) for key, value in re.findall(r"(\w+)=(\d+)", counters)}
    return found


def statistics(run: PlaybookRun) -> dict[str, Any]:
    """Return what set_stats shows: one line of JSON under the recap."""
    (line,) = [line for line in run.output.splitlines() if "netboot_sync_summary" in line and "RUN:" in line]
    found: dict[str, Any] = json.loads(line.partition("RUN:")[2])["netboot_sync_summary"]
    return found


CUSTOM = {"ANSIBLE_SHOW_CUSTOM_STATS": "1", "ANSIBLE_CALLBACK_RESULT_FORMAT": "json"}


def test_everybody_is_in_the_recap_and_the_statistics(sites: Fleet) -> None:
    run = sites.run_playbook("sync.yml", env=CUSTOM)
    assert run.status == 0, run.output
    assert run.results == {}  # no caching server was called
    assert set(recap(run)) == set(NAMES)
    assert all(one["ok"] >= 1 and one["changed"] == one["failed"] == 0 for one in recap(run).values())
    assert "Count each caching server" not in run.output  # nor was a process started for any
    found = statistics(run)
    assert found["sites"] == dict.fromkeys(NAMES, "in_line")
    assert found["totals"]["in_line"] == found["totals"]["sites"] == 3
    assert_a_table(run)


def test_each_outcome_is_counted(sites: Fleet) -> None:
    (sites.sites["b"].assets / f"{IMAGE}-kernel.json").unlink()
    sites.sites["c"].server.stop()
    run = sites.run_playbook("sync.yml", env=CUSTOM)
    assert run.status == 2, run.output
    found = statistics(run)
    assert found["sites"] == {"a": "in_line", "b": "changed", "c": "failed"}
    assert (found["totals"]["failed"], found["totals"]["changed"]) == (1, 1)
    assert found["totals"]["sent_bytes"] > 0
    assert [recap(run)[name]["failed"] for name in NAMES] == [0, 0, 1]
    assert recap(run)["b"]["changed"] == 1


@pytest.mark.parametrize("mode", [[], ["--check"]], ids=["run", "check"])
def test_left_over(sites: Fleet, mode: list[str]) -> None:
    """Published there, gone from the netboot server, and no removal was asked for."""
    sites.tree.remove_image(IMAGE)
    sites.tree.add_image(NEXT)
    for name in NAMES:
        prepare(sites, name).run()
    run = sites.run_playbook("sync.yml", *mode, env=CUSTOM)
    assert run.status == 0, run.output
    assert statistics(run)["sites"] == dict.fromkeys(NAMES, "left_over")
    (header,) = [line for line in run.output.splitlines() if line.lstrip().startswith("caching server")]
    assert "left over" in header
    assert re.search(rf"^ *left over: {re.escape(IMAGE)}\.squashfs: .*", run.output, re.MULTILINE), run.output


def test_the_table_is_a_table_in_the_other_format_of_results(sites: Fleet) -> None:
    assert_a_table(sites.run_playbook("sync.yml", env={"ANSIBLE_CALLBACK_RESULT_FORMAT": "yaml"}))


def assert_a_table(run: PlaybookRun) -> None:
    """It is printed as separate lines, whatever the format of results: CUSTOM has JSON."""
    lines = run.output.splitlines()
    (start,) = [n for n, line in enumerate(lines) if line.startswith("caching server  came out  published")]
    assert [line.split()[:3] for line in lines[start + 1 : start + 4]] == [[name, "in", "line"] for name in NAMES]
    assert "\\n" not in run.output


@pytest.mark.parametrize("count", [1, 3], ids=["alone", "with-a-survey"])
def test_module_defaults_of_the_group(sites: Fleet, count: int) -> None:
    """They apply to every module of the collection, and a caching server's own variables take precedence."""
    playbook = sites.directory / "play.yml"
    plays = yaml.safe_load((CHECKOUT / "playbooks" / "sync.yml").read_text(encoding="utf-8"))
    plays = [{**play, "module_defaults": DEFAULTS} for play in plays if "hosts" in play]
    playbook.write_text(yaml.safe_dump(plays, sort_keys=False), encoding="utf-8")
    image = sites.tree.add_image(NEXT)
    for name in NAMES[:-count]:
        prepare(sites, name).run()
    run = sites.run_playbook(str(playbook))
    assert run.status == 0, run.output
    assert set(run.results) == set(NAMES[-count:])
    assert all(is_delivered(sites, image, name) for name in NAMES)
    assert "Unsupported" not in run.output
