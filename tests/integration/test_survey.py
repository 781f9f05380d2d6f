# Copyright: (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One look at all caching servers first: who is in line is left alone, everybody else is not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.fleet import Fleet, PlaybookRun, SiteSpec
from tests.lab.runs import IMAGE, NEXT, is_delivered, prepare

NAMES = ("a", "b", "c")


@pytest.fixture
def sites(tmp_path: Path) -> Iterator[Fleet]:
    """Three caching servers that hold all that the netboot server has, and are surveyed."""
    specs = [SiteSpec("a"), SiteSpec("b", line=True), SiteSpec("c", variables={"netboot_sync_exclude": ["dev/**"]})]
    variables = {"netboot_sync_survey_from": 2, "netboot_sync_retries": 0, "netboot_sync_stall_timeout": 2}
    with Fleet(tmp_path / "fleet", specs, variables=variables) as fleet:
        fleet.tree.add_kernel()
        fleet.tree.add_image(IMAGE)
        for name in NAMES:
            prepare(fleet, name).run()
        yield fleet


def row(run: PlaybookRun, name: str) -> list[str]:
    """What the table at the end says of a caching server."""
    (line,) = [line for line in run.output.splitlines() if line.split()[:1] == [name] and "ok=" not in line]
    return line.split()


def test_nobody_is_called_for_nothing(sites: Fleet) -> None:
    run = sites.run_playbook("sync.yml")
    assert run.status == 0, run.output
    assert run.results == {}
    for name in NAMES:
        assert row(run, name)[1:4] == ["in", "line", "0"], run.output


def test_who_is_behind_is_called_alone(sites: Fleet) -> None:
    """What a host's own variables leave out is not missed there."""
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
    """The survey does not wait for him; the module, which comes to him then, tells what is wrong."""
    line = sites.sites["b"].line
    assert line is not None
    line.stall()
    run = sites.run_playbook("sync.yml")
    assert run.status != 0
    assert list(run.results) == ["b"]
    assert "did not answer" in run.results["b"]["msg"]
    assert row(run, "b")[1] == "FAILED"
    assert row(run, "a")[1:3] == ["in", "line"]


def test_resync_calls_everybody(sites: Fleet) -> None:
    run = sites.run_playbook("resync.yml")
    assert run.status == 0, run.output
    assert sorted(run.results) == list(NAMES)


def test_nothing_is_learned_by_looking(sites: Fleet) -> None:
    """A host key is written down by a run that changes something, not by the look before it."""
    sites.known_hosts.write_text("", encoding="utf-8")
    run = sites.run_playbook("sync.yml", "-e", "netboot_sync_host_key_checking=accept-new")
    assert run.status == 0, run.output
    assert run.results == {}
    assert sites.known_hosts.read_text(encoding="utf-8") == ""
