# Copyright: (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults in how a caching server is reached, and how bytes get there."""

from __future__ import annotations

from ..mutant import Mutant

KNOWN_HOSTS = "tests/integration/test_known_hosts.py"
LINES = "tests/integration/test_lines.py"

MUTANTS = (
    Mutant(
        "an unknown host key is taken for a known one",
        old='"true": _Strict',
        new='"true": paramiko.MissingHostKeyPolicy',
        test="tests/integration/test_access.py::test_unknown_and_changed_host_key",
        sees=("LabError: one line was to tell what failed",),
    ),
    Mutant(
        "a line of known_hosts that cannot be read spoils the others",
        old="with contextlib.suppress(Exception):  # paramiko has a kind for each way to spoil a line",
        new="if True:",
        test=f"{KNOWN_HOSTS}::test_line_that_cannot_be_read_is_skipped",
        sees=("InvalidHostKey",),
    ),
    Mutant(
        "rsync alone goes by other known hosts",
        old='return " ".join(shlex.quote(word) for word in ["ssh"] + self.ssh_options() + order)',
        new="""
        options = [o for o in self.ssh_options() if "HostsFile" not in o and "StrictHost" not in o]
        return " ".join(shlex.quote(word) for word in ["ssh", "-oStrictHostKeyChecking=no"] + options + order)
        """,
        test=f"{KNOWN_HOSTS}::test_rsync_goes_by_the_same_known_hosts",
    ),
    Mutant(
        "check mode learns a host key",
        old="if not self._write:",
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
        test=f"{LINES}::test_another_run_goes_on_where_one_was_cut",
    ),
    Mutant(
        "the basis is updated in place",
        old="return self._run(entry, has_basis), used",
        new="""
        if used:
            self._sftp.hard_link(f"{self._dest}/{used}", self._area.incoming(entry.path))
        command, self.command = self.command, lambda *given: ["rsync", "--inplace", *command(*given)[1:]]
        return self._run(entry, has_basis), used
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
        test=f"{LINES}::test_another_run_goes_on_where_one_was_cut",
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
)
