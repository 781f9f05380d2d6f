# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Following a hub: when to rescan, and when to stop waiting."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from ansible_collections.netboot.syncer.plugins.module_utils.assets.inventory import Rules
from ansible_collections.netboot.syncer.plugins.module_utils.progress import Progress
from ansible_collections.netboot.syncer.plugins.module_utils.run.following import LEASE, Following, Next, decide
from ansible_collections.netboot.syncer.plugins.module_utils.source.tree import SourceTree

from tests.lab.tree import AssetsTree

IMAGE = "prod/21-04-09-gnome-master-f1d734e"


@pytest.mark.parametrize(
    ("at_work", "news", "owed", "coming"),
    [
        pytest.param(True, True, False, Next.SYNC, id="something new"),
        pytest.param(True, False, False, Next.WAIT, id="nothing new yet"),
        pytest.param(True, False, True, Next.WAIT, id="put off until the end"),
        pytest.param(False, True, False, Next.SYNC, id="something new at the end"),
        pytest.param(False, False, True, Next.SYNC, id="what was put off"),
        pytest.param(False, False, False, Next.END, id="the end"),
    ],
)
def test_what_comes_next(at_work: bool, news: bool, owed: bool, coming: Next) -> None:
    assert decide(at_work=at_work, news=news, owed=owed) is coming


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_who_is_not_heard_of_is_not_waited_for(tmp_path: Path) -> None:
    clock, file = Clock(), tmp_path / "told"
    following = Following(str(file), clock=clock)
    for number in range(3):
        file.write_text(f"at work {number}\n", encoding="ascii")
        clock.now += LEASE - 1
        assert following.at_work()  # the lease begins when new content is first seen
    clock.now += LEASE - 1
    assert following.at_work()
    clock.now += 2
    assert not following.at_work()


@pytest.mark.parametrize("said", [None, "over\n"], ids=["nothing was ever said", "over"])
def test_nobody_is_waited_for(tmp_path: Path, said: str | None) -> None:
    clock, file = Clock(), tmp_path / "told"
    following = Following(str(file), clock=clock)
    if said is not None:
        file.write_text(said, encoding="ascii")
    clock.now += LEASE
    assert not following.at_work()
    assert not Following().at_work()


def test_what_is_published_counts_and_what_is_on_its_way_does_not(tmp_path: Path) -> None:
    tree = AssetsTree(tmp_path / "assets")
    tree.add_kernel()
    source = SourceTree(str(tree.root))
    source.scan()
    over = tmp_path / "told"
    over.write_text("over\n", encoding="ascii")

    def is_waited_for() -> bool:
        return Following(str(over)).wait(source, Rules(), Progress(), owed=False)

    assert not is_waited_for()
    image = tree.add_image(IMAGE)
    aside = image.marker.rename(tmp_path / "marker")
    assert not is_waited_for()  # a squashfs alone is of no use
    aside.rename(image.marker)
    assert is_waited_for()
    assert not is_waited_for()  # the tree was rescanned
    image.marker.unlink()
    assert is_waited_for()  # such as by a withdrawal
    assert Following(str(over)).wait(source, Rules(), Progress(), owed=True)


def test_a_hub_that_is_still_empty_is_waited_for(tmp_path: Path) -> None:
    """That is, a new one: one that has lost everything is a change, and gets reported."""
    tree = AssetsTree(tmp_path / "assets")
    source = SourceTree(str(tree.root))
    over = tmp_path / "told"
    over.write_text("over\n", encoding="ascii")

    def is_waited_for() -> bool:
        return Following(str(over)).wait(source, Rules(), Progress(), owed=False)

    assert not is_waited_for()
    kernel = tree.add_kernel()
    assert is_waited_for()
    shutil.rmtree(kernel.parent)
    assert is_waited_for()
