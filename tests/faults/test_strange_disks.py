# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Caching servers whose file system folds names, keeps coarse times, or knows neither modes nor times."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.netboot.syncer.plugins.module_utils.caching_server.server import SshCachingServer
from ansible_collections.netboot.syncer.plugins.module_utils.source.tree import SourceTree
from ansible_collections.netboot.syncer.plugins.module_utils.ssh.session import Session

from tests.lab.fleet import Fleet
from tests.lab.runs import (
    IMAGE,
    NEXT,
    SITE,
    actions,
    add_large_image,
    address_of,
    complaint,
    is_delivered,
    prepare,
    sync,
)
from tests.lab.strange_disk import COARSE, EXFAT, FOLDING, NO_MODES_NO_TIMES, Quirks, StrangeDisk

pytestmark = pytest.mark.root
Mount = Callable[[Path, Quirks], StrangeDisk]
ODD = 1_700_000_001  # seconds; not a multiple of two


def set_times(fleet: Fleet, mtime: int) -> None:
    for path in fleet.tree.root.rglob("*"):
        if path.is_file():
            os.utime(path, (mtime, mtime))


@pytest.mark.parametrize("transport", ["rsync", "sftp"])
@pytest.mark.parametrize(
    "quirks", [COARSE, EXFAT, FOLDING, NO_MODES_NO_TIMES], ids=["coarse", "exfat", "folding", "none"]
)
def test_second_run_has_nothing_to_do(fleet: Fleet, strange_disk: Mount, quirks: Quirks, transport: str) -> None:
    strange_disk(fleet.sites[SITE].assets, quirks)
    set_times(fleet, ODD)
    image = fleet.tree.image(IMAGE)
    run = sync(fleet, transport=transport)
    assert run.images[image.path].state == "published"
    assert is_delivered(fleet, image)
    # Only a write shows whether times are kept there, so check mode says that it would set them.
    checks: list[dict[str, Any]] = [] if quirks == NO_MODES_NO_TIMES else [{"check_mode": True}]
    for options in ({}, {"verify": True}, *checks):
        again = sync(fleet, transport=transport, **options)
        assert actions(again) == []
        assert not again.changed
        assert again.images[image.path].state == "unchanged"
        assert again.sent_bytes == 0


@pytest.mark.parametrize("quirks", [COARSE, EXFAT], ids=["coarse", "exfat"])
@pytest.mark.parametrize("name", ["initrd", "squashfs"])
def test_another_content_within_a_step_of_time_is_seen(
    fleet: Fleet, strange_disk: Mount, quirks: Quirks, name: str
) -> None:
    """Its size is the same, and its time there is indistinguishable from its predecessor's: the content decides."""
    strange_disk(fleet.sites[SITE].assets, quirks)
    set_times(fleet, ODD - 1)
    sync(fleet)
    image = fleet.tree.image(IMAGE)
    path = image.squashfs if name == "squashfs" else next(fleet.tree.root.glob("kernels/*/initrd"))
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))
    os.utime(path, (ODD, ODD))
    assert sync(fleet).changed
    there = fleet.sites[SITE].assets / path.relative_to(fleet.tree.root)
    assert there.read_bytes() == path.read_bytes()
    assert not sync(fleet).changed


def test_small_files_that_go_together_show_as_the_netboot_server_has_them(fleet: Fleet, strange_disk: Mount) -> None:
    """The sync checks the time of only one of them first, and an even time would say nothing about the others."""
    strange_disk(fleet.sites[SITE].assets, COARSE)
    for number in range(4):
        file = fleet.tree.root / f"boot/{number}.cfg"
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(os.urandom(100))
        os.utime(file, (ODD - 1 + number, ODD - 1 + number))
    source = SourceTree(str(fleet.tree.root))
    entries = [source.scan()[f"boot/{number}.cfg"] for number in range(4)]
    with Session(address_of(fleet), remember=False) as session:
        server = SshCachingServer(session, source, str(fleet.sites[SITE].server.assets), lock_timeout=0)
        server.find_destination()
        server.open_for_writing()
        assert set(server.send_together(entries)) == {entry.path for entry in entries}
        assert server.publish_together(entries) == {entry.path for entry in entries}
        assert all(server.shows(entry, server.look(entry.path)) for entry in entries)
        server.close()


def test_says_that_times_are_not_kept(fleet: Fleet, strange_disk: Mount) -> None:
    strange_disk(fleet.sites[SITE].assets, NO_MODES_NO_TIMES)
    set_times(fleet, ODD)
    run = sync(fleet)
    assert any("keeps no times" in warning for warning in run.warnings)


