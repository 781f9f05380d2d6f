# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one worker process tells the others about its run, and what a run that follows a hub elsewhere is told."""

from __future__ import annotations

import fcntl
import multiprocessing
import os
import signal
import threading
import types
import typing as t
from pathlib import Path

import pytest
from ansible_collections.netboot.syncer.plugins.plugin_utils.hub_runs import (
    STARTING,
    HubRuns,
    Seen,
    Stage,
    is_followed,
)
from ansible_collections.netboot.syncer.plugins.plugin_utils.hub_signal import HubSignal

from tests.lab.waiting import wait_until

HUB = "hub"


@pytest.mark.parametrize(
    ("stage", "expected", "waited", "followed"),
    [
        pytest.param(Stage.AT_WORK, True, STARTING * 999, True, id="at work, for however long"),
        pytest.param(Stage.AT_WORK, False, 0, True, id="at work, as nobody expected"),
        pytest.param(Stage.OVER, True, 0, False, id="over"),
        pytest.param(Stage.UNKNOWN, True, 0, True, id="about to begin"),
        pytest.param(Stage.UNKNOWN, True, STARTING, False, id="without a fork"),
        pytest.param(Stage.UNKNOWN, False, 0, False, id="not in this play"),
    ],
)
def test_who_is_followed(stage: Stage, expected: bool, waited: float, followed: bool) -> None:
    assert is_followed(Seen(stage), expected=expected, waited=waited) is followed


def test_a_run_is_seen_from_its_beginning_to_its_end(tmp_path: Path) -> None:
    ours, others, later = (HubRuns(str(tmp_path), play) for play in ("play", "play", "another play"))
    assert others.look(HUB) == Seen(Stage.UNKNOWN)
    with ours.begun(HUB) as ended_with:
        assert others.look(HUB) == Seen(Stage.AT_WORK)
        assert others.look("leaf") == Seen(Stage.UNKNOWN)
        ended_with("")
    assert others.look(HUB) == Seen(Stage.OVER)
    assert later.look(HUB) == Seen(Stage.UNKNOWN)
    with ours.begun(HUB) as ended_with:
        ended_with("hub: its disk is full")
    assert others.look(HUB) == Seen(Stage.OVER, "hub: its disk is full")


def _work(directory: str, module: types.ModuleType, call: str) -> None:
    """Be killed as soon as ``call`` has returned, and leave what others saw of this run just then."""
    real = getattr(module, call)

    def killed_after(*arguments: t.Any) -> None:
        real(*arguments)
        setattr(module, call, real)  # looking is not the run's own call
        Path(directory, "seen").write_text(HubRuns(directory, "play").look(HUB).stage.name, encoding="ascii")
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(module, call, killed_after)
    with HubRuns(directory, "play").begun(HUB) as ended_with:
        ended_with("hub: its disk is full")


@pytest.mark.parametrize(
    ("module", "call", "before", "after"),
    [
        pytest.param(fcntl, "flock", Stage.UNKNOWN, Seen(Stage.UNKNOWN), id="locked"),
        pytest.param(os, "rename", Stage.AT_WORK, Seen(Stage.OVER, "it ended without a result"), id="begun"),
        pytest.param(os, "write", Stage.AT_WORK, Seen(Stage.OVER, "hub: its disk is full"), id="ended"),
    ],
)
def test_a_worker_killed_at_any_moment_is_over_if_it_was_at_work(
    tmp_path: Path, module: types.ModuleType, call: str, before: Stage, after: Seen
) -> None:
    worker = multiprocessing.get_context("fork").Process(target=_work, args=(str(tmp_path), module, call))
    worker.start()
    worker.join()
    assert worker.exitcode == -signal.SIGKILL
    assert (tmp_path / "seen").read_text(encoding="ascii") == before.name
    assert HubRuns(str(tmp_path), "play").look(HUB) == after


def test_a_directory_that_is_gone_stops_no_run(tmp_path: Path) -> None:
    with HubRuns(str(tmp_path / "gone"), "play").begun(HUB) as ended_with:
        ended_with("")


def test_what_is_told_to_those_that_follow() -> None:
    told: list[str] = []
    seen, lost = [Seen(Stage.AT_WORK)], threading.Event()

    def write(text: str) -> None:
        if lost.is_set() and len(told) < 99:  # the connection to the hub is lost for a while
            lost.clear()
            raise OSError
        told.append(text)

    with HubSignal(lambda: seen[0], write, expected=True, beat=0):
        assert told == ["at work 0"]
        wait_until(lambda: "at work 2" in told, "nothing more was said")
        lost.set()
        seen[0] = Seen(Stage.OVER)
        wait_until(lambda: told[-1] == "over", "the end was never told")
    assert len(told) == len(set(told))  # content that does not change counts as silence
