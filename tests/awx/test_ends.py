# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs that end early: cancelled, timed out, or with a killed worker. Nothing keeps running; the next job resumes."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable

import psutil
import pytest

from tests.awx.conftest import Stage
from tests.awx.job import Job
from tests.lab.fleet import SiteSpec
from tests.lab.runs import IMAGE, NEXT, add_large_image, is_delivered
from tests.lab.waiting import wait_until

RATE = 2e6  # bit/s: the transfer takes longer than a test
SIZE = 30_000_000

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.parametrize("specs", [[SiteSpec("a", rate=RATE), SiteSpec("b")]], indirect=True),
]


def begin(stage: Stage, **launch: object) -> Job:
    """Start a job, and wait until it is sending to the slow site and has finished with the quick one."""
    image = add_large_image(stage.fleet.tree, NEXT, size=SIZE)
    job = stage.job(**launch)
    job.start()
    line = stage.fleet.sites["a"].line
    assert line is not None

    def is_at_work() -> bool:
        return job.status != "" or (line.bytes_up > 500_000 and is_delivered(stage.fleet, image, "b"))

    wait_until(is_at_work, "bytes on the line")
    return job


def carriers(stage: Stage) -> list[str]:
    """The command lines of everything that works at a site or on the netboot server, except the SSH servers."""
    servers = [stage.netboot, *(site.server for site in stage.fleet.sites.values())]
    found = []
    for server in servers:
        for pid in server.session_pids():
            try:
                words = psutil.Process(pid).cmdline()
            except psutil.Error:
                continue
            if words and "sshd" not in words[0]:
                found.append(" ".join(words))
    return found


def workers(job: Job) -> list[int]:
    """The process ids of Ansible's workers that wait for a module."""
    found = []
    for child in psutil.Process(job.main).children():
        with contextlib.suppress(psutil.Error):  # those that have just ended
            if "ansible-playbook" in " ".join(child.cmdline()) and child.children():
                found.append(child.pid)
    return found


def cancel(job: Job) -> None:
    job.cancel()


def kill_main(job: Job) -> None:
    """What a cancel amounts to when the container is killed."""
    os.kill(job.main, signal.SIGKILL)


@pytest.mark.parametrize(("end", "status"), [(cancel, "canceled"), (kill_main, "failed")])
def test_nothing_works_on(stage: Stage, end: Callable[[Job], None], status: str) -> None:
    job = begin(stage)
    assert job.running
    assert carriers(stage)
    end(job)
    assert job.wait().status == status
    nothing_is_left(stage)


def test_timeout(stage: Stage) -> None:
    # On a very busy machine, it may end before anything is sent; nothing may be left then either.
    job = begin(stage, timeout=40)
    assert job.wait().status == "timeout"
    nothing_is_left(stage)


def test_killed_worker(stage: Stage) -> None:
    job = begin(stage)
    wait_until(lambda: len(workers(job)) == 1, "the end of what works for the quick site")
    os.kill(workers(job)[0], signal.SIGKILL)
    assert job.wait().status == "failed"
    assert "a: its Ansible worker was killed (SIGKILL) in the task" in " ".join(job.output.split())
    assert job.artifacts["netboot_sync_summary"]["sites"] == {"a": "failed", "b": "changed"}
    nothing_is_left(stage)


def nothing_is_left(stage: Stage) -> None:
    """Nothing keeps running, nothing partial is published, the lock is free, and the next job resumes the transfer."""
    fleet = stage.fleet
    wait_until(lambda: carriers(stage) == [], "the end of all that worked for the job")
    image = fleet.tree.image(NEXT)
    assert not (fleet.sites["a"].assets / f"{NEXT}-kernel.json").exists()
    line = fleet.sites["a"].line
    assert line is not None
    arrived = line.bytes_up
    line.set_rate(None)
    stage.everywhere["netboot_sync_lock_timeout"] = 10
    job = stage.run()
    assert job.status == "successful", job.output
    assert is_delivered(fleet, image, "a")
    assert is_delivered(fleet, fleet.tree.image(IMAGE), "a")
    assert line.bytes_up - arrived < SIZE * 1.05
