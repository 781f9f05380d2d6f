# Copyright: (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One run at a time for each caching server: with a shell the kernel's lock, with SFTP alone a lease."""

from __future__ import annotations

import os
import re
import socket
import time
from collections.abc import Iterator

import pytest
from ansible_collections.netboot.syncer.plugins.module_utils.doing import lock

from tests.lab.fleet import Fleet, SiteSpec
from tests.lab.ledger import visible_files
from tests.lab.process import Supervised
from tests.lab.runs import (
    IMAGE,
    SITE,
    add_large_image,
    complaint,
    is_delivered,
    meanwhile,
    prepare,
    run_module,
    sync,
    wait_until,
)

SIZE = 4_000_000
LARGE = "prod/large"
SLOW = SiteSpec(SITE, rate=20e6)  # 4 MB take some 2 s
SLOW_SFTP = SiteSpec(SITE, rate=20e6, sftp_only=True)
BOTH_LOCKS = pytest.mark.parametrize("spec", [SLOW, SLOW_SFTP], indirect=True, ids=["kernel", "lease"])


@pytest.fixture
def holder(fleet: Fleet) -> Iterator[Supervised]:
    """The module in a process of its own, in the middle of a transfer."""
    add_large_image(fleet.tree, LARGE, size=SIZE)
    line = fleet.sites[SITE].line
    assert line is not None
    running = run_module(fleet)
    wait_until(lambda: line.bytes_up > 300_000, "the first run sends")
    yield running
    running.stop()


@BOTH_LOCKS
def test_second_run_says_who_holds_it(fleet: Fleet, holder: Supervised) -> None:
    line = complaint(prepare(fleet, lock_timeout=0), fleet.sites[SITE].ssh.address)
    assert re.search(
        rf"{fleet.sites[SITE].assets}/\.netboot-sync/lock: another run works on this caching server: "
        rf"\S+ on {re.escape(socket.gethostname())}, process {holder.pids()[0]}, since \d{{4}}-\d\d-\d\dT",
        line,
    )
    assert "netboot_sync_lock_timeout" in line
    assert holder.wait(60) == 0
    assert is_delivered(fleet, fleet.tree.image(LARGE))


@BOTH_LOCKS
def test_second_run_waits_and_then_has_nothing_to_do(fleet: Fleet, holder: Supervised) -> None:
    started = time.monotonic()
    run = sync(fleet, lock_timeout=30)
    assert time.monotonic() - started > 0.5
    assert (run.attempts, run.actions) == (1, [])
    assert is_delivered(fleet, fleet.tree.image(LARGE))
    assert holder.wait(60) == 0


@pytest.mark.parametrize("spec", [SLOW], indirect=True, ids=["kernel"])
def test_kernel_lock_ends_with_its_holder(fleet: Fleet, holder: Supervised) -> None:
    os.kill(holder.pids()[0], 9)
    run = sync(fleet, lock_timeout=20)
    assert run.attempts == 1
    assert is_delivered(fleet, fleet.tree.image(LARGE))


@pytest.mark.parametrize("spec", [SLOW_SFTP], indirect=True, ids=["lease"])
def test_abandoned_lease_is_taken_over_but_not_early(
    fleet: Fleet, holder: Supervised, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "LEASE", 3)
    os.kill(holder.pids()[0], 9)
    holder.wait(10)
    assert "another run works" in complaint(prepare(fleet, lock_timeout=1), fleet.sites[SITE].ssh.address)
    started = time.monotonic()
    run = sync(fleet, lock_timeout=20)
    assert time.monotonic() - started > 3
    assert run.attempts == 1
    assert is_delivered(fleet, fleet.tree.image(LARGE))
    # and it is given back
    assert sync(fleet, lock_timeout=0).actions == []
    assert [path.name for path in (fleet.sites[SITE].assets / ".netboot-sync").iterdir()] == []


@pytest.mark.parametrize("spec", [SLOW_SFTP], indirect=True, ids=["lease"])
def test_lease_is_kept_while_files_are_sent(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its beats go beside the transfer on the same connection, many times, and neither disturbs the other."""
    monkeypatch.setattr(lock, "BEAT", 0.02)
    image = add_large_image(fleet.tree, LARGE, size=SIZE)
    run = sync(fleet)
    assert run.attempts == 1
    assert is_delivered(fleet, image)


@pytest.mark.parametrize("spec", [SLOW_SFTP], indirect=True, ids=["lease"])
def test_run_whose_lease_was_taken_over_publishes_nothing_more(fleet: Fleet) -> None:
    add_large_image(fleet.tree, LARGE, size=SIZE)
    fleet.tree.remove_image(IMAGE)
    path = fleet.sites[SITE].assets / ".netboot-sync" / "lock"
    line = fleet.sites[SITE].line
    assert line is not None

    def take_over() -> None:
        path.unlink()
        path.write_text("another run's", encoding="utf-8")

    with meanwhile(lambda: line.bytes_up > SIZE // 2, take_over):
        said = complaint(prepare(fleet), fleet.sites[SITE].ssh.address)
    assert "the lock was taken over by another run" in said
    assert not [path for path, _unused in visible_files(fleet.sites[SITE].assets) if path.startswith(LARGE)]
    assert path.read_text(encoding="utf-8") == "another run's"
