# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which file a new one is sent as a difference against."""

from __future__ import annotations

import pytest
from ansible_collections.netboot.syncer.plugins.module_utils.assets.entries import DIRECTORY, FILE, SYMLINK, Entry, Tree
from ansible_collections.netboot.syncer.plugins.module_utils.planning.basis import BuildName, choose, parse_name
from hypothesis import given, settings
from hypothesis import strategies as st

NEW = "prod/21-04-09-gnome-master-f1d734e.squashfs"


def holding(*paths: str) -> Tree:
    """A caching server with files of these paths, each one second newer than the one before it."""
    return {path: Entry(path, FILE, 4096, 1000 + i) for i, path in enumerate(paths)}


@pytest.mark.parametrize(
    ("path", "name"),
    [
        pytest.param(NEW, BuildName("210409", ("gnome", "master")), id="usual"),
        pytest.param("2021-04-09-gnome-master-f1d734e", BuildName("210409", ("gnome", "master")), id="four-digit-year"),
        pytest.param("20210409-gnome-master", BuildName("210409", ("gnome", "master")), id="eight-digits"),
        pytest.param("210409-gnome", BuildName("210409", ("gnome",)), id="six-digits"),
        pytest.param("gnome_21.04.09", BuildName("210409", ("gnome",)), id="date-last-with-dots"),
        pytest.param("21_04_09_gnome_master", BuildName("210409", ("gnome", "master")), id="underscores"),
        pytest.param("gnome-21-04-09-master", BuildName("210409", ("gnome", "master")), id="date-inside"),
        pytest.param("21-04-09-gnome-F1D734E", BuildName("210409", ("gnome",)), id="commit-in-capitals"),
        pytest.param("21-04-09-gnome-" + "0a" * 20, BuildName("210409", ("gnome",)), id="whole-commit"),
        pytest.param("21-04-09-gnome-facade-v2", BuildName("210409", ("gnome", "facade", "v2")), id="words-stay"),
        pytest.param("netboot-caching-server", BuildName("", ("netboot", "caching", "server")), id="no-date"),
        pytest.param("21-04-09", BuildName("210409", ()), id="only-a-date"),
        pytest.param("gnome-1210409", BuildName("", ("gnome",)), id="no-date-within-a-commit"),
    ],
)
def test_name(path: str, name: BuildName) -> None:
    assert parse_name(f"{path.removesuffix('.squashfs')}.squashfs") == name


@pytest.mark.parametrize(
    ("there", "basis"),
    [
        pytest.param([], None, id="nothing-there"),
        pytest.param(["prod/21-04-09-kde-master-f1d734e.squashfs"], None, id="same-day-wrong-flavour"),
        pytest.param(["prod/21-04-08-gnome3-master-f1d734e.squashfs"], None, id="flavour-that-only-begins-alike"),
        pytest.param(["prod/21-04-08-gnome-master-aaaaaa1-kernel.json", "prod/gnome"], None, id="no-image"),
        pytest.param(["dev/21-04-09-kde-master-f1d734e.squashfs"], None, id="wrong-flavour-elsewhere"),
        pytest.param(
            [NEW, "dev/21-04-09-gnome-master-f1d734e.squashfs", "prod/21-04-08-gnome-master-aaaaaa1.squashfs"],
            NEW,
            id="its-own-predecessor-first",
        ),
        pytest.param(
            ["dev/21-04-09-gnome-master-f1d734e.squashfs", "prod/21-04-08-gnome-master-aaaaaa1.squashfs"],
            "dev/21-04-09-gnome-master-f1d734e.squashfs",
            id="same-build-elsewhere-before-an-older-one-here",
        ),
        pytest.param(
            [
                "prod/21-04-08-gnome-master-aaaaaa1.squashfs",
                "prod/21-04-10-gnome-master-aaaaaa2.squashfs",
                "prod/21-03-31-gnome-master-aaaaaa3.squashfs",
            ],
            "prod/21-04-08-gnome-master-aaaaaa1.squashfs",
            id="newest-of-the-earlier-ones",
        ),
        pytest.param(
            ["prod/20-12-31-gnome-master-aaaaaa1.squashfs", "prod/20-11-30-gnome-master-aaaaaa2.squashfs"],
            "prod/20-12-31-gnome-master-aaaaaa1.squashfs",
            id="earlier-year",
        ),
        pytest.param(
            ["prod/2021-04-07-gnome-master.squashfs", "prod/21-04-06-gnome-master.squashfs"],
            "prod/2021-04-07-gnome-master.squashfs",
            id="dates-of-two-forms",
        ),
        pytest.param(
            [
                "prod/21-05-01-gnome-master-aaaaaa1.squashfs",
                "prod/21-04-10-gnome-master-aaaaaa2.squashfs",
                "prod/21-06-01-gnome-master-aaaaaa3.squashfs",
            ],
            "prod/21-04-10-gnome-master-aaaaaa2.squashfs",
            id="oldest-of-the-later-ones",
        ),
        pytest.param(
            ["prod/21-04-09-gnome-develop-aaaaaa1.squashfs", "prod/20-04-09-gnome-master-aaaaaa2.squashfs"],
            "prod/20-04-09-gnome-master-aaaaaa2.squashfs",
            id="flavour-and-branch-before-the-same-date",
        ),
        pytest.param(
            ["prod/20-04-09-gnome-master-aaaaaa1.squashfs", "dev/21-04-09-gnome-master-aaaaaa2.squashfs"],
            "prod/20-04-09-gnome-master-aaaaaa1.squashfs",
            id="same-directory-before-the-same-date",
        ),
        pytest.param(
            ["prod/20-04-09-kde-master-aaaaaa1.squashfs", "dev/21-04-01-gnome-master-aaaaaa2.squashfs"],
            "dev/21-04-01-gnome-master-aaaaaa2.squashfs",
            id="flavour-and-branch-elsewhere",
        ),
        pytest.param(
            ["prod/21-04-01-gnome-develop-aaaaaa1.squashfs"],
            "prod/21-04-01-gnome-develop-aaaaaa1.squashfs",
            id="another-branch-in-the-same-directory",
        ),
        pytest.param(
            ["prod/21-04-09-gnome-master-aaaaaa9.squashfs", "prod/21-04-09-gnome-master-aaaaaa1.squashfs"],
            "prod/21-04-09-gnome-master-aaaaaa1.squashfs",
            id="two-of-the-same-day-the-newer-file",
        ),
    ],
)
def test_basis_of_an_image(there: list[str], basis: str | None) -> None:
    assert choose(NEW, holding(*there)) == basis
    assert choose(NEW, dict(reversed(holding(*there).items()))) == basis  # the order of a listing does not matter


