# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run reports about itself while it is active."""

from __future__ import annotations

import json
import os
import stat
import time
from pathlib import Path

import pytest
from ansible_collections.netboot.syncer.plugins.module_utils import progress
from ansible_collections.netboot.syncer.plugins.module_utils.progress import Pace, Progress

# verbatim output of rsync 3.2.7 with --stats --no-human-readable --info=progress2
WHOLE = (
    b"\r          32768   0%    0.00kB/s    0:00:00  "
    b"\r        8552448  21%    7.82MB/s    0:00:03  "
    b"\r       17203200  43%    7.78MB/s    0:00:02  "
)
ENDED = (
    b"\r       40000000 100%    7.86MB/s    0:00:04 (xfr#1, to-chk=0/1)"
    b"\r       40000000 100%    7.86MB/s    0:00:04 (xfr#1, to-chk=0/1)\n\nNumber of files: 1 (reg: 1)\n"
    b"Total bytes sent: 40009839\nTotal bytes received: 35\n"
)


@pytest.mark.parametrize(
    ("output", "found"),
    [
        pytest.param(b"", None, id="nothing"),
        pytest.param(WHOLE[:20], None, id="first-word-cut"),
        pytest.param(WHOLE, 17203200, id="last-counts"),
        pytest.param(WHOLE[:-35], 8552448, id="last-word-cut"),
        pytest.param(WHOLE + ENDED, 40000000, id="at-the-end"),
        pytest.param(b"\r     32,768   0%    0.00kB/s", 32768, id="rsync-3.1-with-commas"),
        pytest.param(b"rsync: connection unexpectedly closed (100% sure)\r 12x 3%", None, id="other-words"),
    ],
)
def test_position(output: bytes, found: int | None) -> None:
    assert progress.position(output) == found


@pytest.mark.parametrize(
    ("seen", "rate"),
    [
        pytest.param([], 0, id="nothing"),
        pytest.param([(0, 0), (1, 100), (2, 200)], 0, id="begins-with-the-first-byte"),
        pytest.param([(0, 0), (1, 5000), (2, 5100), (4, 5300)], 100, id="but-for-the-buffers"),
        pytest.param([(0, 10_000)] + [(i, 10_000 + i * 100) for i in range(1, 90)], 100, id="steady"),
        pytest.param([(i, i * 1000) for i in range(20)] + [(20 + i, 20_000 + i) for i in range(20)], 1, id="slower"),
        pytest.param([(i, 100) for i in range(1, 40)], 0, id="stands"),
    ],
)
def test_pace(seen: list[tuple[float, int]], rate: float) -> None:
    pace = Pace()
    for now, position in seen:
        pace.add(now, position)
    assert pace.rate == pytest.approx(rate, rel=0.05)


def test_file_tells_what_is_done_and_is_gone_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "EVERY", 0.01)
    path = tmp_path / "state"
    with Progress(str(path)) as run:
        run.enter(progress.SENDING, "dev/\udcff\n.squashfs", 100)
        run.at(50, 20)
        deadline = time.monotonic() + 10
        while not path.exists() or json.loads(path.read_text())["phase"] != "sending":
            assert time.monotonic() < deadline
            time.sleep(0.005)
        found = json.loads(path.read_text())
        assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert found.pop("seconds") >= 0
    assert found == {
        "phase": "sending",
        "path": "dev/\\xff\\n.squashfs",
        "size": 100,
        "position": 50,
        "sent": 20,
        "rate": 0,
    }
    assert list(tmp_path.iterdir()) == []


def test_nobody_listens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with Progress() as run:
        assert not run.wanted
        run.enter(progress.SENDING, "a", 1)
        run.at(1, 1)
    assert list(tmp_path.iterdir()) == []


def test_place_that_cannot_be_written_is_no_trouble(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "EVERY", 0.001)
    with Progress(str(tmp_path / "missing" / "state")) as run:
        time.sleep(0.02)
        run.enter(progress.SENDING, "a", 1)


def test_what_lies_there_is_not_written_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "EVERY", 0.001)
    victim = tmp_path / "victim"
    victim.write_text("precious")
    for name in ("state", "state.new"):
        os.symlink(victim, tmp_path / name)
    with Progress(str(tmp_path / "state")):
        time.sleep(0.05)
    assert victim.read_text() == "precious"
    assert list(tmp_path.iterdir()) == [victim]
