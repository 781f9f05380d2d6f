# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A tree of any depth, size or shape: what cannot be sent is held back with its reason, and the rest is sent."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.netboot.syncer.plugins.module_utils.assets.entries import DIRECTORY, FILE, OTHER, Entry
from ansible_collections.netboot.syncer.plugins.module_utils.assets.inventory import Inventory, Rules, assess
from ansible_collections.netboot.syncer.plugins.module_utils.assets.uploads import LARGE
from ansible_collections.netboot.syncer.plugins.module_utils.planning.planner import make_plan
from ansible_collections.netboot.syncer.plugins.module_utils.planning.promises import There
from ansible_collections.netboot.syncer.plugins.module_utils.source.tree import LONGEST_PATH, MOST_LEVELS, SourceTree

from tests.lab.tree import nested
from tests.unit.plugins.module_utils.trees import squashfs

SECOND = 10**9


@pytest.fixture
def root(tmp_path: Path) -> Path:
    found = tmp_path / "assets"
    found.mkdir()
    (found / "menu").write_text("menu", encoding="utf-8")
    return found


def scanned(root: Path, now: Callable[[], int] = time.time_ns) -> tuple[SourceTree, Inventory]:
    source = SourceTree(str(root), now=now)
    source.scan()
    return source, assess(source.tree, source.evidence(Rules()), Rules())


@pytest.mark.parametrize("name", ["d", "deep" * 60], ids=["many-levels", "long-names"])
def test_a_branch_that_is_too_deep_is_held_back_alone(root: Path, name: str) -> None:
    levels = 1200
    assert levels > sys.getrecursionlimit()
    with nested(root, name, levels):
        source, inventory = scanned(root)
        assert [entry.path for entry in inventory.files] == ["menu"]
        path = next(iter(inventory.held_back))
        assert list(inventory.held_back) == [path]
        reason = inventory.held_back[path]
        assert source.tree[path].kind == DIRECTORY
        told = "directories deep" if name == "d" else f"{LONGEST_PATH} are the most that is sent"
        assert told in reason
        below = f"{path}/{name}/old"
        plan = make_plan(inventory, source.tree, There({below: Entry(below, FILE, 1)}), Rules(), delete=True)
        assert [unit.path for unit in plan.units if unit.kind == "removal"] == []


def test_the_deepest_that_is_sent(root: Path) -> None:
    with nested(root, "d", MOST_LEVELS - 1):
        _source, inventory = scanned(root)
    assert [entry.path for entry in inventory.files] == ["/".join(["d"] * (MOST_LEVELS - 1) + ["file"]), "menu"]
    assert inventory.held_back == {}


def test_names_as_long_as_they_can_be(root: Path) -> None:
    longest = "x" * 255
    (root / longest).write_bytes(b"1")
    (root / f"{'y' * 250}.img").write_bytes(squashfs())
    _source, inventory = scanned(root)
    assert longest in {entry.path for entry in inventory.files}
    assert [image.reason[:13] for image in inventory.images] == ["no marker yet"]


def test_symlinks_in_circles_are_not_followed(root: Path) -> None:
    (root / "here").symlink_to(".")
    (root / "itself").symlink_to("itself")
    (root / "a").symlink_to("b/x")
    (root / "b").symlink_to("a/x")
    (root / "up").symlink_to("here/here/../../menu")
    source, inventory = scanned(root)
    assert set(source.tree) == {"menu", "here", "itself", "a", "b", "up"}
    assert inventory.held_back["itself"] == "a symlink in a circle"
    assert set(inventory.held_back) == {"itself", "a", "b", "up"}


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        pytest.param(
            "{root}/prod/a",
            "an absolute symlink: it leads to {root}/prod/a on the netboot server only;"
            " make it relative, which is ../prod/a",
            id="into-the-tree",
        ),
        pytest.param(
            "{root}/prod/../prod/./nothing",
            "an absolute symlink: it leads to {root}/prod/../prod/./nothing on the netboot server only;"
            " make it relative, which is ../prod/nothing",
            id="into-the-tree-to-nothing",
        ),
        pytest.param(
            "{other}/prod/a",
            "an absolute symlink: it leads to {other}/prod/a on the netboot server only;"
            " make it relative, which is ../prod/a",
            id="into-the-tree-by-another-way",
        ),
        pytest.param("{root}", "an absolute symlink: it leads to {root} on the netboot server only;", id="the-tree"),
        pytest.param("{root}-2/a", "a symlink that leaves the tree", id="a-neighbour-of-it"),
        pytest.param("/etc/hostname", "a symlink that leaves the tree", id="elsewhere"),
        pytest.param("../../x", "a symlink that leaves the tree", id="above"),
        pytest.param("../.hidden", "a symlink to a hidden name, which is never sent", id="hidden"),
        pytest.param("nothing", "a symlink that leads nowhere", id="nowhere"),
    ],
)
def test_a_symlink_is_told_as_it_is(root: Path, target: str, reason: str) -> None:
    (root / "prod").mkdir()
    (root / "prod" / "a").write_bytes(b"a")
    (root / ".hidden").write_bytes(b"h")
    other = root.parent / "other"
    other.symlink_to(root)
    (root / "boot").mkdir()
    (root / "boot" / "link").symlink_to(target.format(root=root, other=other))
    (root / "second").symlink_to("boot/link")
    _source, inventory = scanned(root)
    assert inventory.held_back["boot/link"].startswith(reason.format(root=root, other=other))
    if target != "nothing":
        assert inventory.held_back["second"] == f"a symlink to boot/link, which is {inventory.held_back['boot/link']}"


def test_what_is_no_file_is_not_opened(root: Path) -> None:
    os.mkfifo(root / "x.img")
    os.mkfifo(root / "x.squashfs")
    source, inventory = scanned(root)
    assert source.tree["x.img"].kind == OTHER
    assert inventory.held_back["x.img"] == "neither a file nor a directory nor a symlink"
    assert [image.path for image in inventory.images] == ["x.squashfs"]


def test_a_squashfs_is_known_by_its_first_bytes(root: Path) -> None:
    (root / "x86_64.img").write_bytes(squashfs())
    _source, inventory = scanned(root)
    assert inventory.image_paths == {"x86_64.img"}


def large(root: Path) -> Path:
    path = root / "rescue.iso"
    path.touch()
    os.truncate(path, LARGE + 1)
    return path


@pytest.mark.parametrize("when", [None, 1_000_000_000, 4_000_000_000], ids=["now", "long-ago", "in-the-future"])
def test_a_large_file_is_as_old_as_its_last_change(root: Path, when: int | None) -> None:
    """Whatever its mtime: cp -p, rsync -a and wget set that of the original."""
    path = large(root)
    if when is not None:
        os.utime(path, (when, when))
    changed = path.stat().st_ctime_ns
    for seconds, waits in ((1, True), (119, True), (120, False), (9999, False)):
        _source, inventory = scanned(root, lambda: changed + seconds * SECOND)  # noqa: B023  # called at once
        assert inventory.held_back.get("rescue.iso") == (
            f"still being uploaded? last changed {seconds} s ago; sent once left alone for 120 s" if waits else None
        )


def test_a_file_of_just_100_mb_does_not_wait(root: Path) -> None:
    os.truncate(large(root), LARGE)
    _source, inventory = scanned(root)
    assert inventory.held_back == {}
