# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""status.json: its schema, and how each check builds on the previous one. The tests set the clock."""

from __future__ import annotations

import json
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
from ansible_collections.netboot.syncer.plugins.module_utils.fleet.image_states import ImageState
from ansible_collections.netboot.syncer.plugins.module_utils.fleet.looking import Found
from ansible_collections.netboot.syncer.plugins.module_utils.fleet.status import document, have, read_time
from ansible_collections.netboot.syncer.plugins.plugin_utils import fleet_report

from tests.lab.fleet import CHECKOUT
from tests.status.sample import NOW, sample

HOUR, DAY = 3600, 86400
IMAGE = "prod/x.squashfs"


def seen(
    state: str = "published", *, free: int = 10**9, since: float | None = None, behind: int = 0
) -> dict[str, Found]:
    images = {IMAGE: ImageState(state, since=since)}
    return {"bern": Found("behind" if behind else "in_line", "", images, 1 if behind else 0, behind, free)}


UNREACHABLE = {"bern": Found("unreachable", "no route to host")}


def bern(found: dict[str, Any]) -> dict[str, Any]:
    site: dict[str, Any] = found["sites"]["bern"]
    return site


@pytest.mark.parametrize("count", [0, 3, 300])
def test_it_fits_its_schema(count: int) -> None:
    schema = json.loads((CHECKOUT / "docs" / "schemas" / "status.schema.json").read_text(encoding="utf-8"))
    jsonschema.validate(json.loads(json.dumps(sample(count))), schema)


def test_since_when_counts_on_where_no_shell_tells_it() -> None:
    first = document(seen(), now=NOW)
    later = document(seen(), now=NOW + DAY, previous=first)
    assert read_time(bern(later)["images"][IMAGE]["since"]) == NOW
    assert (
        read_time(bern(document(seen("missing"), now=NOW + DAY, previous=first))["images"][IMAGE]["since"]) == NOW + DAY
    )
    assert read_time(bern(document(seen(since=5.0), now=NOW, previous=first))["images"][IMAGE]["since"]) == 5


def test_a_site_that_is_away_grows_older_by_the_time_that_passes() -> None:
    found = document(seen("missing", behind=HOUR), now=NOW)
    for hours in (1, 2, 5):
        found = document(UNREACHABLE, now=NOW + hours * HOUR, previous=found)
        assert bern(found)["behind_seconds"] == (1 + hours) * HOUR
        assert bern(found)["images"][IMAGE]["state"] == "missing"
        assert read_time(bern(found)["seen"]) == NOW
    found = document(seen(), now=NOW + 6 * HOUR, previous=found)
    assert (bern(found)["state"], bern(found)["behind_seconds"]) == ("in_line", 0)


def test_what_is_withdrawn_while_a_site_is_away_is_still_there() -> None:
    found = document(seen(), now=NOW)
    away = Found("unreachable", "no route to host", withdrawn=[IMAGE, "prod/other.squashfs"])
    for hours in (1, 2):
        found = document({"bern": away}, now=NOW + hours * HOUR, previous=found)
        image = bern(found)["images"][IMAGE]
        assert (image["state"], read_time(image["since"])) == ("withdrawn", NOW + HOUR)
        assert bern(found)["images"].keys() == {IMAGE}
    undone = document(UNREACHABLE, now=NOW + 3 * HOUR, previous=found)
    assert bern(undone)["images"][IMAGE]["state"] == "published"
    never = document({"bern": away}, now=NOW, previous=document(seen("missing"), now=NOW))
    assert bern(never)["images"][IMAGE]["state"] == "missing"


def test_in_how_many_days_the_disk_is_full() -> None:
    found: dict[str, Any] = {}
    for day in range(4):
        found = document(seen(free=(20 - day) * 10**9), now=NOW + day * DAY, previous=found)
    assert bern(found)["disk_days"] == 17.0
    found = document(seen(free=10**12), now=NOW + 4 * DAY, previous=found)
    assert bern(found)["disk_days"] is None


@pytest.mark.parametrize(
    "before", [None, [], {"schema": 2}, {"schema": 1, "sites": []}, {"schema": 1, "sites": {"bern": 7}}]
)
def test_whatever_lay_there_before(before: Any) -> None:
    assert bern(document(seen(), now=NOW, previous=before))["state"] == "in_line"
    broken = {"schema": 1, "sites": {"bern": {"images": 3, "seen": 4, "behind_images": "x", "disk_samples": [[1], 2]}}}
    assert bern(document(UNREACHABLE, now=NOW, previous=broken))["images"] == {}


def test_who_has_an_image() -> None:
    found = document({**seen(), "chur": Found("in_line", "", {IMAGE: ImageState("on_its_way", percent=3)})}, now=NOW)
    assert have(found, "prod/x") == (["bern"], ["chur"])
    assert have(found, "prod/y") == ([], ["bern", "chur"])
    found["sites"]["bern"]["images"]["prod/gnome-21.04"] = {"state": "published"}
    assert have(found, "prod/gnome-21") == ([], ["bern", "chur"])
    assert have(found, "prod/gnome-21.04") == (["bern"], ["chur"])


@pytest.mark.parametrize(("count", "most"), [(3, 5), (300, 43)])
def test_the_terminal_is_readable(count: int, most: int) -> None:
    lines = fleet_report.lines(sample(count))
    assert len(lines) <= most
    assert lines[0].startswith(f"{count} sites: ")
