# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The survey of all caching servers comes first: those that are up to date are skipped, the others are synced."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.lab.fleet import Fleet, PlaybookRun, SiteSpec
from tests.lab.runs import IMAGE, NEXT, is_delivered, prepare

NAMES = ("a", "b", "c")


@pytest.fixture
def sites(tmp_path: Path) -> Iterator[Fleet]:
    """Three caching servers that are up to date, with the survey enabled."""
    specs = [SiteSpec("a"), SiteSpec("b", line=True), SiteSpec("c", variables={"netboot_sync_exclude": ["dev/**"]})]
    variables = {"netboot_sync_survey_from": 2, "netboot_sync_retries": 0, "netboot_sync_stall_timeout": 2}
    with Fleet(tmp_path / "fleet", specs, variables=variables) as fleet:
        fleet.tree.add_kernel()
        fleet.tree.add_image(IMAGE)
        for name in NAMES:
            prepare(fleet, name).run()
        yield fleet


def row(run: PlaybookRun, name: str) -> list[str]:
    """Return what the table at the end says about a caching server."""
    table = run.output[run.output.index("caching server  came out") :].partition("\nok: ")[0]
    (line,) = [line for line in table.splitlines() if line.split()[:1] == [name]]
    return line.split()


def test_nobody_is_called_for_nothing(sites: Fleet) -> None:
    run = sites.run_playbook("sync.yml")
    assert run.status == 0, run.output
    assert run.results == {}
    for name in NAMES:
        assert row(run, name)[1:4] == ["in", "line", "0"], run.output


@pytest.mark.timeout(600)  # three playbooks
def test_who_is_behind_is_called_alone(sites: Fleet) -> None:
    """What a host's own variables exclude does not count as missing there."""
    image = sites.tree.add_image(NEXT.replace("prod", "dev"))
    (sites.sites["a"].assets / f"{IMAGE}-kernel.json").unlink()
    (sites.sites["c"].assets / ".netboot-sync" / "piece").write_bytes(b"left by a run that broke off")
    run = sites.run_playbook("sync.yml")
    assert run.status == 0, run.output
    assert sorted(run.results) == ["a", "b", "c"]
    assert is_delivered(sites, image, "a")
    assert is_delivered(sites, image, "b")
    assert not is_delivered(sites, image, "c")
    assert not (sites.sites["c"].assets / ".netboot-sync" / "piece").exists()
    (sites.sites["b"].assets / f"{IMAGE}.squashfs").unlink()
    again = sites.run_playbook("sync.yml")
    assert again.status == 0, again.output
    assert list(again.results) == ["b"]
    assert row(again, "b")[1] == "changed"
    assert row(again, "c")[1:3] == ["in", "line"]


def test_what_the_play_says_counts(sites: Fleet) -> None:
    sites.tree.add_image(NEXT.replace("prod", "dev"))
    left_out = sites.run_playbook("sync.yml", "-e", '{"netboot_sync_exclude": ["dev/**"]}')
    assert left_out.results == {}
    checked = sites.run_playbook("sync.yml", "--check")
    assert sorted(checked.results) == ["a", "b"]
    assert row(checked, "a")[1:3] == ["would", "change"]


def test_who_is_silent_fails_alone(sites: Fleet) -> None:
    """The survey does not wait for it; the module, which is called next, says what is wrong."""
    line = sites.sites["b"].line
    assert line is not None
    line.stall()
    run = sites.run_playbook("sync.yml")
    assert run.status != 0
    assert list(run.results) == ["b"]
    assert "did not answer" in run.results["b"]["msg"]
    assert row(run, "b")[1] == "FAILED"
    assert row(run, "a")[1:3] == ["in", "line"]


@pytest.mark.timeout(300)
def test_one_bad_variable_stops_nobody_else(tmp_path: Path) -> None:
    """With five caching servers there is a survey; it leaves those with bad variables to the module."""
    mistakes: dict[str, dict[str, object]] = {
        "a": {"netboot_sync_source": "nowhere"},  # the survey uses the source of the first one
        "b": {"netboot_sync_retries": "abc"},
        "d": {"netboot_sync_transport": "scp"},
    }
    specs = [SiteSpec(name, variables=mistakes.get(name, {})) for name in "abcde"]
    with Fleet(tmp_path / "fleet", specs, variables={"netboot_sync_retries": 0}) as fleet:
        fleet.tree.add_kernel()
        image = fleet.tree.add_image(IMAGE)
        inventory = yaml.safe_load(fleet.inventory.read_text(encoding="utf-8"))
        inventory["all"]["hosts"] = {"nowhere": {"ansible_host": "127.0.0.1", "ansible_port": 1}}
        fleet.inventory.write_text(yaml.safe_dump(inventory), encoding="utf-8")
        run = fleet.run_playbook("sync.yml")
        again = fleet.run_playbook("sync.yml", "-e", "netboot_sync_source=localhost")
        for each in (run, again):
            assert each.status == 2
            assert row(each, "b")[1] == row(each, "d")[1] == "FAILED"
            assert "failed: b: Validation of arguments failed: argument 'netboot_sync_retries'" in each.output
            assert "failed: d: Validation of arguments failed: value of netboot_sync_transport" in each.output
        assert row(run, "a")[1] == "FAILED"
        assert row(run, "c")[1] == row(run, "e")[1] == "changed"
        # now the survey works, and finds the two that are up to date
        assert row(again, "a")[1] == "changed"
        assert row(again, "c")[1:3] == row(again, "e")[1:3] == ["in", "line"]
        assert sorted(again.results) == ["a"]
        assert [is_delivered(fleet, image, name) for name in "abcde"] == [True, False, True, False, True]


def test_resync_calls_everybody(sites: Fleet) -> None:
    run = sites.run_playbook("resync.yml")
    assert run.status == 0, run.output
    assert sorted(run.results) == list(NAMES)


def test_nothing_is_learned_by_looking(sites: Fleet) -> None:
    """A host key is learned by a run, not by the survey before it, which leaves such a site to the run."""
    sites.known_hosts.write_text("", encoding="utf-8")
    run = sites.run_playbook("sync.yml", "-e", "netboot_sync_host_key_checking=accept-new", "--check")
    assert run.status == 0, run.output
    assert run.results
    assert not any(one.get("changed", False) for one in run.results.values()), run.output
    assert sites.known_hosts.read_text(encoding="utf-8") == ""
