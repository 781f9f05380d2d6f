# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The event source: uploads as they happen, and the events that they cause, with inotify and with polling."""

from __future__ import annotations

import asyncio
import importlib.util
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.lab.fleet import CHECKOUT
from tests.lab.tree import AssetsTree

SOURCE = CHECKOUT / "extensions" / "eda" / "plugins" / "event_source" / "assets.py"
Events = asyncio.Queue[dict[str, Any]]


def source() -> Any:
    """Return the plugin, loaded the way ansible-rulebook does it: as a file."""
    spec = importlib.util.spec_from_file_location("assets", SOURCE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def watch(tree: AssetsTree, story: Callable[[Events], Awaitable[None]], **options: Any) -> None:
    async def run() -> None:
        events: Events = asyncio.Queue()
        given = {"path": str(tree.root), "quiet": 1.0, "poll": 0.2, **options}
        task = asyncio.create_task(source().main(events, given))
        try:
            await asyncio.sleep(0.3)  # let it start, so that it misses nothing of the story
            await asyncio.wait_for(story(events), 60)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    asyncio.run(run())


@pytest.fixture
def tree(tmp_path: Path) -> AssetsTree:
    found = AssetsTree(tmp_path / "assets")
    found.add_kernel()
    found.add_image("prod/old")
    return found


@pytest.fixture(params=["inotify", "poll"])
def method(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_a_burst_of_five_is_one_event(tree: AssetsTree, method: str) -> None:
    async def story(events: Events) -> None:
        for number in range(5):
            tree.add_image(f"new/image-{number}")
            await asyncio.sleep(0.1)
        event = await events.get()
        assert event["assets"]["images"] == [f"new/image-{number}.squashfs" for number in range(5)]
        tree.add_image("prod/later")
        assert (await events.get())["assets"]["images"] == ["prod/later.squashfs"]

    watch(tree, story, method=method)


def test_a_marker_waits_for_its_image(tree: AssetsTree, method: str, tmp_path: Path) -> None:
    whole = AssetsTree(tmp_path / "elsewhere").add_image("prod/slow")

    async def story(events: Events) -> None:
        tree.root.joinpath("prod/slow-kernel.json").write_bytes(whole.marker.read_bytes())
        partial = tree.root / "prod" / "slow.squashfs"
        partial.write_bytes(whole.squashfs.read_bytes()[:200])
        tree.add_image("prod/other")
        assert (await events.get())["assets"]["images"] == ["prod/other.squashfs"]
        hidden = partial.with_name(".slow.upload")
        shutil.copy(whole.squashfs, hidden)
        hidden.rename(partial)
        assert (await events.get())["assets"]["images"] == ["prod/slow.squashfs"]

    watch(tree, story, method=method)


def test_a_marker_that_goes(tree: AssetsTree, method: str) -> None:
    async def story(events: Events) -> None:
        (tree.root / "prod" / "old-kernel.json").unlink()
        assert (await events.get())["assets"] == {"images": [], "markers": [], "removed": ["prod/old-kernel.json"]}

    watch(tree, story, method=method)


def test_what_arrived_while_nobody_watched(tree: AssetsTree, method: str) -> None:
    async def story(events: Events) -> None:
        assert (await events.get())["assets"]["images"] == ["prod/old.squashfs"]

    watch(tree, story, method=method, at_start=True)


def test_a_tree_that_is_never_quiet(tree: AssetsTree) -> None:
    async def story(events: Events) -> None:
        async def scribble() -> None:
            number = 0
            while True:
                number += 1
                (tree.root / "log").write_text("x" * number, encoding="utf-8")
                await asyncio.sleep(0.05)

        task = asyncio.create_task(scribble())
        tree.add_image("prod/new")
        assert (await events.get())["assets"]["images"] == ["prod/new.squashfs"]
        task.cancel()

    watch(tree, story, quiet=30.0, most=2.0)


@pytest.mark.parametrize("wrong", [{"path": "/nonexistent"}, {"method": "magic"}, {"poll": 0}])
def test_refused(tree: AssetsTree, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"netboot\.syncer\.assets"):
        asyncio.run(source().main(asyncio.Queue(), {"path": str(tree.root), **wrong}))
