# Copyright: (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the module makes of its parameters."""

from __future__ import annotations

import re

import pytest
from ansible_collections.netboot.syncer.plugins.module_utils.parameters import parse_rate


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        pytest.param(None, 0, id="unset"),
        pytest.param("", 0, id="empty"),
        pytest.param("20Mbit", 2_500_000, id="bits"),
        pytest.param("2.5MB", 2_500_000, id="bytes"),
        pytest.param("100kbit", 12_500, id="thousands"),
        pytest.param("1.5Gbit", 187_500_000, id="thousand-millions"),
        pytest.param("64B", 64, id="plain-bytes"),
        pytest.param("64bit", 8, id="plain-bits"),
        pytest.param("12bit", 1, id="part-of-a-byte-is-left-out"),
        pytest.param("1bit", 1, id="never-0-which-would-be-no-limit"),
        pytest.param("20Mbit/s", 2_500_000, id="per-second"),
        pytest.param(" 20 Mbit ", 2_500_000, id="white-space"),
    ],
)
def test_parse_rate(text: str | None, rate: int) -> None:
    assert parse_rate(text) == rate


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("20", id="no-unit"),
        pytest.param("20M", id="neither-bits-nor-bytes"),
        pytest.param("20Mb", id="may-be-either"),
        pytest.param("20Mbits", id="plural"),
        pytest.param("20mbit", id="milli"),
        pytest.param("20KB", id="capital-k"),
        pytest.param("20MiB", id="powers-of-two"),
        pytest.param("Mbit", id="no-number"),
        pytest.param("-20Mbit", id="negative"),
        pytest.param("2,5MB", id="comma"),
        pytest.param(".5MB", id="nothing-before-the-point"),
        pytest.param("1e3kB", id="exponent"),
        pytest.param("20Mbit/min", id="per-minute"),
        pytest.param("20Mbit\n30Mbit", id="two"),
        pytest.param("08:00-18:00 20Mbit", id="window"),
        pytest.param(" ", id="white-space"),
    ],
)
def test_what_is_no_rate_is_refused_by_its_text(text: str) -> None:
    with pytest.raises(ValueError, match=r"^bandwidth_limit: .* is no rate; write 20Mbit") as caught:
        parse_rate(text)
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param("0Mbit", "nothing could be sent at '0Mbit'", id="zero"),
        pytest.param("0.0B", "nothing could be sent at '0.0B'", id="zero-with-a-point"),
        pytest.param("0kbit/s", "nothing could be sent at '0kbit/s'", id="zero-per-second"),
        pytest.param("1000001GB", "no line is as fast as '1000001GB'", id="slip-of-the-pen"),
        pytest.param("9" * 400 + "Gbit", "no line is as fast as '99999999999999999999...999999Gbit'", id="overflow"),
    ],
)
def test_rate_that_no_line_can_have_is_refused(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=f"^bandwidth_limit: {re.escape(reason)}; leave it out for no limit$"):
        parse_rate(text)
