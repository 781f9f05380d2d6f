# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults in the limits: rates, windows, shares of the uplink."""

from __future__ import annotations

from ..mutant import Mutant

BANDWIDTH = "tests/unit/plugins/module_utils/limits/test_bandwidth.py"
UNIT = "tests/unit/plugins/module_utils/limits"
LIMITS = "tests/integration/test_limits.py"

MUTANTS = (
    Mutant(
        "a rate is doubled",
        old='number / 8 if found.group(3) == "bit"',
        new='number / 4 if found.group(3) == "bit"',
        test=f"{BANDWIDTH}::test_parse_rate",
    ),
    Mutant(
        "a window over midnight is that of the day on which it ends",
        old="or (yesterday in self.days and second < self.end)",
        new="or (today in self.days and second < self.end)",
        test=f"{BANDWIDTH}::test_the_rate_at_a_time",
    ),
    Mutant(
        "what one site cannot use of the uplink is lost",
        old="left -= shares[name]",
        new="left -= equal",
        test=f"{BANDWIDTH}::test_fair_shares",
    ),
    Mutant(
        "the windows are in the time of the netboot server",
        old="return None if offset is None else datetime.timezone(datetime.timedelta(seconds=offset))",
        new="return own_zone()",
        test=f"{UNIT}/test_site_time.py::test_what_the_caching_server_tells",
    ),
    Mutant(
        "rsync's relay lets twice the rate through",
        old="self._balance -= cost(count)",
        new="self._balance -= cost(count) / 2",
        test=f"{UNIT}/test_relay.py::test_the_rate_is_kept",
    ),
    Mutant(
        "ssh goes on when the module is gone",
        old="""
        self._process.kill()
        self._over = True
        """,
        new="pass",
        test=f"{UNIT}/test_relay.py::test_the_end_of_the_module_ends_the_command",
        sees=("TimeoutExpired",),
        within="relay",
    ),
    Mutant(
        "a window of 0 does not end a transfer",
        old="""
        if rate == 0:
            self.require(path)
        """,
        new="rate = rate or None",
        test=f"{LIMITS}::test_a_window_of_0_ends_a_transfer_and_the_rest_is_left_for_later[sftp-line]",
        within="throttle",
    ),
    Mutant(
        "a dead transfer keeps its share of the uplink",
        old="fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)",
        new="raise BlockingIOError",
        test=f"{UNIT}/test_uplink.py::test_a_killed_process_counts_for_nothing",
        within="uplink",
    ),
    Mutant(
        "anybody may write where the transfers meet",
        old="if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:",
        new="if not stat.S_ISDIR(found.st_mode):",
        test=f"{LIMITS}::test_a_directory_of_somebody_else_is_refused",
        sees=("LabError: one line was to tell what failed",),
    ),
)
