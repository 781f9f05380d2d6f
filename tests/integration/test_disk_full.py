# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The disk of a caching server is full: the message has figures, smaller images arrive, no partial file is visible."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.lab.fleet import Fleet, SiteSpec
from tests.lab.ledger import visible_files
from tests.lab.runs import IMAGE, NEXT, SITE, actions, add_large_image, complaint, is_delivered, prepare, sync
from tests.lab.strange_disk import Quirks, StrangeDisk
from tests.lab.waiting import meanwhile

pytestmark = pytest.mark.root
MB = 1_000_000
RESERVE = 64 * 1024 * 1024
Mount = Callable[[Path, str], None]
BOTH_TRANSPORTS = pytest.mark.parametrize("transport", ["rsync", "sftp"])


def fill(path: Path, *, leave: int) -> None:
    """Create a file that fills its file system, except for *leave* bytes."""
    space = os.statvfs(path.parent)
    with path.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, space.f_bavail * space.f_frsize - leave)


@BOTH_TRANSPORTS
def test_what_does_not_fit_is_not_begun(fleet: Fleet, mount: Mount, transport: str) -> None:
    assets = fleet.sites[SITE].assets
    mount(assets, f"size={RESERVE + 8 * MB}")
    large = add_large_image(fleet.tree, "prod/large", size=20 * MB)
    smaller = add_large_image(fleet.tree, "prod/smaller", size=2 * MB)
    run = prepare(fleet, transport=transport)
    line = complaint(run, fleet.sites[SITE].ssh.address)
    found = re.search(r": prod/large.squashfs: not enough space in (\S+): (\d+) bytes.*, (\d+) bytes are free\.", line)
    assert found, line
    assert found[1] == str(assets)
    assert int(found[2]) == large.squashfs.stat().st_size
    assert RESERVE < int(found[3]) < RESERVE + 8 * MB
    assert "let delete remove" in line
    assert run.images[large.path].sent_bytes == 0
    assert is_delivered(fleet, smaller)
    assert is_delivered(fleet, fleet.tree.image(IMAGE))
    assert not list(assets.glob("prod/large*"))
    assert not list((assets / ".netboot-sync").glob("*/*"))


@BOTH_TRANSPORTS
@pytest.mark.parametrize("spec", [SiteSpec(SITE, rate=100e6)], indirect=True, ids=["100-mbit"])
def test_others_fill_the_disk_meanwhile(fleet: Fleet, mount: Mount, transport: str) -> None:
    site = fleet.sites[SITE]
    mount(site.assets, f"size={RESERVE + 16 * MB}")
    large = add_large_image(fleet.tree, "prod/large", size=12 * MB)
    os.utime(large.marker)  # the newest is sent first
    run = prepare(fleet, transport=transport)
    line = site.line
    assert line is not None
    junk = site.assets / ".junk"
    with meanwhile(lambda: line.bytes_up > 3 * MB, lambda: fill(junk, leave=4 * 1024 * 1024)):
        said = complaint(run, site.ssh.address)
    assert ": prod/large.squashfs: not enough space in" in said
    assert run.images[large.path].sent_bytes > MB
    assert is_delivered(fleet, fleet.tree.image(IMAGE))
    assert not list(site.assets.glob("prod/large*"))
    junk.unlink()
    sync(fleet, transport=transport)
    assert is_delivered(fleet, large)


@pytest.mark.parametrize("spec", [SiteSpec(SITE, line=True)], indirect=True, ids=["line"])
def test_pieces_of_other_images_make_room(fleet: Fleet, mount: Mount) -> None:
    """They are kept for a later run, but never at the expense of what this run sends."""
    site = fleet.sites[SITE]
    line = site.line
    assert line is not None
    mount(site.assets, f"size={RESERVE + 16 * MB}")
    large = add_large_image(fleet.tree, "prod/large", size=12 * MB)
    os.utime(large.marker)
    line.cut_after(9 * MB)
    complaint(prepare(fleet), site.ssh.address)
    line.restore()
    other = add_large_image(fleet.tree, "dev/other", size=12 * MB)
    sync(fleet, include=["dev/**"])
    assert is_delivered(fleet, other)


@pytest.mark.parametrize("options", ["size=1m", "size=100m,nr_inodes=40"], ids=["bytes", "inodes"])
def test_nothing_at_all_fits(fleet: Fleet, mount: Mount, options: str) -> None:
    """With delete, the run frees space all the same, and the next run can use it."""
    assets = fleet.sites[SITE].assets
    mount(assets, options)
    if "inodes" in options:
        sync(fleet)  # without a free inode, not even the hidden directory could be created
    before = {path: assets.joinpath(path).read_bytes() for path, _unused in visible_files(assets)}
    image = fleet.tree.add_image("prod/later")
    for number in range(40):
        try:
            (assets / f"junk-{number}").write_bytes(b"j" * 60_000)
        except OSError:
            break
    run = sync(fleet, delete=True, max_delete=100)
    assert "not enough space" in run.failures[0]
    assert ("no free inodes" in run.failures[0]) is ("inodes" in options)
    assert {path: assets.joinpath(path).read_bytes() for path, _unused in visible_files(assets)} == before
    assert ("remove", "junk-0") in actions(run)
    sync(fleet)
    assert is_delivered(fleet, image)


@pytest.mark.parametrize("spec", [SiteSpec(SITE, sftp_only=True)], indirect=True, ids=["sftp-only"])
def test_not_even_a_lease_fits(fleet: Fleet, mount: Mount) -> None:
    assets = fleet.sites[SITE].assets
    mount(assets, "size=1m")
    fill(assets / ".junk", leave=0)
    line = complaint(prepare(fleet), fleet.sites[SITE].ssh.address)
    assert f"{assets}: the destination cannot be written (its file system is full, 0 bytes are free)." in line
    assert "Free some space" in line
    (assets / ".junk").unlink()
    sync(fleet, lock_timeout=0)
    assert is_delivered(fleet, fleet.tree.image(IMAGE))


@pytest.mark.parametrize("transport", ["rsync", "sftp"])
def test_quota_is_told_as_that(
    fleet: Fleet, strange_disk: Callable[[Path, Quirks], StrangeDisk], transport: str
) -> None:
    strange_disk(fleet.sites[SITE].assets, Quirks(quota=MB))
    small = fleet.tree.image(IMAGE)
    large = add_large_image(fleet.tree, NEXT, size=3 * MB)
    line = complaint(prepare(fleet, transport=transport), fleet.sites[SITE].ssh.address)
    assert "quota" in line
    assert large.path in line
    assert "Raise it on the caching server, or free some." in line
    assert is_delivered(fleet, small)
    assert not is_delivered(fleet, large)
