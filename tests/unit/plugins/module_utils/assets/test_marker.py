# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a marker may state, and which squashfs it belongs to."""

from __future__ import annotations

import contextlib
import json
import re

import pytest
from ansible_collections.netboot.syncer.plugins.module_utils.assets.marker import (
    MAX_SIZE,
    Marker,
    check_names,
    marker_paths,
    parse,
    squashfs_paths,
)
from hypothesis import given, settings
from hypothesis import strategies as st

SHA256 = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("content", "marker"),
    [
        pytest.param(b"{}", Marker(), id="empty-object"),
        pytest.param(b'{"version": "5.8.0-43-generic"}', Marker(version="5.8.0-43-generic"), id="version"),
        pytest.param(b' \r\n{"version"\n:\t"5.8"}\n\n', Marker(version="5.8"), id="white-space"),
        pytest.param(b'{"version": "5.8+git~rc1:2_x"}', Marker(version="5.8+git~rc1:2_x"), id="signs-in-a-version"),
        pytest.param(b'{"version": "5.8..1"}', Marker(version="5.8..1"), id="dots-inside-a-version"),
        pytest.param(b'{"version": "6"}', Marker(version="6"), id="one-digit"),
        pytest.param(b'{"size": 0}', Marker(size=0), id="size-0"),
        pytest.param(b'{"size": 5000000000}', Marker(size=5_000_000_000), id="size"),
        pytest.param(b'{"size": null}', Marker(), id="size-null"),
        pytest.param(b'{"sha256": null}', Marker(), id="sha256-null"),
        pytest.param(b'{"sha256": ""}', Marker(), id="sha256-empty"),
        pytest.param(f'{{"sha256": "{SHA256}"}}'.encode(), Marker(sha256=SHA256), id="sha256"),
        pytest.param(f'{{"sha256": "{SHA256.upper()}"}}'.encode(), Marker(sha256=SHA256), id="sha256-in-capitals"),
        pytest.param(
            '{"commit": "f1d734e", "built": ["ä", {"by": null}], "version": "5.8"}'.encode(),
            Marker(version="5.8"),
            id="other-keys",
        ),
    ],
)
def test_marker(content: bytes, marker: Marker) -> None:
    assert parse(content) == marker


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param(b"", "the marker is empty", id="empty"),
        pytest.param(b" \n", "the marker is empty", id="white-space"),
        pytest.param(b'{"version": "5.', "the marker is not JSON: ", id="cut"),
        pytest.param(b"<html></html>", "the marker is not JSON: ", id="web-page"),
        pytest.param(bytes(20), "the marker is not JSON: it holds zeros alone", id="zeros-as-after-a-power-cut"),
        pytest.param(b"{'version': '5.8'}", "the marker is not JSON: ", id="single-quotes"),
        pytest.param(
            b'{"version": "5.8"} {}',
            "the marker is not JSON: something follows its end",
            id="two-objects",
        ),
        pytest.param(b'{"version": "5.8\xff"}', "the marker is not JSON: it is not UTF-8 (byte 0xff", id="not-utf-8"),
        pytest.param(
            '{"version": "5.8"}'.encode("utf-16"), "the marker is not JSON: it is UTF-16; save it as UTF-8", id="utf-16"
        ),
        pytest.param(b"[" * 60_000, "the marker is not JSON that can be read: it is nested too deeply", id="very-deep"),
        pytest.param(
            b'{"size": ' + b"9" * 10_000 + b"}",
            "the marker is not strict JSON: a number of 10000 digits",
            id="number-without-end",
        ),
        pytest.param(b'["5.8"]', "the marker is not a JSON object", id="list"),
        pytest.param(b'"5.8"', "the marker is not a JSON object", id="string"),
        pytest.param(b"null", "the marker is not a JSON object", id="null"),
        pytest.param(b'{"a": "' + b"x" * MAX_SIZE + b'"}', f"the marker is larger than {MAX_SIZE} bytes", id="huge"),
        pytest.param(b'{"version": ""}', "the marker's version is empty", id="version-empty"),
    ],
)
def test_no_marker(content: bytes, reason: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011  # the whole text is compared
        parse(content)
    assert str(caught.value).startswith(reason)


def test_largest_marker() -> None:
    content = b'{"version": "5.8"}'.ljust(MAX_SIZE)
    assert parse(content) == Marker(version="5.8")
    with pytest.raises(ValueError, match=r"larger than \d+ bytes"):
        parse(content + b" ")
    with pytest.raises(ValueError, match=r"larger than \d+ bytes"):
        parse(b" " * (MAX_SIZE + 1))  # as read from a file that begins with blanks


@pytest.mark.parametrize(
    "version",
    [
        pytest.param("../5.8", id="parent"),
        pytest.param("5.8/../../../etc", id="parent-inside"),
        pytest.param("..", id="two-dots"),
        pytest.param(".", id="one-dot"),
        pytest.param(".5.8", id="hidden"),
        pytest.param("5.8/modules", id="slash"),
        pytest.param("5.8/", id="slash-at-the-end"),
        pytest.param("/5.8", id="absolute"),
        pytest.param("5\\8", id="backslash"),
        pytest.param("5.8\0", id="nul"),
        pytest.param("5.8\n", id="line-feed-at-the-end"),
        pytest.param(" 5.8", id="space-in-front"),
        pytest.param("5 8", id="space"),
        pytest.param("-5.8", id="looks-like-an-option"),
        pytest.param("$(id)", id="shell"),
        pytest.param("5.8*", id="star"),
        pytest.param("5.8-ä", id="umlaut"),
        pytest.param("\uff15", id="wide-digit"),
        pytest.param(5.8, id="number"),
        pytest.param(None, id="null"),
        pytest.param(True, id="true"),
        pytest.param(["5.8"], id="list"),
        pytest.param({"5.8": 1}, id="object"),
    ],
)
def test_version_that_is_no_plain_name(version: object) -> None:
    with pytest.raises(ValueError, match="version is not the plain name of a kernel directory"):
        parse(json.dumps({"version": version}).encode())


@pytest.mark.parametrize("size", [-1, 1.0, 1e3, True, "1", [1], {}], ids=repr)
def test_size_that_is_no_number_of_bytes(size: object) -> None:
    with pytest.raises(ValueError, match="size is not a number of bytes"):
        parse(json.dumps({"size": size}).encode())


@pytest.mark.parametrize(
    "sha256",
    [
        pytest.param(SHA256[1:], id="63-digits"),
        pytest.param(SHA256 + "0", id="65-digits"),
        pytest.param("g" * 64, id="no-digits"),
        pytest.param(SHA256 + "\n", id="line-feed-at-the-end"),
        pytest.param("sha256:" + SHA256, id="with-its-name"),
        pytest.param(0, id="number"),
        pytest.param([SHA256], id="list"),
    ],
)
def test_sha256_that_is_none(sha256: object) -> None:
    with pytest.raises(ValueError, match="sha256 is not 64 hexadecimal digits"):
        parse(json.dumps({"sha256": sha256}).encode())


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["version", "size", "sha256", "x"]), inner),
    max_leaves=5,
)


