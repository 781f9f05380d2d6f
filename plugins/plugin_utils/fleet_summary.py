# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The state of a fleet as a message for people: what needs a look, and whether it is worth a message. Pure."""

from __future__ import annotations

import collections
import typing as t

from .fleet_report import WORDS, duration, seconds_of, size

Status = t.Mapping[str, t.Any]

# As in the alert rules of the role.
LEAST_FREE = 2_000_000_000  # bytes
LEAST_DAYS = 7

# When a message is sent.
TROUBLE = "trouble"
CHANGED = "changed"
ALWAYS = "always"
WHEN = (TROUBLE, CHANGED, ALWAYS)

_MOST = 10  # lines under a heading
_HEADINGS = {
    "unreachable": "Unreachable:",
    "failed": "Failed:",
    "behind": "Behind for longer than they may be:",
    "withdrawn": "Withdrawn, but clients still find it:",
    "disk": "Disk full, or soon:",
    "run": "The last run failed:",
}


class Finding(t.NamedTuple):
    """Something that needs a look.

    :ivar kind: a key of the headings.
    :ivar about: the site or the image.
    :ivar said: the line of the message.
    :ivar sites: the sites that have it.
    """

    kind: str
    about: str
    said: str
    sites: tuple[str, ...]

    @property
    def key(self) -> str:
        """Its identity across checks, whatever the numbers are by now."""
        return f"{self.kind} {self.about}"


def findings(status: Status) -> list[Finding]:
    """Return everything that needs a look, worst first."""
    found: list[Finding] = []
    withdrawn: dict[str, list[str]] = {}
    for name, site in sorted(status["sites"].items()):
        found += _of_site(name, site, status["generated"])
        for path, image in sorted(site["images"].items()):
            if image["state"] == "withdrawn":
                withdrawn.setdefault(path, []).append(name)
    for path, names in sorted(withdrawn.items()):
        found.append(Finding("withdrawn", path, f"{path} at {_listed(names)}", tuple(names)))
    order = list(_HEADINGS)
    return sorted(found, key=lambda one: order.index(one.kind))


def _of_site(name: str, site: Status, generated: str) -> t.Iterator[Finding]:
    state = site["state"]
    away = state in ("unreachable", "failed")
    if away:
        seen = site.get("seen")
        ago = f"seen last {duration(max(seconds_of(generated) - seconds_of(seen), 0))} ago" if seen else "never seen"
        yield Finding(state, name, f"{name}, {ago}: {site['reason']}", (name,))
    elif site["behind_images"] and site["behind_seconds"] > site.get("behind_limit", 86400):
        lacks = "an image" if site["behind_images"] == 1 else f"{site['behind_images']} images"
        yield Finding("behind", name, f"{name} lacks {lacks}, for {duration(site['behind_seconds'])}", (name,))
    free, days = site["disk_free"], site.get("disk_days")
    if not away and ((free is not None and free < LEAST_FREE) or (days is not None and days < LEAST_DAYS)):
        soon = f", full in {days:.0f} days at the pace of late" if days is not None else ""
        yield Finding("disk", name, f"{name}: {size(free)} free{soon}", (name,))
    last = site.get("last_run")
    if not away and last and last["outcome"] == "failed":
        yield Finding("run", name, f"{name}: {last['reason']}", (name,))


def subject(status: Status) -> str:
    """Return the state of the fleet in one line."""
    count, bad = len(status["sites"]), _in_trouble(status)
    if bad:
        return f"{bad} of {count} site{'' if count == 1 else 's'} need{'s' if bad == 1 else ''} a look"
    states = _states(status)
    if set(states) <= {"in_line"}:
        return "The only site is up to date" if count == 1 else f"All {count} sites are up to date"
    return f"{count} site{'' if count == 1 else 's'}: {_told(states)}; none needs a look"


def text(status: Status) -> str:
    """Return the message: its subject, what needs a look, and the state of the others."""
    found = findings(status)
    lines = [f"{subject(status)}."]
    for kind, heading in _HEADINGS.items():
        its = [one.said for one in found if one.kind == kind]
        if its:
            lines += ["", heading, *(f"- {said}" for said in its[:_MOST])]
        if len(its) > _MOST:
            lines.append(f"- and {len(its) - _MOST} more; status.json and the page have them all")
    bad = {name for one in found for name in one.sites}
    others = collections.Counter(site["state"] for name, site in status["sites"].items() if name not in bad)
    if bad and others:
        lines += ["", f"The others: {_told(others)}."]
    return "\n".join(lines) + "\n"


def due(when: str, found: t.Collection[str], told: t.Collection[str]) -> bool:
    """Return whether to send a message; ``found`` are the keys of what needs a look, ``told`` those of the last
    message."""
    return when == ALWAYS or (when == TROUBLE and bool(found)) or (when == CHANGED and set(found) != set(told))


def _in_trouble(status: Status) -> int:
    return len({name for one in findings(status) for name in one.sites})


def _states(status: Status) -> collections.Counter[str]:
    return collections.Counter(site["state"] for site in status["sites"].values())


def _told(states: t.Mapping[str, int]) -> str:
    words = {**WORDS, "in_line": "up to date"}
    return ", ".join(f"{states[state]} {word}" for state, word in words.items() if states.get(state))


def _listed(names: t.Sequence[str]) -> str:
    return ", ".join(names[:_MOST]) + (f" and {len(names) - _MOST} more" if len(names) > _MOST else "")
