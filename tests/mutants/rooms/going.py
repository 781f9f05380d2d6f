# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults in how things leave a caching server: withdrawing by name, removing, replacing."""

from __future__ import annotations

from ..mutant import Mutant

WITHDRAW = "tests/integration/test_withdraw.py"

MUTANTS = (
    Mutant(
        "a leaf is not told what was withdrawn by name",
        old='options["withdrawn"] = withdrawn',
        new="pass",
        test="tests/hubs/test_withdrawing.py::test_a_hub_that_still_has_it_gives_it_to_nobody",
    ),
    Mutant(
        "a withdrawal is taken for undone, since the hub has no record of it",
        old="""
        if marker in self._withdrawn:
            return True
        """,
        new="pass",
        test="tests/hubs/test_withdrawing.py::test_leaves_that_were_away_follow_at_their_next_sync",
    ),
    Mutant(
        "what was withdrawn by name stays visible",
        old="""
        withdrawals.by_name(draft)
        withdrawals.broken(draft)
        """,
        new="withdrawals.broken(draft)",
        test=f"{WITHDRAW}::test_every_run_withdraws_it",
    ),
    Mutant(
        "a withdrawal by name waits for the lock",
        old="""
        if not self._options.withdraw:
            self._progress.enter(phases.LOCKING)
        """,
        new="""
        if True:
            self._progress.enter(phases.LOCKING)
        """,
        test=f"{WITHDRAW}::test_withdrawal_waits_for_nothing",
        sees=("LockHeld",),
    ),
    Mutant(
        "a marker that goes while it is put up stays up",
        old="return self._source.still_lacks(marker)",
        new="return False",
        test=f"{WITHDRAW}::test_marker_that_goes_while_it_is_put_up_is_taken_down",
    ),
    Mutant(
        "what came back on the netboot server is removed",
        old="if isinstance(premise, Gone) and not self._source.still_lacks(premise.path):",
        new="if False:",
        test=f"{WITHDRAW}::test_what_comes_back_meanwhile_is_not_removed",
    ),
    Mutant(
        "an empty mount point on the netboot server has removed what was mounted there",
        old="if listed is not None and (now is None or now.identity[:2] != listed.identity[:2]):",
        new="if False:",
        test=f"{WITHDRAW}::test_directory_that_is_no_longer_mounted_removes_nothing",
    ),
    Mutant(
        "what was put back in the middle of a run is withdrawn all the same",
        old="if isinstance(premise, SetAside) and not any(map(self._source.still_withdrawn, premise.markers)):",
        new="if False:",
        test=f"{WITHDRAW}::test_undo_in_the_middle_keeps_the_image",
    ),
    Mutant(
        "the squashfs is removed under those who boot from it",
        old="""
        if not grace:
            return False
        """,
        new="return False",
        test=f"{WITHDRAW}::test_delete_waits_for_those_who_boot",
    ),
    Mutant(
        "what is left over is told as in line",
        old="left_over=draft.left_over,",
        new="",
        test=f"{WITHDRAW}::test_left_over_is_a_state_of_its_own",
    ),
    Mutant(
        "a time that may be rounded is taken for the same",
        old="""
        if hashes:
            self.rounded.add(entry.path)
        """,
        new="""
        if False:
            self.rounded.add(entry.path)
        """,
        test="tests/faults/test_strange_disks.py::test_another_content_within_a_step_of_time_is_seen",
    ),
    Mutant(
        "what is there under another time is sent again",
        old="return entry.size == there.size and entry.mtime != there.mtime",
        new="return False",
        test="tests/faults/test_strange_disks.py::test_times_that_are_kept_are_not_taken_for_rounded",
    ),
)
