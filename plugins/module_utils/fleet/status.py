# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""status.json: the findings at each site, with those of earlier checks. Pure."""

from __future__ import annotations

import datetime
import typing as t

from ..assets.withdrawal import names_image
from ..errors import printable
from ..history.record import Known, rfc3339
from . import image_states
from .looking import FAILED, UNREACHABLE, Found

SCHEMA = 1
MAX_SIZE = 64 * 1024 * 1024  # maximum bytes of an earlier status.json
_SAMPLES = 15
_BETWEEN_SAMPLES = 6 * 3600  # seconds
_LEAST_BETWEEN, _MOST_BETWEEN = 20, 900  # seconds since an earlier check from which a rate is computed
_MEANWHILE = "withdrawn by name since this site was seen last: clients still find it here"
_LEAST_TIME = 86400  # seconds that samples have to span for a pace


def read_time(text: t.Any) -> float | None:
    """Parse the output of :func:`rfc3339`; None if invalid."""
    try:
        parsed = datetime.datetime.strptime(str(text), "%Y-%m-%dT%H:%M:%SZ")
    except ValueError:
        return None
    return parsed.replace(tzinfo=datetime.timezone.utc).timestamp()


def document(
    found: t.Mapping[str, Found],
    *,
    now: float,
    previous: t.Any = None,
    history: t.Mapping[str, Known] | None = None,
) -> dict[str, t.Any]:
    """Return the content of status.json; ``previous`` is the previous one, which may hold anything."""
    known = _dict(previous)
    before = _dict(known.get("sites")) if known.get("schema") == SCHEMA else {}
    looked = read_time(known.get("generated"))
    sites = {}
    for name, one in sorted(found.items()):
        earlier = _dict(before.get(printable(name)))
        sites[printable(name)] = {
            **_site(one, earlier, now, looked),
            **_runs((history or {}).get(name), earlier),
        }
    return {"schema": SCHEMA, "generated": rfc3339(now), "sites": sites}


def _runs(known: Known | None, before: dict[str, t.Any]) -> dict[str, t.Any]:
    """Return the last run, and the last successful one; if the history has none, what was known."""
    last = _run(known.last) if known else _run_before(before.get("last_run"))
    through = _run(known.through) if known and known.through else _run_before(before.get("last_success"))
    return {"last_run": last, "last_success": through}


def _run_before(value: t.Any) -> dict[str, t.Any] | None:
    """Return a run from an earlier status.json, if it is valid."""
    found = _dict(value)
    numbers = all(isinstance(found.get(name), (int, float)) for name in ("sent_bytes", "saved_bytes", "seconds"))
    texts = all(isinstance(found.get(name), str) for name in ("user", "what", "outcome", "reason"))
    return found if numbers and texts and read_time(found.get("ended")) is not None else None


