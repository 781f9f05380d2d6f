# Copyright: (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The words of both trees."""

from __future__ import annotations

import dataclasses

import pytest
from ansible_collections.netboot.syncer.plugins.module_utils.deciding import assets
from ansible_collections.netboot.syncer.plugins.module_utils.deciding.assets import (
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


@pytest.mark.parametrize(
    ("path", "target", "leads_to"),
    [
        pytest.param("dev/a", "b", "dev/b", id="sibling"),
        pytest.param("dev/a", "./b", "dev/b", id="sibling-with-dot"),
        pytest.param("dev/a", "../prod/b", "prod/b", id="another-directory"),
        pytest.param("dev/a", "x/../b", "dev/b", id="detour"),
        pytest.param("dev/a", "..", ".", id="the-tree-itself"),
        pytest.param("a", "..b", "..b", id="name-that-begins-with-dots"),
        pytest.param("a", "..", None, id="above-the-tree"),
        pytest.param("dev/a", "../../b", None, id="beside-the-tree"),
        pytest.param("dev/a", "../../assets/b", None, id="out-and-perhaps-in-again"),
        pytest.param("dev/a", "/etc/passwd", None, id="absolute"),
        pytest.param("dev/a", "x/../../../b", None, id="detour-that-leaves"),
    ],
)
def test_link_target(path: str, target: str, leads_to: str | None) -> None:
    assert assets.link_target(path, target) == leads_to


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
