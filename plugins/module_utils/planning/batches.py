# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which units go together: consecutive small plain files that promise nothing and replace no promise."""

from __future__ import annotations

import typing as t

from .steps import Check, Flush, Publish, Send, Unit

SMALL = 64 * 1024  # bytes of a file that goes with others
MOST_FILES = 20_000  # in one batch
FIRST_BYTES = 4 * 1024 * 1024  # in the first batch of a run
MOST_BYTES = 64 * 1024 * 1024  # in any batch
SECONDS = 10.0  # what a batch should take at most: what was sent of an interrupted one is lost
_SMALLER = 8  # per retry: on a bad line, batches are small
_STEPS = (Send, Check, Flush, Publish)


class Pace:
    """How much goes in one batch: little at first, then as much as the line carried in some seconds so far.

    Each batch costs some round trips, so that many small batches take longer on a fast line; and what was sent of an
    interrupted one is lost, so that a large one loses more on a slow line. ``tries`` is how often the connection was
    lost in this run.
    """

    def __init__(self, tries: int = 0) -> None:
        self._least = FIRST_BYTES // _SMALLER**tries
        self._most = MOST_BYTES // _SMALLER**tries
        self.bytes = self._least

    def note(self, count: int, seconds: float) -> None:
        """Record that sending a batch of so many bytes took so long."""
        possible = count / max(seconds, 0.001) * SECONDS
        self.bytes = int(min(max(possible, self._least), self._most))


def in_batches(units: t.Sequence[Unit], pace: Pace) -> t.Iterator[list[Unit]]:
    """Yield the units in order, grouping those that may go together, and each other one by itself.

    How much is in a batch is decided when the one before it has been taken and dealt with.
    """
    batch: list[Unit] = []
    size = 0
    for unit in units:
        small = _size_if_small(unit)
        if batch and (small is None or len(batch) == MOST_FILES or size + small > pace.bytes):
            yield batch
            batch, size = [], 0
        if small is None:
            yield [unit]
        else:
            batch.append(unit)
            size += small
    if batch:
        yield batch


def _size_if_small(unit: Unit) -> int | None:
    """Return the size of a unit's file in bytes, or None for a unit that goes individually."""
    if unit.kind != "file" or unit.after or tuple(map(type, unit.steps)) != _STEPS:
        return None
    send = unit.steps[0]
    return send.entry.size if isinstance(send, Send) and send.entry.size <= SMALL else None
