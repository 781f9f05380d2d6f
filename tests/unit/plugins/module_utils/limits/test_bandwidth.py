# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rates and windows as people write them, which one applies when, and who gets how much of an uplink."""

from __future__ import annotations

import datetime
import re
from typing import Any

import pytest
from ansible_collections.netboot.syncer.plugins.module_utils.limits.bandwidth import (
    Limit,
    fair_shares,
    parse_limit,
    parse_rate,
)
from hypothesis import given
from hypothesis import strategies as st

MBIT = 125_000  # bytes per second


@pytest.mark.parametrize(
    ("text", "rate"),
    [
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
def test_parse_rate(text: str, rate: int) -> None:
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
        pytest.param("", id="empty"),
        pytest.param(" ", id="white-space"),
    ],
)
def test_what_is_no_rate_is_refused_by_its_text(text: str) -> None:
    with pytest.raises(ValueError, match=r"^bandwidth_limit: .* is not a rate; write 20Mbit") as caught:
        parse_rate(text)
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param("0Mbit", "nothing could be sent at '0Mbit'", id="zero"),
        pytest.param("0.0B", "nothing could be sent at '0.0B'", id="zero-with-a-point"),
        pytest.param("0kbit/s", "nothing could be sent at '0kbit/s'", id="zero-per-second"),
        pytest.param("0", "nothing could be sent at '0'", id="zero-without-a-unit"),
        pytest.param("1000001GB", "no line is as fast as '1000001GB'", id="slip-of-the-pen"),
        pytest.param("9" * 400 + "Gbit", "no line is as fast as '99999999999999999999...999999Gbit'", id="overflow"),
    ],
)
def test_rate_that_no_line_can_have_is_refused(text: str, reason: str) -> None:
    with pytest.raises(
        ValueError,
        match=f"^uplink_limit: {re.escape(reason)}; leave it out for no limit$",
    ):
        parse_rate(text, option="uplink_limit")


def at(text: str) -> datetime.datetime:
    """A local time, such as ``Mon 08:00``."""
    day, _blank, clock = text.partition(" ")
    number = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"].index(day)
    return datetime.datetime.fromisoformat(f"2026-11-{23 + number}T{clock}")


WORK = "08:00-18:00 Mon-Fri: 5Mbit"
NIGHT = "22:00-06:00 Fri: 50Mbit"


