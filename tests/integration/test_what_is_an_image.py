# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What arrives in the tree of a netboot server: images under any name, large files, uploads in progress."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.netboot.syncer.plugins.module_utils.assets.uploads import LARGE
from ansible_collections.netboot.syncer.plugins.module_utils.run.sync_run import SyncRun
from ansible_collections.netboot.syncer.plugins.module_utils.source.tree import SourceTree

from tests.lab import images
from tests.lab.fleet import Fleet
from tests.lab.runs import IMAGE, SITE, actions, is_delivered, prepare, run_module, sync
from tests.lab.tree import KERNEL, Image, nested
from tests.lab.waiting import meanwhile

SIZE = 300_000
TWO_MINUTES = 120 * 10**9
ISO = "boot/rescue.iso"


def ltsp_image(fleet: Fleet, name: str, marker: str, *, share: float = 1.0) -> Image:
    """Create an image with custom names, of which a share has been uploaded so far; its marker is already there."""
    squashfs = fleet.tree.root / name
    squashfs.parent.mkdir(parents=True, exist_ok=True)
    root = fleet.directory / "root"
    if not root.exists():
        images.write_rootfs(root, size=SIZE)
    images.build_image(squashfs, root)
    os.truncate(squashfs, int(squashfs.stat().st_size * share))
    images.write_marker(fleet.tree.root / marker, version=KERNEL)
    return Image(name, squashfs, fleet.tree.root / marker)


def visible(fleet: Fleet) -> set[str]:
    assets = fleet.sites[SITE].assets
    found = (path.relative_to(assets) for path in assets.rglob("*") if path.is_file())
    return {str(path) for path in found if not str(path).startswith(".")}


@pytest.mark.parametrize(
    ("name", "marker"),
    [
        ("ltsp/x86_64.img", "ltsp/x86_64.json"),
        ("ltsp/x86_64.img", "ltsp/x86_64.img.json"),
        ("prod/a.SQUASHFS", "prod/a-kernel.json"),
        ("prod/a.sqfs", "prod/a.json"),
        ("prod/rootfs", "prod/rootfs.json"),
    ],
)
def test_half_an_image_under_any_name_is_held_back(fleet: Fleet, name: str, marker: str) -> None:
    ltsp_image(fleet, name, marker, share=0.5)
    for check_mode in (True, False):
        run = sync(fleet, check_mode=check_mode)
        assert run.images[name].state == "held_back"
        assert "the squashfs is cut short: " in run.images[name].reason
        assert run.failures == []
    assert is_delivered(fleet, fleet.tree.image(IMAGE))
    assert not visible(fleet) & {name, marker}
    whole = ltsp_image(fleet, name, marker)
    run = sync(fleet)
    assert run.images[name].state == "published"
    assert [path for what, path in actions(run) if what == "publish"] == [name, marker]
    assert is_delivered(fleet, whole)
    assert not sync(fleet).changed


def test_an_image_without_a_marker_is_sent_only_where_that_is_said(fleet: Fleet) -> None:
    image = ltsp_image(fleet, "ltsp/x86_64.img", "ltsp/x86_64.json")
    image.marker.unlink()
    assert sync(fleet).images["ltsp/x86_64.img"].reason.startswith("no marker yet (it is a squashfs by its content)")
    assert "ltsp/x86_64.img" not in visible(fleet)
    assert sync(fleet, unmarked_images=("ltsp/*",)).images["ltsp/x86_64.img"].state == "published"
    assert (fleet.sites[SITE].assets / "ltsp/x86_64.img").read_bytes() == image.squashfs.read_bytes()


def test_an_image_that_the_source_no_longer_has_goes_marker_first(fleet: Fleet) -> None:
    image = ltsp_image(fleet, "prod/rootfs", "prod/rootfs.json")
    sync(fleet)
    image.squashfs.unlink()
    image.marker.unlink()
    gone = [path for what, path in actions(sync(fleet, delete=True)) if what in ("withdraw", "remove")]
    assert gone == ["prod/rootfs.json", "prod/rootfs"]
    assert not visible(fleet) & {"prod/rootfs.json", "prod/rootfs"}


def iso(fleet: Fleet) -> Path:
    """A large file half way through an scp: nothing but its size and time shows that."""
    path = fleet.tree.root / ISO
    path.parent.mkdir(exist_ok=True)
    with path.open("wb") as file:
        file.truncate(LARGE + 4096)
    os.utime(path, (1_000_000_000, 1_000_000_000))  # as cp -p sets it
    return path


