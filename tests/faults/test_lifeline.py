# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run that nobody waits for ends within seconds, with its transfer and its lock on the caching server."""

from __future__ import annotations

import contextlib
import os
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.netboot.syncer.plugins.module_utils.limits.bandwidth import parse_limit
from ansible_collections.netboot.syncer.plugins.module_utils.limits.throttle import Relayed, Throttle

from tests.lab.fleet import Fleet, SiteSpec
from tests.lab.process import Supervised
from tests.lab.runs import IMAGE, NEXT, SITE, add_large_image, is_delivered, prepare, run_module, sync
from tests.lab.sshd import CachingServer
from tests.lab.waiting import meanwhile, wait_until

RATE = 8e6  # bit/s: a transfer takes a quarter of a minute
SIZE = 14_000_000
CRAWL = 2e5  # bit/s: the rest would take ten minutes, so nothing ends because it has finished


@pytest.fixture
def slow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fleet]:
    with (
        tempfile.TemporaryDirectory(dir="/tmp") as sockets,  # the path of a socket must be short
        Fleet(tmp_path / "fleet", [SiteSpec(SITE, rate=RATE)]) as fleet,
    ):
        monkeypatch.setenv("XDG_RUNTIME_DIR", sockets)
        fleet.tree.add_kernel()
        add_large_image(fleet.tree, IMAGE, size=SIZE)
        yield fleet


def carriers(fleet: Fleet) -> list[int]:
    """Find the processes that carry bytes: a login names the private key; rsync, the relay and its ssh the socket."""
    marks = [os.fsencode(fleet.key.private), os.fsencode(os.environ["XDG_RUNTIME_DIR"])]
    return [int(one.name) for one in Path("/proc").iterdir() if any(mark in command_of(one) for mark in marks)]


def relays(fleet: Fleet) -> list[int]:
    return [pid for pid in carriers(fleet) if b"-I\0-S\0" in command_of(Path("/proc", str(pid)))]


def command_of(process: Path) -> bytes:
    try:
        return (process / "cmdline").read_bytes()
    except (OSError, ValueError):
        return b""


def begun(fleet: Fleet) -> bool:
    line = fleet.sites[SITE].line
    assert line is not None
    return line.bytes_up > 1_000_000


def crawl(fleet: Fleet, rate: float | None = CRAWL) -> None:
    line = fleet.sites[SITE].line
    assert line is not None
    line.set_rate(rate)


def no_reader(_module: Supervised, reader: int) -> None:
    os.close(reader)


def killed(number: signal.Signals) -> Callable[[Supervised, int], None]:
    def act(module: Supervised, reader: int) -> None:
        os.kill(module.pids()[-1], number)
        os.close(reader)

    return act


ENDS = pytest.mark.parametrize(
    "end",
    [
        pytest.param(no_reader, id="nobody-reads"),
        pytest.param(killed(signal.SIGTERM), id="SIGTERM"),
        pytest.param(killed(signal.SIGKILL), id="SIGKILL"),
    ],
)


def abandon(
    fleet: Fleet, end: Callable[[Supervised, int], None], *, carried_by: int | None = None, **parameters: Any
) -> None:
    """Start the module, and end it in the middle of a transfer, on a line that has just been slowed to a crawl.

    :arg carried_by: how many processes must be carrying the bytes just before.
    """
    reader, writer = os.pipe()
    module = run_module(fleet, output=writer, **parameters)
    os.close(writer)
    try:
        wait_until(lambda: begun(fleet), "bytes on the line")
        if carried_by is not None:
            assert len(carriers(fleet)) == carried_by
        crawl(fleet)
        end(module, reader)
        wait_until(lambda: not module.running, "the module's end")
        wait_until(lambda: not carriers(fleet), "the end of what carried the bytes")
    finally:
        module.stop()


