# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The state of a fleet for people and for Prometheus: a table for the terminal, and metrics. Pure."""

from __future__ import annotations

import collections
import datetime
import typing as t

Status = t.Mapping[str, t.Any]

WORDS = {
    "in_line": "in line",
    "behind": "behind",
    "left_for_later": "left for later",
    "unreachable": "unreachable",
    "failed": "failed",
}
_WORST_FIRST = {"failed": 0, "unreachable": 1, "behind": 2, "left_for_later": 3, "in_line": 4}
COLUMNS = ("site", "state", "published", "behind", "since", "free", "last run", "sent", "saved")
_ALL = 30  # maximum number of sites with a line each
_MOST = 40  # lines of those that are not in line


def duration(seconds: float | None) -> str:
    """Return a time span in one or two letters and a number."""
    if seconds is None:
        return "-"
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * length:
            return f"{int(seconds // length)}{unit}"
    return f"{int(seconds)}s"


def size(count: int | None) -> str:
    """Return a number of bytes with a unit."""
    if count is None:
        return "-"
    value, units = float(count), ["B", "kB", "MB", "GB", "TB", "PB"]
    while value >= 1000 and len(units) > 1:
        value, units = value / 1000, units[1:]
    return f"{value:.0f} {units[0]}"


def lines(status: Status) -> list[str]:
    """Return the fleet as lines for a terminal. In a large one, only sites that are not in line have their own line."""
    sites = sorted(
        status["sites"].items(),
        key=lambda one: (_WORST_FIRST.get(one[1]["state"], 0), -one[1]["behind_seconds"], one[0]),
    )
    count = collections.Counter(site["state"] for _name, site in sites)
    told = ", ".join(
        f"{count[state]} {WORDS[state]}"
        for state in ("in_line", "behind", "left_for_later", "unreachable", "failed")
        if count[state]
    )
    shown = sites if len(sites) <= _ALL else [one for one in sites if one[1]["state"] != "in_line"][:_MOST]
    rows: list[tuple[str, ...]] = [(*COLUMNS, "")]
    for name, site in shown:
        rows.append(_row(name, site, status["generated"]))
    found = [f"{len(sites)} site{'' if len(sites) == 1 else 's'}: {told or 'none'}"]
    if shown:
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]) - 1)]
        found += [
            "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]]).rstrip()
            for row in rows
        ]
    left = len([one for one in sites if one[1]["state"] != "in_line"]) - len(shown)
    if len(sites) > _ALL and left > 0:
        found.append(f"... and {left} more; status.json and the page have them all")
    return found


def _row(name: str, site: Status, generated: str) -> tuple[str, ...]:
    images = site["images"].values()
    published = sum(one["state"] == "published" for one in images)
    on_its_way = [one for one in images if one["state"] == "on_its_way"]
    notes = [site["reason"]] if site["reason"] else []
    notes += [f"{len(on_its_way)} on the way ({_arrival(on_its_way)})"] if on_its_way else []
    for state, words in (("left_over", "left over"), ("held_back", "held back")):
        number = sum(one["state"] == state for one in images)
        notes += [f"{number} {words}"] if number else []
    if site.get("disk_days") is not None and site["disk_days"] < 30:
        notes.append(f"disk full in {site['disk_days']:.0f} days")
    last = site.get("last_run")
    if last and last["outcome"] == "failed":
        notes.append(f"its last run failed: {last['reason']}")
    return (
        name,
        str(WORDS.get(site["state"], site["state"])),
        str(published),
        str(site["behind_images"]),
        duration(site["behind_seconds"]) if site["behind_images"] else "-",
        size(site["disk_free"]),
        *_last_run(site.get("last_success"), generated),
        "; ".join(notes),
    )


def _arrival(images: t.Sequence[Status]) -> str:
    moving = [one for one in images if one.get("seconds_left") is not None]
    one = moving[0] if moving else images[0]
    return f"{one['percent']} %, {duration(one['seconds_left'])} left" if moving else f"{one['percent']} %"


def _last_run(run: Status | None, generated: str) -> tuple[str, str, str]:
    """Return how long ago the last successful run was, what it sent, and what it saved."""
    if run is None:
        return "-", "-", "-"
    ago = max(seconds_of(generated) - seconds_of(run["ended"]), 0)
    return f"{duration(ago)} ago", size(run["sent_bytes"]), size(run["saved_bytes"])


# Metrics


