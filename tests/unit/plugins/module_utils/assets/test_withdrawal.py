# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which images a withdrawal's pattern names, and what setting aside and putting back do to the tree."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.netboot.syncer.plugins.module_utils.assets.inventory import Rules
from ansible_collections.netboot.syncer.plugins.module_utils.assets.withdrawal import (
    HOW_TO_UNDO,
    names_image,
    plan_putting_back,
    plan_setting_aside,
)
from ansible_collections.netboot.syncer.plugins.module_utils.errors import SyncError
from ansible_collections.netboot.syncer.plugins.module_utils.source.setting_aside import carry_out, record_sizes
from ansible_collections.netboot.syncer.plugins.module_utils.source.tree import SourceTree

from tests.lab import images


@pytest.mark.parametrize(
    ("pattern", "image", "marker", "named"),
    [
        pytest.param("prod/x.squashfs", "prod/x.squashfs", "prod/x-kernel.json", True, id="squashfs"),
        pytest.param("prod/x", "prod/x.squashfs", "prod/x-kernel.json", True, id="without-suffix"),
        pytest.param("prod/x-kernel.json", "prod/x.squashfs", "prod/x-kernel.json", True, id="marker"),
        pytest.param("prod/x*", "prod/x.squashfs", "prod/x-kernel.json", True, id="wildcard"),
        pytest.param("prod", "prod/x.squashfs", "prod/x-kernel.json", True, id="directory"),
        pytest.param("prod/**", "prod/x.squashfs", "prod/x-kernel.json", True, id="all-below"),
        pytest.param("prod/x", "prod/x.SQSH", "prod/x.json", True, id="suffix-in-capitals"),
        pytest.param("prod/x86_64", "prod/x86_64.img", "prod/x86_64.json", True, id="img"),
        pytest.param("prod/gnome-21", "prod/gnome-21.04", "prod/gnome-21.04.json", False, id="dot-in-a-name"),
        pytest.param("prod/gnome-21.04", "prod/gnome-21.04", "prod/gnome-21.04.json", True, id="name-with-a-dot"),
        pytest.param("prod/gnome-21", "prod/gnome-21.04.squashfs", "prod/gnome-21.04.json", False, id="part-of-a-stem"),
    ],
)
def test_named(pattern: str, image: str, marker: str, named: bool) -> None:
    assert names_image([pattern], image, [marker]) is named


