# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fleet of the demo, and what arrives on its netboot server."""

from __future__ import annotations

from pathlib import Path

from tests.lab import images
from tests.lab.fleet import Fleet, SiteSpec
from tests.lab.process import LabError
from tests.lab.tree import CACHING_SERVER_IMAGE, KERNEL

BIG_SIZE = 100 * 1024 * 1024  # bytes; uploads of this size have been seen to arrive in parts
SLOW_RATE = 40e6  # bit/s

FIRST_BUILD = "prod/21-04-09-gnome-master-f1d734e"
SECOND_BUILD = "prod/21-04-16-gnome-master-9c41d0b"
SMALL_IMAGE = "prod/21-04-08-kde-master-0aa1b2c"
DEV_IMAGE = "dev/21-04-10-gnome-feature-77ab012"
UPLOADING = "prod/21-04-10-xfce-master-4d5e6f7"
TRUNCATED = "prod/21-04-10-lxde-master-8a9b0c1"

FAST, SLOW, DEVELOPMENT = "cache-berlin", "cache-hamburg", "cache-dev"


def build_fleet(directory: Path) -> Fleet:
    """Three caching servers; only the development server gets the untested images."""
    not_dev = {"netboot_sync_exclude": ["dev/**"]}
    return Fleet(
        directory,
        [
            SiteSpec(FAST, variables=not_dev),
            SiteSpec(SLOW, rate=SLOW_RATE, variables=not_dev),
            SiteSpec(DEVELOPMENT),
        ],
        variables={"netboot_sync_unmarked_images": ["caching-server/*"]},
    )


def expected_images(site: str, *, second: bool) -> set[str]:
    """The images (paths of the squashfs) that can be booted from *site* after the first or the second sync."""
    names = [FIRST_BUILD, SMALL_IMAGE]
    names += [SECOND_BUILD] if second else []
    names += [DEV_IMAGE] if site == DEVELOPMENT else []
    return {f"{name}.squashfs" for name in names}


def fill(fleet: Fleet, work: Path) -> None:
    """Let the first images arrive on the netboot server. *work* keeps what the second build needs."""
    tree = fleet.tree
    tree.add_kernel(KERNEL, size=6 * 1024 * 1024)
    big = images.build_machine_image(work / "first.squashfs", work / "root", at_least=BIG_SIZE)
    if big.stat().st_size <= BIG_SIZE:
        raise LabError(f"{big} has only {big.stat().st_size} bytes")
    tree.add_image(FIRST_BUILD, content=big)
    for number, name in enumerate([SMALL_IMAGE, DEV_IMAGE, UPLOADING, TRUNCATED, CACHING_SERVER_IMAGE], start=1):
        root = work / f"root-{number}"
        images.write_rootfs(root, size=3_000_000, seed=number)
        image = images.build_image(work / f"{number}.squashfs", root)
        tree.add_image(name, content=image, marker=name not in (UPLOADING, CACHING_SERVER_IMAGE))
    tree.truncate_image(TRUNCATED)
    fleet.ledger.snapshot()


def add_second_build(fleet: Fleet, work: Path) -> None:
    """Let the second build of the large image arrive, under a new name."""
    images.upgrade_rootfs(work / "root", build=2)
    fleet.tree.add_image(SECOND_BUILD, content=images.build_image(work / "second.squashfs", work / "root"))
    fleet.ledger.snapshot()
