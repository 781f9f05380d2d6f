# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the netboot server no longer holds is removed only if asked for, marker first, and never more than allowed."""

from __future__ import annotations

import shutil

from tests.lab.fleet import Fleet
from tests.lab.runs import IMAGE, NEXT, SITE, actions, complaint, is_delivered, listing, prepare, sync
from tests.lab.tree import KERNEL


def test_only_if_asked_for_and_marker_first(fleet: Fleet) -> None:
    stays = fleet.tree.add_image(NEXT)
    sync(fleet)
    gone = fleet.tree.image(IMAGE)
    fleet.tree.remove_image(IMAGE)
    there = fleet.sites[SITE].assets / gone.path
    size = there.stat().st_size
    assert sync(fleet).images[gone.path].size == size
    assert there.is_file()
    run = sync(fleet, delete=True)
    assert actions(run) == [("withdraw", f"{IMAGE}-kernel.json"), ("remove", gone.path)]
    assert run.images[gone.path].state == "withdrawn"
    assert run.images[gone.path].size == size
    assert not list(fleet.sites[SITE].assets.glob(f"{IMAGE}*"))
    assert is_delivered(fleet, stays)


def test_image_that_keeps_another_marker_is_not_withdrawn(fleet: Fleet) -> None:
    sync(fleet)
    assets = fleet.sites[SITE].assets
    stale = assets / f"{IMAGE}.json"
    stale.write_bytes((assets / f"{IMAGE}-kernel.json").read_bytes())
    run = sync(fleet, delete=True)
    assert actions(run) == [("withdraw", f"{IMAGE}.json")]
    assert run.images[f"{IMAGE}.squashfs"].state == "unchanged"
    assert run.files[f"{IMAGE}.json"].state == "withdrawn"
    assert is_delivered(fleet, fleet.tree.image(IMAGE))


def test_too_many_are_refused_and_none_is_removed(fleet: Fleet) -> None:
    for number in range(3):
        fleet.tree.add_image(f"old/{number}")
    sync(fleet)
    shutil.rmtree(fleet.tree.root / "old")
    image = fleet.tree.add_image(NEXT)
    line = complaint(prepare(fleet, delete=True, max_delete=5), fleet.sites[SITE].ssh.address)
    assert "6 files would be removed, but max_delete allows 5: none was removed" in line
    assert "Then raise max_delete." in line
    assert len(list((fleet.sites[SITE].assets / "old").iterdir())) == 6
    assert is_delivered(fleet, image)
    sync(fleet, delete=True, max_delete=6)
    assert not (fleet.sites[SITE].assets / "old").exists()


def test_what_is_hidden_excluded_or_held_back_stays(fleet: Fleet) -> None:
    fleet.tree.add_image("dev/nightly")
    held = fleet.tree.add_image(NEXT)
    sync(fleet)
    assets = fleet.sites[SITE].assets
    (assets / "prod" / ".upload").write_text("somebody else's", encoding="utf-8")
    (assets / ".snapshots").mkdir()
    fleet.tree.remove_image("dev/nightly")
    held.marker.write_text("", encoding="utf-8")
    before = {path: found for path, found in listing(assets).items() if not path.startswith(".netboot-sync")}
    run = sync(fleet, delete=True, exclude=["dev/**"])
    assert actions(run) == []
    after = {path: found for path, found in listing(assets).items() if not path.startswith(".netboot-sync")}
    assert after == before


def test_kernel_goes_after_the_last_image_that_needs_it(fleet: Fleet) -> None:
    fleet.tree.add_kernel("4.19.0-old", latest=False)
    old = fleet.tree.add_image("prod/old", kernel="4.19.0-old")
    sync(fleet)
    shutil.rmtree(fleet.tree.root / "kernels" / "4.19.0-old")
    sync(fleet, delete=True)
    assets = fleet.sites[SITE].assets
    assert (assets / "kernels" / "4.19.0-old" / "vmlinuz").is_file()
    fleet.tree.remove_image(old.name)
    run = sync(fleet, delete=True)
    assert actions(run)[0] == ("withdraw", "prod/old-kernel.json")
    assert [path.name for path in sorted((assets / "kernels").iterdir())] == [KERNEL, "latest-kernel-version.json"]
    assert is_delivered(fleet, fleet.tree.image(IMAGE))


def test_directory_that_leads_outside_is_not_followed(fleet: Fleet) -> None:
    """A symlink on the caching server is removed, but never what it leads to."""
    sync(fleet)
    outside = fleet.directory / "outside"
    outside.mkdir()
    (outside / "precious.squashfs").write_text("precious", encoding="utf-8")
    (fleet.sites[SITE].assets / "more").symlink_to(outside)
    run = sync(fleet, delete=True)
    assert actions(run) == [("remove", "more")]
    assert (outside / "precious.squashfs").read_text(encoding="utf-8") == "precious"
