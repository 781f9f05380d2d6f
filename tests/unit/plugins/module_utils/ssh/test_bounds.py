# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs of this host whose answers are bounded in bytes and in time."""

from __future__ import annotations

import pytest
from ansible_collections.netboot.syncer.plugins.module_utils.ssh.bounds import run_bounded


def test_what_a_program_says_and_how_it_ends() -> None:
    assert run_bounded(["sh", "-c", "echo out; echo err >&2; exit 3"]) == (3, b"out\n", b"err\n")


@pytest.mark.parametrize("stream", [1, 2])
def test_a_program_that_says_too_much_is_ended(stream: int) -> None:
    """``head`` limits it as well, so that this test always ends."""
    status, *said = run_bounded(["sh", "-c", f"yes | head -c 50000000 >&{stream}"], size=100_000)
    assert status is None
    assert 100_000 < len(said[stream - 1]) < 1_000_000


def test_a_program_that_does_not_end_is_ended_with_what_it_started() -> None:
    """Otherwise it would wait for its child, which still holds its standard output."""
    status, out, _err = run_bounded(["sh", "-c", "echo begun; sleep 50 & wait"], timeout=0.5)
    assert (status, out) == (None, b"begun\n")
