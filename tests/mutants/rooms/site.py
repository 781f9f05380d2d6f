# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults in what is done at a caching server: lock, work area, publishing, reading back."""

from __future__ import annotations

from ..mutant import Mutant

LOCKS = "tests/integration/test_locks.py"
POWER = "tests/integration/test_power_loss.py"

MUTANTS = (
    Mutant(
        "renames are not flushed to disk",
        old="self._sftp.flush(posixpath.dirname(self._full(path)))",
        new="pass",
        test=f"{POWER}::test_squashfs_and_its_directory_are_flushed_before_the_marker_appears",
    ),
    Mutant(
        "what SFTP alone delivered is not read back, though that was asked for",
        old="if not self.hashes and not read_back:",
        new="if not self.hashes:",
        test="tests/integration/test_repair.py::test_what_arrives_damaged_is_read_back_where_nothing_can_hash",
    ),
    Mutant(
        "a line without an answer is taken for damage",
        old="self._session.require_line(error)  # no answer is no difference",
        new="pass",
        test="tests/integration/test_no_answer.py::test_silence_is_a_broken_line_whatever_was_asked[content-line]",
    ),
    Mutant(
        "the reserve of the disk is used up",
        old="RESERVE = 64 * 1024 * 1024",
        new="RESERVE = 0",
        test="tests/integration/test_disk_full.py::test_what_does_not_fit_is_not_begun",
        sees=("LabError: one line was to tell what failed",),
    ),
    Mutant(
        "an empty piece of a killed run stands in the way for ever",
        old="if found.kind == FILE and 0 < found.size <= entry.size:",
        new="if found.kind == FILE and found.size <= entry.size:",
        test="tests/integration/test_work_area.py::test_piece_of_a_run_that_was_killed_at_once",
        sees=("ConnectionTrouble",),
    ),
    Mutant(
        "a directory is made that the web server may not enter",
        old="self._attributes.set_mode(self._full(above), DIRECTORY_MODE)",
        new="pass",
        test="tests/integration/test_access.py::test_web_server_may_enter_what_a_run_makes",
    ),
    Mutant(
        "the lock is not taken",
        old="1:) say busy; exit 1 ;;",
        new="1:) say locked ;;",
        test=f"{LOCKS}::test_second_run_says_who_holds_it",
        sees=("LabError: one line was to tell what failed",),
    ),
    Mutant(
        "a run whose lock was taken over goes on publishing",
        old="self._lock.require()",
        new="pass",
        test=f"{LOCKS}::test_run_whose_lease_was_taken_over_publishes_nothing_more",
        sees=("LabError: one line was to tell what failed",),
    ),
    Mutant(
        "the lease is not renewed",
        old="""
        self._beats += 1
        self._handle.write(0, self._content(self._beats))
        """,
        new="""
        self._beats += 1
        self._handle.write(0, self._content(1))
        """,
        test=f"{LOCKS}::test_lease_is_renewed_all_the_time",
        sees=("LabError: what was to happen in the middle of it never did",),
    ),
    Mutant(
        "a lease is taken over that its holder still keeps",
        old="time.monotonic() - seen_since > LEASE and",
        new="time.monotonic() - seen_since > 0 and",
        test=f"{LOCKS}::test_abandoned_lease_is_taken_over_but_not_early",
        sees=("LabError: one line was to tell what failed",),
    ),
    Mutant(
        "the lock is given back while its beat is under way",
        old="self._thread.join(BEAT + self._session.address.stall_timeout)",
        new="self._thread.join(2 * BEAT)",
        test=f"{LOCKS}::test_the_lock_is_given_back_once_its_last_beat_is_answered",
    ),
    Mutant(
        "the lock outlives the line of its holder",
        old="""while [ -n "$(timeout "$2" dd bs=1 count=1 2>/dev/null)" ]; do say held; done""",
        new="trap '' HUP PIPE; while :; do dd bs=1 count=1 >/dev/null 2>&1; say held 2>/dev/null; sleep 0.2; done",
        test=f"{LOCKS}::test_kernel_lock_ends_with_its_holder",
        sees=("LockHeld",),
    ),
    Mutant(
        "what arrived before a cut is thrown away",
        old="return {transfer_id(path) for path in unfinished} | {LOCK,",
        new="return {LOCK,",
        test="tests/integration/test_lines.py::test_what_arrived_outlives_runs_about_something_else",
    ),
    Mutant(
        "a predecessor is let go that a difference had begun with",
        old="kept = self._keep_basis(directory, found) if keep_basis else None",
        new="kept = None",
        test="tests/integration/test_lines.py::test_a_difference_goes_on_though_its_predecessor_was_removed",
    ),
    Mutant(
        "an upload goes on behind a piece of another content",
        old='return f"{self.directory(entry.path)}/{UPLOAD}{entry.size}-{entry.mtime}"',
        new='return f"{self.directory(entry.path)}/{UPLOAD}piece"',
        test="tests/integration/test_changing_source.py::test_piece_of_an_older_content_is_not_gone_on_from",
    ),
    Mutant(
        "an error is taken for absence",
        old="""
            found = translate(self._client.lstat, os.fsencode(path))
        except FileNotFoundError:
        """,
        new="""
            found = translate(self._client.lstat, os.fsencode(path))
        except Exception:
        """,
        test="tests/integration/test_no_answer.py::test_look_tells_a_directory_without_permission_from_absence",
    ),
    Mutant(
        "a symlink in the work area is followed",
        old="""
        if found.kind != DIRECTORY:
            self._warn(
        """,
        new="""
        if False:
            self._warn(
        """,
        test="tests/integration/test_work_area.py::test_directory_of_a_file_that_is_a_symlink",
        sees=("SyncError", "LabError: one line was to tell what failed"),
    ),
    Mutant(
        "the listing of a server that never ends is kept whole",
        old="if self._entries < 0 or self._names < 0:",
        new="if False:",
        test="tests/unit/plugins/module_utils/ssh/test_sftp.py::test_a_listing_has_a_bound",
    ),
    Mutant(
        "two names that are one there overwrite each other",
        old="if other and self._reading.look(path) is not None:",
        new="if False:",
        test="tests/faults/test_strange_disks.py::test_two_names_that_are_one_there",
    ),
    Mutant(
        "a file is removed as the old spelling of its own name",
        old="found, self.clashes = in_spelling_of(wanted, found, self.look)",
        new="pass",
        test="tests/faults/test_strange_disks.py::test_renamed_in_case_only",
    ),
    Mutant(
        "a time that the file system there rounds is another time each run",
        old="if near and kept.rounds:",
        new="if False:",
        test="tests/faults/test_strange_disks.py::test_second_run_has_nothing_to_do",
    ),
)
