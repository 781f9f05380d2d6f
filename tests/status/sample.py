# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A made-up fleet, in the form of status.json: of any size, and always the same for the same number."""

from __future__ import annotations

import json
import random
from typing import Any

from ansible_collections.netboot.syncer.plugins.module_utils.fleet.image_states import ImageState
from ansible_collections.netboot.syncer.plugins.module_utils.fleet.looking import Found
from ansible_collections.netboot.syncer.plugins.module_utils.fleet.status import document
from ansible_collections.netboot.syncer.plugins.module_utils.history.record import Known, record

NOW = 1_795_600_000
DAY = 86400
TOWNS = ("basel", "bern", "chur", "genf", "lugano", "luzern", "olten", "sion", "thun", "zug", "zuerich", "aarau")
BUILDS = [
    f"{directory}/21-04-{day:02}-{flavour}-master-{commit}.squashfs"
    for directory, flavour, commit in (("prod", "gnome", "f1d734e"), ("prod", "kde", "0aa1b2c"))
    for day in (10, 9, 8, 7)
]


def sample(count: int) -> dict[str, Any]:
    """Return the status of so many sites, of which most are in line."""
    chance = random.Random(count)
    yesterday = document({_name(number): _healthy(chance) for number in range(count)}, now=NOW - DAY - 7200)
    found = {_name(number): _site(number, chance) for number in range(count)}
    history = {name: _runs(name, one, chance) for name, one in found.items()}
    return document(found, now=NOW, previous=yesterday, history=history)


def _runs(name: str, found: Found, chance: random.Random) -> Known:
    """Return what the history knows about a site: a successful run, then a failed one if it is unreachable."""

    def run(ended: int, **result: Any) -> dict[str, Any]:
        stats = {"sent_bytes": 3_100_000, "saved_bytes": 739_000_000, "seconds": chance.randrange(20, 400)}
        line = record(
            name,
            {"changed": True, "stats": stats, **result},
            ended=ended,
            source="netboot-server",
            started_by={"user": "netboot"},
            parameters={},
        )
        return dict(json.loads(line))

    through = run(NOW - chance.randrange(900, 7200))
    return Known(run(NOW - 600, failures=[found.reason]) if found.state == "unreachable" else through, through)


def _name(number: int) -> str:
    town = TOWNS[number % len(TOWNS)]
    return town if number < len(TOWNS) else f"{town}-{number // len(TOWNS) + 1}"


def _healthy(chance: random.Random) -> Found:
    images = {
        path: ImageState("published", size=742_000_000 + chance.randrange(9_000_000), since=NOW - age * DAY - 3600)
        for age, path in enumerate(BUILDS)
    }
    return Found("in_line", "", images, 0, 0, chance.randrange(4, 400) * 10**9)


def _site(number: int, chance: random.Random) -> Found:
    kind = number % 3 if number < 3 else chance.choices(range(6), (70, 12, 6, 6, 3, 3))[0]
    healthy = _healthy(chance)
    images, free = healthy.images, healthy.disk_free
    newest = images[BUILDS[0]]
    if kind == 1:
        newest.state, newest.percent, newest.since = "on_its_way", chance.randrange(5, 95), NOW - 900
        newest.arrived, newest.rate = newest.size * newest.percent // 100, 1.2e6
        return Found("behind", "1 image is not there yet", images, 1, chance.randrange(600, 9000), free)
    if kind == 2:
        return Found("unreachable", f"198.51.100.{number % 250}: connection refused. Is its SSH server up?")
    if kind == 3:
        for path in BUILDS[:2]:
            images[path].state = "missing"
        return Found("left_for_later", "until 18:00 the limit of this site is 0", images, 2, 5 * 3600, free)
    if kind == 4:
        images[BUILDS[3]].state, images[BUILDS[3]].reason = "left_over", "the netboot server no longer offers it"
    if kind == 5:
        images[BUILDS[4]].state = "withdrawn"
        return Found("behind", "1 image that was withdrawn by name is still there", images, 0, 0, free)
    return Found("in_line", "", images, 0, 0, free)
