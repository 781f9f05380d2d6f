# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Results as text: what people read at the end of a run."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.netboot.syncer.plugins.filter.sync_summary import sync_summary
from ansible_collections.netboot.syncer.plugins.module_utils import progress, reporting

HELD_BACK = {"path": "prod/b.squashfs", "state": "held_back", "reason": "no marker yet"}


def result(*, check_mode: bool = False, size: int = 0, sent: int = 0, images: dict[str, int], **more: Any) -> Any:
    stats = {"check_mode": check_mode, "size": size, "sent_bytes": sent, "seconds": 3.14, "images": images}
    found = {"changed": bool(size), "stats": stats, "images": [], "files": [], "failures": [], "actions": [], **more}
    return {**found, "summary": reporting.line(found)}


@pytest.mark.parametrize(
    ("count", "text"),
    [
        pytest.param(0, "0 B", id="nothing"),
        pytest.param(999, "999 B", id="bytes"),
        pytest.param(1000, "1.0 kB", id="decimal"),
        pytest.param(118_400_000, "118.4 MB", id="an image"),
        pytest.param(4_000_000_000_000, "4000.0 GB", id="the largest unit"),
    ],
)
def test_size(count: int, text: str) -> None:
    assert reporting.size(count) == text


@pytest.mark.parametrize(
    ("found", "text"),
    [
        pytest.param(
            result(images={"published": 1, "unchanged": 3, "held_back": 2}, size=118_400_000, sent=352_700),
            "images: 1 published, 2 held back, 3 unchanged; 352.7 kB sent for 118.4 MB in 3.1 s",
            id="a difference",
        ),
        pytest.param(
            result(images={"published": 1, "failed": 1}, size=1000, check_mode=True),
            "images: 1 to publish, 1 impossible; at most 1.0 kB to send",
            id="check mode",
        ),
        pytest.param(result(images={"unchanged": 4}), "images: 4 unchanged; nothing sent, 3.1 s", id="nothing to do"),
        pytest.param(
            result(images={}, check_mode=True), "images: none on either side; nothing to send", id="an empty tree"
        ),
    ],
)
def test_line(found: Any, text: str) -> None:
    assert found["summary"] == text


def test_actions_tell_order_bytes_and_basis() -> None:
    actions = [
        {"action": "withdraw", "path": "prod/a-kernel.json", "reason": "prod/a.squashfs is about to change"},
        {"action": "send", "path": "prod/a.squashfs", "bytes": 100, "basis": "prod/old.squashfs"},
        {"action": "send", "path": "prod/a-kernel.json", "bytes": 32, "basis": None},
        {"action": "publish", "path": "prod/a-kernel.json"},
        {"action": "link", "path": "prod/latest", "target": "a.squashfs"},
    ]
    found = result(images={"published": 1}, size=132, check_mode=True, actions=actions)
    assert reporting.actions("cache-berlin", found).splitlines() == [
        "--- cache-berlin: images: 1 to publish; at most 132 B to send",
        "withdraw prod/a-kernel.json  (prod/a.squashfs is about to change)",
        "send     prod/a.squashfs  (100 bytes, as the difference to prod/old.squashfs)",
        "send     prod/a-kernel.json  (32 bytes)",
        "publish  prod/a-kernel.json",
        "link     prod/latest  (a.squashfs)",
    ]
    assert reporting.actions("cache-berlin", result(images={})) == ""


def test_table_of_a_fleet() -> None:
    down = result(images={}, msg="cache-down: it refused the connection.")
    broke = "the line broke."
    ended = result(images={"failed": 2}, failures=["a", "b", broke], msg=f"cache-ended: {broke}")
    hostvars = {
        "cache-berlin": {"netboot_sync_result": result(images={"repaired": 1, "held_back": 1}, size=10, sent=5)},
        "cache-down": {"netboot_sync_result": down},
        "cache-half": {"netboot_sync_result": result(images={"failed": 1}, failures=["a", "b"], msg="cache-half: a")},
        "cache-ended": {"netboot_sync_result": ended},
        "cache-wrong": {"ansible_failed_result": {"msg": "Validation failed:\nretries is no number"}},
        "cache-lost": {},
    }
    hostvars["cache-berlin"]["netboot_sync_result"]["images"] = [HELD_BACK]
    assert sync_summary(list(hostvars), hostvars).splitlines() == [
        "caching server  came out  published  repaired  unchanged  held back  failed  sent    of  saved   time",
        "cache-berlin    changed           0         1          0          1       0   5 B  10 B   50 %  3.1 s",
        "cache-down      FAILED            0         0          0          0       0   0 B   0 B         3.1 s",
        "cache-half      FAILED            0         0          0          0       1   0 B   0 B         3.1 s",
        "cache-ended     FAILED            0         0          0          0       2   0 B   0 B         3.1 s",
        "cache-wrong     FAILED",
        "cache-lost      FAILED",
        "held back: prod/b.squashfs: no marker yet (cache-berlin)",
        "failed: cache-down: it refused the connection.",
        "failed: cache-half: a",
        "failed: cache-half: b",
        "failed: cache-ended: a",
        "failed: cache-ended: b",
        "failed: cache-ended: the line broke.",
        "failed: cache-wrong: Validation failed: retries is no number",
        "failed: cache-lost: it was never reached",
    ]


