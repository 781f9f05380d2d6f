# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which small files are sent together."""

from __future__ import annotations

import dataclasses

import pytest
from ansible_collections.netboot.syncer.plugins.module_utils.assets.entries import FILE, Entry
from ansible_collections.netboot.syncer.plugins.module_utils.planning.batches import (
    FIRST_BYTES,
    MOST_BYTES,
    MOST_FILES,
    SECONDS,
    SMALL,
    Pace,
    in_batches,
)
from ansible_collections.netboot.syncer.plugins.module_utils.planning.steps import (
    Check,
    Confirm,
    Flush,
    Publish,
    Send,
    Unit,
    Withdraw,
)


def unit(name: str, size: int = 10, kind: str = "file") -> Unit:
    entry = Entry(name, FILE, size)
    return Unit(kind, name, (Send(entry), Check(entry), Flush(entry), Publish(entry)), "published")


def sizes(units: list[Unit], *, tries: int = 0) -> list[int]:
    found = list(in_batches(units, Pace(tries)))
    assert [one for batch in found for one in batch] == units  # all of them, in their order
    return [len(batch) for batch in found]


OTHERS = [
    unit("image", kind="image"),
    unit("large", SMALL + 1),
    dataclasses.replace(unit("waits"), after=("a.json",)),
    dataclasses.replace(unit("hides"), steps=(Withdraw("a.json", "a", "why"), *unit("hides").steps)),
    dataclasses.replace(unit("names"), steps=(Confirm("names", ()), *unit("names").steps)),
]


@pytest.mark.parametrize("other", OTHERS, ids=[one.path for one in OTHERS])
def test_what_promises_or_replaces_a_promise_goes_by_itself(other: Unit) -> None:
    assert sizes([unit("a"), unit("b", SMALL), other, unit("c"), unit("d")]) == [2, 1, 2]


def test_a_batch_has_an_end() -> None:
    assert sizes([unit(str(number)) for number in range(MOST_FILES + 1)]) == [MOST_FILES, 1]
    assert sizes([unit(str(number), SMALL) for number in range(FIRST_BYTES // SMALL + 1)]) == [FIRST_BYTES // SMALL, 1]


def test_on_a_line_that_breaks_batches_become_small() -> None:
    units = [unit(str(number), SMALL) for number in range(FIRST_BYTES // SMALL)]
    counts = [len(sizes(units, tries=tries)) for tries in range(4)]
    assert counts == [1, 8, 64, len(units)]
    assert sizes([], tries=3) == []


@pytest.mark.parametrize(
    ("seconds", "tries", "then"),
    [
        (0, 0, MOST_BYTES),
        (SECONDS / 2, 0, 2 * FIRST_BYTES),
        (SECONDS * 2, 0, FIRST_BYTES),
        (0, 1, MOST_BYTES // 8),
    ],
)
def test_the_next_batch_is_what_the_line_carries_in_some_seconds(seconds: float, tries: int, then: int) -> None:
    pace = Pace(tries)
    pace.note(FIRST_BYTES, seconds)
    assert pace.bytes == then


def test_how_much_goes_is_decided_after_the_batch_before() -> None:
    pace = Pace()
    batches = in_batches([unit(str(number), SMALL) for number in range(3 * FIRST_BYTES // SMALL)], pace)
    assert len(next(batches)) == FIRST_BYTES // SMALL
    pace.note(FIRST_BYTES, SECONDS / 2)
    assert len(next(batches)) == 2 * FIRST_BYTES // SMALL
