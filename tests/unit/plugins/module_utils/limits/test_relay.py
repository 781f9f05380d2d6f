# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The relay as a program: between two pipes, with its rate sent over a socket."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.netboot.syncer.plugins.module_utils.limits import relay
from ansible_collections.netboot.syncer.plugins.module_utils.limits.relay import Bucket, cost

from tests.lab.waiting import wait_until

PATIENCE = 60


def size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


@contextlib.contextmanager
def started(*command: str, rate: bytes = b"-") -> Iterator[tuple[subprocess.Popen[bytes], socket.socket]]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    program = [sys.executable, "-I", "-S", str(relay.__file__), str(theirs.fileno()), *command]
    with (
        ours,
        subprocess.Popen(
            program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=[theirs.fileno()], bufsize=0
        ) as process,
    ):
        theirs.close()
        if rate:
            ours.send(rate)
        try:
            yield process, ours
        finally:
            process.kill()


def test_everything_passes_and_the_end_as_well() -> None:
    content = os.urandom(3_000_000)
    with started("cat") as (process, _control):
        assert process.communicate(content, timeout=PATIENCE)[0] == content
        assert process.returncode == 0


def test_answers_pass_while_there_is_no_rate_yet() -> None:
    """The output of the command is never held up."""
    with started("sh", "-c", "echo ready; cat >&2", rate=b"") as (process, _control):
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"


@pytest.mark.parametrize(
    ("script", "status"),
    [
        pytest.param("exit 0", 0, id="well"),
        pytest.param("exit 255", 255, id="ssh-lost-its-line"),
        pytest.param("cat >&2; exit 12", 12, id="after-its-input"),
        pytest.param("kill -9 $$", 128 + signal.SIGKILL, id="killed"),
    ],
)
def test_the_status_of_the_command_is_passed_on(script: str, status: int) -> None:
    with started("sh", "-c", script) as (process, _control):
        process.communicate(timeout=PATIENCE)
        assert process.returncode == status


def test_a_command_that_ends_first_ends_the_relay() -> None:
    with started("sh", "-c", "sleep 0.3; exit 7") as (process, _control):
        assert process.wait(PATIENCE) == 7  # though its standard input is still open


@pytest.mark.parametrize("rate", [b"-", b"1000"])
def test_0_ends_it_in_good_order(tmp_path: Path, rate: bytes) -> None:
    """The command gets the end of its input, not a signal, and keeps what has arrived."""
    with started("sh", "-c", f"cat >{tmp_path}/arrived; exit 3", rate=rate) as (process, control):
        assert process.stdin is not None
        process.stdin.write(b"x" * 10)
        wait_until(lambda: size(tmp_path / "arrived") == 10, "what was written")
        control.send(b"0")
        assert process.wait(PATIENCE) == 3
        assert (tmp_path / "arrived").read_bytes() == b"x" * 10


def test_the_end_of_the_module_ends_the_command() -> None:
    with started("sleep", "60") as (process, control):
        control.close()
        assert process.wait(PATIENCE) == 128 + signal.SIGKILL


def test_the_end_of_the_relay_ends_the_command(tmp_path: Path) -> None:
    with started("sh", "-c", f"echo $$ >{tmp_path}/pid; exec sleep 60") as (process, _control):
        wait_until(lambda: size(tmp_path / "pid") > 1, "the command")
        pid = int((tmp_path / "pid").read_text(encoding="ascii"))
        process.kill()
        process.wait()
        wait_until(lambda: not runs(pid), "the end of the command")


def feed(process: subprocess.Popen[bytes], count: int) -> None:
    """Write; at a low rate this blocks, and needs a thread. It does not matter if the relay ends."""
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError):
        process.stdin.write(bytes(count))


def test_a_higher_rate_holds_at_once(tmp_path: Path) -> None:
    """At the first rate, it would take hours."""
    with started("sh", "-c", f"cat >{tmp_path}/arrived", rate=b"100") as (process, control):
        writer = threading.Thread(target=feed, args=(process, 1_000_000))
        writer.start()
        wait_until(lambda: size(tmp_path / "arrived") > 0, "the first bytes")
        assert size(tmp_path / "arrived") < 500_000
        control.send(b"-")
        wait_until(lambda: size(tmp_path / "arrived") == 1_000_000, "all bytes")
        writer.join()


def test_a_lower_rate_holds_at_once(tmp_path: Path) -> None:
    """At the first rate, everything would arrive before the relay is ended."""
    with started("sh", "-c", f"cat >{tmp_path}/arrived", rate=b"-") as (process, control):
        feed(process, 30_000)
        wait_until(lambda: size(tmp_path / "arrived") == 30_000, "all so far")
        control.send(b"100")
        writer = threading.Thread(target=feed, args=(process, 1_000_000))
        writer.start()
        wait_until(lambda: size(tmp_path / "arrived") > 30_000, "the first bytes after that")
        control.send(b"0")
        process.wait(PATIENCE)
        writer.join()
        assert size(tmp_path / "arrived") < 500_000


def test_it_tells_what_has_passed() -> None:
    with started("cat") as (process, control):
        process.communicate(bytes(100_000), timeout=PATIENCE)
        control.settimeout(PATIENCE)
        told = [int(said) for said in iter(lambda: control.recv(64), b"")]
        assert told == sorted(told)
        assert 100_000 < told[-1] < 110_000


class Clock:
    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        patch.setattr(time, "monotonic", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def sent_within(bucket: Bucket, clock: Clock, seconds: float, *, late: float = 0.0) -> float:
    """Return what passes within *seconds* if every wake-up is *late* by that many seconds."""
    before, end = bucket.passed, clock.now + seconds
    while clock.now < end:
        delay = bucket.delay()
        if delay > 0:
            clock.now += max(delay, 1e-4) + late  # poll(2) waits for a millisecond at least
        else:
            bucket.take(bucket.size())
            clock.now += 1e-5
    return bucket.passed - before


@pytest.mark.parametrize("late", [0.0, 0.01, 0.1])
@pytest.mark.parametrize("rate", [1, 100, 8_000, 1_000_000, 125_000_000])
def test_the_rate_is_kept(clock: Clock, rate: int, late: float) -> None:
    seconds = 2000 if rate < 8_000 else 20
    found = sent_within(Bucket(rate), clock, seconds, late=late) / rate / seconds
    assert 0.9 < found < 1.05 + cost(4) / rate / seconds


def test_a_change_holds_at_once_and_idle_time_is_not_saved_up(clock: Clock) -> None:
    bucket = Bucket(1_000_000)
    sent_within(bucket, clock, 10)
    bucket.set_rate(100_000)
    assert sent_within(bucket, clock, 10) == pytest.approx(1_000_000, rel=0.05)
    clock.now += 3600
    assert sent_within(bucket, clock, 10) == pytest.approx(1_000_000, rel=0.05)
    bucket.set_rate(None)
    assert bucket.delay() == 0
    bucket.take(10**9)
    bucket.set_rate(1_000_000)
    assert bucket.delay() == 0


@pytest.mark.parametrize("rate", [1, 10, 1000, 10**6, 10**9])
def test_no_piece_takes_long(rate: int) -> None:
    assert 1 <= Bucket(rate).size() <= max(rate * 2, 1)
