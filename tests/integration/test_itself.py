# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A site that turns out to be the netboot server itself: this is detected there, whatever its address."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.netboot.syncer.plugins.module_utils.source.tree import SourceTree

from tests.lab.fleet import Fleet, SiteSpec
from tests.lab.runs import IMAGE, SITE, complaint, is_delivered, listing, prepare, sync

BOTH = pytest.mark.parametrize(
    "spec", [SiteSpec(SITE), SiteSpec(SITE, sftp_only=True)], indirect=True, ids=["shell", "sftp-only"]
)


def the_tree(fleet: Fleet, _tmp_path: Path) -> Path:
    return fleet.tree.root


def by_symlink(fleet: Fleet, tmp_path: Path) -> Path:
    (tmp_path / "alias").symlink_to(fleet.tree.root)
    return tmp_path / "alias"


def untidy(fleet: Fleet, _tmp_path: Path) -> Path:
    return Path(f"{fleet.tree.root}/../{fleet.tree.root.name}/")


@BOTH
@pytest.mark.parametrize("check_mode", [False, True], ids=["run", "check"])
@pytest.mark.parametrize("where", [the_tree, by_symlink, untidy])
def test_the_tree_itself(fleet: Fleet, tmp_path: Path, where: Callable[[Fleet, Path], Path], check_mode: bool) -> None:
    dest = where(fleet, tmp_path)
    before = listing(fleet.tree.root)
    line = complaint(prepare(fleet, dest=str(dest), check_mode=check_mode), SITE)
    assert f"{SITE}: " in line
    assert "is the netboot server itself, and this directory is the tree that is to be copied" in line
    assert "Set host" in line
    assert listing(fleet.tree.root) == before


@pytest.mark.root
@BOTH
def test_by_another_mount(fleet: Fleet, tmp_path: Path) -> None:
    dest = tmp_path / "mounted"
    dest.mkdir()
    subprocess.run(["mount", "--bind", str(fleet.tree.root), str(dest)], check=True)
    try:
        line = complaint(prepare(fleet, dest=str(dest)), SITE)
    finally:
        subprocess.run(["umount", str(dest)], check=True)
    assert "is the netboot server itself" in line
    assert sorted(path.name for path in fleet.tree.root.iterdir() if not path.name.startswith(".")) == [
        "kernels",
        "prod",
    ]


@pytest.mark.parametrize("there", [True, False], ids=["there", "not-yet"])
def test_within_the_tree(fleet: Fleet, there: bool) -> None:
    """Otherwise each run would copy the copy that the previous one made."""
    dest = fleet.tree.root / "copy"
    if there:
        dest.mkdir()
    line = complaint(prepare(fleet, dest=str(dest)), SITE)
    assert "this directory lies within the tree that is to be copied" in line
    assert dest.exists() == there


def test_around_the_tree(fleet: Fleet) -> None:
    line = complaint(prepare(fleet, dest=str(fleet.tree.root.parent), delete=True), SITE)
    assert "this directory holds the tree that is to be copied" in line


@BOTH
def test_another_tree_on_the_same_machine(fleet: Fleet, tmp_path: Path) -> None:
    dest = tmp_path / "other"
    sync(fleet, dest=str(dest))
    assert (dest / f"{IMAGE}-kernel.json").is_file()
    sync(fleet)
    assert is_delivered(fleet, fleet.tree.image(IMAGE))


def test_survey_does_not_take_it_for_a_site_in_line(fleet: Fleet) -> None:
    source = SourceTree(str(fleet.tree.root))
    source.scan()
    run = prepare(fleet, source=source, dest=str(fleet.tree.root), check_mode=True)
    with pytest.raises(Exception, match="is the netboot server itself"):
        run.look()
    assert not run.idle
