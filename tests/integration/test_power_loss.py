# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The order of writes and flushes on a caching server, and what a power cut at any moment would have left of them."""

from __future__ import annotations

import copy
import json
import posixpath
import shutil
from collections.abc import Callable, Iterator

import pytest

from tests.lab.fleet import Fleet, SiteSpec
from tests.lab.runs import IMAGE, NEXT, SITE, add_large_image, sync
from tests.lab.trace import Event, events
from tests.model.disk import Disk, File

pytestmark = pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")

KERNEL_FILES = ("vmlinuz", "initrd")


@pytest.fixture(scope="module", params=["rsync", "sftp"])
def changes(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Fleet, list[Event]]:
    """Return what happened on the disk while two images arrived one after the other, the second as a difference."""
    with Fleet(tmp_path_factory.mktemp("power") / "fleet", [SiteSpec(SITE, traced=True)]) as fleet:
        fleet.tree.add_kernel()
        first = add_large_image(fleet.tree, IMAGE, size=600_000)
        sync(fleet, transport=request.param)
        second = add_large_image(fleet.tree, NEXT, size=1)
        second.squashfs.write_bytes(first.squashfs.read_bytes() + b"more")
        run = sync(fleet, transport=request.param)
        assert (run.images[second.path].basis is not None) == (request.param == "rsync")
    site = fleet.sites[SITE]
    return fleet, events(site.server.directory / "trace", site.assets)


def test_squashfs_and_its_directory_are_flushed_before_the_marker_appears(changes: tuple[Fleet, list[Event]]) -> None:
    fleet, found = changes
    assets = fleet.sites[SITE].assets
    published = {event.to: number for number, event in enumerate(found) if event.what == "rename"}
    for name in (IMAGE, NEXT):
        squashfs, marker = f"{assets}/{name}.squashfs", f"{assets}/{name}-kernel.json"
        for path in (squashfs, marker):
            hidden = found[published[path]].path
            assert "/.netboot-sync/" in hidden
            flushes = [n for n, event in enumerate(found) if event == Event("flush", hidden)]
            writes = [n for n, event in enumerate(found) if event.what == "write" and event.path == hidden]
            assert flushes, f"{path} was never flushed"
            assert max(writes, default=0) < max(flushes) < published[path]
        directory = Event("flush", posixpath.dirname(squashfs))
        assert directory in found[published[squashfs] : published[marker]]
        assert directory in found[published[marker] :]


def replay(found: list[Event]) -> Iterator[Disk]:
    """Yield the disk after each change. Of the contents, only the length counts; this is about names."""
    disk = Disk()
    for event in found:
        if event.what == "create":
            if event.path not in disk.names:
                disk.put(event.path, File())
        elif event.what == "write":
            disk.names[event.path].content += b"x" * event.size
        elif event.what == "flush":
            if event.path in disk.names:
                disk.flush(event.path)
            else:
                disk.flush_directory(f"{event.path}/")
        elif event.what == "rename":
            disk.rename(event.path, event.to)
        elif event.what == "link":
            disk.put(event.to, disk.names[event.path])
        elif event.what == "remove":
            disk.remove(event.path)
        yield disk


# How many unflushed changes or bytes survive, out of how many. The numbers of changes are small.
CUTS: dict[str, Callable[[int], int]] = {
    "nothing survives": lambda _most: 0,
    "names survive": lambda most: most if most < 20 else 0,
    "some survives": lambda most: most // 2,
    "all but the last survives": lambda most: max(most - 1, 0),
}


@pytest.mark.parametrize("cut", CUTS)
def test_power_cut_at_any_moment_shows_no_partial_image(changes: tuple[Fleet, list[Event]], cut: str) -> None:
    fleet, found = changes
    assets = fleet.sites[SITE].assets
    visible = 0
    for disk in replay(found):
        after = copy.deepcopy(disk)
        after.lose_power(CUTS[cut])
        for path, file in after.names.items():
            if "/.netboot-sync/" in path or not path.startswith(f"{assets}/prod/") or not path.endswith(".json"):
                continue
            visible += 1
            marker = fleet.tree.root / posixpath.relpath(path, assets)
            assert len(file.content) == marker.stat().st_size
            kernel = json.loads(marker.read_bytes())["version"]
            promised = [f"{path.removesuffix('-kernel.json')}.squashfs"]
            promised += [f"{assets}/kernels/{kernel}/{name}" for name in KERNEL_FILES]
            for promise in promised:
                whole = (fleet.tree.root / posixpath.relpath(promise, assets)).stat().st_size
                assert len(after.names[promise].content) == whole
                assert set(after.names[promise].content) == {ord("x")}
    assert visible > 0
