# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Directories below the destination that are file systems of their own, and the work area of each."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.lab.fleet import Fleet, SiteSpec
from tests.lab.runs import IMAGE, NEXT, SITE, add_large_image, complaint, is_delivered, prepare, sync
from tests.lab.waiting import meanwhile

pytestmark = pytest.mark.root
BOTH = pytest.mark.parametrize(
    "spec", [SiteSpec(SITE), SiteSpec(SITE, sftp_only=True)], indirect=True, ids=["shell", "sftp-only"]
)
Mount = Callable[[Path, str], None]


@pytest.fixture
def bind() -> Iterator[Callable[..., None]]:
    """Return a function that bind-mounts a directory or a file until the end of the test."""
    bound: list[Path] = []

    def do(what: Path, where: Path, *, read_only: bool = False) -> None:
        subprocess.run(["mount", "--bind", str(what), str(where)], check=True)
        bound.append(where)
        if read_only:
            subprocess.run(["mount", "-o", "remount,bind,ro", str(where)], check=True)

    yield do
    for path in bound:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


def hidden(directory: Path) -> list[str]:
    """Return what is in a work area, except for the lock."""
    return sorted(path.name for path in (directory / ".netboot-sync").iterdir() if path.name != "lock")


@BOTH
def test_file_system_of_its_own(fleet: Fleet, mount: Mount) -> None:
    """Images, and a copy of one, arrive without leftovers; and it is listed like a plain directory."""
    assets = fleet.sites[SITE].assets
    mount(assets / "prod", "size=128m")
    mount(assets / "kernels", "size=128m")
    told = sync(fleet, check_mode=True)
    run = sync(fleet)
    assert told.actions == run.actions
    assert run.failures == []
    assert is_delivered(fleet, fleet.tree.image(IMAGE))
    assert hidden(assets) == hidden(assets / "prod") == hidden(assets / "kernels") == []
    copy = fleet.tree.add_image(NEXT, content=fleet.tree.image(IMAGE).squashfs)
    again = sync(fleet)
    assert is_delivered(fleet, copy)
    assert again.failures == []
    assert sync(fleet, check_mode=True, verify=True, delete=True).actions == []


@pytest.mark.parametrize("spec", [SiteSpec(SITE, rate=20e6)], indirect=True, ids=["20-mbit"])
def test_pieces_on_another_file_system_are_used(fleet: Fleet, mount: Mount) -> None:
    site = fleet.sites[SITE]
    assert site.line is not None
    mount(site.assets / "prod", "size=128m")
    image = add_large_image(fleet.tree, NEXT, size=4_000_000)
    line = site.line
    with meanwhile(lambda: line.bytes_up > 2_500_000, line.cut):
        complaint(prepare(fleet), site.ssh.address)
    line.restore()
    assert hidden(site.assets / "prod") != []
    run = sync(fleet)
    assert is_delivered(fleet, image)
    assert run.images[image.path].sent_bytes < 0.8 * image.squashfs.stat().st_size
    assert hidden(site.assets / "prod") == []


def test_bind_mount_of_the_same_file_system(fleet: Fleet, bind: Callable[..., None]) -> None:
    """Its device number is that of the destination, but still nothing can be renamed into it."""
    assets = fleet.sites[SITE].assets
    (elsewhere := assets.parent / "else where").mkdir()
    (assets / "prod").mkdir()
    bind(elsewhere, assets / "prod")
    run = sync(fleet)
    assert run.failures == []
    assert is_delivered(fleet, fleet.tree.image(IMAGE))


@BOTH
@pytest.mark.parametrize("check_mode", [True, False], ids=["check", "real"])
def test_read_only_mount_is_told_before_anything_is_sent(
    fleet: Fleet, bind: Callable[..., None], *, check_mode: bool
) -> None:
    assets = fleet.sites[SITE].assets
    (elsewhere := assets.parent / "elsewhere").mkdir()
    (assets / "prod").mkdir()
    bind(elsewhere, assets / "prod", read_only=True)
    run = prepare(fleet, check_mode=check_mode)
    line = complaint(run, fleet.sites[SITE].ssh.address)
    assert "prod is a file system of its own on the caching server, and mounted read-only" in line
    outcome = run.images[f"{IMAGE}.squashfs"]
    assert (outcome.state, outcome.sent_bytes) == ("failed", 0)


@pytest.mark.parametrize("check_mode", [True, False], ids=["check", "real"])
def test_mounted_file_cannot_be_replaced(fleet: Fleet, bind: Callable[..., None], *, check_mode: bool) -> None:
    assets = fleet.sites[SITE].assets
    (assets / "prod").mkdir()
    (other := assets.parent / "other").write_bytes(b"")
    (at := assets / f"{IMAGE}.squashfs").write_bytes(b"")
    bind(other, at)
    line = complaint(prepare(fleet, check_mode=check_mode), fleet.sites[SITE].ssh.address)
    assert "it is a mount point on the caching server" in line


@pytest.mark.parametrize("check_mode", [True, False], ids=["check", "real"])
def test_room_of_the_file_system_that_it_goes_to(fleet: Fleet, mount: Mount, *, check_mode: bool) -> None:
    assets = fleet.sites[SITE].assets
    mount(assets / "prod", "size=66m")
    add_large_image(fleet.tree, NEXT, size=4_000_000)
    line = complaint(prepare(fleet, check_mode=check_mode), fleet.sites[SITE].ssh.address)
    assert f"not enough space in {assets}/prod: " in line
