# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Any plan, after each of its steps; and what planning costs."""

from __future__ import annotations

import sys
import zlib

import pytest
from ansible_collections.netboot.syncer.plugins.module_utils.assets.images import find
from ansible_collections.netboot.syncer.plugins.module_utils.assets.inventory import Rules
from ansible_collections.netboot.syncer.plugins.module_utils.assets.marker import parse
from ansible_collections.netboot.syncer.plugins.module_utils.planning import planner, promises
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.plugins.module_utils.planning.plans import Change
from tests.unit.plugins.module_utils.trees import (
    HOUR,
    NOON,
    Assets,
    Server,
    make_plan,
    squashfs,
)

VERSIONS = ("5.8", "6.1")
NAMES = ("prod/a", "prod/b")
SUFFIXES = ("-kernel.json", ".squashfs.json")


@st.composite
def sources(draw: st.DrawFn) -> Assets:
    """A netboot server's tree: kernels, images with a marker or without, whole or cut, a pointer. No symlinks."""
    assets = Assets().file("README", draw(st.sampled_from([b"1", b"22"])))
    for version in VERSIONS:
        build = draw(st.sampled_from(["", "1", "2"]))
        if build:
            assets.kernel(version, build)
    for name in NAMES:
        text = draw(st.sampled_from(["", "1", "2"]))
        suffix = draw(st.sampled_from(["", *SUFFIXES]))
        if text:
            cut = draw(st.sampled_from([None, None, None, 100]))
            assets.file(f"{name}.squashfs", squashfs(text)[:cut])
        if suffix:
            version = draw(st.sampled_from(["", *VERSIONS]))
            assets.marker(f"{name}{suffix}", {"version": version} if version else {})
    if draw(st.booleans()):
        assets.latest(draw(st.sampled_from(VERSIONS)))
    for path, content in list(assets.content.items()):
        assets.file(path, content, mtime=zlib.crc32(content))  # other content, other time
    return assets


def closures(assets: Assets) -> dict[str, list[bytes | None]]:
    """Return for each marker its own content and that of everything it promises; None for what is missing."""
    found = {}
    for marker, image in find(assets.tree, pointers=Rules().pointers).pairs.items():
        version = parse(assets.content[marker]).version
        kernel = [f"kernels/{version}/{name}" for name in ("vmlinuz", "initrd") if version]
        found[marker] = [assets.content.get(path) for path in (marker, image, *kernel)]
    return found


def promised(source: Assets) -> dict[str, list[bytes | None]]:
    """Return the same for the images that are ready: a caching server may never show anything else."""
    ready = {entry.path for image in source.inventory().images if image.ready for entry in image.markers}
    return {marker: found for marker, found in closures(source).items() if marker in ready}


def published(source: Assets) -> Assets:
    """A caching server after its first sync."""
    there, allowed = Assets(), promised(source)
    for _unit, _step in Server(there, source).carry_out(make_plan(source, there)):
        assert closures(there).items() <= allowed.items()
    return there


# The order of steps under crashes and failures is for tests/model; here it is the plan, from every state of two trees.
@settings(database=None, derandomize=True, deadline=None, max_examples=60)
@given(before=sources(), source=sources(), data=st.data())
def test_plan_from_any_state(before: Assets, source: Assets, data: st.DataObject) -> None:
    there = published(before)
    lost = data.draw(st.lists(st.sampled_from(sorted(there.tree)), max_size=2))
    there.drop(*lost)
    allowed = [promised(before), promised(source)]
    kept = {marker for marker, found in closures(there).items() if allowed[1].get(marker) == found}
    for one, _step in Server(there, source).carry_out(make_plan(source, there)):
        shown = closures(there)
        if one.kind != "withdrawal":  # withdrawals come first, and hide what was lost
            assert not [marker for marker, found in shown.items() if found not in [one.get(marker) for one in allowed]]
        assert kept <= set(shown)  # never withdrawn: the netboot server still holds it unchanged
    assert promised(source).items() <= closures(there).items()
    assert there.content["README"] == source.content["README"]
    assert make_plan(source, there).units == ()


def many(count: int) -> Assets:
    """Return images of several directories and days, which use four kernels in turn."""
    found = Assets()
    for number in range(4):
        found.kernel(f"5.{number}.0", mtime=NOON + number)
    for number in range(count):
        found.image(f"{number % 3}/{number:05}-gnome", f"5.{number % 4}.0", mtime=NOON + number % 50 * HOUR)
    return found


def cost(source: Assets, there: Assets) -> int:
    """Return how many calls a plan takes: the same on every machine."""
    calls = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    inventory = source.inventory()
    known = promises.There(there.tree)
    before = sys.getprofile()
    sys.setprofile(count)
    try:
        planner.make_plan(inventory, source.tree, known, Rules())
    finally:
        sys.setprofile(before)
    return calls


def new_kernels(source: Assets) -> Assets:
    for number in range(4):
        source.kernel(f"5.{number}.0", build="2", mtime=NOON + HOUR)
    return source


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda source: source, id="in-line"),
        pytest.param(new_kernels, id="every-kernel-replaced"),
        pytest.param(lambda source: source.image("0/99999-gnome", None), id="a-new-image"),
    ],
)
def test_four_times_as_many_images_cost_four_times_as_much(change: Change) -> None:
    small, large = (cost(change(many(count)), many(count)) for count in (100, 400))
    assert large / small < 4.6
