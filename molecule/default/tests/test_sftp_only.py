# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Some caching servers run no commands; otherwise the scenario would not show that a sync works without them."""

from __future__ import annotations

from testinfra.host import Host

testinfra_hosts = ["ansible://sftp_only"]


def test_no_command_runs(host: Host) -> None:
    answer = host.run("echo it ran")
    assert answer.failed
    assert "it ran" not in answer.stdout
