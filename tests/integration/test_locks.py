# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One run at a time for each caching server: with a shell the kernel's lock, with SFTP alone a lease."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator

import pytest
from ansible_collections.netboot.syncer.plugins.module_utils.caching_server import lock
from ansible_collections.netboot.syncer.plugins.module_utils.ssh.remote_commands import Abilities, probe
from ansible_collections.netboot.syncer.plugins.module_utils.ssh.session import Session

from tests.lab.fleet import Fleet, SiteSpec
from tests.lab.ledger import visible_files
from tests.lab.process import Supervised
from tests.lab.runs import IMAGE, SITE, add_large_image, address_of, complaint, is_delivered, prepare, run_module, sync
from tests.lab.waiting import meanwhile, wait_until

SIZE = 4_000_000
LARGE = "prod/large"
SLOW = SiteSpec(SITE, rate=20e6)  # 4 MB take some 2 s
SLOW_SFTP = SiteSpec(SITE, rate=20e6, sftp_only=True)
BOTH_LOCKS = pytest.mark.parametrize("spec", [SLOW, SLOW_SFTP], indirect=True, ids=["kernel", "lease"])


@pytest.fixture
def holder(fleet: Fleet) -> Iterator[Supervised]:
    """The module in its own process, in the middle of a transfer."""
    add_large_image(fleet.tree, LARGE, size=SIZE)
    line = fleet.sites[SITE].line
    assert line is not None
    running = run_module(fleet)
    wait_until(lambda: line.bytes_up > 300_000, "the first run sends")
    yield running
    running.stop()


@BOTH_LOCKS
def test_second_run_says_who_holds_it(fleet: Fleet, holder: Supervised) -> None:
    pid = holder.pids()[0]
    line = complaint(prepare(fleet, lock_timeout=0), fleet.sites[SITE].ssh.address)
    assert re.search(
        rf"{fleet.sites[SITE].assets}/\.netboot-sync/lock: another run is working on this caching server: "
        rf"\S+ on {re.escape(socket.gethostname())}, process {pid}, since \d{{4}}-\d\d-\d\dT",
        line,
    )
    assert "or raise lock_timeout." in line
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
    os.kill(holder.pids()[0], 9)
    holder.wait(60)
    monkeypatch.setattr(lock, "LEASE", 3600)
    assert "another run is working" in complaint(prepare(fleet, lock_timeout=1), fleet.sites[SITE].ssh.address)
    monkeypatch.setattr(lock, "LEASE", 3)
    run = sync(fleet, lock_timeout=60)
    assert run.attempts == 1
    assert is_delivered(fleet, fleet.tree.image(LARGE))
    # the lease is released again
    assert sync(fleet, lock_timeout=0).actions == []
    assert [path.name for path in (fleet.sites[SITE].assets / ".netboot-sync").iterdir()] == []


