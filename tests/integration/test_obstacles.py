# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Something on the caching server is in a file's way: never written through, never lost; the rest arrives."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.lab.fleet import Fleet, SiteSpec
from tests.lab.runs import IMAGE, NEXT, SITE, actions, add_large_image, complaint, is_delivered, prepare, sync
from tests.lab.tree import KERNEL
from tests.lab.waiting import meanwhile


def refused(fleet: Fleet) -> str:
    """Return what the user reads about a sync that meets an obstacle; an image elsewhere must still arrive."""
    other = fleet.tree.add_image("other/image", kernel=None)
    line = complaint(prepare(fleet), fleet.sites[SITE].ssh.address)
    assert is_delivered(fleet, other)
    assert "on the caching server" in line
    assert "remove it there" in line
    return line


@pytest.mark.parametrize("where", ["prod", "prod/deep"])
def test_directory_symlink_that_leads_outside(fleet: Fleet, tmp_path: Path, where: str) -> None:
    shutil.rmtree(fleet.tree.root / "prod")
    fleet.tree.add_image(f"{where}/image")
    (tmp_path / "outside").mkdir()
    link = fleet.sites[SITE].assets / where
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(tmp_path / "outside")
    assert f"{where} is a symlink on the caching server, and a sync never writes through one" in refused(fleet)
    assert list((tmp_path / "outside").iterdir()) == []
    assert link.is_symlink()


def test_kernel_directory_symlink_that_leads_outside(fleet: Fleet, tmp_path: Path) -> None:
    """Its image is not published either, nor is the pointer to it."""
    outside = tmp_path / "outside"
    outside.mkdir()
    assets = fleet.sites[SITE].assets
    (assets / "kernels").mkdir()
    (assets / "kernels" / KERNEL).symlink_to(outside)
    other = fleet.tree.add_image("other/image", kernel=None)
    run = prepare(fleet)
    run.run()
    assert f"kernels/{KERNEL} is a symlink on the caching server" in "".join(run.failures)
    assert run.images[f"{IMAGE}.squashfs"].state == "failed"
    assert not (assets / f"{IMAGE}-kernel.json").exists()
    assert not (assets / "kernels" / "latest-kernel-version.json").exists()
    assert list(outside.iterdir()) == []
    assert is_delivered(fleet, other)


@pytest.mark.parametrize("suffix", [".squashfs", "-kernel.json"])
@pytest.mark.parametrize("kind", ["directory", "pipe"])
def test_no_file_where_a_file_must_go(fleet: Fleet, suffix: str, kind: str) -> None:
    there = fleet.sites[SITE].assets / f"{IMAGE}{suffix}"
    there.parent.mkdir()
    if kind == "directory":
        there.mkdir()
        (there / "precious").write_text("precious", encoding="utf-8")
    else:
        os.mkfifo(there)
    line = refused(fleet)
    assert IMAGE in line
    assert f"it is a {kind}" in line
    assert (there / "precious").exists() if kind == "directory" else there.is_fifo()
    assert not (fleet.sites[SITE].assets / f"{IMAGE}-kernel.json").is_file()


@pytest.mark.parametrize("spec", [SiteSpec(SITE, rate=40e6)], indirect=True, ids=["40-mbit"])
def test_directory_symlink_that_comes_while_a_file_is_sent(fleet: Fleet, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    image = add_large_image(fleet.tree, "prod/large", size=2_000_000)
    fleet.tree.remove_image(IMAGE)
    site = fleet.sites[SITE]
    line = site.line
    assert line is not None
    run = prepare(fleet)
    with meanwhile(lambda: line.bytes_up > 1_000_000, lambda: (site.assets / "prod").symlink_to(outside)):
        assert f"{image.path}: prod is not a directory on the caching server" in complaint(run, site.ssh.address)
    assert list(outside.iterdir()) == []


def test_file_where_a_directory_must_be(fleet: Fleet) -> None:
    (fleet.sites[SITE].assets / "prod").write_text("precious", encoding="utf-8")
    assert "prod is not a directory on the caching server" in refused(fleet)
    assert (fleet.sites[SITE].assets / "prod").read_text(encoding="utf-8") == "precious"


def test_symlink_where_a_file_must_go_is_replaced(fleet: Fleet, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("precious", encoding="utf-8")
    image = fleet.tree.image(IMAGE)
    assets = fleet.sites[SITE].assets
    (assets / "prod").mkdir()
    for path in (image.path, f"{IMAGE}-kernel.json"):
        (assets / path).symlink_to(precious)
    sync(fleet)
    assert is_delivered(fleet, image)
    assert not (assets / image.path).is_symlink()
    assert precious.read_text(encoding="utf-8") == "precious"


def test_published_squashfs_that_became_a_directory_is_withdrawn(fleet: Fleet) -> None:
    """Its marker would promise what no client can fetch."""
    sync(fleet)
    assets = fleet.sites[SITE].assets
    (assets / f"{IMAGE}.squashfs").unlink()
    (assets / f"{IMAGE}.squashfs").mkdir()
    fleet.tree.add_image(NEXT)
    run = prepare(fleet)
    complaint(run, fleet.sites[SITE].ssh.address)
    assert actions(run)[0] == ("withdraw", f"{IMAGE}-kernel.json")
    assert not (assets / f"{IMAGE}-kernel.json").exists()
    assert is_delivered(fleet, fleet.tree.image(NEXT))


def test_hidden_directory_that_leads_outside(fleet: Fleet, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (fleet.sites[SITE].assets / ".netboot-sync").symlink_to(tmp_path / "outside")
    line = complaint(prepare(fleet), fleet.sites[SITE].ssh.address)
    assert f"{fleet.sites[SITE].assets}/.netboot-sync: " in line
    assert "Remove it on the caching server" in line
    assert list((tmp_path / "outside").iterdir()) == []