def test_times_that_are_kept_are_not_taken_for_rounded(fleet: Fleet) -> None:
    """On an ordinary disk, a file whose time is a second off is compared once, and then gets the right time."""
    set_times(fleet, ODD)
    sync(fleet)
    there = fleet.sites[SITE].assets / fleet.tree.image(IMAGE).path
    os.utime(there, (ODD - 1, ODD - 1))
    assert actions(sync(fleet)) == [("adopt", fleet.tree.image(IMAGE).path), ("confirm", fleet.tree.image(IMAGE).path)]
    assert there.stat().st_mtime == ODD
    assert actions(sync(fleet)) == []


@pytest.mark.parametrize("quirks", [FOLDING, EXFAT], ids=["folding", "exfat"])
def test_renamed_in_case_only(fleet: Fleet, strange_disk: Mount, quirks: Quirks) -> None:
    strange_disk(fleet.sites[SITE].assets, quirks)
    old = fleet.tree.add_image("prod/kde")
    sync(fleet)
    for path in (old.squashfs, old.marker):
        path.rename(path.with_name(path.name.replace("kde", "KDE")))
    image = fleet.tree.image("prod/KDE")
    for _unused in range(2):
        run = sync(fleet, delete=True)
        assert is_delivered(fleet, image)
        assert run.images[image.path].state == "unchanged"
        assert ("remove", old.path) not in actions(run)


@pytest.mark.parametrize("quirks", [FOLDING, EXFAT], ids=["folding", "exfat"])
def test_renamed_in_case_only_with_another_content(fleet: Fleet, strange_disk: Mount, quirks: Quirks) -> None:
    strange_disk(fleet.sites[SITE].assets, quirks)
    fleet.tree.add_image("prod/kde")
    sync(fleet)
    fleet.tree.remove_image("prod/kde")
    image = fleet.tree.add_image("prod/KDE", content="another one")
    for path in (image.squashfs, image.marker):
        os.utime(path, (ODD + 100, ODD + 100))
    run = sync(fleet, delete=True)
    assert run.failures == []
    assert is_delivered(fleet, image)
    assert not any(action == "remove" for action, _path in actions(run))
    sync(fleet, delete=True)
    assert is_delivered(fleet, image)


@pytest.mark.parametrize("quirks", [FOLDING, EXFAT], ids=["folding", "exfat"])
@pytest.mark.parametrize(
    "names", [("kde", "KDE"), ("straße", "STRASSE"), ("caf\u00e9", "cafe\u0301")], ids=["case", "sharp-s", "unicode"]
)
def test_two_names_that_are_one_there(
    fleet: Fleet, strange_disk: Mount, quirks: Quirks, names: tuple[str, str]
) -> None:
    strange_disk(fleet.sites[SITE].assets, quirks)
    both = [fleet.tree.add_image(f"prod/{name}", content=name) for name in names]
    for _unused in range(2):
        run = prepare(fleet)
        run.run()
        failed = [image for image in both if run.images[image.path].state == "failed"]
        assert len(failed) == 1
        assert "are the same name on the file system" in run.images[failed[0].path].reason
        (whole,) = [image for image in both if image not in failed]
        assert is_delivered(fleet, whole)
        assert is_delivered(fleet, fleet.tree.image(IMAGE))


def test_two_names_that_are_two_there(fleet: Fleet) -> None:
    both = [fleet.tree.add_image(f"prod/{name}", content=name) for name in ("kde", "KDE")]
    sync(fleet)
    assert all(is_delivered(fleet, image) for image in both)
    fleet.tree.remove_image("prod/kde")
    sync(fleet, delete=True)
    assert is_delivered(fleet, both[1])
    assert not (fleet.sites[SITE].assets / both[0].path).exists()


def test_obstacle_is_told_in_one_line(fleet: Fleet, strange_disk: Mount) -> None:
    strange_disk(fleet.sites[SITE].assets, FOLDING)
    for name in ("readme", "README"):
        (fleet.tree.root / name).write_text(name, encoding="utf-8")
    line = complaint(prepare(fleet), fleet.sites[SITE].ssh.address)
    assert "readme" in line
    assert "README" in line
    assert "Rename one of them on the netboot server" in line


@pytest.mark.parametrize("transport", ["rsync", "sftp"])
def test_write_that_fails_once_is_tried_again(fleet: Fleet, strange_disk: Mount, transport: str) -> None:
    """As on a network file system whose server came back; a disk that refuses every write is reported at once."""
    disk = strange_disk(fleet.sites[SITE].assets, Quirks())
    sync(fleet, transport=transport)
    image = add_large_image(fleet.tree, NEXT, size=900_000)
    disk.stale(1)
    run = sync(fleet, transport=transport, retries=1, retry_delay=0)
    assert (run.attempts, run.failures) == (2, [])
    assert is_delivered(fleet, image)
