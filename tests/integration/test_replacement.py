# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The same name with new content: kernels, pointers, symlinks, images."""

from __future__ import annotations

import os
import time

from tests.lab import images
from tests.lab.fleet import Fleet
from tests.lab.runs import IMAGE, NEXT, SITE, actions, is_delivered, sync
from tests.lab.tree import KERNEL

LATEST = "kernels/latest-kernel-version.json"


def test_symlink_follows_its_target_and_is_swapped_in_place(fleet: Fleet) -> None:
    link = fleet.tree.root / "prod" / "latest.squashfs.link"
    link.symlink_to(f"{IMAGE.removeprefix('prod/')}.squashfs")
    run = sync(fleet)
    there = fleet.sites[SITE].assets / "prod" / link.name
    assert os.readlink(there) == os.readlink(link)
    assert actions(run).index(("link", f"prod/{link.name}")) > actions(run).index(("publish", f"{IMAGE}-kernel.json"))
    fleet.tree.add_image(NEXT)
    link.unlink()
    link.symlink_to(f"{NEXT.removeprefix('prod/')}.squashfs")
    run = sync(fleet)
    assert os.readlink(there) == os.readlink(link)
    assert ("remove", f"prod/{link.name}") not in actions(run)
    assert actions(run).index(("link", f"prod/{link.name}")) > actions(run).index(("publish", f"{NEXT}-kernel.json"))


def test_image_that_is_a_symlink(fleet: Fleet) -> None:
    """An alias with a marker of its own is published after the image that it leads to."""
    alias = fleet.tree.root / "prod" / "gnome.squashfs"
    alias.symlink_to(f"{IMAGE.removeprefix('prod/')}.squashfs")
    images.write_marker(fleet.tree.root / "prod" / "gnome-kernel.json", version=KERNEL)
    run = sync(fleet)
    done = actions(run)
    assert done.index(("publish", f"{IMAGE}.squashfs")) < done.index(("link", "prod/gnome.squashfs"))
    assert done.index(("link", "prod/gnome.squashfs")) < done.index(("publish", "prod/gnome-kernel.json"))
    assert os.readlink(fleet.sites[SITE].assets / "prod" / "gnome.squashfs") == os.readlink(alias)


def test_pointer_goes_after_the_kernel_that_it_names(fleet: Fleet) -> None:
    sync(fleet)
    fleet.tree.add_kernel("6.1.0-new")
    run = sync(fleet)
    done = actions(run)
    assert done.index(("publish", "kernels/6.1.0-new/initrd")) < done.index(("publish", LATEST))
    assert (fleet.sites[SITE].assets / LATEST).read_bytes() == (fleet.tree.root / LATEST).read_bytes()


def test_kernel_replaced_as_a_whole_under_a_polling_client(fleet: Fleet) -> None:
    """No client finds the old kernel next to the new initrd, and open files of the old one stay intact."""
    fleet.ledger.snapshot()
    sync(fleet)
    directory = fleet.sites[SITE].assets / "kernels" / KERNEL
    image = fleet.tree.image(IMAGE)
    with (directory / "initrd").open("rb") as old, fleet.client() as client:
        before = (fleet.tree.root / "kernels" / KERNEL / "initrd").read_bytes()
        for name in ("vmlinuz", "initrd"):
            path = fleet.tree.root / "kernels" / KERNEL / name
            path.with_name(f".{name}").write_bytes(os.urandom(path.stat().st_size))
            os.utime(path.with_name(f".{name}"), (time.time() + 5, time.time() + 5))
        for name in ("vmlinuz", "initrd"):
            path = fleet.tree.root / "kernels" / KERNEL / name
            path.with_name(f".{name}").rename(path)
        fleet.ledger.snapshot()
        run = sync(fleet)
        assert old.read() == before
        client.check_now()
        assert client.violations == []
        assert client.bootable(SITE) == {image.path}
    done = actions(run)
    assert done.index(("withdraw", f"{IMAGE}-kernel.json")) < done.index(("publish", f"kernels/{KERNEL}/initrd"))
    assert done[-1] == ("publish", f"{IMAGE}-kernel.json")
    assert (directory / "initrd").read_bytes() == (fleet.tree.root / "kernels" / KERNEL / "initrd").read_bytes()


def test_image_rebuilt_under_its_name(fleet: Fleet) -> None:
    sync(fleet)
    image = fleet.tree.add_image(IMAGE, content="built again")
    for path in (image.squashfs, image.marker):
        os.utime(path, (time.time() + 5, time.time() + 5))
    with (fleet.sites[SITE].assets / image.path).open("rb") as old:
        run = sync(fleet)
        assert old.read() != image.squashfs.read_bytes()
    done = actions(run)
    marker = f"{IMAGE}-kernel.json"
    # From the withdrawal to the new marker, there are only two renames and a check of what is there.
    assert done[-4:] == [
        ("withdraw", marker),
        ("publish", image.path),
        ("confirm", image.path),
        ("publish", marker),
    ]
    assert is_delivered(fleet, image)
