# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults in what is trusted and waited for: logins that print, hung disks, stolen keys, dead processes."""

from __future__ import annotations

from ..mutant import Mutant

LOGIN = "tests/integration/test_login_text.py"
GATE = "tests/integration/test_gate.py"
KILLED = "tests/faults/test_killed.py"
ANSIBLE = "tests/integration/test_in_ansible.py"

MUTANTS = (
    Mutant(
        "an answer of ours is not found behind a greeting",
        old=".strip() if mark else None",
        new=".strip() if mark and not before else None",
        test=f"{LOGIN}::test_text_of_the_login_is_ignored[no-newline]",
        sees=("ConnectionTrouble",),
    ),
    Mutant(
        "a shell is believed about files that SFTP does not show",
        old="""rmdir -- "$4" 2>/dev/null || { say elsewhere; exit 1; }""",
        new="""rmdir -- "$4" 2>/dev/null || :""",
        test=f"{LOGIN}::test_sftp_that_shows_other_files_than_the_shell[nas]",
        sees=("SyncError",),
    ),
    Mutant(
        "why there is no SFTP is not told in the server's words",
        old="errors = errors or self._refused_command()",
        new="pass",
        test=f"{LOGIN}::test_why_there_is_no_sftp_is_told_in_the_servers_words[expired-password]",
    ),
    Mutant(
        "a hash is given up while it comes further",
        old="moved, place, patience = time.monotonic(), int(told.group(1)), usual",
        new="place, patience = int(told.group(1)), usual",
        test="tests/faults/test_no_progress.py::test_hash_that_is_slow_is_waited_for[slow]",
        sees=("LabError", "ConnectionTrouble"),
    ),
    Mutant(
        "an answer is kept whatever its size",
        old="elif len(said[stream]) > size:",
        new="elif False:",
        test="tests/unit/plugins/module_utils/ssh/test_bounds.py::test_a_program_that_says_too_much_is_ended",
    ),
    Mutant(
        "a file system of its own is renamed into",
        old="if point.startswith(f\"{dest.rstrip('/')}/\"):",
        new="if False:",
        test="tests/integration/test_mounts.py::test_bind_mount_of_the_same_file_system",
        sees=("LabError",),
    ),
    Mutant(
        "check mode does not ask whether a directory can be written",
        old="if full in self._proven or self._can_write(full) is not False:",
        new="if True:",
        test="tests/integration/test_foretold.py::test_directory_of_somebody_else",
        sees=("LabError",),
    ),
    Mutant(
        "a stolen key makes a setuid program",
        old="--new-session --cap-drop ALL --seccomp 3",
        new="--new-session --cap-drop ALL",
        test=f"{GATE}::test_nor_by_sftp",
    ),
    Mutant(
        "a stolen key leaves hidden files behind",
        old='sandbox --ro-bind "$own/before" /tmp/before --chdir / -- sh -c "$NEW" gate',
        new=": ",
        test=f"{GATE}::test_hidden_names_do_not_stay[.bashrc]",
    ),
    Mutant(
        "a stolen key changes the hidden files that are there",
        old="""do [ -L "$name" ] || printf""",
        new="""do true || printf""",
        test=f"{GATE}::test_hidden_file_that_was_there_stays_as_it_is",
    ),
    Mutant(
        "a stolen key starts as many processes as it likes",
        old='prlimit --nproc="$PROCESSES" --as="$MEMORY"',
        new="prlimit",
        test=f"{GATE}::test_processes_and_memory_have_a_limit",
        sees=("TimeoutExpired",),
    ),
    Mutant(
        "the gate opens a home directory",
        old='"${real%/}"/*) refuse',
        new='"/nonexistent"/*) refuse',
        test=f"{GATE}::test_directory_that_is_or_holds_a_home_is_refused[sub/home]",
    ),
    Mutant(
        "a killed worker is waited for",
        old="if worker.ended_badly() and self._has_ended(worker):",
        new="if False:",
        test=f"{KILLED}::test_a_killed_worker_fails_its_host_alone",
        sees=("LabError", "TimeoutExpired"),
    ),
    Mutant(
        "what a killed worker had started works on",
        old="worker.end_what_it_started(signal.SIGKILL)",
        new="pass",
        test=f"{KILLED}::test_what_takes_no_notice_of_being_asked_to_end",
        sees=("LabError", "TimeoutExpired"),
    ),
    Mutant(
        "workers go on without the main process",
        old="self._prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)",
        new="pass",
        test=f"{KILLED}::test_no_task_of_another_kind_works_on_without_the_main_process",
        sees=("LabError", "TimeoutExpired"),
    ),
    Mutant(
        "a worker that has just begun goes on without the main process",
        old="signal.signal(signal.SIGTERM, signal.SIG_DFL)",
        new="pass",
        test="tests/unit/plugins/plugin_utils/test_guardian.py"
        "::test_a_worker_ends_if_the_main_process_was_killed_while_it_began",
    ),
    Mutant(
        "a killed module is told in Ansible's words",
        old='if not result.get("failed") or str(result.get("module_stdout", "something")).strip():',
        new="if True:",
        test=f"{KILLED}::test_a_killed_module_is_told_as_that",
    ),
    Mutant(
        "a module in a fork is its own reader",
        old="os.close(reading)  # or this would count as somebody who reads",
        new="pass",
        test="tests/unit/plugins/plugin_utils/test_in_place.py::test_a_module_ends_when_nobody_waits",
    ),
    Mutant(
        "a module of the control node does not become somebody else",
        old='if action._connection.transport != "local" or action._connection.become is not None:',
        new='if action._connection.transport != "local":',
        test="tests/playbooks/test_in_place.py::test_what_only_ansible_can_do_is_left_to_it[become]",
    ),
    Mutant(
        "what the netboot server lacks is told by each caching server",
        old="when: netboot_sync_sources.results | rejectattr('msg', 'defined') | length == 0",
        new="when: false",
        test="tests/integration/test_preflight.py::test_it_is_told_once_with_its_name_and_the_remedy",
    ),
    Mutant(
        "who has nothing to do is missing from the recap",
        old="statistics = guardian.current_strategy()._tqm._stats",
        new="return True",
        test=f"{ANSIBLE}::test_everybody_is_in_the_recap_and_the_statistics",
    ),
    Mutant(
        "who is in line is not in the statistics",
        old='stats = {"data": {ARTIFACT: summary}, "per_host": False, "aggregate": True}',
        new='stats = {"data": {}, "per_host": False, "aggregate": True}',
        test=f"{ANSIBLE}::test_each_outcome_is_counted",
        sees=("ValueError", "KeyError"),
    ),
    Mutant(
        "defaults of the group end the survey",
        old='unknown = given.keys() - own - options.keys() - _SET_HERE - {"variables"}',
        new="unknown = given.keys() - own",
        test=f"{ANSIBLE}::test_module_defaults_of_the_group[with-a-survey]",
    ),
)