@pytest.mark.parametrize(
    ("written", "moment", "rate"),
    [
        pytest.param(None, "Mon 12:00", None, id="unset"),
        pytest.param("", "Mon 12:00", None, id="empty"),
        pytest.param([], "Mon 12:00", None, id="empty-list"),
        pytest.param("20Mbit", "Mon 12:00", 20 * MBIT, id="a-rate"),
        pytest.param("2.5MB", "Sun 00:00", 20 * MBIT, id="a-rate-in-bytes"),
        pytest.param("unlimited", "Mon 12:00", None, id="unlimited"),
        pytest.param("0", "Mon 12:00", 0, id="never"),
        pytest.param(0, "Mon 12:00", 0, id="never-as-yaml-reads-it"),
        pytest.param("0Mbit", "Mon 12:00", 0, id="never-with-a-unit"),
        pytest.param("08:00-18:00: 0.0 MB/s", "Mon 12:00", 0, id="a-window-with-a-unit"),
        pytest.param(WORK, "Mon 08:00", 5 * MBIT, id="begins"),
        pytest.param(WORK, "Mon 07:59:59", None, id="not-yet"),
        pytest.param(WORK, "Fri 17:59:59", 5 * MBIT, id="still"),
        pytest.param(WORK, "Fri 18:00", None, id="ends"),
        pytest.param(WORK, "Sat 12:00", None, id="another-day"),
        pytest.param([WORK], "Wed 12:00", 5 * MBIT, id="list"),
        pytest.param([WORK, "20Mbit"], "Sat 12:00", 20 * MBIT, id="otherwise"),
        pytest.param(["20Mbit", WORK], "Wed 12:00", 5 * MBIT, id="otherwise-wherever-it-stands"),
        pytest.param([WORK, "0"], "Sat 12:00", 0, id="otherwise-not-at-all"),
        pytest.param(["12:00-13:00: unlimited", WORK], "Mon 12:30", None, id="the-first-that-holds"),
        pytest.param(f"{WORK}; 20Mbit", "Sat 12:00", 20 * MBIT, id="one-text-semicolon"),
        pytest.param(f"{WORK}\n20Mbit\n", "Sat 12:00", 20 * MBIT, id="one-text-lines"),
        pytest.param([{"08:00-18:00 Mon-Fri": "5Mbit"}], "Mon 09:00", 5 * MBIT, id="yaml-without-quotes"),
        pytest.param({"08:00-18:00": 0}, "Mon 09:00", 0, id="mapping"),
        pytest.param(NIGHT, "Fri 23:00", 50 * MBIT, id="before-midnight"),
        pytest.param(NIGHT, "Sat 05:59", 50 * MBIT, id="after-midnight"),
        pytest.param(NIGHT, "Sat 06:00", None, id="in-the-morning"),
        pytest.param(NIGHT, "Sat 23:00", None, id="not-the-next-night"),
        pytest.param(NIGHT, "Fri 05:00", None, id="not-the-night-before"),
        pytest.param("22:00-06:00 Sun: 1Mbit", "Mon 01:00", MBIT, id="over-the-end-of-the-week"),
        pytest.param("18:00-24:00: 1Mbit", "Mon 23:59", MBIT, id="to-24:00"),
        pytest.param("18:00-00:00 Mon: 1Mbit", "Mon 23:59", MBIT, id="to-0:00"),
        pytest.param("00:00-24:00 Sat,Sun: 0", "Sun 13:00", 0, id="whole-days"),
        pytest.param("00:00-24:00 Sat,Sun: 0", "Mon 00:00", None, id="whole-days-are-over"),
        pytest.param("8:00-9:00 sat, sunday: 1Mbit", "Sun 08:30", MBIT, id="written-freely"),
        pytest.param("08:00-09:00 Sat-Mon: 1Mbit", "Mon 08:30", MBIT, id="days-over-the-end-of-the-week"),
        pytest.param("08:00-09:00 Sat-Mon: 1Mbit", "Fri 08:30", None, id="days-over-the-end-of-the-week-not-friday"),
        pytest.param("08:00:10-08:00:20: 1Mbit", "Mon 08:00:15", MBIT, id="seconds"),
        pytest.param("08:00:10-08:00:20: 1Mbit", "Mon 08:00:20", None, id="seconds-are-over"),
    ],
)
def test_the_rate_at_a_time(written: Any, moment: str, rate: int | None) -> None:
    assert parse_limit(written).rate_at(at(moment)) == rate


@pytest.mark.parametrize(
    ("written", "complaint"),
    [
        pytest.param("08:00-18:00", "is not a window; write '08:00-18:00 Mon-Fri: 5Mbit'", id="no-rate"),
        pytest.param("08:00-18:00 20Mbit", "is not a window", id="no-colon"),
        pytest.param("08:00: 20Mbit", "is not a window", id="no-end"),
        pytest.param("08:00-18:00 Mon-Fri: 5", "'5' is not a rate", id="no-unit"),
        pytest.param("08:00-18:00 Mon-Fri:", "'' is not a rate", id="empty-rate"),
        pytest.param("25:00-26:00: 5Mbit", "25:00 in '25:00-26:00: 5Mbit' is not a time of day", id="hour"),
        pytest.param("08:60-09:00: 5Mbit", "08:60 in .* is not a time of day", id="minute"),
        pytest.param("24:00-08:00: 5Mbit", "has no length", id="begins-at-24"),
        pytest.param("08:00-08:00: 5Mbit", "has no length; a whole day is written 00:00-24:00", id="no-length"),
        pytest.param("08:00-09:00 Mon-Fry: 5Mbit", "'Mon-Fry' in .* is not a day of the week", id="day"),
        pytest.param("08:00-09:00 Mon-Wed-Fri: 5Mbit", "is not a day of the week", id="range-of-three"),
        pytest.param(["5Mbit", "10Mbit"], "there are two rates without times", id="two-rates"),
        pytest.param(["5Mbit", ["x"]], "'x' is not a rate", id="nested"),
        pytest.param(True, "True is neither a rate nor a list of windows", id="boolean"),
        pytest.param(5, "'5' is not a rate", id="number"),
        pytest.param("x" * 5000, "is not a rate", id="long"),
    ],
)
def test_what_is_no_limit_is_refused_in_one_line(written: Any, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint) as caught:
        parse_limit(written)
    said = str(caught.value)
    assert said.startswith("bandwidth_limit: ")
    assert "\n" not in said
    assert len(said) < 250


