# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is already in the work area of a caching server, and not ours: never followed, never written to."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.netboot.syncer.plugins.module_utils.transports.work_area import transfer_id

from tests.lab.fleet import Fleet, SiteSpec
from tests.lab.runs import IMAGE, NEXT, SITE, add_large_image, complaint, is_delivered, prepare, sync

BOTH = pytest.mark.parametrize(
    "spec", [SiteSpec(SITE), SiteSpec(SITE, sftp_only=True)], indirect=True, ids=["shell", "sftp-only"]
)


def outside(fleet: Fleet) -> Path:
    """Create a directory that is somebody else's, with something in it."""
    path = fleet.sites[SITE].assets.parent / "outside"
    (path / "deep").mkdir(parents=True)
    (path / "deep" / "precious").write_text("keep me", encoding="utf-8")
    (path / "precious").write_text("keep me", encoding="utf-8")
    return path


def untouched(path: Path) -> bool:
    precious = [path / "precious", path / "deep" / "precious"]
    return all(one.exists() and one.read_text(encoding="utf-8") == "keep me" for one in precious)


def work_area(fleet: Fleet) -> Path:
    path = fleet.sites[SITE].assets / ".netboot-sync"
    path.mkdir(exist_ok=True)
    return path


@BOTH
@pytest.mark.parametrize("leads_to", ["outside", "prod"])
def test_directory_of_a_file_that_is_a_symlink(fleet: Fleet, leads_to: str) -> None:
    """What it leads to keeps everything in it; the symlink itself is removed, and a warning says so."""
    sync(fleet)
    image = add_large_image(fleet.tree, NEXT, size=1_000_000)
    precious = outside(fleet)
    link = work_area(fleet) / transfer_id(image.path)
    link.symlink_to(precious if leads_to == "outside" else "../prod")
    stale = work_area(fleet) / transfer_id("no/such/file")
    stale.symlink_to(precious)
    run = sync(fleet)
    assert untouched(precious)
    assert is_delivered(fleet, image)
    assert is_delivered(fleet, fleet.tree.image(IMAGE))
    assert f"{link} was not a directory of ours but a symlink" in "".join(run.warnings)
    assert not link.is_symlink()
    assert not stale.is_symlink()


@BOTH
@pytest.mark.parametrize("name", ["basis", "partial"])
def test_symlink_among_the_pieces(fleet: Fleet, name: str) -> None:
    image = add_large_image(fleet.tree, NEXT, size=1_000_000)
    precious = outside(fleet)
    (directory := work_area(fleet) / transfer_id(image.path)).mkdir()
    (directory / name).symlink_to(precious if name == "basis" else precious / "precious")
    sync(fleet)
    assert untouched(precious)
    assert is_delivered(fleet, image)


@BOTH
@pytest.mark.parametrize("size", [0, 1])
def test_piece_of_a_run_that_was_killed_at_once(fleet: Fleet, size: int) -> None:
    """It was killed right after it created the file, or after the first bytes; the next run must cope with that."""
    image = fleet.tree.add_image(NEXT)
    for file in (image.squashfs, image.marker):
        found = file.stat()
        directory = work_area(fleet) / transfer_id(str(file.relative_to(fleet.tree.root)))
        directory.mkdir()
        (directory / f"upload-{found.st_size}-{int(found.st_mtime)}").write_bytes(file.read_bytes()[:size])
    sync(fleet)
    assert is_delivered(fleet, image)


@pytest.mark.parametrize("spec", [SiteSpec(SITE, sftp_only=True)], indirect=True, ids=["sftp-only"])
@pytest.mark.parametrize("second_name", [os.symlink, os.link], ids=["symlink", "hard link"])
def test_piece_that_has_another_name_is_not_gone_on_with(
    fleet: Fleet, second_name: Callable[[Path, Path], None]
) -> None:
    """Resuming an upload writes to it: a published image under another name would be overwritten."""
    other = add_large_image(fleet.tree, IMAGE, size=16_000_000)
    sync(fleet)
    published = fleet.sites[SITE].assets / other.path
    image = add_large_image(fleet.tree, NEXT, size=24_000_000)
    seen = image.squashfs.stat()
    (directory := work_area(fleet) / transfer_id(image.path)).mkdir()
    second_name(published, directory / f"upload-{seen.st_size}-{int(seen.st_mtime)}")
    sync(fleet)
    assert published.read_bytes() == other.squashfs.read_bytes()
    assert is_delivered(fleet, image)


def make_link(path: Path) -> None:
    path.symlink_to("../prod/precious")
    (path.parents[1] / "prod").mkdir()
    (path.parents[1] / "prod" / "precious").write_text("keep me", encoding="utf-8")


def dangle(path: Path) -> None:
    path.symlink_to(path.parents[2] / "made")


def zeros(path: Path) -> None:
    path.symlink_to("/dev/zero")


@BOTH
@pytest.mark.parametrize("check_mode", [True, False], ids=["check", "real"])
@pytest.mark.parametrize("make", [make_link, dangle, zeros, os.mkfifo, Path.mkdir])
def test_lock_that_is_no_file_of_ours(fleet: Fleet, make: Callable[[Path], None], *, check_mode: bool) -> None:
    lock = work_area(fleet) / "lock"
    make(lock)
    line = complaint(prepare(fleet, check_mode=check_mode, lock_timeout=2), fleet.sites[SITE].ssh.address)
    assert f"{lock}: the lock is not a file" in line
    assert "remove it on the caching server" in line
    assert not (fleet.sites[SITE].assets.parent / "made").exists()
    if make is make_link:
        assert (fleet.sites[SITE].assets / "prod" / "precious").read_text(encoding="utf-8") == "keep me"


@BOTH
def test_lock_that_is_another_name_of_a_published_file(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is never written to, whatever it contains."""
    monkeypatch.setattr("ansible_collections.netboot.syncer.plugins.module_utils.caching_server.lock.LEASE", 1)
    sync(fleet)
    published = fleet.sites[SITE].assets / f"{IMAGE}.squashfs"
    lock = work_area(fleet) / "lock"
    lock.unlink(missing_ok=True)
    os.link(published, lock)
    before = published.read_bytes()
    inode = published.stat().st_ino  # an overwritten image would have been sent again
    fleet.tree.add_image(NEXT)
    sync(fleet)
    assert published.read_bytes() == before
    assert published.stat().st_ino == inode


@pytest.mark.root
@pytest.mark.timeout(400)
@BOTH
def test_deep_and_full_leftovers_are_cleaned_up(fleet: Fleet) -> None:
    """Nested directories, deeper than Python's recursion limit."""
    sync(fleet)
    deep = work_area(fleet) / "old"
    deep.mkdir()
    for _level in range(1200):
        deep = deep / "d"
        deep.mkdir()
    sync(fleet)
    assert not (work_area(fleet) / "old").exists()
