# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The disk of a caching server is full: what is published there stays, unless it was withdrawn by name."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.lab.fleet import Fleet
from tests.lab.runs import IMAGE, SITE, actions, complaint, is_delivered, prepare, sync

pytestmark = pytest.mark.root
MARKER = f"{IMAGE}-kernel.json"
SQUASHFS = f"{IMAGE}.squashfs"


@pytest.fixture
def full(fleet: Fleet, mount: Callable[[Path, str], None]) -> Iterator[Fleet]:
    """The fleet after a sync, without a free byte on the site's disk."""
    assets = fleet.sites[SITE].assets
    mount(assets, f"size={80 * 1024 * 1024}")
    sync(fleet)
    with (assets / "full").open("wb") as file:
        space = os.statvfs(assets)
        os.posix_fallocate(file.fileno(), 0, space.f_bavail * space.f_frsize)
    yield fleet
    (assets / "full").unlink(missing_ok=True)


def test_same_content_under_another_time_stays_published(full: Fleet) -> None:
    """As if the tree had been copied there without its times: nothing is sent, so nothing has to be withdrawn."""
    os.utime(full.sites[SITE].assets / SQUASHFS, (1, 1))
    run = sync(full)
    assert run.failures == []
    assert actions(run) == [("adopt", SQUASHFS), ("confirm", SQUASHFS)]
    assert is_delivered(full, full.tree.image(IMAGE))


def test_old_image_stays_where_the_new_one_has_no_room(full: Fleet) -> None:
    image = full.tree.image(IMAGE)
    before = {path: (full.sites[SITE].assets / path).read_bytes() for path in (MARKER, SQUASHFS)}
    with image.squashfs.open("ab") as file:
        file.write(os.urandom(4096))
    line = complaint(prepare(full), full.sites[SITE].ssh.address)
    assert f"{SQUASHFS}: not enough space in " in line
    assert "let delete remove" in line
    assert {path: (full.sites[SITE].assets / path).read_bytes() for path in before} == before


@pytest.mark.parametrize("asked", [(IMAGE,), ()], ids=["withdraw.yml", "next-sync"])
def test_withdrawn_by_name(full: Fleet, asked: tuple[str, ...]) -> None:
    marker = full.tree.image(IMAGE).marker
    marker.rename(marker.with_name(f".{marker.name}.withdrawn"))
    assert actions(sync(full, withdraw=asked)) == [("withdraw", MARKER)]
    assert not (full.sites[SITE].assets / MARKER).exists()