@pytest.mark.parametrize(
    ("failures", "msg", "told"),
    [
        pytest.param(["a"], "site: the line broke", ["a", "the line broke"], id="what-ended-the-run"),
        pytest.param(["a", "the line broke"], "site: the line broke", ["a", "the line broke"], id="told-once"),
        pytest.param(["a", "b"], "site: a (and 1 more)", ["a", "b"], id="counted"),
        pytest.param(["site: a"], "site: a", ["a"], id="with-its-name"),
        pytest.param([], "netboot server: no tree", ["netboot server: no tree"], id="no-failure-of-its-own"),
    ],
)
def test_every_reason_is_told_once(failures: list[str], msg: str, told: list[str]) -> None:
    lines = reporting.table({"site": result(images={}, failures=failures, msg=msg)}).splitlines()
    assert lines[2:] == [f"failed: site: {text}" for text in told]


def test_widest_table_fits_a_terminal() -> None:
    states = ("published", "repaired", "withdrawn", "unchanged", "held_back", "failed")
    full = result(images=dict.fromkeys(states, 10), size=987_600_000, sent=987_500_000)
    full["stats"]["seconds"] = 599.0
    lines = reporting.table({"cache-hamburg1": full}).splitlines()
    assert max(len(line) for line in lines) <= 120
    assert lines[1].endswith("  987.5 MB  987.6 MB    0 %  9 min 59 s")


def test_common_table_has_no_column_for_what_is_rare() -> None:
    assert reporting.table({"cache": result(images={"published": 1})}).splitlines()[0] == (
        "caching server  came out  published  unchanged  held back  failed  sent   of  saved   time"
    )


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        pytest.param(0, "0.0 s", id="none"),
        pytest.param(3.14, "3.1 s", id="seconds"),
        pytest.param(59.6, "1 min 00 s", id="a-minute"),
        pytest.param(70, "1 min 10 s", id="minutes"),
        pytest.param(605, "10 min", id="many-minutes"),
        pytest.param(3600, "1 h 00 min", id="an-hour"),
        pytest.param(100_000, "27 h 46 min", id="a-day"),
    ],
)
def test_duration(seconds: float, text: str) -> None:
    assert reporting.duration(seconds) == text


def state(phase: str = "sending", path: str = "dev/x.squashfs", **more: Any) -> dict[str, Any]:
    return {"phase": phase, "path": path, "size": 0, "position": 0, "sent": 0, "rate": 0, "seconds": 12.3, **more}


@pytest.mark.parametrize(
    ("found", "text"),
    [
        pytest.param(
            state(size=281_000_000, position=118_400_000, sent=28_300_000, rate=2_400_000),
            "dev/x.squashfs 42 %, 118.4 MB of 281.0 MB, 2.4 MB/s, 1 min 08 s left, 90.1 MB saved",
            id="difference",
        ),
        pytest.param(
            state(size=281_000_000, position=118_400_000, sent=118_000_000, rate=2_400_000),
            "dev/x.squashfs 42 %, 118.4 MB of 281.0 MB, 2.4 MB/s, 1 min 08 s left",
            id="whole",
        ),
        pytest.param(
            state(size=1000, position=999, sent=999), "dev/x.squashfs 99 %, 999 B of 1.0 kB", id="rate-not-known-yet"
        ),
        pytest.param(
            state(size=2000, position=2000, sent=1000, rate=9),
            "dev/x.squashfs 100 %, the end of its 2.0 kB is on its way, 1.0 kB saved",
            id="on-its-way",
        ),
        pytest.param(state(size=9), "dev/x.squashfs: looking for what is there already, for 12 s", id="before-it"),
        pytest.param(state("checking"), "dev/x.squashfs: hashing what is there, for 12 s", id="checking"),
        pytest.param(state("comparing", "", size=10**10), "comparing content, 10.0 GB, for 12 s", id="comparing"),
        pytest.param(state("locking", ""), "waiting for another run to end, for 12 s", id="locked"),
        pytest.param(state("of-a-later-version"), "dev/x.squashfs: at work, for 12 s", id="unknown"),
    ],
)
def test_progress(found: dict[str, Any], text: str) -> None:
    assert reporting.progress("site-a", found) == f"site-a: {text}"


def test_every_phase_has_words() -> None:
    phases = {value for name, value in vars(progress).items() if name.isupper() and isinstance(value, str)}
    assert all("at work" not in reporting.progress("site-a", state(phase)) for phase in phases)
    assert len(phases) > 5


def test_what_all_hold_back_is_told_once() -> None:
    both = {name: result(images={"held_back": 1}) | {"images": [HELD_BACK]} for name in ("cache-a", "cache-b")}
    assert reporting.table(both).splitlines()[-1] == "held back: prod/b.squashfs: no marker yet"