@settings(database=None, derandomize=True, deadline=None, max_examples=50)
@given(st.binary(max_size=50) | JSON.map(lambda data: json.dumps(data).encode()))
def test_anything_is_refused_or_names_a_directory(content: bytes) -> None:
    # Any other exception would end a run.
    with contextlib.suppress(ValueError):
        version = parse(content).version
        assert not set(version) & set("/\\\0\n")
        assert not version.startswith((".", "-"))


@pytest.mark.parametrize(
    ("path", "images"),
    [
        pytest.param("prod/a-kernel.json", ["prod/a.squashfs", "prod/a-kernel.squashfs"], id="kernel"),
        pytest.param("prod/a.json", ["prod/a.squashfs"], id="plain"),
        pytest.param("prod/a.squashfs.json", ["prod/a.squashfs", "prod/a.squashfs.squashfs"], id="squashfs"),
        pytest.param("a.json", ["a.squashfs"], id="at-the-top"),
        pytest.param("x/y/a.b.json", ["x/y/a.b.squashfs"], id="dot-in-the-stem"),
        pytest.param("prod/a-kernel.json.json", ["prod/a-kernel.json.squashfs"], id="two-endings"),
        pytest.param("prod/.json", [], id="no-stem"),
        pytest.param("prod/a.squashfs", [], id="image"),
        pytest.param("prod/a.JSON", [], id="capitals"),
        pytest.param("prod/a.json.txt", [], id="ending-inside"),
        pytest.param("prod.json/a", [], id="ending-of-the-directory"),
    ],
)
def test_images_that_a_file_may_be_the_marker_of(path: str, images: list[str]) -> None:
    assert squashfs_paths(path) == tuple(images)


def test_paths_that_a_marker_may_have() -> None:
    assert marker_paths("prod/a.squashfs") == ["prod/a-kernel.json", "prod/a.json", "prod/a.squashfs.json"]
    assert marker_paths("a.squashfs") == ["a-kernel.json", "a.json", "a.squashfs.json"]


@pytest.mark.parametrize("name", ["marker-{stem}.json", "{stem}", "{stem}.ready", "x{stem}y"])
def test_names_of_ones_own(name: str) -> None:
    (path,) = marker_paths("prod/a.squashfs", [name])
    assert path == f"prod/{name.replace('{stem}', 'a')}"
    assert squashfs_paths(path, (name,)) == ("prod/a.squashfs",)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        pytest.param("markers/{stem}.json", "has a /, but a marker lies beside its squashfs", id="slash"),
        pytest.param("{stem}/kernel.json", "has a /, but a marker lies beside its squashfs", id="slash-after-the-stem"),
        pytest.param("/{stem}.json", "has a /, but a marker lies beside its squashfs", id="absolute"),
        pytest.param("kernel.json", "needs {stem} once", id="no-stem"),
        pytest.param("", "needs {stem} once", id="empty"),
        pytest.param("{stem}-{stem}.json", "needs {stem} once", id="two-stems"),
        pytest.param(".{stem}.json", "is hidden, and hidden files are never sent", id="hidden"),
    ],
)
def test_name_under_which_no_marker_can_be_found_is_refused(name: str, reason: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(f'marker_names: {name!r} {reason}')}"):
        check_names(["{stem}.json", name])


@settings(database=None, derandomize=True, deadline=None, max_examples=50)
@given(st.text(st.characters(exclude_characters="/\0"), min_size=1))
def test_each_marker_finds_its_image(stem: str) -> None:
    image = f"prod/{stem}.squashfs"
    assert all(image in squashfs_paths(path) for path in marker_paths(image))
