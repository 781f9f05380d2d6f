# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run did at a site, as one line: who, when, what, how many bytes, how long, with which result. Pure."""

from __future__ import annotations

import datetime
import json
import re
import typing as t

from ..errors import printable
from .log import LONGEST

SCHEMA = 1

# How a run ended.
CHANGED = "changed"
IN_LINE = "in_line"
LEFT_FOR_LATER = "left_for_later"
FAILED = "failed"
CAME_THROUGH = frozenset((CHANGED, IN_LINE))

# The kind of run.
SYNC = "sync"
VERIFY = "verify"
WITHDRAW = "withdraw"

_TOLD = {"published": 24, "repaired": 12, "withdrawn": 24, "failed": 12}  # names of images, at most
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_LINES = 4  # of what failed
_NAME, _LINE = 160, 400  # characters


def rfc3339(moment: float) -> str:
    """Return a time in the format of the log."""
    return datetime.datetime.fromtimestamp(int(moment), datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def record(
    site: str,
    result: t.Mapping[str, t.Any],
    *,
    ended: float,
    source: str,
    started_by: t.Mapping[str, t.Any],
    parameters: t.Mapping[str, t.Any],
) -> bytes:
    """Return the line, without its end.

    :param result: what sync_assets returned, or would have.
    :param ended: seconds since the epoch.
    :param source: the machine that the run ran on.
    :param started_by: ``user``, ``run``, ``job``, each if known.
    :param parameters: those of the module.
    """
    stats = result.get("stats") or {}
    seconds = float(stats.get("seconds") or 0)
    images: dict[str, list[str]] = {}
    for image in result.get("images", ()):
        if image["state"] in _TOLD:
            images.setdefault(image["state"], []).append(image["path"])
    removed = sum(one.get("action") == "remove" for one in result.get("actions", ()))
    found: dict[str, t.Any] = {
        "schema": SCHEMA,
        "ended": rfc3339(ended),
        "started": rfc3339(ended - seconds),
        "site": _short(site, _NAME),
        "source": _short(source, _NAME),
        "user": _short(str(started_by.get("user") or ""), _NAME),
        "run": _short(str(started_by.get("run") or ""), _NAME),
        "job": _short(str(started_by.get("job") or ""), _NAME),
        "what": WITHDRAW if parameters.get("withdraw") else VERIFY if parameters.get("verify") else SYNC,
        "outcome": outcome(result),
        "sent_bytes": int(stats.get("sent_bytes") or 0),
        "saved_bytes": int(stats.get("saved_bytes") or 0),
        "seconds": round(seconds, 1),
        "attempts": int(stats.get("attempts") or 0),
        "removed": removed,
        "images": {state: len(paths) for state, paths in sorted(images.items())},
    }
    for state, most in _TOLD.items():
        if state in images:
            found[state] = [_short(path, _NAME) for path in images[state][:most]]
    failures = result.get("failures") or ([result["msg"]] if result.get("msg") else [])
    if failures:
        found["failures"] = [_short(str(line), _LINE) for line in failures[:_LINES]]
    elif result.get("left_for_later"):
        found["reason"] = _short(str(result["left_for_later"]), _LINE)
    line = json.dumps(found, separators=(",", ":")).encode("ascii")
    if len(line) > LONGEST:  # names with six bytes for each character
        for state in _TOLD:
            found.pop(state, None)
        line = json.dumps(found, separators=(",", ":")).encode("ascii")
    return line


def outcome(result: t.Mapping[str, t.Any]) -> str:
    """Return how a run ended."""
    if result.get("failures") or result.get("msg"):
        return FAILED
    if result.get("left_for_later"):
        return LEFT_FOR_LATER
    return CHANGED if result.get("changed") else IN_LINE


def _short(text: str, most: int) -> str:
    text = printable(text)
    return text if len(text) <= most else f"{text[: most - 3]}..."


class Known(t.NamedTuple):
    """A site's part of the history: its last run, and the last successful one, as written."""

    last: dict[str, t.Any]
    through: dict[str, t.Any] | None


def latest(lines: t.Iterable[bytes], sites: t.Collection[str]) -> dict[str, Known]:
    """Return the history of each site, by its name in the log, from lines with the newest first."""
    wanted = {_short(site, _NAME): site for site in sites}
    last: dict[str, dict[str, t.Any]] = {}
    through: dict[str, dict[str, t.Any]] = {}
    for line in lines:
        found = _read(line)
        site = wanted.get(found.get("site", "")) if found else None
        if found is None or site is None or site in through:
            continue
        last.setdefault(site, found)
        if found["outcome"] in CAME_THROUGH:
            through[site] = found
            if len(through) == len(wanted):
                break
    return {site: Known(one, through.get(site)) for site, one in last.items()}


def _read(line: bytes) -> dict[str, t.Any] | None:
    """Return a line if it is one of these."""
    if len(line) > LONGEST:
        return None
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or found.get("schema") != SCHEMA:
        return None
    texts = all(isinstance(found.get(name), str) for name in ("ended", "site", "user", "what", "outcome"))
    numbers = all(isinstance(found.get(name), (int, float)) for name in ("sent_bytes", "saved_bytes", "seconds"))
    return found if texts and numbers and _TIME.fullmatch(found["ended"]) else None
