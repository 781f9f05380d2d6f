# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A result in words: sizes, one line for a caching server, the actions of a diff, the table of a fleet."""

from __future__ import annotations

import typing as t

from . import progress as phases
from . import states

Result = t.Mapping[str, t.Any]


def size(count: float) -> str:
    """Return a number of bytes for people, in decimal units, as the rates of lines are."""
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"


def duration(seconds: float, *, digits: int = 1) -> str:
    """Return a time for people in a few words; below a minute with this many decimals."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.{digits}f} s"
    if whole < 600:
        return f"{whole // 60} min {whole % 60:02} s"
    if whole < 3600:
        return f"{whole // 60} min"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


# Activities of a run without a percentage.
PHASES = {
    phases.READING: "reading both trees",
    phases.LOCKING: "waiting for another run to end",
    phases.COMPARING: "comparing content",
    phases.SENDING: "looking for what is there already",
    phases.CHECKING: "hashing what is there",
    phases.FLUSHING: "having it written to disk",
    phases.PUBLISHING: "publishing",
    phases.REMOVING: "removing",
    phases.RETRYING: "waiting to try again, since the line broke",
    phases.FOLLOWING: "waiting for what its hub publishes next",
}


def progress(host: str, state: Result) -> str:
    """Return what a run is doing in one line, from the state that progress.py writes."""
    path, position, whole = state["path"], state["position"], state["size"]
    if not position:
        what = PHASES.get(state["phase"], "at work") + (f", {size(whole)}" if whole and not path else "")
        return f"{host}: {path + ': ' if path else ''}{what}, for {duration(state['seconds'], digits=0)}"
    if position >= whole:
        parts = [f"{path} 100 %", f"the end of its {size(whole)} is on its way"]
    else:
        parts = [f"{path} {position * 100 // whole} %", f"{size(position)} of {size(whole)}"]
        if state["rate"]:
            parts += [f"{size(state['rate'])}/s", f"{duration((whole - position) / state['rate'], digits=0)} left"]
    saved = position - state["sent"]
    if saved * 100 >= position:  # anything less may just be data that has not reached the line yet
        parts.append(f"{size(saved)} saved")
    return f"{host}: {', '.join(parts)}"


def line(result: Result) -> str:
    """Return what a run did for a caching server in one line. In check mode, what it would do."""
    stats = result["stats"]
    check = bool(stats["check_mode"])
    counts = [
        f"{stats['images'][state.name]} {state.would if check else state.done}"
        for state in states.IN_A_LINE
        if state.name in stats["images"]
    ]
    images = ", ".join(counts) or "none on either side"
    if check:
        cost = f"at most {size(stats['size'])} to send" if stats["size"] else "nothing to send"
    elif stats["size"]:
        cost = f"{size(stats['sent_bytes'])} sent for {size(stats['size'])} in {duration(stats['seconds'])}"
    else:
        cost = f"nothing sent, {duration(stats['seconds'])}"
    return f"images: {images}; {cost}"


def actions(host: str, result: Result) -> str:
    """Return the actions of a run, a line each, in order, with the bytes of each transfer."""
    lines = [f"--- {host}: {result['summary']}"] if result["actions"] else []
    for one in result["actions"]:
        detail = one.get("reason") or one.get("target", "")
        if "bytes" in one:
            detail = f"{one['bytes']} bytes" + (f", as the difference to {one['basis']}" if one["basis"] else "")
        lines.append(f"{one['action']:<9}{one['path']}" + (f"  ({detail})" if detail else ""))
    return "".join(f"{each}\n" for each in lines)


def saved(stats: Result) -> str:
    """Return the share of the synced bytes that did not have to be sent; empty if there is none."""
    if stats["check_mode"] or not stats["size"]:
        return ""
    return f"{max(stats['size'] - stats['sent_bytes'], 0) * 100 // stats['size']} %"


WIDTH = 120  # columns of a terminal
_FIRST_TO_GO = ("saved", "unchanged")  # if a table would be wider, with the maximum of columns

# The result of a caching server, for programs and for people.
FAILED = "failed"
_CAME_OUT = {
    "changed": "changed",
    "would_change": "would change",
    "in_line": "in line",
    "left_over": "left over",
    "left_for_later": "left for later",
    FAILED: "FAILED",
}


def table(results: t.Mapping[str, Result | None]) -> str:
    """Return the table of a fleet: per caching server its result, then what was held back or failed, and why.

    The play never got to a host without a result.
    """
    stats = [result["stats"] for result in results.values() if result and "stats" in result]
    columns = [
        state for state in states.IN_A_TABLE if not state.rare or any(state.name in one["images"] for one in stats)
    ]
    header = ["caching server", "came out", *(state.column for state in columns), "sent", "of", "saved", "time"]
    rows = [header] + [_row(host, result, columns) for host, result in results.items()]
    widths = [max(len(row[column]) for row in rows) for column in range(len(header))]
    for name in _FIRST_TO_GO:
        if sum(widths) + 2 * (len(widths) - 1) > WIDTH:
            column = rows[0].index(name)
            widths.pop(column)
            for row in rows:
                row.pop(column)
    lines = []
    for row in rows:
        cells = [
            cell.ljust(width) if column < 2 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines + _reasons(results))


def came_out(result: Result | None) -> str:
    """Return the result of a caching server, as a word for programs."""
    if not result or "stats" not in result or "msg" in result:
        return FAILED
    if result.get("left_for_later") or result.get("behind"):
        return "left_for_later"
    if result.get("changed"):
        return "would_change" if result["stats"]["check_mode"] else "changed"
    return "left_over" if result["stats"]["images"].get("left_over") else "in_line"


def summary(results: t.Mapping[str, Result | None]) -> dict[str, t.Any]:
    """Return the result of a fleet, for programs: a word for each caching server, and totals."""
    sites = {host: came_out(result) for host, result in results.items()}
    stats = [result["stats"] for result in results.values() if result and "stats" in result]
    return {
        "sites": sites,
        "totals": {
            "sites": len(sites),
            **{state: list(sites.values()).count(state) for state in _CAME_OUT},
            "sent_bytes": sum(one["sent_bytes"] for one in stats),
            "images": {name: sum(one["images"].get(name, 0) for one in stats) for name in states.BY_NAME},
        },
    }


def _row(host: str, result: Result | None, columns: t.Sequence[states.State]) -> list[str]:
    if not result or "stats" not in result:
        return [host, "FAILED"] + [""] * (len(columns) + 4)
    stats = result["stats"]
    images = stats["images"]
    return [
        host,
        _CAME_OUT[came_out(result)],
        *(str(images.get(state.name, 0)) for state in columns),
        size(stats["sent_bytes"]),
        size(stats["size"]),
        saved(stats),
        duration(stats["seconds"]),
    ]


def _reasons(results: t.Mapping[str, Result | None]) -> list[str]:
    """Return a line for each reason; a reason that many caching servers share is given once."""
    hosts: dict[str, list[str]] = {}
    for host, result in results.items():
        for one in [*(result or {}).get("images", ()), *(result or {}).get("files", ())]:
            state = states.BY_NAME[one["state"]]
            if state.explained:
                text = f"{state.column}: {one['path']}: {one['reason']}"
                hosts.setdefault(text, []).append(host)
        if result and result.get("behind"):
            hosts.setdefault(f"left for later: {result['behind']}", []).append(host)
        # A problem of a common source is given once, with its name.
        if result and "trouble" in result:
            hosts.setdefault(f"failed: {result['trouble']}", []).append(host)
    lines = [
        text if len(where) == len(results) else f"{text} ({', '.join(where)})" for text, where in sorted(hosts.items())
    ]
    for host, result in results.items():
        failures = [text.removeprefix(f"{host}: ") for text in (result or {}).get("failures", ())]
        if result and "trouble" in result:
            continue
        said = (result or {}).get("msg", "").removeprefix(f"{host}: ")
        # The first failure, possibly with the number of others; or else what ended the run before any result.
        if said and not any(said.startswith(text) for text in failures):
            failures.append(said)
        lines += [f"failed: {host}: {text}" for text in failures or ([] if result else ["it was never reached"])]
    return lines
