# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each caching server shows, after a sync and also after a repair."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Tree, Variables

testinfra_hosts = ["ansible://caching_servers"]

EVERYWHERE = {
    "caching-server/netboot-caching-server.squashfs",
    "kernels/5.8.0-43-generic/initrd",
    "kernels/5.8.0-43-generic/vmlinuz",
    "kernels/latest",
    "kernels/latest-kernel-version.json",
    "prod/21-04-09-gnome-master-f1d734e-kernel.json",
    "prod/21-04-09-gnome-master-f1d734e.squashfs",
    "prod/21-04-16-gnome-master-9c41d0b-kernel.json",
    "prod/21-04-16-gnome-master-9c41d0b.squashfs",
}
DEVELOPMENT = {
    "dev/21-04-10-gnome-feature-77ab012-kernel.json",
    "dev/21-04-10-gnome-feature-77ab012.squashfs",
}
UNMARKED = {"prod/21-04-10-xfce-master-4d5e6f7.squashfs"}
TRUNCATED = {"prod/21-04-10-lxde-master-8a9b0c1.squashfs", "prod/21-04-10-lxde-master-8a9b0c1-kernel.json"}


def is_hidden(path: str) -> bool:
    return any(part.startswith(".") for part in path.split("/"))


def visible(tree: Tree) -> Tree:
    return {path: entry for path, entry in tree.items() if not is_hidden(path)}


def files(tree: Tree) -> set[str]:
    """The visible files and symlinks."""
    return {path for path, entry in visible(tree).items() if not entry.mode.startswith("d")}


def test_the_netboot_server_holds_more_than_is_ready(source: Tree) -> None:
    """Otherwise the absence of the rest elsewhere would prove nothing."""
    assert files(source) == EVERYWHERE | DEVELOPMENT | UNMARKED | TRUNCATED


def test_all_that_is_ready_is_published(tree: Tree) -> None:
    assert files(tree) >= EVERYWHERE


def test_only_the_development_server_has_the_untested_image(tree: Tree, variables: Variables) -> None:
    expected = DEVELOPMENT | {"dev"} if variables["inventory_hostname"] == "cache-dev" else set()
    assert {path for path in tree if path.split("/")[0] == "dev"} == expected


@pytest.mark.parametrize("image", [UNMARKED, TRUNCATED], ids=["without marker", "truncated"])
def test_what_is_held_back_is_absent(tree: Tree, image: set[str]) -> None:
    assert not image & tree.keys()


def test_what_is_shown_is_what_the_netboot_server_holds(tree: Tree, source: Tree) -> None:
    """Byte for byte, symlinks included, so nothing partial and nothing foreign is visible."""
    shown = {path: (entry.mode[0], entry.content) for path, entry in visible(tree).items()}
    assert shown == {path: (source[path].mode[0], source[path].content) for path in shown if path in source}


def test_a_web_server_may_read_it_all(tree: Tree) -> None:
    """Whatever the modes on the netboot server."""
    modes = {path: entry.mode for path, entry in visible(tree).items()}
    readable = {"-": "-rw-r--r--", "d": "drwxr-xr-x", "l": "lrwxrwxrwx"}
    assert modes == {path: readable[mode[0]] for path, mode in modes.items()}


def test_nothing_in_transit_is_left(tree: Tree) -> None:
    assert {path for path in tree if is_hidden(path)} <= {".netboot-sync", ".netboot-sync/lock"}
