# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who holds the lock, as the file next to it says; whatever that file contains, no run breaks."""

from __future__ import annotations

import json

import pytest
from ansible_collections.netboot.syncer.plugins.module_utils.caching_server.lock import describe_holder, describe_self
from hypothesis import given
from hypothesis import strategies as st

UNKNOWN = "another run that did not say who it is"


def test_our_own_words() -> None:
    me = describe_self("run")
    assert describe_holder(json.dumps(me).encode()).startswith(f"{me['user']} on {me['on']}, process {me['pid']}, ")


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"[" * 4096, id="depth"),
        pytest.param(b'{"user": "", "on": "", "since": "", "pid": Infinity}', id="infinity"),
        pytest.param(b'{"user": "", "on": "", "since": "", "pid": 1e999}', id="too large"),
        pytest.param(b'{"user": "", "on": "", "since": "", "pid": null}', id="no number"),
        pytest.param(b"[1]", id="list"),
        pytest.param(b"\xff", id="no text"),
    ],
)
def test_anything_else_is_nobody_known(content: bytes) -> None:
    assert describe_holder(content) == UNKNOWN


@given(st.binary(max_size=100))
def test_any_content(content: bytes) -> None:
    assert describe_holder(content)
