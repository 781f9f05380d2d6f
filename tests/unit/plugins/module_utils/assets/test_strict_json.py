# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""JSON by the standard: everything else is refused with the exact reason, and never with a traceback."""

from __future__ import annotations

import json

import pytest
from ansible_collections.netboot.syncer.plugins.module_utils.assets import strict_json
from ansible_collections.netboot.syncer.plugins.module_utils.assets.inventory import Rules
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.plugins.module_utils.trees import Assets

FAULTS = [
    pytest.param(b"\xef\xbb\xbf{}", "is not JSON: it begins with a byte order mark (BOM)", id="bom"),
    pytest.param("{}".encode("utf-16"), "is not JSON: it is UTF-16; save it as UTF-8", id="utf-16"),
    pytest.param(b"\xfe\xff\0{\0}", "is not JSON: it is UTF-16; save it as UTF-8", id="utf-16-big-endian"),
    pytest.param("{}".encode("utf-32"), "is not JSON: it is UTF-32; save it as UTF-8", id="utf-32"),
    pytest.param("{}".encode("utf-16-le"), "is not JSON: it is UTF-16 or binary", id="utf-16-without-its-mark"),
    pytest.param(b'{"a": "\xe4"}', "is not JSON: it is not UTF-8 (byte 0xe4 at 7)", id="latin-1"),
    pytest.param(bytes(512), "is not JSON: it holds zeros alone, as after a power cut", id="zeros"),
    pytest.param(b'{"size": NaN}', "is not JSON: NaN is not a JSON number", id="nan"),
    pytest.param(b'{"size": Infinity}', "is not JSON: Infinity is not a JSON number", id="infinity"),
    pytest.param(b'{"a": [1, -Infinity]}', "is not JSON: -Infinity is not a JSON number", id="minus-infinity-below"),
    pytest.param(b'{"size": 1e400}', "is not strict JSON: the number 1e400 is too large", id="float-too-large"),
    pytest.param(b'{"size": -1e400}', "is not strict JSON: the number -1e400 is too large", id="float-too-small"),
    pytest.param(b"1" * 5000, "is not strict JSON: a number of 5000 digits", id="number-of-5000-digits"),
    pytest.param(b"-" + b"1" * 5000, "is not strict JSON: a number of 5000 digits", id="negative-one"),
    pytest.param(b'{"version": "1", "version": "2"}', 'is not strict JSON: "version" is in it twice', id="twice"),
    pytest.param(b'{"a": {"b": 1, "b": 1}}', 'is not strict JSON: "b" is in it twice', id="twice-below"),
    pytest.param(b'{"a": 1, "\\u0061": 1}', 'is not strict JSON: "a" is in it twice', id="twice-but-for-escapes"),
    pytest.param(b'{"a": "\\ud800"}', "is not strict JSON: \\ud800 is half of a character", id="half-a-character"),
    pytest.param(b'{"\\uDC00": 1}', "is not strict JSON: \\udc00 is half of a character", id="other-half-in-a-name"),
    pytest.param(b"{} {}", "is not JSON: something follows its end, at line 1, column 4", id="two-objects"),
    pytest.param(b"{}\n</html>", "is not JSON: something follows its end, at line 2, column 1", id="garbage-after-it"),
    pytest.param(b"{}\0", "is not JSON: something follows its end, at line 1, column 3", id="zero-after-it"),
    pytest.param(b'{"a": "\x01"}', "is not JSON: Invalid control character", id="control-character"),
    pytest.param(b"{'a': 1}", "is not JSON: ", id="single-quotes"),
    pytest.param(b'{"a": 1,}', "is not JSON: ", id="comma-too-much"),
    pytest.param(b'{"a": 1} // b', "is not JSON: ", id="comment"),
    pytest.param(b'{"a": 01}', "is not JSON: ", id="zero-before-a-number"),
    pytest.param(b"[" * 60_000, "is not JSON that can be read: it is nested too deeply", id="deep-list"),
    pytest.param(b'{"a":' * 10_000, "is not JSON that can be read: it is nested too deeply", id="deep-object"),
    pytest.param(b"[" * 30_000 + b"]" * 30_000, "is not JSON that can be read: it is nested too deeply", id="deep"),
]


@pytest.mark.parametrize(("content", "reason"), FAULTS)
def test_what_is_none(content: bytes, reason: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011  # the text is compared
        strict_json.loads(content)
    assert str(caught.value).startswith(reason)


@pytest.mark.parametrize(("content", "reason"), FAULTS)
def test_a_pointer_is_read_as_strictly(content: bytes, reason: str) -> None:
    pointer = "kernels/latest-kernel-version.json"
    held_back = Assets().kernel().file(pointer, content).inventory(Rules()).held_back[pointer]
    assert held_back.startswith(f"the pointer {reason}")


@pytest.mark.parametrize(
    ("content", "data"),
    [
        pytest.param(b' {"a": [1, 2.5, -1e3, null, true, "x"]}\n', {"a": [1, 2.5, -1e3, None, True, "x"]}, id="usual"),
        pytest.param(b'"\\ud83d\\ude00"', "\U0001f600", id="both-halves"),
        pytest.param(b'"\\\\ud800"', "\\ud800", id="a-backslash-and-letters"),
        pytest.param(b'[{"a": 1}, {"a": 1}]', [{"a": 1}, {"a": 1}], id="a-name-in-two-objects"),
        pytest.param(b"9007199254740993", 9007199254740993, id="more-than-a-double-holds-exactly"),
    ],
)
def test_what_is_taken(content: bytes, data: object) -> None:
    assert strict_json.loads(content) == data


@given(st.binary(max_size=64))
def test_whatever_it_is_it_is_told(content: bytes) -> None:
    try:
        data = strict_json.loads(content)
    except ValueError:
        return
    assert data == json.loads(content)
