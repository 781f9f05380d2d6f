# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The images are real, and a second build is close to the first."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.lab import images
from tests.lab.process import find_program
from tests.lab.tree import AssetsTree, flip_byte


def names_in(image: Path) -> list[str]:
    listing = [find_program("unsquashfs", "squashfs-tools"), "-l", "-d", "", str(image)]
    return subprocess.run(listing, capture_output=True, text=True, check=True).stdout.split()


def test_tiny_images_are_whole_and_differ(tmp_path: Path) -> None:
    one, two = images.tiny_image(tmp_path / "one", "1"), images.tiny_image(tmp_path / "two", "2")
    for image in (one, two):
        assert 0 < images.bytes_used(image.read_bytes()[:48]) <= image.stat().st_size < 10_000
        assert "/issue" in names_in(image)
    assert one.read_bytes() != two.read_bytes()
    assert sorted(os.listdir(tmp_path)) == ["one", "two"]


@pytest.mark.parametrize("head", [b"", b"hsqs", b"x" * 48])
def test_no_superblock(head: bytes) -> None:
    assert images.bytes_used(head) == -1


def test_second_build_is_a_small_delta(tmp_path: Path) -> None:
    root = tmp_path / "root"
    images.write_rootfs(root, size=4_000_000)
    first = images.build_image(tmp_path / "first", root)
    images.upgrade_rootfs(root, build=2)
    second = images.build_image(tmp_path / "second", root)
    assert 4_000_000 < first.stat().st_size < second.stat().st_size < 5_000_000
    assert "/usr/lib/package-2/message.py" in names_in(second)

    (tmp_path / "basis").mkdir()
    os.link(first, tmp_path / "basis" / "second")
    options = ["--no-whole-file", "--ignore-times", "--stats", f"--copy-dest={tmp_path / 'basis'}"]
    command = [find_program("rsync", "rsync"), *options, str(second), f"{tmp_path / 'received'}/"]
    report = subprocess.run(command, capture_output=True, text=True, check=True, env={"LC_ALL": "C"}).stdout
    literal = re.search(r"Literal data: ([\d,.]+)", report)
    assert literal is not None
    assert int(re.sub(r"\D", "", literal[1])) < 0.06 * second.stat().st_size
    assert (tmp_path / "received" / "second").read_bytes() == second.read_bytes()


def test_machine_image_is_made_of_real_files(tmp_path: Path) -> None:
    image = images.build_machine_image(tmp_path / "image", tmp_path / "root", at_least=3_000_000)
    assert 3_000_000 < image.stat().st_size < 30_000_000
    assert any(name.startswith("/usr/bin/") for name in names_in(image))


def test_machine_without_enough_files_is_filled_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "usr").mkdir()
    (tmp_path / "usr" / "only").write_text("one file", encoding="utf-8")
    monkeypatch.setattr(images, "MACHINE_PLACES", (str(tmp_path / "usr"),))
    image = images.build_machine_image(tmp_path / "image", tmp_path / "root", at_least=2_000_000)
    assert image.stat().st_size > 2_000_000
    assert any(name.endswith("usr/only") for name in names_in(image))


def test_tree_has_the_layout_of_a_netboot_server(tmp_path: Path) -> None:
    tree = AssetsTree(tmp_path / "assets")
    tree.add_kernel()
    image = tree.add_image("prod/21-04-09-gnome-master-f1d734e")
    tree.add_image("caching-server/netboot-caching-server", marker=False)
    assert sorted(str(path.relative_to(tree.root)) for path in tree.root.rglob("*") if path.is_file()) == [
        "caching-server/netboot-caching-server.squashfs",
        "kernels/5.8.0-43-generic/initrd",
        "kernels/5.8.0-43-generic/vmlinuz",
        "kernels/latest-kernel-version.json",
        "prod/21-04-09-gnome-master-f1d734e-kernel.json",
        "prod/21-04-09-gnome-master-f1d734e.squashfs",
    ]
    assert json.loads(image.marker.read_text(encoding="utf-8")) == {"version": "5.8.0-43-generic"}
    tree.truncate_image(image.name)
    assert images.bytes_used(image.squashfs.read_bytes()) > image.squashfs.stat().st_size
    tree.remove_image(image.name)
    assert not list((tree.root / "prod").iterdir())


@pytest.mark.parametrize("offset", [None, 0, 99])
def test_flipped_byte_shows_neither_in_size_nor_in_time(tmp_path: Path, offset: int | None) -> None:
    path = tmp_path / "a"
    path.write_bytes(bytes(100))
    os.utime(path, ns=(1_000_000_007, 2_000_000_007))
    flip_byte(path, offset=offset)
    assert path.read_bytes().index(255) == (50 if offset is None else offset)
    assert path.read_bytes().count(0) == 99
    assert path.stat().st_mtime_ns == 2_000_000_007
