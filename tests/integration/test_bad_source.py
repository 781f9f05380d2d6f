# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is not ready on the netboot server is held back with the reason; the rest arrives, and nothing fails."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.lab.fleet import Fleet
from tests.lab.runs import IMAGE, SITE, add_large_image, is_delivered, run_module, sync
from tests.lab.tree import KERNEL, AssetsTree, nested


def held_back(fleet: Fleet) -> str:
    """Sync, and return why the image of the fixture is held back; another, good image arrives."""
    other = fleet.tree.add_image("prod/other", kernel=None)
    run = sync(fleet)
    assert is_delivered(fleet, other)
    assert run.images[f"{IMAGE}.squashfs"].state == "held_back"
    assert not list(fleet.sites[SITE].assets.glob(f"{IMAGE}*"))
    return run.images[f"{IMAGE}.squashfs"].reason


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param("", "empty", id="empty"),
        pytest.param("{", "not JSON", id="no-json"),
        pytest.param("[]", "not a JSON object", id="no-object"),
        pytest.param('{"version": "../../etc"}', "plain name", id="version-leaves-kernels"),
        pytest.param('{"version": "9.9"}', "kernels/9.9/vmlinuz, which is not there", id="no-such-kernel"),
        pytest.param('{"size": 1}', "its marker states 1", id="wrong-size"),
        pytest.param('{"sha256": "%s"}' % ("0" * 64), "does not have the sha256", id="wrong-sha256"),
    ],
)
def test_bad_marker(fleet: Fleet, content: str, reason: str) -> None:
    fleet.tree.image(IMAGE).marker.write_text(content, encoding="utf-8")
    assert reason in held_back(fleet)


def cut(tree: AssetsTree) -> None:
    tree.truncate_image(IMAGE)


def without_magic(tree: AssetsTree) -> None:
    with tree.image(IMAGE).squashfs.open("r+b") as file:
        file.write(b"\0\0\0\0")


def empty_squashfs(tree: AssetsTree) -> None:
    tree.image(IMAGE).squashfs.write_bytes(b"")


def without_squashfs(tree: AssetsTree) -> None:
    tree.image(IMAGE).squashfs.unlink()


def without_marker(tree: AssetsTree) -> None:
    tree.image(IMAGE).marker.unlink()


def without_kernel(tree: AssetsTree) -> None:
    shutil.rmtree(tree.root / "kernels" / KERNEL)


def empty_initrd(tree: AssetsTree) -> None:
    (tree.root / "kernels" / KERNEL / "initrd").write_bytes(b"")


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        pytest.param(cut, "cut short", id="truncated"),
        pytest.param(without_magic, "not a squashfs image: the magic number is missing", id="no-magic"),
        pytest.param(empty_squashfs, "the squashfs is empty", id="empty-squashfs"),
        pytest.param(without_squashfs, "its squashfs is not", id="no-squashfs"),
        pytest.param(without_marker, "no marker yet", id="no-marker"),
        pytest.param(without_kernel, f"kernels/{KERNEL}/vmlinuz, which is not there", id="no-kernel-directory"),
        pytest.param(empty_initrd, f"kernels/{KERNEL}/initrd, which is empty", id="empty-initrd"),
    ],
)
def test_image_not_whole(fleet: Fleet, spoil: Callable[[AssetsTree], None], reason: str) -> None:
    spoil(fleet.tree)
    assert reason in held_back(fleet)


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        pytest.param("../../etc/passwd", "leaves the tree", id="relative"),
        pytest.param("/etc/passwd", "leaves the tree", id="absolute"),
        pytest.param("nothing", "leads nowhere", id="dangling"),
    ],
)
def test_symlink_that_cannot_be_kept(fleet: Fleet, target: str, reason: str) -> None:
    (fleet.tree.root / "link").symlink_to(target)
    run = sync(fleet)
    assert run.files["link"].state == "held_back"
    assert reason in run.files["link"].reason
    assert not (fleet.sites[SITE].assets / "link").is_symlink()
    assert is_delivered(fleet, fleet.tree.image(IMAGE))


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace, which makes system calls fail")
def test_disk_of_the_netboot_server_that_fails_under_rsync(
    fleet: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_large_image(fleet.tree, "prod/broken", size=1_000_000)
    sync(fleet)
    broken = add_large_image(fleet.tree, "prod/broken", size=1_000_001)  # sent as a difference
    program = tmp_path / "bin/rsync"
    program.parent.mkdir()
    fails = f"strace -f -o /dev/null -P '{broken.squashfs}' -e trace=read -e inject=read:error=EIO:when=2"
    program.write_text(f'#!/bin/sh\nexec {fails} {shutil.which("rsync")} "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    run = sync(fleet)
    found = run.images["prod/broken.squashfs"]
    assert found.state == "held_back"
    assert found.reason == (
        f"netboot server: {broken.squashfs}: the netboot server cannot read it (Input/output error)."
        " Look at the disk or the mount that it is on."
    )
    assert is_delivered(fleet, fleet.tree.image(IMAGE))
    assert not is_delivered(fleet, broken)


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace, which makes system calls fail")
@pytest.mark.parametrize("call", ["sendfile", "read"])
def test_disk_of_the_netboot_server_that_fails(fleet: Fleet, call: str) -> None:
    """Both while the stream is read, and while the hash is computed alongside."""
    broken = add_large_image(fleet.tree, "prod/broken", size=3_000_000)
    fails = ["strace", "-f", "-o", "/dev/null", "-P", str(broken.squashfs)]
    fails += ["-e", f"trace={call}", "-e", f"inject={call}:error=EIO:when=3+"]
    run_module(fleet, under=fails).wait()
    said = json.loads((fleet.directory / "module.log").read_text(encoding="utf-8").splitlines()[-1])
    (found,) = [one for one in said["images"] if one["path"] == "prod/broken.squashfs"]
    assert found["state"] == "held_back"
    assert f"{broken.squashfs}: the netboot server cannot read it (Input/output error)." in found["reason"]
    assert is_delivered(fleet, fleet.tree.image(IMAGE))
    assert not is_delivered(fleet, broken)


def test_a_path_that_is_longer_than_any_system_takes(fleet: Fleet) -> None:
    with nested(fleet.tree.root, "deep" * 60, 20):
        run = sync(fleet, delete=True)
    (held_back,) = (outcome for outcome in run.files.values() if outcome.state == "held_back")
    assert held_back.reason == "a path in it has 3132 bytes, and 3072 are the most that is sent"
    assert run.failures == []
    assert is_delivered(fleet, fleet.tree.image(IMAGE))
