# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check mode writes nothing, and predicts exactly what the next run does."""

from __future__ import annotations

import fcntl
from collections.abc import Callable
from typing import IO

import pytest

from tests.lab.fleet import Fleet, SiteSpec
from tests.lab.runs import IMAGE, NEXT, SITE, add_large_image, complaint, listing, prepare, sync
from tests.lab.tree import KERNEL, flip_byte
from tests.lab.waiting import wait_until


def nothing_yet(_fleet: Fleet) -> None:
    pass


def no_destination(fleet: Fleet) -> None:
    fleet.sites[SITE].assets.rmdir()


def all_kinds_of_changes(fleet: Fleet) -> None:
    """One of each: new, damaged, lost, gone, held back, a pointer that moves."""
    fleet.tree.add_image("prod/gone")
    fleet.tree.add_image("prod/lost")
    sync(fleet)
    assets = fleet.sites[SITE].assets
    flip_byte(assets / "kernels" / KERNEL / "initrd")
    (assets / "prod" / "lost.squashfs").unlink()
    fleet.tree.remove_image("prod/gone")
    fleet.tree.add_kernel("6.1.0-new")
    add_large_image(fleet.tree, NEXT, size=400_000)
    fleet.tree.add_image("prod/held-back", marker=False)
    (fleet.tree.root / "link").symlink_to(f"{IMAGE}.squashfs")


@pytest.mark.parametrize(
    "spec", [SiteSpec(SITE), SiteSpec(SITE, sftp_only=True)], indirect=True, ids=["shell", "sftp-only"]
)
@pytest.mark.parametrize("begin", [nothing_yet, no_destination, all_kinds_of_changes])
def test_writes_nothing_and_tells_all(fleet: Fleet, begin: Callable[[Fleet], None]) -> None:
    begin(fleet)
    above = fleet.sites[SITE].assets.parent
    logs = {"ssh/log"}
    before = listing(above)
    told = sync(fleet, check_mode=True, verify=True, delete=True)
    after = listing(above)
    assert {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)} <= logs
    assert told.changed
    assert told.sent_bytes == 0
    done = sync(fleet, verify=True, delete=True)
    assert told.actions == done.actions
    assert {path: one.state for path, one in told.images.items()} == {p: one.state for p, one in done.images.items()}
    again = sync(fleet, check_mode=True, verify=True, delete=True)
    assert (again.changed, again.actions) == (False, [])


def takes_lock(file: IO[bytes]) -> bool:
    """Take the kernel's lock if it is free, and return whether it was."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def test_does_not_wait_for_a_run_under_way(fleet: Fleet) -> None:
    """It writes nothing, so it needs no lock."""
    sync(fleet)
    fleet.tree.add_image(NEXT)
    with (fleet.sites[SITE].assets / ".netboot-sync" / "lock").open("ab") as lock:
        wait_until(lambda: takes_lock(lock), "the first run has given its lock back")
        assert sync(fleet, check_mode=True, lock_timeout=0).changed
        line = complaint(prepare(fleet, lock_timeout=0), fleet.sites[SITE].ssh.address)
    assert "another run is working on this caching server" in line


def test_tells_what_is_wrong_with_the_destination(fleet: Fleet) -> None:
    run = prepare(fleet, check_mode=True, dest="/nowhere/assets")
    assert "neither is the directory above it" in complaint(run, fleet.sites[SITE].ssh.address)