def _run(one: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    found = {name: one[name] for name in ("ended", "user", "what", "outcome", "sent_bytes", "saved_bytes", "seconds")}
    why = one.get("failures")
    reason = why[0] if isinstance(why, list) and why else one.get("reason")
    return {**found, "reason": printable(str(reason or ""))}


def _site(found: Found, before: dict[str, t.Any], now: float, looked: float | None) -> dict[str, t.Any]:
    if found.state in (UNREACHABLE, FAILED):
        return _not_seen(found, before, now)
    earlier = _dict(before.get("images"))
    samples = _samples(before.get("disk_samples"), found.disk_free, now)
    return {
        "state": found.state,
        "reason": printable(found.reason),
        "seen": rfc3339(now),
        "behind_images": found.behind_images,
        "behind_seconds": found.behind_seconds,
        "disk_free": found.disk_free,
        "disk_days": _days_until_full(samples),
        "disk_samples": samples,
        "images": {
            printable(path): _image(one, earlier.get(printable(path)), now, looked)
            for path, one in sorted(found.images.items())
        },
    }


def _image(one: image_states.ImageState, before: t.Any, now: float, looked: float | None) -> dict[str, t.Any]:
    since = rfc3339(one.since) if one.since is not None else None
    if since is None:
        same = (
            isinstance(before, dict) and before.get("state") == one.state and read_time(before.get("since")) is not None
        )
        since = before["since"] if same else rfc3339(now)
    found = {
        "state": one.state,
        "since": since,
        "percent": one.percent,
        "reason": printable(one.reason),
        "size": one.size,
    }
    if one.arrived is not None:
        rate = _rate(one, before, now - looked if looked is not None else 0.0)
        found["arrived"] = one.arrived
        found["seconds_left"] = round((one.size - one.arrived) / rate) if rate else None
    return found


def _rate(one: image_states.ImageState, before: t.Any, seconds: float) -> float:
    """Return how many bytes of an image arrive per second.

    Since the previous check if that is a while ago, since a second or two say little; 0 if nothing arrived.
    """
    earlier = _int(_dict(before).get("arrived"))
    if earlier is not None and _LEAST_BETWEEN <= seconds <= _MOST_BETWEEN and (one.arrived or 0) > earlier:
        return ((one.arrived or 0) - earlier) / seconds
    return one.rate or 0.0


def _not_seen(found: Found, before: dict[str, t.Any], now: float) -> dict[str, t.Any]:
    """Return what is known about a site that could not be checked: what it had when it was last seen."""
    seen = read_time(before.get("seen"))
    withdrawn = {printable(path) for path in found.withdrawn}
    behind = _int(before.get("behind_images")) or 0
    base = _int(before.get("behind_seconds_seen", before.get("behind_seconds"))) or 0
    # Each check adds the time since the last successful one, not since the last one.
    seconds = base + int(max(now - seen, 0)) if behind and seen is not None else base
    return {
        "state": found.state,
        "reason": printable(found.reason),
        "seen": before.get("seen") if seen is not None else None,
        "behind_images": behind,
        "behind_seconds": seconds,
        "behind_seconds_seen": base,
        "disk_free": _int(before.get("disk_free")),
        "disk_days": None,
        "disk_samples": _samples(before.get("disk_samples"), None, now),
        "images": {
            path: _image_not_seen(_dict(one), path in withdrawn, now)
            for path, one in _dict(before.get("images")).items()
        },
    }


def _image_not_seen(before: dict[str, t.Any], withdrawn: bool, now: float) -> dict[str, t.Any]:
    """Return an image of a site that could not be checked; its clients still find what was withdrawn meanwhile."""
    shown = before.get("state") in (image_states.PUBLISHED, image_states.OUTDATED, image_states.LEFT_OVER)
    if withdrawn and shown:
        return {**before, "state": image_states.WITHDRAWN, "since": rfc3339(now), "reason": _MEANWHILE}
    if not withdrawn and before.get("reason") == _MEANWHILE:
        return {**before, "state": image_states.PUBLISHED, "since": rfc3339(now), "reason": ""}
    return before


def _dict(value: t.Any) -> dict[str, t.Any]:
    return value if isinstance(value, dict) else {}


def _int(value: t.Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _samples(before: t.Any, free: int | None, now: float) -> list[list[int]]:
    found = [
        one
        for one in (before if isinstance(before, list) else [])
        if isinstance(one, list) and len(one) == 2 and all(_int(number) is not None for number in one)
    ]
    if free is not None:
        if len(found) > 1 and now - found[-2][0] < _BETWEEN_SAMPLES:
            found.pop()
        found.append([int(now), free])
    return found[-_SAMPLES:]


def _days_until_full(samples: t.Sequence[t.Sequence[int]]) -> float | None:
    """Return in how many days the disk is full, at the recent pace; None if it does not fill up."""
    if not samples or samples[-1][0] - samples[0][0] < _LEAST_TIME:
        return None
    (begin, most), (end, free) = samples[0], samples[-1]
    lost = most - free
    return round(free / lost * (end - begin) / 86400, 1) if lost > 0 else None


def have(document: t.Mapping[str, t.Any], pattern: str) -> tuple[list[str], list[str]]:
    """Return the sites where all images that match a pattern are published, and the others.

    An image that a site should not hold does not count for it; a site that holds none of these counts as waiting.
    """
    ready: list[str] = []
    waiting: list[str] = []
    for name, site in document["sites"].items():
        named = [one["state"] for path, one in site["images"].items() if names_image([pattern], path, [])]
        seen = site["state"] not in (UNREACHABLE, FAILED)
        good = seen and bool(named) and all(state == image_states.PUBLISHED for state in named)
        (ready if good else waiting).append(name)
    return ready, waiting
