# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs of the job template: what they do, and what AWX shows about them."""

from __future__ import annotations

import os

import pytest

from tests.awx.conftest import Stage
from tests.awx.job import Job
from tests.lab.fleet import SiteSpec
from tests.lab.runs import IMAGE, NEXT, add_large_image, is_delivered, listing, prepare

FIELDS = 700_000  # bytes of a result that AWX keeps


def recap(job: Job) -> dict[str, list[str]]:
    """What the last event says about each host: its counters that are not zero, except ``ok``."""
    (last,) = [event["event_data"] for event in job.events if event["event"] == "playbook_on_stats"]
    counters = ("changed", "failures", "dark", "skipped", "rescued", "ignored")
    return {host: [name for name in counters if last[name].get(host)] for host in last["processed"]}


def deliver(stage: Stage) -> None:
    """Sync all sites without AWX, because that is quicker."""
    for name in stage.fleet.sites:
        prepare(stage.fleet, name).run()


def test_sync(stage: Stage) -> None:
    job = stage.run()
    assert job.status == "successful", job.output
    image = stage.fleet.tree.image(IMAGE)
    assert is_delivered(stage.fleet, image, "a")
    assert is_delivered(stage.fleet, image, "b")
    assert job.artifacts["netboot_sync_summary"]["sites"] == {"a": "changed", "b": "changed"}
    assert job.artifacts["netboot_sync_summary"]["totals"]["sent_bytes"] > 0
    assert {host: "changed" in counters for host, counters in recap(job).items()} == {"a": True, "b": True}
    # The table appears as lines, each of them an event or a part of one, and never as a text with a literal \n in it.
    assert "caching server  came out  published" in job.output
    assert "\\n" not in job.output


def test_empty_answers_much_output_and_no_secret(stage: Stage) -> None:
    """AWX passes an empty string for each optional question of the survey that was not answered."""
    deliver(stage)
    answers = {"netboot_limit": "", "netboot_sync_verify": "false", "netboot_withdraw": ""}
    job = stage.run(survey=answers, verbosity=3)
    assert job.status == "successful", job.output
    assert job.artifacts["netboot_sync_summary"]["sites"] == {"a": "in_line", "b": "in_line"}
    assert not any("changed" in counters for counters in recap(job).values())
    text = (job.directory / "events.jsonl").read_text(encoding="utf-8")
    assert max(len(line) for line in text.splitlines()) < FIELDS
    body = stage.credential.private.read_text(encoding="utf-8").splitlines()[1]
    assert body not in text


def test_check_foretells_and_changes_nothing(stage: Stage) -> None:
    roots = [site.assets for site in stage.fleet.sites.values()]
    before = [listing(root) for root in roots]
    job = stage.run(check=True, diff=True)
    assert job.status == "successful", job.output
    assert [listing(root) for root in roots] == before
    assert job.artifacts["netboot_sync_summary"]["sites"] == {"a": "would_change", "b": "would_change"}
    shown = [event["stdout"] for event in job.events if event["event"] == "runner_on_file_diff" and event["stdout"]]
    assert [f"publish  {IMAGE}.squashfs" in text for text in shown] == [True, True]


@pytest.mark.parametrize("launch", [{"limit": "b"}, {"survey": {"netboot_limit": "b"}}], ids=["prompt", "survey"])
def test_limit(stage: Stage, launch: dict[str, object]) -> None:
    before = listing(stage.fleet.sites["a"].assets)
    job = stage.run(**launch)
    assert job.status == "successful", job.output
    assert is_delivered(stage.fleet, stage.fleet.tree.image(IMAGE), "b")
    assert listing(stage.fleet.sites["a"].assets) == before
    assert job.artifacts["netboot_sync_summary"]["sites"] == {"b": "changed"}


def test_limit_of_the_survey_that_names_nobody(stage: Stage) -> None:
    job = stage.run(survey={"netboot_limit": "x*"})
    assert job.status == "failed"
    assert "nothing to do: netboot_limit x* names none of caching_servers, which has 2." in job.output


def test_verify_of_the_survey(stage: Stage) -> None:
    deliver(stage)
    there = stage.fleet.sites["a"].assets / f"{IMAGE}.squashfs"
    kept = there.stat()
    with there.open("r+b") as file:
        file.seek(-1, 2)
        (last,) = file.read(1)
        file.seek(-1, 2)
        file.write(bytes([last ^ 1]))
    os.utime(there, ns=(kept.st_atime_ns, kept.st_mtime_ns))
    job = stage.run(survey={"netboot_sync_verify": "true"})
    assert job.status == "successful", job.output
    assert is_delivered(stage.fleet, stage.fleet.tree.image(IMAGE), "a")
    assert job.artifacts["netboot_sync_summary"]["sites"] == {"a": "changed", "b": "in_line"}


def test_withdraw_of_the_survey(stage: Stage) -> None:
    stage.fleet.tree.add_image(NEXT)
    deliver(stage)
    job = stage.run(survey={"netboot_withdraw": NEXT, "netboot_sync_verify": "false", "netboot_limit": ""})
    assert job.status == "successful", job.output
    for site in stage.fleet.sites.values():
        assert not (site.assets / f"{NEXT}-kernel.json").exists()
        assert (site.assets / f"{IMAGE}-kernel.json").exists()
    # Later runs do not bring it back.
    deliver(stage)
    assert not any((site.assets / f"{NEXT}-kernel.json").exists() for site in stage.fleet.sites.values())


@pytest.mark.parametrize("specs", [[SiteSpec("a", rate=2e6)]], indirect=True)
def test_progress_is_shown_while_the_job_runs(stage: Stage) -> None:
    add_large_image(stage.fleet.tree, NEXT, size=5_000_000)  # 20 s: even a busy machine reports progress by then
    stage.everywhere["netboot_sync_progress"] = 1
    job = stage.run()
    assert job.status == "successful", job.output
    events = job.events
    lines = [
        number
        for number, event in enumerate(events)
        if event["event"] == "verbose" and f"{NEXT}.squashfs" in event["stdout"] and "%" in event["stdout"]
    ]
    (ended,) = [
        number
        for number, event in enumerate(events)
        if event["event"] == "runner_on_ok" and "Bring the caching server" in event["event_data"]["task"]
    ]
    assert lines, job.output
    assert max(lines) < ended
