# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Retention: which images stay, which go, and in which order. Tables, over real files that nobody removes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.netboot.syncer.plugins.module_utils.assets.inventory import Rules
from ansible_collections.netboot.syncer.plugins.module_utils.planning import retention
from ansible_collections.netboot.syncer.plugins.module_utils.planning.retention import Policy, Pruning, Record
from ansible_collections.netboot.syncer.plugins.module_utils.source.tree import SourceTree

from tests.lab.tree import AssetsTree

DAY = 86400
NOW = 1_800_000_000
OLD_KERNEL = "5.4.0-1-generic"


@pytest.fixture
def tree(tmp_path: Path) -> AssetsTree:
    """Five gnome images of one branch, 1 to 5 days old, a kde image of 9 days, and a gnome image of dev."""
    found = AssetsTree(tmp_path / "assets")
    found.add_kernel()
    found.add_kernel(OLD_KERNEL, latest=False)
    for days in range(1, 6):
        add(found, f"prod/21-04-{20 - days}-gnome-master-f1d734{days}", days, OLD_KERNEL if days > 3 else None)
    add(found, "prod/21-04-11-kde-master-0aa1b2c", 9)
    add(found, "dev/21-04-02-gnome-master-0aa1b2c", 18)
    return found


def add(tree: AssetsTree, name: str, days: int, kernel: str | None = None) -> None:
    image = tree.add_image(name, kernel=kernel) if kernel else tree.add_image(name)
    for path in (image.squashfs, image.marker):
        os.utime(path, (NOW - days * DAY, NOW - days * DAY))


def decide(
    tree: AssetsTree, *, records: tuple[Record, ...] = (), named: Any = (), grace: int = 300, **kept: Any
) -> Pruning:
    source = SourceTree(str(tree.root))
    source.scan()
    inventory = source.inventory(Rules(), lambda _image: False)
    policy = Policy(**kept)
    return retention.plan(inventory, source.tree, policy, now=NOW, records=records, named=named, grace=grace)


def going(pruning: Pruning) -> list[str]:
    """Return the ages, in days, of the gnome images of prod that go."""
    return sorted(path[-10] for path, one in pruning.images.items() if one.state == retention.SET_ASIDE)


@pytest.mark.parametrize(
    ("kept", "gone"),
    [
        pytest.param({"keep_last": 1}, ["2", "3", "4", "5"], id="the-newest-alone"),
        pytest.param({"keep_last": 3}, ["4", "5"], id="three"),
        pytest.param({"keep_last": 9}, [], id="more-than-there-are"),
        pytest.param({"max_age": 3 * DAY + 1}, ["4", "5"], id="age"),
        pytest.param({"max_age": 1}, ["2", "3", "4", "5"], id="all-too-old-but-the-newest-stays"),
        pytest.param({"max_size": 1}, ["2", "3", "4", "5"], id="one-is-too-large-already"),
        pytest.param({"max_size": 2 * 4096}, ["3", "4", "5"], id="two-fit"),
        pytest.param({"keep_last": 2, "max_age": 4 * DAY + 1}, ["5"], id="old-and-beyond-the-number"),
        pytest.param({"keep_last": 4, "max_age": 1}, ["5"], id="the-number-goes-before-the-age"),
        pytest.param({"keep_last": 1, "keep": ("prod/21-04-17-*", "*-f1d7345-kernel.json")}, ["2", "4"], id="named"),
    ],
)
def test_what_goes(tree: AssetsTree, kept: dict[str, Any], gone: list[str]) -> None:
    assert going(decide(tree, **kept)) == gone


def test_each_directory_and_flavour_has_its_own_newest(tree: AssetsTree) -> None:
    found = decide(tree, max_age=1).images
    for path in ("prod/21-04-11-kde-master-0aa1b2c.squashfs", "dev/21-04-02-gnome-master-0aa1b2c.squashfs"):
        assert found[path] == (retention.KEPT, "the newest is always kept", 4096)


def test_what_a_pointer_or_a_symlink_names_stays(tree: AssetsTree) -> None:
    (tree.root / "stable.squashfs").symlink_to("prod/21-04-16-gnome-master-f1d7344.squashfs")
    assert going(decide(tree, keep_last=1, named={"21-04-15-gnome-master-f1d7345"})) == ["2", "3"]


def test_what_is_not_ready_neither_goes_nor_counts(tree: AssetsTree) -> None:
    tree.truncate_image("prod/21-04-19-gnome-master-f1d7341")
    found = decide(tree, keep_last=1)
    assert going(found) == ["3", "4", "5"]
    assert found.images["prod/21-04-19-gnome-master-f1d7341.squashfs"].state == retention.UNTOUCHED