@pytest.mark.parametrize(
    ("written", "moment", "change"),
    [
        pytest.param("5Mbit", "Mon 12:00", None, id="never"),
        pytest.param(WORK, "Mon 07:00", "Mon 08:00", id="begins"),
        pytest.param(WORK, "Mon 08:00", "Mon 18:00", id="ends"),
        pytest.param(WORK, "Thu 20:00", "Fri 08:00", id="next-day"),
        pytest.param(["08:00-12:00: 1Mbit", "12:00-13:00: 1Mbit"], "Mon 09:00", "Mon 13:00", id="one-after-the-other"),
        pytest.param(["12:00-13:00: 1Mbit", WORK], "Mon 09:00", "Mon 12:00", id="into-an-earlier-window"),
        pytest.param(["12:00-13:00: 1Mbit", WORK], "Mon 12:30", "Mon 13:00", id="back-from-it"),
        pytest.param("00:00-24:00: 1Mbit", "Mon 12:00", None, id="all-the-time"),
    ],
)
def test_next_change(written: Any, moment: str, change: str | None) -> None:
    assert parse_limit(written).next_change(at(moment)) == (at(change) if change else None)


def test_the_change_of_the_next_week() -> None:
    monday = at("Mon 09:00") + datetime.timedelta(days=7)
    assert parse_limit("09:00-10:00 Mon: 0").next_change(at("Mon 10:00")) == monday


@pytest.mark.parametrize(
    ("written", "moment", "why"),
    [
        pytest.param("5Mbit", "Mon 12:00", "", id="limited"),
        pytest.param("08:00-18:00: 0", "Mon 12:00", "until 18:00 the limit of this site is 0", id="today"),
        pytest.param("08:00-18:00: 0", "Mon 18:00", "", id="over"),
        pytest.param("22:00-06:00: 0", "Mon 23:00", "until 06:00 the limit of this site is 0", id="tomorrow"),
        pytest.param("00:00-24:00 Sat,Sun: 0", "Sat 00:00", "until Mon 00:00 the limit of this site is 0", id="days"),
        pytest.param("12:00-12:00:05: 0", "Mon 12:00", "until 12:00:05 the limit of this site is 0", id="seconds"),
        pytest.param("0", "Mon 12:00", "the limit of this site is 0", id="always"),
    ],
)
def test_why_nothing_may_be_sent(written: Any, moment: str, why: str) -> None:
    assert parse_limit(written).why_not(at(moment)) == why


def test_the_slowest_rate_is_one_at_which_something_is_sent() -> None:
    limit = parse_limit([WORK, "12:00-13:00: 0", "20Mbit"])
    assert limit.slowest == 5 * MBIT
    assert not limit.never_limits
    assert Limit().never_limits
    assert not parse_limit("0").never_limits
    assert parse_limit("08:00-18:00: unlimited").never_limits


@pytest.mark.parametrize(
    ("demands", "shares"),
    [
        pytest.param({}, {}, id="nobody"),
        pytest.param({"a": None}, {"a": 12}, id="one"),
        pytest.param({"a": None, "b": None}, {"a": 6, "b": 6}, id="two"),
        pytest.param({"a": 2, "b": None}, {"a": 2, "b": 10}, id="what-one-leaves"),
        pytest.param({"a": 1, "b": 4, "c": None, "d": None}, {"a": 1, "b": 3.67, "c": 3.67, "d": 3.67}, id="in-turn"),
        pytest.param({"a": 100, "b": 100}, {"a": 6, "b": 6}, id="too-much"),
        pytest.param({"a": 1, "b": 2}, {"a": 1, "b": 2}, id="all-have-enough"),
        pytest.param({"a": -5, "b": None}, {"a": 0, "b": 12}, id="nonsense"),
    ],
)
def test_fair_shares(demands: dict[str, float | None], shares: dict[str, float]) -> None:
    assert fair_shares(12, demands) == pytest.approx(shares, abs=0.01)


@given(
    st.floats(1, 1e9),
    st.dictionaries(st.text(max_size=3), st.none() | st.floats(0, 1e9), max_size=8),
)
def test_shares_are_fair(cap: float, demands: dict[str, float | None]) -> None:
    """Never more than the cap in total, nor than a site wants; a site that gets less than it wants gets the most."""
    shares = fair_shares(cap, demands)
    assert sum(shares.values()) <= cap * 1.000001
    for name, demand in demands.items():
        wants = cap if demand is None else demand
        assert shares[name] <= wants * 1.000001
        if shares[name] < wants * 0.999999:
            assert shares[name] >= max(shares.values()) * 0.999999
