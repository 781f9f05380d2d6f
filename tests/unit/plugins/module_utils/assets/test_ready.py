# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which images are ready, with a marker or without one."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import pytest
from ansible_collections.netboot.syncer.plugins.module_utils.assets.inventory import (
    Rules,
    assess,
)

from tests.unit.plugins.module_utils.assets.usual import (
    IMAGE,
    INITRD,
    MARKER,
    NO_MARKER,
    VMLINUZ,
    Change,
    image_of,
    sha256,
    used,
    usual,
)
from tests.unit.plugins.module_utils.trees import HOUR, KERNEL, NOON, Assets, squashfs


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda a: a, id="usual"),
        pytest.param(lambda a: a.marker(MARKER, {}).drop("kernels"), id="no-version-no-kernel"),
        pytest.param(
            lambda a: a.marker(MARKER, {"version": KERNEL, "size": 4096, "sha256": sha256()}), id="size-sha256"
        ),
        pytest.param(lambda a: a.file(IMAGE, squashfs() + bytes(4096)), id="longer-than-bytes-used"),
        pytest.param(lambda a: a.file(IMAGE, squashfs()[: used()]), id="exactly-bytes-used"),
        pytest.param(
            lambda a: a.drop(INITRD).link(INITRD, "initrd.img").file(f"{INITRD}.img"), id="symlink-in-kernel-directory"
        ),
        pytest.param(lambda a: a.file(f"kernels/{KERNEL}/modules/a"), id="more-in-the-kernel-directory"),
        pytest.param(
            lambda a: a.drop(IMAGE).link(IMAGE, "../dev/b.squashfs").file("dev/b.squashfs", squashfs()),
            id="squashfs-symlink",
        ),
        pytest.param(
            lambda a: (
                a.drop(IMAGE)
                .link(IMAGE, "a.img")
                .file("prod/a.img", squashfs())
                .marker(MARKER, {"size": 4096, "sha256": sha256()})
            ),
            id="squashfs-symlink-to-another-suffix",
        ),
        pytest.param(
            lambda a: a.drop(MARKER).link(MARKER, "../dev/b.json").marker("dev/b.json", {"version": KERNEL}),
            id="marker-symlink",
        ),
        pytest.param(lambda a: a.marker("prod/a.json", {"version": KERNEL}), id="two-markers"),
        pytest.param(lambda a: a.file("dev/broken.squashfs", b"").marker("dev/broken.json", b"["), id="another-broken"),
    ],
)
def test_ready(change: Change) -> None:
    image = image_of(change(usual()))
    assert image.reason == ""
    assert image.ready


def test_ready_image_tells_what_belongs_to_it() -> None:
    assets = usual().kernel("6.1").file("kernels/6.1/modules/a")
    assets.marker("prod/a.json", {"version": "6.1", "sha256": sha256().upper()}, mtime=NOON + HOUR)
    image = image_of(assets)
    assert [entry.path for entry in image.entries] == [IMAGE, MARKER, "prod/a.json"]  # markers last, the usual first
    assert image.versions == (KERNEL, "6.1")
    required = [INITRD, VMLINUZ, "kernels/6.1/initrd", "kernels/6.1/modules/a", "kernels/6.1/vmlinuz"]
    assert [entry.path for entry in image.requires] == required
    assert image.sha256 == sha256()
    assert image.newest == NOON + HOUR


def test_age_is_that_of_the_marker() -> None:
    assert image_of(Assets().image("prod/a", None).file(IMAGE, squashfs(), mtime=NOON + HOUR)).newest == NOON
    assert image_of(Assets().file(IMAGE, squashfs(), mtime=NOON + HOUR)).newest == NOON + HOUR


def test_sha256_counts_only_once_it_was_computed() -> None:
    assets = usual().marker(MARKER, {"sha256": "0" * 64})
    before = dataclasses.replace(assets.evidence(), digests={})
    assert assess(assets.tree, before, Rules()).images[0].ready
    assert not assets.inventory().images[0].ready


@pytest.mark.parametrize(
    ("patterns", "ready"),
    [
        pytest.param([], False, id="none"),
        pytest.param(["caching-server/*.squashfs"], True, id="by-directory"),
        pytest.param(["caching-server"], True, id="directory"),
        pytest.param(["netboot-*"], True, id="by-name"),
        pytest.param(["**"], True, id="all"),
        pytest.param(["prod/**", "/netboot-*", "*.img"], False, id="others"),
        pytest.param(["prod/**", "caching-server/**"], True, id="one-of-two"),
    ],
)
def test_unmarked_images(patterns: list[str], ready: bool) -> None:
    path = "caching-server/netboot-caching-server.squashfs"
    image = image_of(Assets().file(path, squashfs()), Rules(unmarked_images=tuple(patterns)), path)
    assert image.reason == ("" if ready else NO_MARKER)
    assert image.requires == ()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        pytest.param(
            lambda a: a.file(IMAGE, squashfs()[:50]),
            "the squashfs is cut short: 50 bytes are less than a superblock",
            id="squashfs-cut",
        ),
        pytest.param(
            lambda a: a.marker("prod/a.json", b"5 x"),
            "the marker is not JSON: something follows its end, at line 1, column 3 (a.json)",
            id="broken-marker",
        ),
        pytest.param(
            lambda a: a.marker("prod/a.json", {"version": "6.1"}),
            "it requires kernels/6.1/vmlinuz, which is not there",
            id="marker-without-its-kernel",
        ),
    ],
)
def test_unmarked_image_must_be_whole_all_the_same(change: Change, reason: str) -> None:
    assets = change(Assets().file(IMAGE, squashfs()))
    assert image_of(assets, Rules(unmarked_images=("**",))).reason == reason


@pytest.mark.parametrize("field", ["unmarked_images", "pointers"])
@pytest.mark.parametrize("pattern", ["[z-a]*", "/", "", "../dev/*"])
def test_what_is_no_pattern_is_bad_input(field: str, pattern: str) -> None:
    given: dict[str, Any] = {field: ("prod/*", pattern)}
    with pytest.raises(ValueError, match=f"^{re.escape(f'not a pattern: {pattern!r} ')}"):
        Rules(**given)
