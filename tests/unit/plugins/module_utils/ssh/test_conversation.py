# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Parsing the lines that a remote script prints: whatever they contain, they are read or refused."""

from __future__ import annotations

import socket

import pytest
from ansible_collections.netboot.syncer.plugins.module_utils.ssh.conversation import Answer, Conversation
from hypothesis import given
from hypothesis import strategies as st

MARK = b"netboot-sync-mark"


class Line(socket.socket):
    """One end of a socket pair as a channel: no shell on this machine would print such lines."""

    errors = ""


def answer(said: bytes) -> Answer:
    ours, theirs = socket.socketpair()
    with theirs, Line(fileno=ours.detach()) as channel:
        theirs.sendall(said)
        theirs.shutdown(socket.SHUT_WR)
        return Conversation(channel, MARK, "a site").all_answers(10, most=1024 * 1024)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("status", "found"),
    [("0", 0), ("255", 255), ("-1", 1), ("\u00b2", 1), ("9" * 5000, 1), ("0 0", 1)],
)
def test_exit_status(status: str, found: int) -> None:
    assert answer(MARK + f" end {status}\n".encode()).status == found


def test_text_of_others_is_left_out() -> None:
    assert answer(b"Welcome\n" + MARK + b" one\nbye " + MARK + b" two\n" + MARK + b" end 3\n")[:3] == (
        3,
        ["one", "two"],
        "Welcome bye",
    )


@given(st.lists(st.one_of(st.just(MARK), st.just(b"end "), st.just(b"\n"), st.binary(max_size=20)), max_size=12))
def test_any_text_comes_to_an_end(parts: list[bytes]) -> None:
    assert answer(b"".join(parts)).status in (None, *range(1000))
