# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The vocabulary of both trees."""

from __future__ import annotations

import dataclasses

import pytest
from ansible_collections.netboot.syncer.plugins.module_utils.assets import entries as assets
from ansible_collections.netboot.syncer.plugins.module_utils.assets.entries import (
    DIRECTORY,
    FILE,
    OTHER,
    SYMLINK,
    Entry,
)

A_FILE = Entry("a", FILE, size=5, mtime=7, identity=(1, 2))
A_LINK = Entry("a", SYMLINK, size=5, mtime=7, target="b")


@pytest.mark.parametrize(
    ("entry", "other", "alike"),
    [
        pytest.param(A_FILE, A_FILE, True, id="same"),
        pytest.param(A_FILE, dataclasses.replace(A_FILE, identity=()), True, id="identity-does-not-count"),
        pytest.param(A_FILE, dataclasses.replace(A_FILE, size=6), False, id="size"),
        pytest.param(A_FILE, dataclasses.replace(A_FILE, mtime=8), False, id="time"),
        pytest.param(A_FILE, dataclasses.replace(A_FILE, kind=OTHER), False, id="kind"),
        pytest.param(A_FILE, None, False, id="not-there"),
        pytest.param(A_LINK, dataclasses.replace(A_LINK, size=0, mtime=0), True, id="a-symlink-is-its-target"),
        pytest.param(A_LINK, dataclasses.replace(A_LINK, target="c"), False, id="target"),
    ],
)
def test_looks_like(entry: Entry, other: Entry | None, alike: bool) -> None:
    assert entry.looks_like(other) == alike


@pytest.mark.parametrize(
    ("mode", "closed"),
    [
        pytest.param(0o644, False, id="as-published"),
        pytest.param(0o600, True, id="only-its-owner"),
        pytest.param(0o400, True, id="only-its-owner-and-only-to-read"),
        pytest.param(0o711, True, id="not-to-read"),
        pytest.param(0, True, id="nobody"),
        pytest.param(0o640, False, id="a-group-as-somebody-may-mean-it"),
        pytest.param(0o604, False, id="all-but-a-group"),
        pytest.param(None, False, id="not-known"),
    ],
)
def test_closed(mode: int | None, closed: bool) -> None:
    assert dataclasses.replace(A_FILE, mode=mode).closed is closed
    assert not dataclasses.replace(A_LINK, mode=mode).closed
    assert not Entry("a", DIRECTORY, mode=mode).closed


@pytest.mark.parametrize(
    ("path", "hidden"),
    [
        pytest.param("a", False, id="plain"),
        pytest.param("dev/a.b", False, id="dot-inside"),
        pytest.param(".a", True, id="name"),
        pytest.param("dev/.a", True, id="name-below"),
        pytest.param(".dev/a", True, id="directory"),
        pytest.param(f"{assets.WORK_DIRECTORY}/a", True, id="work-directory"),
    ],
)
def test_hidden(path: str, hidden: bool) -> None:
    assert assets.is_hidden(path) == hidden


@pytest.mark.parametrize(("path", "above"), [("a", []), ("a/b", ["a"]), ("a/b/c", ["a", "a/b"])])
def test_parents(path: str, above: list[str]) -> None:
    assert assets.parents(path) == above


TREE = {
    entry.path: entry
    for entry in [
        Entry("dev", DIRECTORY),
        Entry("dev/x", DIRECTORY),
        Entry("dev/a", FILE),
        Entry("dev/x/a", FILE),
        Entry("a", FILE),
        Entry("..a", FILE),
        Entry("pipe", OTHER),
    ]
}


@pytest.mark.parametrize(
    ("links", "names", "kind"),
    [
        pytest.param({}, ["dev/l"], None, id="not-there"),
        pytest.param({"dev/l": "a"}, ["dev/l", "dev/a"], FILE, id="sibling"),
        pytest.param({"dev/l": "./a"}, ["dev/l", "dev/a"], FILE, id="sibling-with-dot"),
        pytest.param({"dev/l": "../a"}, ["dev/l", "a"], FILE, id="another-directory"),
        pytest.param({"dev/l": "x/../a"}, ["dev/l", "dev/a"], FILE, id="detour"),
        pytest.param({"dev/l": ".."}, ["dev/l"], DIRECTORY, id="the-tree-itself"),
        pytest.param({"dev/l": "../..a"}, ["dev/l", "..a"], FILE, id="name-that-begins-with-dots"),
        pytest.param({"dev/l": "../pipe"}, ["dev/l", "pipe"], OTHER, id="pipe"),
        pytest.param({"dev/l": "m", "dev/m": "a"}, ["dev/l", "dev/m", "dev/a"], FILE, id="two-links"),
        pytest.param({"dev/l": "m/a", "dev/m": "x"}, ["dev/l", "dev/m", "dev/x/a"], FILE, id="linked-directory"),
        pytest.param(
            {"dev/l": "m/../a", "dev/m": "x"}, ["dev/l", "dev/m", "dev/a"], FILE, id="above-a-linked-directory"
        ),
        pytest.param({"dev/l": "b"}, ["dev/l", "dev/b"], None, id="nowhere"),
        pytest.param({"dev/l": "y/b"}, ["dev/l", "dev/y/b"], None, id="nowhere-in-a-directory-that-is-missing"),
        pytest.param({"dev/l": "a/b"}, ["dev/l", "dev/a/b"], None, id="below-a-file"),
    ],
)
def test_follow(links: dict[str, str], names: list[str], kind: str | None) -> None:
    tree = TREE | {path: Entry(path, SYMLINK, target=target) for path, target in links.items()}
    trail = assets.follow("dev/l", tree)
    assert list(trail.names) == names
    assert (trail.entry.kind if trail.entry else None) == kind
    assert trail.trouble == ("" if kind else "is not there")


@pytest.mark.parametrize(
    ("path", "target", "trouble"),
    [
        pytest.param("l", "..", assets.LEAVES, id="above-the-tree"),
        pytest.param("dev/l", "../../b", assets.LEAVES, id="beside-the-tree"),
        pytest.param("dev/l", "../../assets/a", assets.LEAVES, id="out-and-perhaps-in-again"),
        pytest.param("dev/l", "/etc/passwd", assets.LEAVES, id="absolute"),
        pytest.param("dev/l", "x/../../../b", assets.LEAVES, id="detour-that-leaves"),
        pytest.param("dev/l", "l", "is a symlink in a circle", id="itself"),
        pytest.param("dev/l", "../dev/l", "is a symlink in a circle", id="circle"),
    ],
)
def test_symlink_that_leads_to_nothing(path: str, target: str, trouble: str) -> None:
    trail = assets.follow(path, TREE | {path: Entry(path, SYMLINK, target=target)})
    assert trail.entry is None
    assert trail.trouble == trouble


@pytest.mark.parametrize(
    ("path", "version"),
    [
        pytest.param("kernels/5.8/vmlinuz", "5.8", id="kernel"),
        pytest.param("kernels/5.8/modules/a", "5.8", id="further-below"),
        pytest.param("kernels/5.8", "", id="the-directory-itself"),
        pytest.param("kernels/latest-kernel-version.json", "", id="pointer"),
        pytest.param("dev/kernels/5.8/vmlinuz", "", id="another-kernels-directory"),
    ],
)
def test_kernel_version_of(path: str, version: str) -> None:
    assert assets.kernel_version_of(path) == version
    assert not version or path.startswith(f"{assets.kernel_directory(version)}/")
