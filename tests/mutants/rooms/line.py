# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults in how a caching server is reached, and how bytes get there."""

from __future__ import annotations

from ..mutant import Mutant

KNOWN_HOSTS = "tests/integration/test_known_hosts.py"
LINES = "tests/integration/test_lines.py"
SMALL = "tests/integration/test_small_files.py"

MUTANTS = (
    Mutant(
        "an unknown host key is taken for a known one",
        old='HOST_KEY_CHECKING = {"true": "yes",',
        new='HOST_KEY_CHECKING = {"true": "no",',
        test="tests/integration/test_access.py::test_unknown_and_changed_host_key",
        sees=("LabError: one line was to tell what failed",),
    ),
    Mutant(
        "a look from inside the process takes a key that known_hosts revoke",
        old='return any(line.lstrip()[:1] == b"@" for line in lines)',
        new="return False",
        test="tests/unit/plugins/module_utils/ssh/test_agrees.py::test_a_marker_in_known_hosts",
    ),
    Mutant(
        "OpenSSH is asked once for all hosts though its files tell them apart",
        old='return line.keyword == "hostname" or "%" in line.text',
        new='return "%" in line.text',
        test="tests/unit/plugins/module_utils/ssh/test_alike.py::test_each_is_asked_about[HostName 192.0.2.9]",
    ),
    Mutant(
        "a look from inside the process remembers known hosts that have changed since",
        old="found.append(_Seen(path, (about.st_ino, about.st_size, about.st_mtime_ns)))",
        new="found.append(_Seen(path))",
        test="tests/unit/plugins/module_utils/ssh/test_agrees.py::test_a_marker_that_comes_later",
    ),
    Mutant(
        "a line that breaks under SFTP is a defect of ours",
        old="self._session.require_line(error)\n                raise",
        new="raise",
        test="tests/contracts/test_transports.py::test_after_a_break_it_goes_on_where_it_ended[sftp]",
        sees=("EOFError", "OSError"),
    ),
    Mutant(
        "each transfer logs in",
        old="return Sent(self._run(entry, bool(partial_size or used)), basis if used else None)",
        new="""
        self._session.drop_bulk()
        return Sent(self._run(entry, bool(partial_size or used)), basis if used else None)
        """,
        test="tests/integration/test_logins.py::test_five_images_take_two_logins_and_nothing_to_do_takes_one",
    ),
    Mutant(
        "check mode learns a host key",
        old="if not self._remember:",
        new="if False:",
        test=f"{KNOWN_HOSTS}::test_check_mode_learns_nothing",
    ),
    Mutant(
        "rsync writes under the final name",
        old="""
        incoming = self._area.incoming(entry.path)
        arguments = ["rsync",
        """,
        new="""
        incoming = f"{self._dest}/{entry.path}"
        arguments = ["rsync",
        """,
        test=f"{LINES}::test_a_difference_goes_on_where_it_was_cut",
    ),
    Mutant(
        "a stream writes under the final name",
        old='command = receive(self._area.partial(entry.path) if start else "", self._area.incoming(entry.path))',
        new="""
        final = self._area.root.rpartition("/")[0] + "/" + entry.path
        command = receive(self._area.partial(entry.path) if start else "", final)
        """,
        test=f"{LINES}::test_another_run_goes_on_where_one_was_cut",
    ),
    Mutant(
        "a stream goes on behind whatever lies there",
        old="return partial_size if there == [self._source.digest_of_start(entry, partial_size)] else None",
        new="return partial_size",
        test=f"{LINES}::test_a_piece_of_something_else_is_no_beginning",
    ),
    Mutant(
        "small files are taken as they arrive",
        old="if digest is not None and there.get(str(number)) == digest:",
        new="if digest is not None:",
        test=f"{SMALL}::test_what_arrives_damaged_goes_once_more_by_itself",
    ),
    Mutant(
        "small files are seen before they are on disk",
        old="{ sync -f . 2>/dev/null || sync; } & flushing=$!",
        new=": & flushing=$!",
        test=f"{SMALL}::test_they_are_on_disk_before_they_are_seen",
        sees=("assert any(",),
    ),
    Mutant(
        "nobody waits until small files are on disk",
        old='wait "$flushing"',
        new=":",
        test=f"{SMALL}::test_where_not_all_is_on_disk_none_is_seen_together",
        sees=("assert together == []",),
    ),
    Mutant(
        "what became of the times of small files is judged by one whose time every file system keeps",
        old="one = next((entry for entry in wanted if entry.mtime % ROUNDING), *wanted[:1])",
        new="one = wanted[0]",
        test="tests/faults/test_strange_disks.py::"
        "test_small_files_that_go_together_show_as_the_netboot_server_has_them",
    ),
    Mutant(
        "what changed meanwhile goes with the other small files",
        old="same = [entry for entry in entries if self._is_same(entry)]",
        new="same = list(entries)",
        test=f"{SMALL}::test_a_file_that_changes_before_it_is_seen",
    ),
    Mutant(
        "small files of which nobody knows whether they are there count as not there",
        old="""
                    if error.in_doubt:
                        self._ledger.doubt(_last(unit), unit, self._visible.markers)
        """,
        new="""
                    if False:
                        self._ledger.doubt(_last(unit), unit, self._visible.markers)
        """,
        test=f"{SMALL}::test_what_is_in_doubt_is_told_as_what_it_came_to",
    ),
    Mutant(
        "a stream that ended early counts as whole",
        old="came = conversation.status == 0 and whole(answer)",
        new="came = True",
        test="tests/integration/test_disk_full.py::test_others_fill_the_disk_meanwhile",
    ),
    Mutant(
        "a transfer of which a process was killed here is taken for one that could not be written there",
        old="return status == 255 or status < 0 or status > 128",
        new="return status == 255",
        test="tests/faults/test_lifeline.py::test_a_relay_whose_end_the_caching_server_takes_for_the_end_of_the_file",
    ),
    Mutant(
        "the basis is updated in place",
        old="return Sent(self._run(entry, bool(partial_size or used)), basis if used else None)",
        new="""
        if used:
            self._sftp.hard_link(f"{self._dest}/{used}", self._area.incoming(entry.path))
        command, self.command = self.command, lambda *given: ["rsync", "--inplace", *command(*given)[1:]]
        return Sent(self._run(entry, bool(partial_size or used)), basis if used else None)
        """,
        test=f"{LINES}::test_second_build_goes_as_the_difference_to_the_first",
    ),
    Mutant(
        "rsync is given no basis",
        old='arguments += ["--no-whole-file", f"--compare-dest={BASIS}", f"--block-size={block_size(entry.size)}"]',
        new='arguments += ["--whole-file"]',
        test=f"{LINES}::test_second_build_goes_as_the_difference_to_the_first",
    ),
    Mutant(
        "rsync believes a piece of the same size and time",
        old='arguments = ["rsync", "--ignore-times", "--partial",',
        new='arguments = ["rsync", "--times", "--append", "--partial",',
        test=f"{LINES}::test_a_difference_goes_on_where_it_was_cut",
    ),
    Mutant(
        "an upload by SFTP begins anew after each cut",
        old="return max(size_there - 1, 0) // SEGMENT * SEGMENT",
        new="return 0",
        test=f"{LINES}::test_another_run_goes_on_where_one_was_cut",
    ),
    Mutant(
        "an answer of too few hashes is taken as it comes",
        old="if len(lines) != count:",
        new="if False:",
        test="tests/unit/plugins/module_utils/ssh/test_answers.py::test_any_answer_is_read_or_refused",
    ),
    Mutant(
        "the sockets of a run have their final name before they are locked",
        old="new = tempfile.mkdtemp(prefix=_NEW, dir=parent)",
        new="new = tempfile.mkdtemp(prefix=_PREFIX + 'x' * (len(_NEW) - len(_PREFIX)), dir=parent)",
        test="tests/integration/test_logins.py::test_sockets_of_a_run_that_begins_just_now_are_left_alone",
    ),
    Mutant(
        "every run that sends anything logs in for bulk",
        old="if (large or (together and self.takes_many)) and not self.throttle.why_not():",
        new="if entries:",
        test="tests/integration/test_logins.py::test_a_login_for_bulk_begins_early_and_only_where_it_is_wanted",
    ),
)