def test_image_without_a_date() -> None:
    path = "caching-server/netboot-caching-server.squashfs"
    older, newer = "old/netboot-caching-server.squashfs", "new/netboot-caching-server.squashfs"
    assert choose(path, holding(older, newer)) == newer
    assert choose(path, holding(newer, older)) == older
    assert choose(path, holding(older, newer, path)) == path


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param(Entry("", FILE, 0, 9999), id="empty"),
        pytest.param(Entry("", SYMLINK, 10, 9999, "a.squashfs"), id="symlink"),
        pytest.param(Entry("", DIRECTORY, 4096, 9999), id="directory"),
    ],
)
@pytest.mark.parametrize(
    ("path", "better", "worse"),
    [
        pytest.param(NEW, NEW, "prod/21-04-08-gnome-master-aaaaaa1.squashfs", id="its-own-name"),
        pytest.param(
            NEW,
            "prod/21-04-08-gnome-master-aaaaaa1.squashfs",
            "prod/21-04-07-gnome-master-aaaaaa2.squashfs",
            id="image",
        ),
        pytest.param("kernels/5.9/initrd", "kernels/5.8/initrd", "kernels/5.7/initrd", id="initrd"),
    ],
)
def test_what_holds_nothing_is_no_basis(entry: Entry, path: str, better: str, worse: str) -> None:
    there = holding(worse)
    there[better] = Entry(better, entry.kind, entry.size, entry.mtime, entry.target)
    assert choose(path, there) == worse
    assert choose(path, holding(worse, better)) == better


@pytest.mark.parametrize(
    ("path", "there", "basis"),
    [
        pytest.param("kernels/5.9/initrd", ["kernels/5.8/initrd"], "kernels/5.8/initrd", id="initrd"),
        pytest.param(
            "kernels/5.9/initrd",
            ["kernels/5.7/initrd", "kernels/5.8/initrd", "kernels/5.8/vmlinuz"],
            "kernels/5.8/initrd",
            id="newest-of-the-same-name",
        ),
        pytest.param(
            "kernels/5.9/initrd", ["kernels/5.9/initrd", "kernels/6.0/initrd"], "kernels/5.9/initrd", id="own"
        ),
        pytest.param("kernels/5.9/initrd", ["kernels/5.8/vmlinuz"], None, id="another-name"),
        pytest.param("kernels/5.9/initrd", ["boot/5.8/initrd", "initrd", "kernels/initrd"], None, id="another-place"),
        pytest.param("kernels/5.9/initrd", ["kernels/5.8/old/initrd"], None, id="deeper"),
        pytest.param("initrd", ["kernels/initrd", "kernels/5.8/initrd"], None, id="at-the-top"),
        pytest.param("boot/initrd", ["old/initrd"], "old/initrd", id="directories-at-the-top"),
        pytest.param("boot/initrd", ["initrd"], None, id="not-from-the-top"),
    ],
)
def test_basis_of_another_file(path: str, there: list[str], basis: str | None) -> None:
    assert choose(path, holding(*there)) == basis


NAMES = st.builds(
    "{}/{}-{}-{}-{}.squashfs".format,
    st.sampled_from(["dev", "prod"]),
    st.sampled_from(["20-12-31", "21-04-09", "21-04-10"]),
    st.sampled_from(["gnome", "kde"]),
    st.sampled_from(["master", "develop"]),
    st.sampled_from(["f1d734e", "0a1b2c3"]),
)


@settings(database=None, derandomize=True, deadline=None, max_examples=50)
@given(NAMES, st.lists(NAMES, unique=True, max_size=4), st.sets(NAMES, max_size=2))
def test_basis_is_whole_and_of_the_same_flavour(path: str, there: list[str], empty: set[str]) -> None:
    tree = holding(*there) | {name: Entry(name, FILE, 0, 9999) for name in empty}
    basis = choose(path, tree)
    flavour = parse_name(path).flavour
    alike = [name for name, entry in tree.items() if entry.size and parse_name(name).flavour == flavour]
    assert basis in alike if basis else path not in alike
