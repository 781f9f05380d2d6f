# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes to the netboot server's tree while a run sends it: held back without a failure, delivered by the next run."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.lab.fleet import Fleet, SiteSpec
from tests.lab.runs import IMAGE, SITE, actions, add_large_image, complaint, is_delivered, prepare, sync
from tests.lab.strange_disk import NO_CTIME, Quirks, StrangeDisk
from tests.lab.tree import AssetsTree, Image, flip_byte
from tests.lab.waiting import meanwhile, wait_until

SIZE = 4_000_000
LARGE = "prod/large"
SLOW = pytest.mark.parametrize("spec", [SiteSpec(SITE, rate=40e6)], indirect=True, ids=["40-mbit"])


def overwrite(_tree: AssetsTree, image: Image) -> None:
    with image.squashfs.open("r+b") as file:
        file.seek(SIZE // 2)
        file.write(b"other")


def replace(tree: AssetsTree, image: Image) -> None:
    again = tree.root / ".upload"
    again.write_bytes(image.squashfs.read_bytes()[:-5] + b"other")
    later = image.squashfs.stat().st_mtime + 2  # SFTP reports whole seconds, and all of this may take less than one
    os.utime(again, (later, later))
    os.replace(again, image.squashfs)


def grow(_tree: AssetsTree, image: Image) -> None:
    with image.squashfs.open("ab") as file:
        file.write(os.urandom(SIZE))


def shrink(_tree: AssetsTree, image: Image) -> None:
    os.truncate(image.squashfs, SIZE // 2)


def remove(_tree: AssetsTree, image: Image) -> None:
    image.squashfs.unlink()


@SLOW
@pytest.mark.parametrize("transport", ["rsync", "sftp"])
@pytest.mark.parametrize(
    ("change", "verb"),
    [(overwrite, "changed"), (replace, "changed"), (grow, "changed"), (shrink, "changed"), (remove, "vanished")],
)
def test_squashfs_while_it_is_sent(
    fleet: Fleet, transport: str, change: Callable[[AssetsTree, Image], None], verb: str
) -> None:
    image = add_large_image(fleet.tree, LARGE, size=SIZE)
    whole = image.squashfs.read_bytes()
    line = fleet.sites[SITE].line
    assert line is not None
    run = prepare(fleet, transport=transport)
    with meanwhile(lambda: line.bytes_up > SIZE // 4, lambda: change(fleet.tree, image)):
        run.run()
    outcome = run.images[image.path]
    assert outcome.state == "held_back"
    assert f"it {verb} on the netboot server while it was sent" in outcome.reason
    assert outcome.sent_bytes > SIZE // 8
    assert run.failures == []
    assert not list(fleet.sites[SITE].assets.glob(f"{LARGE}*"))
    assert is_delivered(fleet, fleet.tree.image(IMAGE))
    line.set_rate(None)
    if change is shrink or change is remove:
        image.squashfs.write_bytes(whole)
    sync(fleet, transport=transport)
    assert is_delivered(fleet, image)


@SLOW
@pytest.mark.parametrize("what", ["marker", "initrd"])
def test_what_belongs_to_it_while_the_squashfs_is_sent(fleet: Fleet, what: str) -> None:
    """The squashfs arrives, but its marker does not: the parts are no longer from the same moment."""
    image = add_large_image(fleet.tree, LARGE, size=SIZE)
    path = image.marker if what == "marker" else next(fleet.tree.root.glob("kernels/*/initrd"))
    line = fleet.sites[SITE].line
    assert line is not None
    run = prepare(fleet)

    def change() -> None:
        with path.open("a", encoding="utf-8") as file:
            file.write("\n")

    with meanwhile(lambda: line.bytes_up > SIZE // 2, change):
        run.run()
    assert run.images[image.path].state == "held_back"
    assert path.name in run.images[image.path].reason
    assert ("publish", image.path) in actions(run)
    assert not (fleet.sites[SITE].assets / f"{LARGE}-kernel.json").exists()
    line.set_rate(None)
    sync(fleet)
    assert is_delivered(fleet, image)


@SLOW
def test_published_image_stays_while_its_successor_under_the_same_name_changes(fleet: Fleet) -> None:
    """The old image stays until its successor is staged; if that is held back, the old image is not touched at all."""
    image = add_large_image(fleet.tree, LARGE, size=SIZE)
    line = fleet.sites[SITE].line
    assert line is not None
    line.set_rate(None)
    sync(fleet)
    before = image.squashfs.read_bytes()
    replace(fleet.tree, image)
    line.set_rate(40e6)
    sent = line.bytes_up
    run = prepare(fleet, transport="sftp")
    with meanwhile(lambda: line.bytes_up > sent + SIZE // 4, lambda: overwrite(fleet.tree, image)):
        run.run()
    assert actions(run) == []
    assert run.images[image.path].state == "held_back"
    assert (fleet.sites[SITE].assets / image.path).read_bytes() == before
    assert (fleet.sites[SITE].assets / f"{LARGE}-kernel.json").exists()
    line.set_rate(None)
    sync(fleet)
    assert is_delivered(fleet, image)


@SLOW
@pytest.mark.root
@pytest.mark.parametrize("transport", ["rsync", "sftp"])
def test_overwrite_without_a_trace_is_never_published_as_a_mixture(
    fleet: Fleet, tmp_path: Path, strange_disk: Callable[[Path, Quirks], StrangeDisk], transport: str
) -> None:
    """Neither the size nor any time shows it, as on a file system without ctime; only the content does.

    The run has hashed the old content by then. If hashing and sending read the same mixture, nothing could show that.
    """
    tree = AssetsTree(strange_disk(tmp_path / "source", NO_CTIME).path)
    size = 4 * SIZE  # more than is read ahead and buffered
    image = add_large_image(tree, LARGE, size=size)
    tree.add_kernel()
    held = [image.squashfs.read_bytes()]
    line = fleet.sites[SITE].line
    assert line is not None

    def overwrite_both_ends() -> None:
        line.stall()  # otherwise everything might be sent before both flips are done
        wait_until(lambda: all(one.name != "hashing" for one in threading.enumerate()), "the old content was hashed")
        for offset in (200, size):  # the beginning has been sent, the end has not
            flip_byte(image.squashfs, offset=offset)
        held.append(image.squashfs.read_bytes())
        line.restore()

    run = prepare(fleet, src=str(tree.root), transport=transport)
    with meanwhile(lambda: line.bytes_up > SIZE // 4, overwrite_both_ends):
        run.run()
    there = fleet.sites[SITE].assets / image.path
    assert not there.exists() or there.read_bytes() in held
    line.set_rate(None)
    sync(fleet, src=str(tree.root), transport=transport)
    assert there.read_bytes() == held[-1]
    assert there.with_name(image.marker.name).exists()


@pytest.mark.parametrize("spec", [SiteSpec(SITE, rate=160e6, hide=["sha256sum"])], indirect=True, ids=["no-hash"])
def test_piece_of_an_older_content_is_not_gone_on_from(fleet: Fleet) -> None:
    """It was interrupted, then the image was rebuilt: a caching server without hashes would not notice a mixture."""
    size = 24_000_000
    image = add_large_image(fleet.tree, LARGE, size=size)
    site = fleet.sites[SITE]
    assert site.line is not None
    site.line.cut_after(18_000_000)
    complaint(prepare(fleet, transport="sftp"), site.ssh.address)
    site.line.restore()
    before = image.squashfs.stat()
    image.squashfs.write_bytes(image.squashfs.read_bytes()[:4096] + os.urandom(before.st_size - 4096))
    os.utime(image.squashfs, (before.st_mtime + 60, before.st_mtime + 60))
    sync(fleet, transport="sftp")
    assert is_delivered(fleet, image)
