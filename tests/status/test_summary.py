# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The summary as a person reads it, and when it is worth a message."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.netboot.syncer.plugins.module_utils.fleet.image_states import ImageState
from ansible_collections.netboot.syncer.plugins.module_utils.fleet.looking import Found
from ansible_collections.netboot.syncer.plugins.module_utils.fleet.status import document
from ansible_collections.netboot.syncer.plugins.plugin_utils import fleet_summary

from tests.status.sample import NOW, sample

HOUR, DAY, GB = 3600, 86400, 10**9
IMAGE = "prod/x.squashfs"
RUN = {"ended": "2026-11-25T02:00:00Z", "outcome": "failed", "reason": "prod/x.squashfs: not enough space"}


def fleet(**sites: Found) -> dict[str, Any]:
    seen = document({name: good() for name in sites}, now=NOW - 3 * HOUR)
    return document(sites, now=NOW, previous=seen)


def good(free: int = 90 * GB) -> Found:
    return Found("in_line", "", {IMAGE: ImageState("published", since=1.0)}, 0, 0, free)


def behind(seconds: int) -> Found:
    return Found("behind", "1 image is not there yet", {IMAGE: ImageState("missing")}, 1, seconds, 90 * GB)


def withdrawn() -> Found:
    images = {IMAGE: ImageState("withdrawn"), "prod/y.squashfs": ImageState("published", since=1.0)}
    return Found("behind", "1 image that was withdrawn by name is still there", images, 0, 0, 90 * GB)


AWAY = Found("unreachable", "netboot@192.0.2.30 port 22 refused the connection")
LATER = Found("left_for_later", "its limit is 0 until 18:00", {IMAGE: ImageState("missing")}, 1, HOUR, 90 * GB)


@pytest.mark.parametrize(
    ("sites", "line"),
    [
        pytest.param({"bern": good()}, "The only site is up to date", id="one"),
        pytest.param({name: good() for name in "abcdefghijkl"}, "All 12 sites are up to date", id="all"),
        pytest.param(
            {"bern": good(), "chur": behind(HOUR), "sion": LATER},
            "3 sites: 1 up to date, 1 behind, 1 left for later; none needs a look",
            id="within-their-time",
        ),
        pytest.param({"bern": good(), "chur": AWAY}, "1 of 2 sites needs a look", id="one-away"),
        pytest.param({"bern": behind(2 * DAY)}, "1 of 1 site needs a look", id="the-only-one"),
        pytest.param({"bern": AWAY, "chur": withdrawn(), "sion": good()}, "2 of 3 sites need a look", id="two"),
    ],
)
def test_the_subject(sites: dict[str, Found], line: str) -> None:
    found = fleet(**sites)
    assert fleet_summary.subject(found) == line
    assert fleet_summary.text(found).splitlines()[0] == f"{line}."


def test_the_whole_text() -> None:
    found = fleet(
        bern=AWAY,
        chur=behind(2 * DAY),
        genf=withdrawn(),
        olten=withdrawn(),
        sion=good(GB),
        thun=good(),
        zug=good(),
        basel=LATER,
        aarau=Found("failed", "/srv/netboot/assets: the assets tree is not there."),
    )
    found["sites"]["thun"]["last_run"] = RUN
    assert fleet_summary.text(found) == (
        "7 of 9 sites need a look.\n"
        "\nUnreachable:\n"
        "- bern, seen last 3h ago: netboot@192.0.2.30 port 22 refused the connection\n"
        "\nFailed:\n"
        "- aarau, seen last 3h ago: /srv/netboot/assets: the assets tree is not there.\n"
        "\nBehind for longer than they may be:\n"
        "- chur lacks an image, for 2d\n"
        "\nWithdrawn, but clients still find it:\n"
        "- prod/x.squashfs at genf, olten\n"
        "\nDisk full, or soon:\n"
        "- sion: 1 GB free\n"
        "\nThe last run failed:\n"
        "- thun: prod/x.squashfs: not enough space\n"
        "\nThe others: 1 up to date, 1 left for later.\n"
    )


def test_a_disk_that_fills_up() -> None:
    found = fleet(bern=good())
    found["sites"]["bern"]["disk_days"] = 3.2
    assert "bern: 90 GB free, full in 3 days at the pace of late" in fleet_summary.text(found)


def test_a_site_may_be_behind_for_as_long_as_its_limit_says() -> None:
    found = fleet(bern=behind(2 * DAY), chur=behind(2 * DAY))
    found["sites"]["bern"]["behind_limit"] = 3 * DAY
    assert [one.key for one in fleet_summary.findings(found)] == ["behind chur"]


def test_of_many_only_some_have_a_line() -> None:
    found = fleet(**{f"site-{number:03}": AWAY for number in range(300)})
    text = fleet_summary.text(found)
    assert "- and 290 more; status.json and the page have them all" in text
    assert len(text.splitlines()) < 20
    everywhere = fleet_summary.text(fleet(**{f"site-{number:03}": withdrawn() for number in range(300)}))
    assert "site-009 and 290 more" in everywhere


def test_the_same_trouble_has_the_same_key_an_hour_later() -> None:
    first = fleet(bern=AWAY, chur=behind(2 * DAY), genf=withdrawn())
    later = fleet(bern=AWAY, chur=behind(2 * DAY + HOUR), genf=withdrawn())
    assert fleet_summary.text(first) == fleet_summary.text(first)
    assert [one.key for one in fleet_summary.findings(first)] == [one.key for one in fleet_summary.findings(later)]


@pytest.mark.parametrize("count", [3, 300])
def test_every_site_that_a_sample_has(count: int) -> None:
    status = sample(count)
    said = {name for one in fleet_summary.findings(status) for name in one.sites}
    bad = {name for name, site in status["sites"].items() if site["state"] in ("unreachable", "failed")}
    assert bad <= said < set(status["sites"])


@pytest.mark.parametrize(
    ("when", "found", "told", "due"),
    [
        ("trouble", [], [], False),
        ("trouble", [], ["unreachable bern"], False),
        ("trouble", ["unreachable bern"], ["unreachable bern"], True),
        ("changed", [], [], False),
        ("changed", ["unreachable bern"], [], True),
        ("changed", ["unreachable bern", "disk chur"], ["disk chur", "unreachable bern"], False),
        ("changed", ["disk chur"], ["disk chur", "unreachable bern"], True),
        ("changed", [], ["unreachable bern"], True),
        ("always", [], [], True),
    ],
)
def test_when_it_is_sent(when: str, found: list[str], told: list[str], due: bool) -> None:
    assert fleet_summary.due(when, found, told) is due
