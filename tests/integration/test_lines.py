# Copyright: (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Differences, cut lines and two runs at once, over real lines."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from ansible_collections.netboot.syncer.plugins.module_utils.deciding.readiness import Rules
from ansible_collections.netboot.syncer.plugins.module_utils.doing.lock import KernelLock
from ansible_collections.netboot.syncer.plugins.module_utils.doing.session import Session
from ansible_collections.netboot.syncer.plugins.module_utils.doing.ssh_settings import Address
from ansible_collections.netboot.syncer.plugins.module_utils.doing.sync_run import Options, SyncRun
from ansible_collections.netboot.syncer.plugins.module_utils.errors import LockHeld

from tests.lab import images
from tests.lab.fleet import Fleet, SiteSpec

FIRST = "prod/21-04-09-gnome-master-f1d734e"
SECOND = "prod/21-04-10-gnome-master-9c41d0b"


def prepared(fleet: Fleet, *, transport: str = "auto", retries: int = 0) -> SyncRun:
    site = fleet.sites["cache"]
    address = Address(
        host=site.ssh.address,
        port=site.ssh.port,
        user=site.server.user,
        private_key_file=str(fleet.key.private),
        known_hosts_file=str(fleet.known_hosts),
    )
    src, dest = str(fleet.tree.root), str(site.assets)
    return SyncRun(
        address,
        Options(src=src, dest=dest, rules=Rules(), transport=transport, retries=retries, retry_delay=1, lock_timeout=1),
    )


def add_build(fleet: Fleet, name: str, work: Path, *, build: int) -> None:
    root = work / "root"
    if not root.exists():
        root.mkdir(parents=True)
        images.write_rootfs(root, size=6_000_000)
    images.upgrade_rootfs(root, build=build)
    fleet.tree.add_image(name, content=images.build_image(work / f"{build}.squashfs", root))


def test_second_build_goes_as_the_difference_to_the_first(tmp_path: Path) -> None:
    with Fleet(tmp_path / "fleet", [SiteSpec("cache")]) as fleet:
        fleet.tree.add_kernel()
        add_build(fleet, FIRST, tmp_path / "work", build=1)
        prepared(fleet).run()
        add_build(fleet, SECOND, tmp_path / "work", build=2)
        run = prepared(fleet)
        run.run()
        outcome = run.images[f"{SECOND}.squashfs"]
        assert outcome.basis == f"{FIRST}.squashfs"
        assert outcome.sent_bytes < 0.3 * outcome.size


@pytest.mark.parametrize("transport", ["rsync", "sftp"])
def test_a_cut_line_is_tried_again_and_goes_on(tmp_path: Path, transport: str) -> None:
    with Fleet(tmp_path / "fleet", [SiteSpec("cache", line=True)]) as fleet:
        fleet.tree.add_kernel()
        image = fleet.tree.image(FIRST)
        fleet.tree.add_image(FIRST)
        with image.squashfs.open("ab") as file:
            file.write(os.urandom(24_000_000))
        line = fleet.sites["cache"].line
        assert line is not None
        line.cut_after(18_000_000)
        run = prepared(fleet, transport=transport, retries=3)
        # The planned cut also ends the line, as a real one does for a while; it stands again for the next try.
        timer = threading.Timer(4, line.restore)
        timer.start()
        run.run()
        timer.cancel()
        assert run.attempts > 1
        assert (fleet.sites["cache"].assets / image.path).read_bytes() == image.squashfs.read_bytes()
        assert line.bytes_up < 1.6 * image.squashfs.stat().st_size


def test_a_second_run_says_who_holds_the_lock(tmp_path: Path) -> None:
    with Fleet(tmp_path / "fleet", [SiteSpec("cache")]) as fleet:
        fleet.tree.add_kernel()
        fleet.tree.add_image(FIRST)
        run = prepared(fleet)
        run.run()
        fleet.tree.add_image(SECOND)
        path = fleet.sites["cache"].assets / ".netboot-sync" / "lock"
        with Session(run._address) as session:
            lock = KernelLock(session, str(path), timeout=5)
            lock.acquire()
            with pytest.raises(LockHeld, match=f"process {os.getpid()}"):
                prepared(fleet).run()
            lock.release()
        prepared(fleet).run()
        assert (fleet.sites["cache"].assets / f"{SECOND}.squashfs").is_file()


def test_nothing_is_removed_unless_asked_for(tmp_path: Path) -> None:
    with Fleet(tmp_path / "fleet", [SiteSpec("cache")]) as fleet:
        fleet.tree.add_kernel()
        fleet.tree.add_image(FIRST)
        fleet.tree.add_image(SECOND)
        prepared(fleet).run()
        fleet.tree.remove_image(FIRST)
        prepared(fleet).run()
        assert (fleet.sites["cache"].assets / f"{FIRST}.squashfs").is_file()