class Tree:
    """A tree of a netboot server on disk, and what the module does to it."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def image(self, path: str, marker: str) -> None:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_bytes(b"hsqs" + bytes(92))
        self.marker(marker)

    def marker(self, marker: str, version: str = "5.8") -> None:
        images.write_marker(self.root / marker, version=version)

    def withdraw(
        self, pattern: str, *, purge: bool = False, only_elsewhere: tuple[str, ...] = ()
    ) -> dict[str, tuple[str, str]]:
        source = SourceTree(str(self.root))
        source.scan()
        inventory = source.inventory(Rules(), lambda _image: False)
        sizes = record_sizes(str(self.root), source.records)
        names = Rules().marker_names
        plan = plan_setting_aside(
            inventory, source.records, sizes, [pattern], names, purge=purge, only_elsewhere=only_elsewhere
        )
        carry_out(str(self.root), plan.renames)
        return plan.images

    def put_back(self, pattern: str) -> None:
        source = SourceTree(str(self.root))
        source.scan()
        inventory = source.inventory(Rules(), lambda _image: False)
        sizes = record_sizes(str(self.root), source.records)
        plan = plan_putting_back(inventory, source.records, sizes, [pattern], source.tree)
        carry_out(str(self.root), plan.renames)

    def names(self) -> list[str]:
        return sorted(str(path.relative_to(self.root)) for path in self.root.rglob("*") if not path.is_dir())


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    found = Tree(tmp_path / "assets")
    found.image("prod/a.squashfs", "prod/a-kernel.json")
    found.image("prod/b.squashfs", "prod/b-kernel.json")
    return found


def test_marker_whose_squashfs_is_away_is_not_lost(tree: Tree) -> None:
    content = (tree.root / "prod/a-kernel.json").read_bytes()
    tree.withdraw("prod/a")
    (tree.root / "prod/a.squashfs").unlink()
    tree.put_back("prod/a")
    assert (tree.root / "prod/a-kernel.json").read_bytes() == content


def test_record_that_was_made_from_nothing_becomes_no_marker(tree: Tree) -> None:
    tree.withdraw("prod/c", only_elsewhere=("prod/c.squashfs",))
    assert "prod/.c-kernel.json.withdrawn" in tree.names()
    (tree.root / "prod/c.squashfs").write_bytes(b"hsqs" + bytes(92))
    tree.put_back("prod/c")
    others = {"prod/a-kernel.json", "prod/a.squashfs", "prod/b-kernel.json", "prod/b.squashfs"}
    assert set(tree.names()) - others == {"prod/c.squashfs"}


@pytest.mark.parametrize("squashfs", [False, True], ids=["squashfs-is-gone", "squashfs-is-there"])
def test_uploaded_again_it_stays_withdrawn(tree: Tree, squashfs: bool) -> None:
    """A plain name that was a marker when it was set aside still is one, though its squashfs may be gone by now."""
    tree.image("dev/x.squashfs", "dev/x.json")
    tree.withdraw("dev/x")
    tree.marker("dev/x.json", version="6.1")
    if not squashfs:
        (tree.root / "dev/x.squashfs").unlink()
    source = SourceTree(str(tree.root))
    source.scan()
    found = source.inventory(Rules(), lambda _image: False)
    assert [entry.path for entry in found.files] == []
    held = {**found.held_back, **{image.path: image.reason for image in found.images}}
    assert held["dev/x.squashfs" if squashfs else "dev/x.json"] == HOW_TO_UNDO


@pytest.mark.parametrize("first", [False, True], ids=["then-purge", "purge-first"])
def test_withdrawn_in_both_ways_is_undone_at_once(tree: Tree, first: bool) -> None:
    """It was uploaded again in between; the marker that comes back is the newer one."""
    before = tree.names()
    tree.withdraw("prod/a", purge=first)
    tree.marker("prod/a-kernel.json", version="6.1")
    tree.withdraw("prod/a", purge=not first)
    tree.put_back("prod/a")
    assert tree.names() == before
    assert b"6.1" in (tree.root / "prod/a-kernel.json").read_bytes()


@pytest.mark.parametrize(("name", "told"), [("new\nline", "new\\nline"), ("latin\udce9", "latin\\xe9")])
def test_name_as_it_is_printed(tree: Tree, name: str, told: str) -> None:
    """A name that is not plain text, as one run printed it, means exactly that name to the next run."""
    tree.image(f"prod/{name}.squashfs", f"prod/{name}-kernel.json")
    before = tree.names()
    tree.withdraw(f"prod/{told}")
    after = tree.names()
    assert f"prod/.{name}-kernel.json.withdrawn" in after
    tree.withdraw(f"prod/{told}", only_elsewhere=(f"prod/{told}.squashfs",))
    assert tree.names() == after
    tree.put_back(f"prod/{told}")
    assert tree.names() == before


@pytest.mark.parametrize("path", ["../evil.squashfs", "prod/../../evil.squashfs", "/evil.squashfs", "prod/.b/x.sqfs"])
def test_nothing_is_written_outside_the_tree(tree: Tree, path: str) -> None:
    """What a caching server claims to have is not trusted."""
    with pytest.raises(ValueError, match="is not the path of an image in the tree"):
        tree.withdraw("*evil*", only_elsewhere=(path,))
    assert list(tree.root.parent.iterdir()) == [tree.root]


def test_record_without_an_image_becomes_a_purge(tree: Tree) -> None:
    tree.withdraw("prod/c", only_elsewhere=("prod/c.squashfs",))
    assert tree.withdraw("prod/c", purge=True) == {"prod/c.squashfs": ("withdrawn", "")}
    assert [name for name in tree.names() if "/.c" in name] == ["prod/.c-kernel.json.withdrawn-purge"]
    assert tree.withdraw("prod/c") == {"prod/c.squashfs": ("withdrawn", "")}


def test_nor_through_a_symlink(tree: Tree) -> None:
    outside = tree.root.parent / "outside"
    outside.mkdir()
    (tree.root / "dev").symlink_to("../outside")
    tree.withdraw("dev/x", only_elsewhere=("dev/x.squashfs",))
    assert list(outside.iterdir()) == []


def test_one_that_cannot_be_set_aside_keeps_no_other_up(tree: Tree) -> None:
    long = f"prod/{'0' * 245}.json"
    tree.image(f"prod/{'0' * 245}.img", long)
    with pytest.raises(SyncError, match="File name too long") as caught:
        tree.withdraw("prod/*")
    assert "remove the marker itself" in str(caught.value.line())
    assert {"prod/.a-kernel.json.withdrawn", "prod/.b-kernel.json.withdrawn", long} < set(tree.names())


def test_directory_under_the_name_of_a_record(tree: Tree) -> None:
    (tree.root / "prod/.a-kernel.json.withdrawn").mkdir()
    with pytest.raises(SyncError, match="cannot be set aside") as caught:
        tree.withdraw("prod/a")
    assert "move it away" in caught.value.line()
    assert "prod/a-kernel.json" in tree.names()