def metrics(status: Status) -> str:
    """Return the fleet in OpenMetrics, as read by node_exporter's textfile collector."""
    sites: Status = status["sites"]
    families = [
        _family(
            "netboot_site_state",
            "The state of each site: 1 for the one that it is in.",
            (
                ({"site": name, "state": state}, float(site["state"] == state))
                for name, site in sites.items()
                for state in WORDS
            ),
        ),
        _family(
            "netboot_site_behind_images",
            "How many images a site does not have yet.",
            (({"site": name}, site["behind_images"]) for name, site in sites.items()),
        ),
        _family(
            "netboot_site_behind_seconds",
            "For how long the image that a site lacks longest has been ready.",
            (({"site": name}, site["behind_seconds"]) for name, site in sites.items()),
        ),
        _family(
            "netboot_site_behind_limit_seconds",
            "For how long a site may be behind before somebody is told.",
            (({"site": name}, site["behind_limit"]) for name, site in sites.items() if "behind_limit" in site),
        ),
        _family(
            "netboot_site_disk_free_bytes",
            "What can still be filled at a site.",
            (({"site": name}, site["disk_free"]) for name, site in sites.items() if site["disk_free"] is not None),
        ),
        _family(
            "netboot_site_disk_full_seconds",
            "In how many seconds the disk is full at the pace of late.",
            (
                ({"site": name}, site["disk_days"] * 86400)
                for name, site in sites.items()
                if site.get("disk_days") is not None
            ),
        ),
        _family(
            "netboot_site_seen_timestamp_seconds",
            "When a site was looked at last with success.",
            (({"site": name}, seconds_of(site["seen"])) for name, site in sites.items() if site.get("seen")),
        ),
        _family(
            "netboot_site_last_success_timestamp_seconds",
            "When the last run for a site came through.",
            (
                ({"site": name}, seconds_of(site["last_success"]["ended"]))
                for name, site in sites.items()
                if site.get("last_success")
            ),
        ),
        *(
            _family(
                f"netboot_site_last_success_{name}",
                text,
                (
                    ({"site": name_of_site}, site["last_success"][key])
                    for name_of_site, site in sites.items()
                    if site.get("last_success")
                ),
            )
            for name, key, text in (
                ("sent_bytes", "sent_bytes", "What crossed the line in that run."),
                ("saved_bytes", "saved_bytes", "What did not have to, in that run."),
                ("duration_seconds", "seconds", "How long that run took."),
            )
        ),
        _family(
            "netboot_site_last_run_failed",
            "Whether the last run for a site failed.",
            (
                ({"site": name}, float(site["last_run"]["outcome"] == "failed"))
                for name, site in sites.items()
                if site.get("last_run")
            ),
        ),
        _family(
            "netboot_image_left_seconds",
            "In how many seconds an image that is on its way has arrived.",
            (
                ({"site": name, "image": path}, one["seconds_left"])
                for name, site in sites.items()
                for path, one in site["images"].items()
                if one.get("seconds_left") is not None
            ),
        ),
        _family(
            "netboot_site_images",
            "How many images of a site are in which state.",
            (
                ({"site": name, "state": state}, number)
                for name, site in sites.items()
                for state, number in sorted(
                    collections.Counter(one["state"] for one in site["images"].values()).items()
                )
            ),
        ),
        _family(
            "netboot_image_published_sites", "At how many sites an image is published.", _by_image(sites, "published")
        ),
        _family(
            "netboot_image_withdrawn_sites",
            "At how many sites clients still find a withdrawn image.",
            _by_image(sites, "withdrawn"),
        ),
        _family(
            "netboot_image_since_timestamp_seconds",
            "Since when an image is published at a site.",
            (
                ({"site": name, "image": path}, seconds_of(one["since"]))
                for name, site in sites.items()
                for path, one in site["images"].items()
                if one["state"] == "published" and one["since"]
            ),
        ),
        _family(
            "netboot_site_status_timestamp_seconds",
            "When the fleet was looked at.",
            [({}, seconds_of(status["generated"]))],
        ),
    ]
    return "".join(families) + "# EOF\n"


def _by_image(sites: Status, state: str) -> t.Iterator[tuple[dict[str, str], float]]:
    count: dict[str, int] = {}
    for site in sites.values():
        for path, one in site["images"].items():
            count[path] = count.get(path, 0) + (one["state"] == state)
    for path, number in sorted(count.items()):
        yield {"image": path}, number


def _family(name: str, text: str, samples: t.Iterable[tuple[dict[str, str], float]]) -> str:
    found = [f"# HELP {name} {text}\n# TYPE {name} gauge\n"]
    for labels, value in samples:
        shown = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
        number = int(value) if float(value).is_integer() else value
        found.append(f"{name}{{{shown}}} {number}\n" if shown else f"{name} {number}\n")
    return "".join(found) if len(found) > 1 else ""


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def seconds_of(text: str) -> float:
    """Return a time of status.json as seconds since the epoch."""
    return datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=datetime.UTC).timestamp()
