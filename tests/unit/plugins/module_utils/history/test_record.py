# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A line of the history: what it records about a run, and what is read back from a file with any content."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.netboot.syncer.plugins.module_utils.history.log import LONGEST
from ansible_collections.netboot.syncer.plugins.module_utils.history.record import latest, record

NOW = 1_795_600_000
BY = {"user": "anna", "run": "c0ffee", "job": "42"}


def result(**changes: Any) -> dict[str, Any]:
    return {
        "changed": True,
        "images": [{"path": "prod/a.squashfs", "state": "published"}, {"path": "prod/b", "state": "unchanged"}],
        "actions": [{"action": "remove", "path": "x"}],
        "failures": [],
        "left_for_later": "",
        "stats": {"sent_bytes": 5, "saved_bytes": 95, "seconds": 61.26, "attempts": 2},
        **changes,
    }


def line(site: str = "bern", moment: int = NOW, parameters: dict[str, Any] | None = None, **changes: Any) -> bytes:
    return record(
        site,
        result(**changes),
        ended=moment,
        source="server",
        started_by=BY,
        parameters=parameters or {"verify": False},
    )


def test_who_when_what_and_how_much() -> None:
    assert json.loads(line()) == {
        "schema": 1,
        "started": "2026-11-25T09:45:38Z",
        "ended": "2026-11-25T09:46:40Z",
        "site": "bern",
        "source": "server",
        "user": "anna",
        "run": "c0ffee",
        "job": "42",
        "what": "sync",
        "outcome": "changed",
        "sent_bytes": 5,
        "saved_bytes": 95,
        "seconds": 61.3,
        "attempts": 2,
        "removed": 1,
        "images": {"published": 1},
        "published": ["prod/a.squashfs"],
    }


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        pytest.param({"changed": False}, "in_line", id="nothing to do"),
        pytest.param({"left_for_later": "until 18:00"}, "left_for_later", id="limit"),
        pytest.param({"failures": ["no route"], "left_for_later": "until 18:00"}, "failed", id="failed"),
        pytest.param({"msg": "no route"}, "failed", id="ended early"),
    ],
)
def test_how_it_ended(changes: dict[str, Any], outcome: str) -> None:
    found = json.loads(line(**changes))
    assert found["outcome"] == outcome
    if outcome == "failed":
        assert found["failures"] == ["no route"]


@pytest.mark.parametrize(
    ("parameters", "what"), [({"verify": True}, "verify"), ({"withdraw": ["x"], "verify": True}, "withdraw")]
)
def test_what_it_was_about(parameters: dict[str, Any], what: str) -> None:
    assert json.loads(line(parameters=parameters))["what"] == what


def test_a_line_is_a_line_however_much_there_was() -> None:
    images = [{"path": "\N{SNOWMAN}\n" * 900 + str(number), "state": "published"} for number in range(5000)]
    found = line(images=images, failures=["\udcff" * 90_000] * 900)
    assert len(found) <= LONGEST
    assert b"\n" not in found
    assert json.loads(found)["images"] == {"published": 5000}


def test_the_last_run_and_the_last_that_came_through() -> None:
    lines = [
        b"[1]",
        b'{"schema":1,"site":"bern"}',
        b'{"schema":' + b"[" * 9000,
        line(failures=["no"]),
        line("chur", failures=["no"]),
        line("zug"),
        line("bern", NOW - 60),
        line("bern", NOW - 120),
    ]
    found = latest(lines, ["bern", "chur", "thun"])
    assert found.keys() == {"bern", "chur"}
    assert found["bern"].last["outcome"] == "failed"
    assert found["bern"].through is not None
    assert found["bern"].through["ended"] == "2026-11-25T09:45:40Z"
    assert found["chur"].through is None
