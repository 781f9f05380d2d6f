# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which units go together: consecutive small plain files that promise nothing and replace no promise."""

from __future__ import annotations

import typing as t

from .steps import Check, Flush, Publish, Send, Unit

SMALL = 64 * 1024  # bytes of a file that goes with others
MOST_FILES = 4000  # in one batch
MOST_BYTES = 12 * 1024 * 1024  # in one batch
_SMALLER = 8  # per retry: what was sent of an interrupted batch is lost, so batches are small on a bad line
_STEPS = (Send, Check, Flush, Publish)


def in_batches(units: t.Sequence[Unit], *, tries: int = 0) -> t.Iterator[list[Unit]]:
    """Yield the units in order, grouping those that may go together, and each other one by itself.

    ``tries`` is how often the connection was lost in this run.
    """
    most = MOST_BYTES // _SMALLER**tries
    batch: list[Unit] = []
    size = 0
    for unit in units:
        small = _size_if_small(unit)
        if batch and (small is None or len(batch) == MOST_FILES or size + small > most):
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
