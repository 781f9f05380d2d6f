# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How often progress lines come, and that nothing about them disturbs a run."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable

import pytest
from ansible_collections.netboot.syncer.plugins.plugin_utils import progress_lines
from ansible_collections.netboot.syncer.plugins.plugin_utils.progress_lines import ProgressLines, pause

from tests.lab.waiting import wait_until


@pytest.mark.parametrize(
    ("interval", "seconds", "hosts", "found"),
    [
        pytest.param(10, 5, 3, 10, id="as-asked"),
        pytest.param(10, 600, 3, 30, id="longer-in-a-long-transfer"),
        pytest.param(10, 36_000, 3, 60, id="never-longer-than-a-minute-for-that"),
        pytest.param(300, 36_000, 3, 300, id="unless-asked"),
        pytest.param(10, 5, 200, 100, id="many-hosts"),
        pytest.param(1, 5, 0, 1, id="hosts-not-known"),
    ],
)
def test_pause(interval: float, seconds: float, hosts: int, found: float) -> None:
    assert pause(interval, seconds, hosts) == found


def state(seconds: float = 9) -> str:
    return json.dumps(
        {"phase": "sending", "path": "a", "size": 4, "position": 2, "sent": 2, "rate": 1, "seconds": seconds}
    )


def lines_of(read: Callable[[], str], monkeypatch: pytest.MonkeyPatch, *, wanted: int = 0) -> list[str]:
    """Return what is shown until *wanted* lines are there, or for a moment if none are wanted."""
    monkeypatch.setattr(progress_lines, "FIRST", 0.01)
    shown: list[str] = []
    with ProgressLines(read, shown.append, host="site-a", interval=0.01):
        if wanted:
            wait_until(lambda: len(shown) >= wanted, "lines")
        else:
            time.sleep(0.2)
    after = len(shown)
    time.sleep(0.05)
    assert len(shown) == after
    return shown


def test_lines_come_until_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    assert lines_of(lambda: state(2), monkeypatch) == []  # not worth a line yet
    monkeypatch.setattr(progress_lines, "LONGEST", 0.01)
    shown = lines_of(state, monkeypatch, wanted=2)
    assert set(shown) == {"site-a: a 50 %, 2 B of 4 B, 1 B/s, 2 s left"}


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"seconds": "x"}', '{"seconds": 9}', "null"])
def test_what_is_no_state_is_not_told(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert lines_of(lambda: text, monkeypatch) == []


def test_no_way_to_the_state_disturbs_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    def read() -> str:
        raise RuntimeError("the connection is gone")

    assert lines_of(read, monkeypatch) == []


def test_nobody_waits_for_a_slow_answer_and_it_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, answer = threading.Event(), threading.Event()
    answered = []

    def read() -> str:
        asked.set()
        answered.append(answer.wait(300))
        return state()

    assert lines_of(read, monkeypatch) == []
    assert asked.is_set()
    assert answered == []  # it still waits
    answer.set()
