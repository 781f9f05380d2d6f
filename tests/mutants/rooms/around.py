# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults around the module: parameters, the gate, the role, the action plugins."""

from __future__ import annotations

from ..mutant import Mutant

GATE = "tests/integration/test_forced_command.py"

MUTANTS = (
    Mutant(
        "the whole disk may be the destination",
        old='posixpath.normpath(parameters["dest"]).strip("/") == "":',
        new='parameters["dest"] == "":',
        test="tests/unit/plugins/module_utils/run/test_target.py::test_dest_has_to_be_below_the_root",
    ),
    Mutant(
        "the gate shows more than the tree",
        old="--proc /proc --dev /dev --tmpfs /tmp",
        new="--proc /proc --dev /dev --ro-bind /tmp /tmp",
        test=f"{GATE}::test_sftp_sees_the_tree_and_nothing_else",
    ),
    Mutant(
        "the gate has a network",
        old="--unshare-all --die-with-parent",
        new="--unshare-all --share-net --die-with-parent",
        test=f"{GATE}::test_a_stolen_key_is_good_for_nothing_else",
    ),
    Mutant(
        "what runs behind the gate outlives its session",
        old="--unshare-all --die-with-parent",
        new="--unshare-all",
        test=f"{GATE}::test_nothing_of_a_session_outlives_it",
        sees=("TimeoutExpired",),
    ),
    Mutant(
        "a run begins with fewer forks than caching servers",
        old="if forks >= hosts or boolean(",
        new="if True or boolean(",
        test="tests/integration/test_sync.py::test_too_few_forks_are_refused_before_anything_is_sent",
    ),
    Mutant(
        "a task that is not to be logged shows its progress",
        old="or self._task.no_log",
        new="",
        test="tests/integration/test_progress.py::test_task_that_is_not_to_be_logged_says_nothing",
    ),
)