def record(days: int, kernel: str | None = OLD_KERNEL, *, since: float = NOW - 1000) -> Record:
    stem = f"prod/21-04-{20 - days}-gnome-master-f1d734{days}"
    return Record(f"{stem}-kernel.json", f"{stem}.squashfs", kernel, since)


def set_aside(tree: AssetsTree, days: int) -> None:
    marker = tree.root / record(days).marker
    marker.rename(marker.with_name(f".{marker.name}.pruned"))


def aged(pruning: Pruning) -> list[str]:
    return [step.old for step in pruning.steps if not step.new]


def test_the_second_run_removes_squashfs_kernel_and_record_in_this_order(tree: AssetsTree) -> None:
    set_aside(tree, 4)
    set_aside(tree, 5)
    since = NOW + 10 * 365 * DAY  # later than any time of this test's files: nobody has touched them since
    late = tuple(record(days, since=since) for days in (4, 5))
    source = SourceTree(str(tree.root))
    source.scan()
    inventory = source.inventory(Rules(), lambda _image: False)
    found = retention.plan(inventory, source.tree, Policy(keep_last=3), now=since + 1000, records=late, grace=300)
    assert aged(found) == [
        "prod/21-04-15-gnome-master-f1d7345.squashfs",
        "prod/21-04-16-gnome-master-f1d7344.squashfs",
        f"kernels/{OLD_KERNEL}/initrd",
        f"kernels/{OLD_KERNEL}/vmlinuz",
        f"kernels/{OLD_KERNEL}",
        "prod/.21-04-15-gnome-master-f1d7345-kernel.json.pruned",
        "prod/.21-04-16-gnome-master-f1d7344-kernel.json.pruned",
    ]
    assert "prod/21-04-15-gnome-master-f1d7345-kernel.json" in found.paths


@pytest.mark.parametrize("why", ["grace", "marker", "another", "uploaded"])
def test_what_keeps_a_kernel_or_a_squashfs(tree: AssetsTree, why: str) -> None:
    set_aside(tree, 4)
    if why != "another":
        set_aside(tree, 5)
    since = NOW + 10 * 365 * DAY
    times = {4: since, 5: since}
    if why == "grace":
        times[5] = since + 900
    if why == "marker":
        tree.add_image("prod/21-04-15-gnome-master-f1d7345", kernel=OLD_KERNEL)
    if why == "uploaded":
        times[5] = NOW - 10 * 365 * DAY  # the squashfs was written after the marker went
    late = tuple(record(days, since=at) for days, at in times.items() if days == 4 or why != "another")
    source = SourceTree(str(tree.root))
    source.scan()
    inventory = source.inventory(Rules(), lambda _image: False)
    found = retention.plan(inventory, source.tree, Policy(keep_last=9), now=since + 1000, records=late, grace=300)
    removed = [path for path in aged(found) if not path.startswith("prod/.")]
    if why == "uploaded":  # a new upload, whose marker names no kernel yet; the old kernel was its predecessor's
        assert removed[0] == "prod/21-04-16-gnome-master-f1d7344.squashfs"
        assert "prod/21-04-15-gnome-master-f1d7345.squashfs" not in removed
    else:
        assert removed == ["prod/21-04-16-gnome-master-f1d7344.squashfs"]


@pytest.mark.parametrize("kept", [{}, {"keep": ("x",)}, {"keep_last": 0}, {"keep_last": 1, "keep": ("../x",)}])
def test_refused(kept: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"keep_last|not a pattern"):
        Policy(**kept)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), (90, 90), ("30d", 30 * DAY), ("12 h", 43200), ("2W", 14 * DAY), ("5m", 300)]
)
def test_ages(text: Any, seconds: int) -> None:
    assert retention.read_age(text) == seconds


@pytest.mark.parametrize(
    ("text", "size"),
    [("7", 7), ("20GB", 20 * 10**9), ("1.5 gib", 3 * 2**29), ("500 M", 5 * 10**8), ("2TB", 2 * 10**12)],
)
def test_sizes(text: Any, size: int) -> None:
    assert retention.read_size(text) == size


@pytest.mark.parametrize("text", ["", "0", "-1d", "3 months", "d"])
def test_what_is_no_age(text: str) -> None:
    with pytest.raises(ValueError, match="not an age"):
        retention.read_age(text)
