# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults in a run: what it trusts, retries, reports, and leaves behind."""

from __future__ import annotations

from ..mutant import Mutant
from .planning import MODEL

CHECK_MODE = "tests/integration/test_check_mode.py"
LINES = "tests/integration/test_lines.py"
REPORTING = "tests/unit/plugins/module_utils/test_reporting.py"

MUTANTS = (
    Mutant(
        "a leaf gets what its hub has at the beginning, and no more",
        old="if not at_work or not self._following.wait(self.source, self.options.rules, self._progress, owed=owed):",
        new="if True:",
        test="tests/hubs/test_following.py::test_leaves_have_an_image_as_soon_as_their_hub_has_it",
        sees=("LabError: what was to happen in the middle of it never did",),
    ),
    Mutant(
        "a leaf gets an image when its hub is through with all",
        old="coming = decide(at_work=at_work, news=_has_news(source, rules, seen), owed=owed)",
        new="coming = decide(at_work=at_work, news=not at_work and _has_news(source, rules, seen), owed=owed)",
        test="tests/hubs/test_following.py::test_leaves_have_an_image_as_soon_as_their_hub_has_it",
    ),
    Mutant(
        "a hub's run that has no fork is waited for",
        old="(seen.stage is Stage.UNKNOWN and expected and waited < STARTING)",
        new="(seen.stage is Stage.UNKNOWN and expected)",
        test="tests/unit/plugins/plugin_utils/test_hub_runs.py::test_who_is_followed[without a fork]",
    ),
    Mutant(
        "the closure is not looked at again before the marker",
        old="""
        for entry in step.entries:
            self._source.confirm(entry)
        """,
        new="""
        return NOTHING
        for entry in step.entries:
            self._source.confirm(entry)
        """,
        test=MODEL,
    ),
    Mutant(
        "a line that broke is not tried again",
        old="if not error.retry or tries > self.options.retries:",
        new="if True:",
        test=f"{LINES}::test_a_cut_line_is_tried_again_and_goes_on",
        sees=("ConnectionTrouble", "SyncError"),
    ),
    Mutant(
        "check mode writes",
        old="if not options.check_mode:",
        new="if True:",
        test=f"{CHECK_MODE}::test_writes_nothing_and_tells_all",
        sees=("SyncError", "FileNotFoundError"),
    ),
    Mutant(
        "what the line broke over counts as not done",
        old="if step.visible and error.in_doubt:",
        new="if False:",
        test="tests/integration/test_in_doubt.py::test_marker",
    ),
    Mutant(
        "what was there already is published under a new marker without being hashed",
        old="fresh = [entry for entry in entries if entry.kind == FILE and entry.path not in self.same]",
        new="fresh: list[Entry] = []",
        test="tests/integration/test_repair.py::test_damaged_kernel_that_is_there_gets_no_new_marker",
        sees=("LabError: one line was to tell what failed",),
    ),
    Mutant(
        "a withdrawal waits for the window",
        old='if not_now and unit.kind != "withdrawal":',
        new="if not_now:",
        test="tests/integration/test_limits.py::test_lost_image_is_withdrawn_in_a_window_of_0",
    ),
    Mutant(
        "a run whose controller is gone goes on",
        old="os.kill(os.getpid(), signal.SIGTERM)",
        new="pass",
        test="tests/faults/test_lifeline.py::test_controller_that_goes_away_ends_the_module_on_a_netboot_server_elsewhere",
        sees=("LabError: still running", "LabError: waited in vain"),
        within="lifeline",
    ),
    Mutant(
        "the state of a run is written through what lies there",
        old='new = f"{path}.new"',
        new="new = path",
        test="tests/unit/plugins/module_utils/test_progress.py::test_what_lies_there_is_not_written_through",
    ),
    Mutant(
        "progress is told by the first word of rsync, not the last",
        old="return int(found[-1].replace(",
        new="return int(found[0].replace(",
        test="tests/unit/plugins/module_utils/test_progress.py::test_position",
    ),
    Mutant(
        "the survey takes a site that is behind for one in line",
        old="return self._keep(run) if run.idle else None",
        new="return self._keep(run)",
        test="tests/integration/test_survey.py::test_who_is_behind_is_called_alone",
    ),
    Mutant(
        "the survey finds a site in line that lacks the rsync that it must have",
        old='look=session is not None and options.transport != "rsync",',
        new="look=session is not None,",
        test="tests/integration/test_look.py::test_where_rsync_is_a_must_a_run_says_that_it_is_missing",
    ),
    Mutant(
        "what a server said reaches the terminal as it is",
        old='return printable(f"{text.rstrip(' + "'.'" + ')}. {remedy}" if remedy else text)',
        new='return f"{text.rstrip(' + "'.'" + ')}. {remedy}" if remedy else text',
        test="tests/unit/plugins/module_utils/test_errors.py::test_line_is_plain_text_whatever_a_server_said",
    ),
)
