# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is reported about a transfer that a limit has ended, with the real relay and a fake clock."""

from __future__ import annotations

import datetime
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.netboot.syncer.plugins.module_utils.errors import LeftForLater
from ansible_collections.netboot.syncer.plugins.module_utils.limits.bandwidth import parse_limit
from ansible_collections.netboot.syncer.plugins.module_utils.limits.throttle import Throttle
from ansible_collections.netboot.syncer.plugins.module_utils.limits.uplink import Uplink

PATIENCE = 20
NIGHT = ["08:00-18:00: 0", "100MB"]


def seconds(clock: str) -> float:
    """A time of some day in seconds since the epoch, UTC."""
    return datetime.datetime.fromisoformat(f"2026-11-24T{clock}+00:00").timestamp()


def started(shell: str, descriptors: tuple[int, ...]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        shlex.split(shell), stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=descriptors, bufsize=0
    )


@pytest.mark.parametrize(
    ("looks", "reason"),
    [
        pytest.param(["12:00:00", "12:00:00"], "until 18:00 the limit of this site is 0", id="in-it"),
        pytest.param(["17:59:59", "18:00:00"], "the limit of this site is 0", id="over-at-the-second-look"),
    ],
)
def test_a_limit_of_0_is_told_as_such(looks: list[str], reason: str) -> None:
    times: Iterator[float] = iter([seconds(look) for look in looks])
    throttle = Throttle(parse_limit(NIGHT), clock=lambda: next(times))
    with throttle.relayed("cat") as relayed, started(relayed.shell, relayed.descriptors) as process:
        relayed.begin()
        assert process.wait(PATIENCE) == 0
        # at once, as the code that waits for rsync does
        trouble = relayed.trouble("prod/a.squashfs")
    assert isinstance(trouble, LeftForLater)
    assert (trouble.what, trouble.path) == (reason, "prod/a.squashfs")


def test_trouble_with_the_uplink_is_told_as_such(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    throttle = Throttle(uplink=Uplink(10**6, directory=str(shared)))
    with throttle.relayed("cat") as relayed, started(relayed.shell, relayed.descriptors) as process:
        for path in shared.iterdir():
            path.unlink()
        shared.rmdir()
        shared.write_text("", encoding="ascii")
        relayed.begin()
        assert process.wait(PATIENCE) == 0
        trouble = relayed.trouble("prod/a.squashfs")
    assert trouble is not None
    assert "cannot agree on their shares of the uplink" in trouble.what


def test_a_transfer_that_ends_by_itself_has_no_trouble_and_tells_what_passed() -> None:
    throttle = Throttle(parse_limit(NIGHT), clock=lambda: seconds("20:00:00"))
    with throttle.relayed("cat") as relayed, started(relayed.shell, relayed.descriptors) as process:
        relayed.begin()
        assert process.communicate(bytes(10**6), PATIENCE)[0] == bytes(10**6)
        assert relayed.trouble("prod/a.squashfs") is None
        assert relayed.passed is not None
        assert 10**6 < relayed.passed < 1.01 * 10**6


def test_without_a_limit_there_is_no_relay() -> None:
    with Throttle().relayed("ssh") as relayed:
        assert relayed.shell == "ssh"
        assert (relayed.descriptors, relayed.passed) == ((), None)
        relayed.begin()
        assert relayed.trouble("prod/a.squashfs") is None
