# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The history that runs leave on the netboot server, and what status.yml makes of it."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.lab.fleet import Fleet, SiteSpec
from tests.lab.runs import IMAGE, NEXT, add_large_image, run_module
from tests.lab.waiting import wait_until
from tests.playbooks.test_status import look


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def kept_in(directory: Path) -> dict[str, str]:
    return {"netboot_sync_history": str(directory / "history.jsonl")}


@pytest.mark.timeout(400)
def test_each_run_leaves_a_line_for_each_site(tmp_path: Path) -> None:
    specs = [SiteSpec(name) for name in ("a", "b", "c", "d", "gone")]
    with Fleet(tmp_path, specs, variables=kept_in(tmp_path)) as fleet:
        history = tmp_path / "history.jsonl"
        fleet.tree.add_kernel()
        image = fleet.tree.add_image(IMAGE)
        assert fleet.run_playbook("sync.yml", "--limit", "a,b,c").status == 0
        assert fleet.run_playbook("sync.yml", "--check").status == 0
        first = lines(history)
        assert sorted(one["site"] for one in first) == ["a", "b", "c"]
        assert {one["outcome"] for one in first} == {"changed"}
        assert {tuple(one["published"]) for one in first} == {(image.path,)}
        assert len({one["run"] for one in first}) == 1
        assert all(one["sent_bytes"] > 0 and one["user"] and one["source"] == "localhost" for one in first)

        fleet.sites["gone"].server.stop()
        extra = ("-e", "awx_user_name=anna", "-e", "awx_job_id=42", "-e", "netboot_sync_retries=0")
        assert fleet.run_playbook("sync.yml", *extra).status == 2
        second = lines(history)[3:]
        assert {one["site"]: one["outcome"] for one in second} == {
            "a": "in_line",  # found by the survey, without a run of its own
            "b": "in_line",
            "c": "in_line",
            "d": "changed",
            "gone": "failed",
        }
        assert {(one["user"], one["job"]) for one in second} == {("anna", "42")}
        assert len({one["run"] for one in [*first, *second]}) == 2
        assert "refused" in next(one for one in second if one["site"] == "gone")["failures"][0]

        found, output = look(fleet)
        sites = found["sites"]
        assert sites["d"]["last_success"]["sent_bytes"] == sum(one["sent_bytes"] for one in second)
        assert sites["gone"]["last_run"]["outcome"] == "failed"
        assert sites["gone"]["last_success"] is None
        assert "its last run failed" in output
        metrics = (tmp_path / "status" / "netboot.prom").read_text(encoding="utf-8")
        assert 'netboot_site_last_run_failed{site="gone"} 1' in metrics
        assert 'netboot_site_last_success_timestamp_seconds{site="a"} ' in metrics


def test_a_run_that_is_ended_leaves_its_line(tmp_path: Path) -> None:
    with Fleet(tmp_path, [SiteSpec("cache", rate=1e6)]) as fleet:
        fleet.tree.add_kernel()
        add_large_image(fleet.tree, IMAGE, size=8_000_000)
        history = tmp_path / "history.jsonl"
        run = run_module(fleet, history=str(history), transport="sftp")
        site = fleet.sites["cache"].assets
        wait_until(lambda: any(part.stat().st_size for part in site.glob(".netboot-sync/*/*")), "something arrives")
        found = look(fleet)[0]["sites"]["cache"]["images"][f"{IMAGE}.squashfs"]
        assert found["state"] == "on_its_way"
        assert 0 < found["seconds_left"] < 600  # 8 MB at 1 Mbit/s
        os.kill(run.pids()[0], signal.SIGTERM)
        run.wait(60)
        (one,) = lines(history)
        assert one["outcome"] == "failed"
        assert "told to end" in one["failures"][0]
        run.stop()


def test_where_it_cannot_be_written_the_run_goes_on_and_says_so(tmp_path: Path) -> None:
    with Fleet(tmp_path, [SiteSpec("cache")], variables=kept_in(tmp_path)) as fleet:
        fleet.tree.add_image(NEXT, kernel=None)
        (tmp_path / "history.jsonl").mkdir()
        run = fleet.run_playbook("sync.yml")
        assert run.status == 0, run.output
        assert "history.jsonl cannot be written (Is a directory)" in " ".join(run.output.split())