def sync_later(fleet: Fleet, **changes: Any) -> SyncRun:
    """Prepare a run as it would be two minutes from now."""
    later = SourceTree(str(fleet.tree.root), now=lambda: time.time_ns() + TWO_MINUTES)
    return prepare(fleet, source=later, **changes)


@pytest.mark.timeout(240)
def test_a_large_file_is_sent_once_it_has_been_left_alone(fleet: Fleet) -> None:
    path = iso(fleet)
    (path.parent / "latest.iso").symlink_to("rescue.iso")
    run = sync(fleet)
    assert run.files[ISO].state == run.files["boot/latest.iso"].state == "held_back"
    assert run.files[ISO].reason.startswith("still being uploaded? last changed ")
    assert run.failures == []
    assert is_delivered(fleet, fleet.tree.image(IMAGE))
    assert not [name for name in visible(fleet) if name.startswith("boot")]
    run = sync_later(fleet)
    run.run()
    assert run.files[ISO].state == run.files["boot/latest.iso"].state == "published"
    assert (fleet.sites[SITE].assets / ISO).stat().st_size == LARGE + 4096


@pytest.mark.timeout(240)
def test_a_large_file_whose_upload_goes_on_while_it_is_sent(fleet: Fleet) -> None:
    path = iso(fleet)
    area = fleet.sites[SITE].assets / ".netboot-sync"

    def go_on() -> None:
        with path.open("ab") as file:
            file.write(b"more of it")

    run = sync_later(fleet)
    with meanwhile(lambda: any(one.is_file() and one.stat().st_size > SIZE for one in area.rglob("*")), go_on):
        run.run()
    assert run.files[ISO].state == "held_back"
    assert "it changed on the netboot server while it was sent" in run.files[ISO].reason
    assert ISO not in visible(fleet)


@pytest.mark.timeout(240)
def test_nothing_waits_where_settle_is_0(fleet: Fleet) -> None:
    iso(fleet)
    assert sync(fleet, settle=0).files[ISO].state == "published"


def result_of(fleet: Fleet, **parameters: Any) -> dict[str, Any]:
    module = run_module(fleet, **parameters)
    module.wait(60)
    found: dict[str, Any] = json.loads((fleet.directory / "module.log").read_text(encoding="utf-8"))
    return found


def test_an_initrd_with_the_name_of_a_distribution(fleet: Fleet) -> None:
    directory = fleet.tree.root / "kernels" / KERNEL
    (directory / "initrd").rename(directory / "initrd.img")
    held_back = result_of(fleet, kernel_files=[["vmlinuz"], ["initrd"]])
    (image,) = held_back["images"]
    assert image["state"] == "held_back"
    assert image["reason"] == f"it requires kernels/{KERNEL}/initrd, which is not there" + (
        " (but initrd.img; kernel_files says what it may be called)"
    )
    found = result_of(fleet)
    assert [image["state"] for image in found["images"]] == ["published"]
    assert is_delivered(fleet, fleet.tree.image(IMAGE))
    assert not result_of(fleet, kernel_files=["vmlinuz", ["initrd", "initrd.img"]])["changed"]
    assert "kernel_files: 'a/b' is a path" in result_of(fleet, kernel_files=["a/b"])["msg"]


def test_what_an_upload_has_begun_under_another_name_is_never_sent(fleet: Fleet) -> None:
    names = ["boot/x.iso.filepart", "boot/x.part", "prod/y.squashfs.crdownload", "prod/z.squashfs.part2"]
    for name in names:
        path = fleet.tree.root / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"half")
    run = sync(fleet)
    assert {name: run.files[name].state for name in names} == dict.fromkeys(names, "held_back")
    assert not visible(fleet) & set(names)


@pytest.mark.timeout(240)
def test_a_tree_of_1200_levels(fleet: Fleet) -> None:
    with nested(fleet.tree.root, "d", 1200):
        for delete in (False, True):
            run = sync(fleet, delete=delete)
            assert run.failures == []
            (held_back,) = (one for one in run.files.values() if one.state == "held_back")
            assert held_back.reason == "it lies 128 directories deep, and nothing below it is sent"
    assert is_delivered(fleet, fleet.tree.image(IMAGE))
