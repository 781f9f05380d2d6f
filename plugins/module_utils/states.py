# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The states of images and files, and the words for them: in a result, in a line, in a table."""

from __future__ import annotations

import dataclasses

PUBLISHED = "published"
REPAIRED = "repaired"
WITHDRAWN = "withdrawn"
LEFT_OVER = "left_over"
FAILED = "failed"
HELD_BACK = "held_back"
UNCHANGED = "unchanged"


@dataclasses.dataclass(frozen=True)
class State:
    """The words for a state: ``done`` for a run, ``would`` for check mode, ``column`` in the table of a fleet.

    A ``rare`` state has a column only if something is in it; if ``explained``, each reason is given below the table.
    """

    name: str
    done: str
    would: str
    column: str
    rare: bool = False
    explained: bool = False


# In the order of a line, with the unchanged last.
IN_A_LINE = (
    State(PUBLISHED, "published", "to publish", "published"),
    State(REPAIRED, "repaired", "to repair", "repaired", rare=True),
    State(WITHDRAWN, "withdrawn", "to withdraw", "gone", rare=True),
    State(LEFT_OVER, "left over", "left over", "left over", rare=True, explained=True),
    State(FAILED, "failed", "impossible", "failed"),
    State(HELD_BACK, "held back", "held back", "held back", explained=True),
    State(UNCHANGED, "unchanged", "unchanged", "unchanged"),
)
_IN_A_TABLE = (PUBLISHED, REPAIRED, WITHDRAWN, UNCHANGED, HELD_BACK, LEFT_OVER, FAILED)

BY_NAME = {state.name: state for state in IN_A_LINE}
# In the order of a table's columns, with the failed last.
IN_A_TABLE = tuple(BY_NAME[name] for name in _IN_A_TABLE)
