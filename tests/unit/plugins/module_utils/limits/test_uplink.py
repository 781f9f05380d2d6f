# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who shares an uplink: each one is a file in a private directory, and only locked files count."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.netboot.syncer.plugins.module_utils.errors import SyncError
from ansible_collections.netboot.syncer.plugins.module_utils.limits.uplink import Uplink

from tests.lab.fleet import CHECKOUT

CAP = 1_000_000
Clock = Callable[[float], None]


@pytest.fixture
def tick(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Return a function that advances the clock."""
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])

    def move(seconds: float) -> None:
        now[0] += seconds

    return move


class Sender:
    """A transfer that sends as much as it may, but no more than its line takes."""

    def __init__(self, directory: Path, line: float = 1e12, own: float | None = None) -> None:
        self.uplink = Uplink(CAP, directory=str(directory))
        self.uplink.join()
        self.uplink.ask_for(own)
        self.line = line
        self.own = own
        self.passed = 0.0
        self.rate = 0.0

    def go(self, seconds: float) -> None:
        share = self.uplink.share(self.passed)
        self.rate = min(share, self.line, self.own or share)
        self.passed += self.rate * seconds


def run(tick: Clock, seconds: float, *senders: Sender) -> list[float]:
    """Let all send for a while; return the rates at the end, as fractions of the cap."""
    for _each in range(int(seconds / 0.2)):
        tick(0.2)
        for sender in senders:
            sender.go(0.2)
    return [round(sender.rate / CAP, 2) for sender in senders]


def test_one_alone_has_all_at_once(tmp_path: Path, tick: Clock) -> None:
    assert run(tick, 0.2, Sender(tmp_path / "shared")) == [1]


def test_a_new_one_waits_until_the_others_have_seen_it(tmp_path: Path, tick: Clock) -> None:
    first = Sender(tmp_path)
    run(tick, 5, first)
    second = Sender(tmp_path)
    for _each in range(10):
        assert sum(run(tick, 0.2, second, first)) <= 1.05
    assert run(tick, 1, first, second) == [0.5, 0.5]
    second.uplink.leave()
    assert run(tick, 1, first) == [1]


def test_what_one_cannot_use_goes_to_the_others(tmp_path: Path, tick: Clock) -> None:
    slow, fast = Sender(tmp_path, line=0.1 * CAP), Sender(tmp_path)
    assert run(tick, 30, slow, fast) == pytest.approx([0.1, 0.89], abs=0.01)
    slow.line = CAP
    assert run(tick, 30, slow, fast) == [0.5, 0.5]


def test_an_own_limit_is_known_at_once(tmp_path: Path, tick: Clock) -> None:
    limited, free = Sender(tmp_path, own=0.2 * CAP), Sender(tmp_path)
    assert run(tick, 3, limited, free) == [0.2, 0.8]


def test_many_share_evenly(tmp_path: Path, tick: Clock) -> None:
    senders = [Sender(tmp_path) for _each in range(50)]
    assert set(run(tick, 5, *senders)) == {0.02}


def test_the_work_of_each_is_the_same_with_three_times_as_many(
    tmp_path: Path, tick: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = 0
    really = os.open

    def count(*arguments: Any, **more: Any) -> int:
        nonlocal read
        read += 1
        return really(*arguments, **more)

    monkeypatch.setattr(os, "open", count)
    done = []
    for many in (101, 301):
        senders = [Sender(tmp_path / str(many)) for _each in range(many)]
        run(tick, 4, *senders)
        read = 0
        run(tick, 8, *senders)
        done.append(read / many)
        assert {sender.rate for sender in senders} == {CAP / many}
    assert done[1] == pytest.approx(done[0], rel=0.2)


def test_many_that_come_at_once_exceed_the_cap_by_no_more_than_a_few_do(tmp_path: Path, tick: Clock) -> None:
    senders = [Sender(tmp_path) for _each in range(200)]
    run(tick, 4, *senders)
    new = [Sender(tmp_path) for _each in range(4)]
    tick(0.2)
    for sender in new:
        sender.go(0.2)
    assert sum(sender.rate for sender in (*senders, *new)) <= 1.03 * CAP


def test_a_killed_process_counts_for_nothing(tmp_path: Path, tick: Clock) -> None:
    code = (
        "import sys, time; from ansible_collections.netboot.syncer.plugins.module_utils.limits.uplink import Uplink; "
    )
    code += "Uplink(1, directory=sys.argv[1]).join(); print('joined', flush=True); time.sleep(60)"
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT / ".collections")}
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as other:
        try:
            assert other.stdout is not None
            assert other.stdout.readline() == b"joined\n"
            sender = Sender(tmp_path)
            assert run(tick, 3, sender) == [0.5]
        finally:
            other.kill()
            other.wait()
    assert run(tick, 1, sender) == [1]
    assert len(os.listdir(tmp_path)) == 1


def test_one_that_is_just_joining_is_left_alone(tmp_path: Path, tick: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has no lock yet. A minute later it is that of a killed run, whatever anybody's clock says."""
    monkeypatch.setattr(time, "time", lambda: 4e9)
    joining = tmp_path / ".new-1-0"
    joining.touch()
    run(tick, 3, one := Sender(tmp_path))
    assert joining.exists()
    os.utime(joining, (0, 0))
    run(tick, 3, one)
    assert not joining.exists()


def test_a_directory_that_is_cleaned_up_is_made_again(tmp_path: Path, tick: Clock) -> None:
    shared = tmp_path / "shared"
    first, second = Sender(shared), Sender(shared)
    run(tick, 3, first, second)
    for file in shared.iterdir():
        file.unlink()
    shared.rmdir()
    assert run(tick, 3, first, second) == [0.5, 0.5]


def test_what_is_no_number_is_taken_for_all_it_gets(tmp_path: Path, tick: Clock) -> None:
    first, second = Sender(tmp_path), Sender(tmp_path)
    run(tick, 3, first, second)
    (file,) = [path for path in tmp_path.iterdir() if str(path) == second.uplink._path]
    file.write_bytes(b"\xff" * 100)
    assert run(tick, 1, first) == [0.5]


@pytest.mark.parametrize("make", [lambda path: path.symlink_to("/tmp"), lambda path: path.write_text("x")])
def test_a_directory_that_is_none_is_refused(tmp_path: Path, make: Callable[[Path], object]) -> None:
    make(tmp_path / "shared")
    with pytest.raises(SyncError, match="the transfers cannot agree on their shares of the uplink"):
        Uplink(CAP, directory=str(tmp_path / "shared")).join()


def test_the_directory_is_private(tmp_path: Path) -> None:
    Uplink(CAP, directory=str(tmp_path / "shared")).join()
    assert (tmp_path / "shared").stat().st_mode & 0o077 == 0
