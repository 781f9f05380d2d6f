# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors are one line, and names in them are plain text."""

from __future__ import annotations

import os

import pytest
from ansible_collections.netboot.syncer.plugins.module_utils.errors import SyncError, printable
from hypothesis import given, settings
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("name", "text"),
    [
        pytest.param("prod/21-04-09 gnome+.squashfs", "prod/21-04-09 gnome+.squashfs", id="plain"),
        pytest.param("", "", id="empty"),
        pytest.param("bär/猫", "bär/猫", id="letters-of-any-script"),
        pytest.param("a\nb\tc\r", r"a\nb\tc\r", id="white-space"),
        pytest.param("\x1b[2Ja", r"\x1b[2Ja", id="escape-sequence"),
        pytest.param("a\x00\x7f", r"a\x00\x7f", id="other-control-characters"),
        pytest.param("a\u202eb", r"a\u202eb", id="right-to-left-override"),
        pytest.param(os.fsdecode(b"a\xffb"), r"a\xffb", id="not-utf-8"),
        pytest.param(os.fsdecode("ä".encode("latin-1")), r"\xe4", id="latin-1"),
        pytest.param(os.fsdecode(b"\xed\xa0\x80"), r"\xed\xa0\x80", id="half-a-character"),
    ],
)
def test_printable(name: str, text: str) -> None:
    assert printable(name) == text


@settings(database=None, derandomize=True, deadline=None, max_examples=50)
@given(st.binary(max_size=20))
def test_every_name_of_a_file_is_printable(raw: bytes) -> None:
    text = printable(os.fsdecode(raw))
    assert text.isprintable()
    assert text.encode("utf-8").decode("utf-8") == text


@pytest.mark.parametrize(
    ("error", "line"),
    [
        pytest.param(SyncError("it broke"), "it broke", id="what"),
        pytest.param(SyncError("it broke", path="prod/a"), "prod/a: it broke", id="path"),
        pytest.param(SyncError("it broke", host="cache1"), "cache1: it broke", id="host"),
        pytest.param(SyncError("it broke", remedy="Mend it."), "it broke. Mend it.", id="remedy"),
        pytest.param(
            SyncError("it broke", path="prod/a", host="cache1", remedy="Mend it."),
            "cache1: prod/a: it broke. Mend it.",
            id="all",
        ),
        pytest.param(
            SyncError("rsync:\n  it\tbroke", remedy="Mend\nit."), "rsync: it broke. Mend it.", id="several-lines"
        ),
        pytest.param(SyncError("it broke", path="a\nb\udcff"), r"a\nb\xff: it broke", id="path-made-printable"),
    ],
)
def test_line(error: SyncError, line: str) -> None:
    assert error.line() == line
    assert str(error) == line


@pytest.mark.parametrize("sign", ["\n", "\r\n", "\v", "\f", "\x1c", "\x1e", "\x85", "\u2028", "\u2029"], ids=ascii)
@pytest.mark.parametrize("part", ["what", "path", "host", "remedy"])
def test_line_is_one_line_whatever_is_in_it(part: str, sign: str) -> None:
    parts = {"what": "it broke", "path": "prod/a", "host": "cache1", "remedy": "Mend it."}
    error = SyncError(**{**parts, part: f"a{sign}b"})
    assert len(error.line().splitlines()) == 1
    assert len(str(error).splitlines()) == 1


ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]) | st.characters(min_codepoint=0xDC80, max_codepoint=0xDCFF))


@settings(database=None, derandomize=True, deadline=None, max_examples=100)
@given(what=ANY_TEXT, path=ANY_TEXT, host=ANY_TEXT, remedy=ANY_TEXT)
def test_line_is_plain_text_whatever_a_server_said(what: str, path: str, host: str, remedy: str) -> None:
    assert SyncError(what, path=path, host=host, remedy=remedy).line().isprintable()


def test_host_of_the_run_is_named_where_the_error_names_none() -> None:
    assert SyncError("it broke", path="a").line(host="cache1") == "cache1: a: it broke"
    assert SyncError("it broke", path="a", host="netboot server").line(host="cache1") == "netboot server: a: it broke"
