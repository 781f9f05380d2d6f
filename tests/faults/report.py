# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table at the end, and the figures for ``--json``."""

from __future__ import annotations

import collections
import dataclasses
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .faults import FAULTS
from .rounds import Round


@dataclasses.dataclass(frozen=True)
class Figures:
    """What the machines at all sites did, and how long it took."""

    seed: str
    lanes: int
    planned: int
    seconds: float
    polls: int
    polls_visible: int
    checks: int
    unanswered: int
    changes: int
    late_violations: Sequence[str]
    trouble: Sequence[str]


def good(rounds: Sequence[Round], figures: Figures) -> bool:
    """Whether every planned round was played, and nothing went wrong."""
    clean = not figures.trouble and not figures.late_violations and len(rounds) == figures.planned
    return clean and all(one.good for one in rounds)


def outcome(words: str) -> str:
    """The kind of a run's report, without names and numbers, for counting."""
    for pattern, kind in (
        (r"^ok$", "ok"),
        (r"^ended by signal", "killed"),
        (r"not enough space|disk .* full", "disk full"),
        (r"another run is working", "lock held"),
        (r"lock (was|cannot)", "lock lost"),
        (r"did not answer|cannot be reached|refused the connection|no SSH session", "no connection"),
        (r"connection broke|transfer broke", "line broke"),
        (r"vanished|changed on the netboot", "source changed"),
        (r"rsync was ended by signal", "rsync killed"),
        (r"did not arrive whole|what arrived is not", "not whole"),
    ):
        if re.search(pattern, words):
            return kind
    return "other"


def line_of(played: Round, count: int, planned: int) -> str:
    """One round on a line, for the progress output."""
    state = "in line" if played.good else "WRONG"
    late = f", {played.too_late} too late" if played.too_late else ""
    struck = "struck" if played.struck else "did not strike"
    head = f"{count:4}/{planned} #{played.number} {played.lane} {played.fault} {struck} at {played.moment}{late}"
    text = f"{head}; {played.job} by {played.runner}: {played.run[:90]}; then {state} ({played.seconds:.1f} s)"
    wrong = [*played.problems, *played.violations, *([played.left_after_kill] if played.left_after_kill else [])]
    return "\n".join([text, *(f"       ! {one}" for one in wrong)])


def table(rounds: Sequence[Round]) -> str:
    """The table of results by fault."""
    head = ("fault", "struck", "too late", "what the run reported", "in line after", "sent / needed")
    rows = [head]
    for name in FAULTS:
        mine = [one for one in rounds if one.fault == name]
        if not mine:
            continue
        struck = [one for one in mine if one.struck]
        reports = collections.Counter(outcome(one.run) for one in struck)
        said = ", ".join(f"{kind} {count}" for kind, count in reports.most_common())
        in_line = sum(one.in_line for one in struck)
        needed = sum(one.fresh_bytes for one in struck)
        ratio = f"{sum(one.line_bytes for one in struck) / needed:.2f}" if needed else ""
        late = sum(one.too_late for one in mine) + sum(not one.struck for one in mine)
        rows.append((name, str(len(struck)), str(late), said, f"{in_line} of {len(struck)}", ratio))
    struck_all = [one for one in rounds if one.struck]
    rows.append(
        (
            "all",
            str(len(struck_all)),
            str(sum(int(row[2]) for row in rows[1:])),
            "",
            f"{sum(one.in_line for one in struck_all)} of {len(struck_all)}",
            "",
        )
    )
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([lines[0], "-" * sum(widths), *lines[1:]])


def summary(rounds: Sequence[Round], figures: Figures) -> str:
    """The whole report at the end."""
    wrong = [one for one in sorted(rounds, key=lambda one: one.number) if not one.good]
    violations = [f"#{one.number} {text}" for one in rounds for text in one.violations]
    violations += list(figures.late_violations)
    lines = [
        "",
        table(rounds),
        "",
        f"{figures.polls} polls of {figures.lanes} caching servers in {figures.seconds:.0f} s: {figures.polls_visible}"
        f" found a marker, {figures.checks} fetched and hashed all that it promises, {figures.unanswered} met a server"
        f" that was off. {figures.changes} changes of the trees were seen by the kernel's own report.",
        f"{len(violations)} violations; {sum(one.struck for one in rounds)} faults struck in {len(rounds)} rounds,"
        f" {len(wrong)} of them went wrong.",
    ]
    lines += [f"  violation: {text}" for text in violations]
    for one in wrong:
        lines.append(f"  round {one.number} ({one.fault}, {one.job}, {one.lane}): recovery: {one.recovery}")
        lines += [f"    {text}" for text in [*one.problems, one.left_after_kill] if text]
    lines += [f"  the laboratory itself: {text}" for text in figures.trouble]
    lines.append(f"Seed {figures.seed}: give it with --seed to play the same rounds again.")
    return "\n".join(lines)


def write_json(path: Path, rounds: Sequence[Round], figures: Figures) -> None:
    """Write everything as JSON."""
    by_fault: dict[str, Any] = {}
    for name in FAULTS:
        struck = [one for one in rounds if one.fault == name and one.struck]
        if struck:
            by_fault[name] = {
                "about": FAULTS[name].about,
                "struck": len(struck),
                "too_late": sum(one.too_late for one in rounds if one.fault == name),
                "in_line": sum(one.in_line for one in struck),
                "reports": dict(collections.Counter(outcome(one.run) for one in struck)),
                "line_bytes": sum(one.line_bytes for one in struck),
                "fresh_bytes": sum(one.fresh_bytes for one in struck),
            }
    data = {
        "good": good(rounds, figures),
        "figures": dataclasses.asdict(figures),
        "faults_struck": sum(one.struck for one in rounds),
        "violations": sum(len(one.violations) for one in rounds) + len(figures.late_violations),
        "failed_recoveries": sum(one.struck and not one.in_line for one in rounds),
        "by_fault": by_fault,
        "rounds": [dataclasses.asdict(one) for one in sorted(rounds, key=lambda one: one.number)],
    }
    path.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
