# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a site on a slow line gets first."""

from __future__ import annotations

import os

import pytest

from tests.lab.fleet import Fleet, SiteSpec
from tests.lab.runs import IMAGE, NEXT, SITE, add_large_image, complaint, is_delivered, prepare, sync
from tests.lab.tree import Image

MB = 1_000_000
KERNEL = "kernels/5.8.0-43-generic"
NEW_KERNEL = "kernels/6.1.0-new"
UNUSED = "kernels/0-unused"
ISO = "a-rescue.iso"
DEV = "dev/21-04-11-gnome-master-0a1b2c3"
HOUR = 3600


@pytest.fixture
def spec() -> SiteSpec:
    return SiteSpec(SITE, line=True)


@pytest.fixture
def images(fleet: Fleet) -> dict[str, Image]:
    """Two images of prod, one of dev with its own kernel, each of two megabytes; and files that no image waits for."""
    fleet.tree.add_kernel("6.1.0-new", size=MB)
    fleet.tree.add_kernel("0-unused", size=8 * MB)
    (fleet.tree.root / ISO).write_bytes(os.urandom(8 * MB))
    found = {name: add_large_image(fleet.tree, name, size=2 * MB) for name in (IMAGE, NEXT)}
    found[DEV] = fleet.tree.add_image(DEV, kernel="6.1.0-new", content="large")
    now = found[NEXT].marker.stat().st_mtime
    for name, age in ((NEXT, 0), (IMAGE, 1), (DEV, 2)):
        os.utime(found[name].marker, (now - age * HOUR, now - age * HOUR))
    return found


def test_newest_image_is_there_although_the_line_breaks_after_it(fleet: Fleet, images: dict[str, Image]) -> None:
    line = fleet.sites[SITE].line
    assert line is not None
    line.cut_after(4 * MB)
    assert "the next run goes on from there" in complaint(prepare(fleet), fleet.sites[SITE].ssh.address)
    assert is_delivered(fleet, images[NEXT])
    assert not is_delivered(fleet, images[IMAGE])
    line.restore()
    sync(fleet)
    assert all(is_delivered(fleet, image) for image in images.values())


@pytest.mark.parametrize(
    ("priority", "order"),
    [
        pytest.param((), [KERNEL, NEXT, NEW_KERNEL, DEV, IMAGE, UNUSED, ISO], id="usual"),
        pytest.param(("dev/**", f"{IMAGE}*"), [NEW_KERNEL, DEV, KERNEL, IMAGE, NEXT, UNUSED, ISO], id="by-choice"),
    ],
)
@pytest.mark.usefixtures("images")
def test_order_of_what_is_published(fleet: Fleet, priority: tuple[str, ...], order: list[str]) -> None:
    run = sync(fleet, priority=priority)
    assert run.failures == []
    published = [str(action["path"]) for action in run.actions if action["action"] == "publish"]
    names = [path.removesuffix("-kernel.json").removesuffix("/vmlinuz") for path in published]
    assert [name for name in names if name in order] == order