@pytest.mark.parametrize("spec", [SLOW_SFTP], indirect=True, ids=["lease"])
def test_lease_is_kept_while_files_are_sent(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many of its beats share the connection with the transfer, and neither disturbs the other."""
    monkeypatch.setattr(lock, "BEAT", 0.02)
    image = add_large_image(fleet.tree, LARGE, size=SIZE)
    run = sync(fleet)
    assert run.attempts == 1
    assert is_delivered(fleet, image)


@pytest.mark.parametrize("spec", [SLOW_SFTP], indirect=True, ids=["lease"])
def test_lease_is_renewed_all_the_time(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """A waiting run must see its content change with each beat, or would take it for abandoned."""
    monkeypatch.setattr(lock, "BEAT", 0.02)
    add_large_image(fleet.tree, LARGE, size=SIZE)
    path = fleet.sites[SITE].assets / ".netboot-sync" / "lock"
    seen: set[bytes] = set()

    def look() -> bool:
        with contextlib.suppress(FileNotFoundError):
            seen.add(path.read_bytes())
        return len(seen - {b""}) > 5

    with meanwhile(look, lambda: None):
        sync(fleet)


@pytest.mark.parametrize("spec", [SLOW_SFTP], indirect=True, ids=["lease"])
def test_the_lock_is_given_back_once_its_last_beat_is_answered(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a slow line, that answer takes time; two threads on one channel would read each other's answers."""
    monkeypatch.setattr(lock, "BEAT", 0.01)
    line = fleet.sites[SITE].line
    assert line is not None
    beating: list[bool] = []
    with Session(address_of(fleet), remember=False) as session:
        area = fleet.sites[SITE].assets / ".netboot-sync"
        area.mkdir(parents=True)
        lease = lock.LeaseLock(session, str(area / "lock"), timeout=5)
        lease.acquire()
        close = lease._handle.close

        def note_and_close() -> None:
            beating.append(any(thread.name == "lock" for thread in threading.enumerate()))
            close()

        monkeypatch.setattr(lease._handle, "close", note_and_close)
        line.stall()
        time.sleep(0.1)  # a beat is in flight, or the next one is about to begin: neither gets an answer
        restore = threading.Timer(1, line.restore)
        restore.start()
        lease.release()
        restore.join()
    assert beating == [False]
    assert not (area / "lock").exists()


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


# Debian's busybox has no flock; this script refuses -w as BusyBox's does, and otherwise works.
OLD_FLOCK = """#!/bin/sh
case "$*" in *-w*) echo "flock: invalid option -- 'w'" >&2; exit 1 ;; esac
exec /usr/bin/flock "$@"
"""
OLD_TIMEOUT = """#!/bin/sh
test "$1" = -t || { echo "timeout: can't execute '$1': No such file or directory" >&2; exit 127; }
shift
exec /usr/bin/timeout "$@"
"""
BROKEN_FLOCK = """#!/bin/sh
test "$3" = 9 && { echo "flock: 9: No locks available" >&2; exit 1; }
exec /usr/bin/flock "$@"
"""
LIKE_BUSYBOX = pytest.mark.parametrize(
    "spec",
    [
        pytest.param(SiteSpec(SITE, scripts={"flock": OLD_FLOCK}), id="flock"),
        pytest.param(SiteSpec(SITE, scripts={"timeout": OLD_TIMEOUT}), id="timeout"),
    ],
    indirect=True,
)


BUSYBOX = shutil.which("busybox") or ""


def busybox_has_flock() -> bool:
    listed = subprocess.run([BUSYBOX, "--list"], capture_output=True, text=True, check=False) if BUSYBOX else None
    return listed is not None and "flock" in listed.stdout.split()


def abilities(fleet: Fleet) -> Abilities:
    with Session(address_of(fleet)) as session:
        return probe(session)


def lease_is_kept(fleet: Fleet) -> bool:
    """Return whether a run that uses the lease works, and removes it at the end."""
    run = sync(fleet)
    left = [path.name for path in (fleet.sites[SITE].assets / ".netboot-sync").iterdir()]
    return run.attempts == 1 and is_delivered(fleet, fleet.tree.image(IMAGE)) and left == []


def test_flock_and_timeout_of_a_usual_system_make_a_kernel_lock(fleet: Fleet) -> None:
    assert abilities(fleet).locks
    sync(fleet)
    assert (fleet.sites[SITE].assets / ".netboot-sync" / "lock").is_file()  # a lease would have been removed


@LIKE_BUSYBOX
def test_programs_that_know_too_little_make_a_lease(fleet: Fleet) -> None:
    assert not abilities(fleet).locks
    assert lease_is_kept(fleet)


@pytest.mark.skipif(not busybox_has_flock(), reason="needs a busybox that has flock")
@pytest.mark.parametrize(
    "spec",
    [SiteSpec(SITE, scripts={name: f'#!/bin/sh\nexec {BUSYBOX} {name} "$@"\n' for name in ("flock", "timeout", "dd")})],
    indirect=True,
    ids=["busybox"],
)
def test_busybox_works(fleet: Fleet) -> None:
    """With whichever lock it supports."""
    assert abilities(fleet).locks or lease_is_kept(fleet)
    sync(fleet)
    assert is_delivered(fleet, fleet.tree.image(IMAGE))


@pytest.mark.parametrize("spec", [SiteSpec(SITE, scripts={"flock": BROKEN_FLOCK})], indirect=True, ids=["broken"])
def test_lock_that_cannot_be_taken_is_not_told_as_another_run(fleet: Fleet) -> None:
    line = complaint(prepare(fleet), fleet.sites[SITE].ssh.address)
    assert f"{fleet.sites[SITE].assets}/.netboot-sync/lock: the lock cannot be taken: flock failed (1)" in line
    assert "No locks available" in line
    assert "another run" not in line
