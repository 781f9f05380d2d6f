# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the modules report of a run, in the form of their documentation."""

from __future__ import annotations

import platform
import time
import typing as t

from . import reporting, states
from .errors import printable
from .history.log import Log, NotWritten
from .history.record import record
from .run.ledger import Outcome, describe
from .run.sync_run import SyncRun


def in_text(one: dict[str, t.Any]) -> dict[str, t.Any]:
    """Return a part of the result with file names in a form that is safe for JSON and a terminal."""
    return {key: printable(value) if isinstance(value, str) else value for key, value in one.items()}


def _described(outcomes: t.Mapping[str, Outcome], *, unchanged: bool) -> list[dict[str, t.Any]]:
    told = {path: one for path, one in outcomes.items() if unchanged or one.state != states.UNCHANGED}
    return [in_text(one) for one in describe(told)]


def result(run: SyncRun, seconds: float, *, check_mode: bool, unchanged: bool = True) -> dict[str, t.Any]:
    """Return the result of a run that took so many seconds; without ``unchanged``, nothing for what is in line."""
    counts: dict[str, int] = {}
    for outcome in run.images.values():
        counts[outcome.state] = counts.get(outcome.state, 0) + 1
    size = sum(action.get("bytes", 0) for action in run.actions)
    found: dict[str, t.Any] = {
        "changed": run.changed,
        "images": _described(run.images, unchanged=unchanged),
        "files": _described(run.files, unchanged=unchanged),
        "actions": [in_text(one) for one in run.actions],
        "failures": [printable(line) for line in run.failures],
        "left_for_later": run.left_for_later,
        "retried": [printable(line) for line in run.retried],
        "transport": run.transport,
        "server": run.offers,
        "stats": {
            "check_mode": check_mode,
            "sent_bytes": run.sent_bytes,
            "size": size,
            "saved_bytes": 0 if check_mode else max(size - run.sent_bytes, 0),
            "seconds": round(seconds, 3),
            "attempts": run.attempts,
            "images": counts,
        },
    }
    found["summary"] = reporting.line(found)
    return found


def keep(
    results: t.Mapping[str, t.Mapping[str, t.Any]],
    parameters: t.Mapping[str, t.Mapping[str, t.Any]],
    started_by: t.Mapping[str, t.Any] | None,
) -> list[str]:
    """Add runs to the history, and return what prevented that, a line each.

    :param results: of each caching server, by its name.
    :param parameters: those of the module for each of them.
    """
    by = started_by or {}
    lines: dict[str, list[bytes]] = {}
    for name, one in results.items():
        given = parameters[name]
        line = record(
            name,
            one,
            ended=time.time(),
            source=str(by.get("source") or platform.node()),
            started_by=by,
            parameters=given,
        )
        lines.setdefault(str(given.get("history") or ""), []).append(line)
    troubles = []
    for path, its in lines.items():
        log = Log(path)
        try:
            if log.wanted:
                log.add(its)
        except NotWritten as error:
            troubles.append(str(error))
    return troubles