@pytest.mark.parametrize("transport", ["rsync", "sftp"])
@ENDS
def test_nothing_is_left_of_an_abandoned_run(
    slow: Fleet, transport: str, end: Callable[[Supervised, int], None]
) -> None:
    abandon(slow, end, transport=transport)
    assert not is_delivered(slow, slow.tree.image(IMAGE))
    crawl(slow, None)
    sync(slow, transport=transport, lock_timeout=60)
    assert is_delivered(slow, slow.tree.image(IMAGE))


@ENDS
def test_nothing_is_left_of_the_relay_that_keeps_a_limit(slow: Fleet, end: Callable[[Supervised, int], None]) -> None:
    """Neither the relay nor ssh, though the line is so slow that it would take long to send what they have buffered."""
    # the relay and its ssh; two logins; SFTP and the lock, over one of the logins
    abandon(slow, end, carried_by=6, bandwidth_limit="4Mbit")


def test_nothing_is_left_of_rsync(slow: Fleet) -> None:
    """It sends the difference, which here is nearly the whole file."""
    sync(slow)
    line = slow.sites[SITE].line
    assert line is not None
    before = line.bytes_up
    build = add_large_image(slow.tree, NEXT, size=SIZE)
    reader, writer = os.pipe()
    module = run_module(slow, output=writer, bandwidth_limit="4Mbit")
    os.close(writer)
    try:
        wait_until(lambda: line.bytes_up > before + 1_000_000, "bytes on the line")
        assert len(carriers(slow)) == 7  # with rsync
        crawl(slow)
        os.kill(module.pids()[-1], signal.SIGKILL)
        wait_until(lambda: not carriers(slow), "the end of what carried the bytes")
    finally:
        module.stop()
        os.close(reader)
    assert not is_delivered(slow, build)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_relay_that_is_ended_ends_the_transfer(slow: Fleet, number: signal.Signals) -> None:
    """Whoever ended it, the transfer counts as a broken connection, and the retry continues it."""
    run = prepare(slow, bandwidth_limit=parse_limit("6Mbit"), retries=1)

    def end() -> None:
        os.kill(relays(slow)[0], number)

    with meanwhile(lambda: begun(slow) and relays(slow) != [], end):
        run.run()
    assert run.failures == []
    assert run.attempts == 2
    assert is_delivered(slow, slow.tree.image(IMAGE))
    line = slow.sites[SITE].line
    assert line is not None
    assert line.bytes_up < 1.1 * SIZE
    assert not carriers(slow)


def test_a_relay_whose_end_the_caching_server_takes_for_the_end_of_the_file(
    slow: Fleet, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A killed process's pipe closes before its ssh is ended: on a busy machine the answer may come in between."""
    killed_once = tmp_path / "killed-once"
    # A process that waits for the answer before it dies loses that race every time.
    script = '#!/bin/sh\nmkdir "$0.was-here" 2>/dev/null || exec "$@"\nhead -c 3000000 | "$@"\nkill -KILL $$\n'
    killed_once.write_text(script, encoding="ascii")
    killed_once.chmod(0o755)
    relayed = Throttle.relayed

    def through(self: Throttle, shell: str) -> contextlib.AbstractContextManager[Relayed]:
        return relayed(self, f"{killed_once} {shell}")

    monkeypatch.setattr(Throttle, "relayed", through)
    crawl(slow, None)
    run = sync(slow, retries=1)
    assert Path(f"{killed_once}.was-here").exists()
    assert run.failures == []
    assert run.attempts == 2
    assert is_delivered(slow, slow.tree.image(IMAGE))


def test_controller_that_goes_away_ends_the_module_on_a_netboot_server_elsewhere(slow: Fleet, tmp_path: Path) -> None:
    with CachingServer(tmp_path / "netboot", authorized=[slow.key.public]) as netboot:
        slow.send_from(netboot)
        with (tmp_path / "log").open("wb") as log:
            playbook = slow.start_playbook("sync.yml", "-e", "ansible_ssh_args=''", output=log)
        try:
            wait_until(lambda: begun(slow), "bytes on the line")
            crawl(slow)
            assert carriers(slow)
        finally:
            playbook.stop()
        wait_until(lambda: not carriers(slow), "the end of what carried the bytes")
