# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a killed module is reported, and which failures keep Ansible's own message."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.netboot.syncer.plugins.plugin_utils.ended import told_in_words

# as ansible-core 2.19 returns it
NOTHING_CAME: dict[str, Any] = {
    "failed": True,
    "msg": "Module result deserialization failed.\nNo start of json char found",
    "exception": "(traceback unavailable)",
    "module_stdout": "\n\n",
    "module_stderr": "Killed\n",
    "rc": 137,
}


@pytest.mark.parametrize(
    ("status", "name"),
    [
        pytest.param(137, "SIGKILL", id="told-by-a-shell"),
        pytest.param(-9, "SIGKILL", id="told-by-the-kernel"),
        pytest.param(139, "SIGSEGV", id="crashed"),
    ],
)
def test_killed(status: int, name: str) -> None:
    found = told_in_words({**NOTHING_CAME, "rc": status}, host="site-a", machine="netboot-1")
    assert found["failed"]
    assert found["msg"] == (
        f"site-a: the module ended without a result: killed ({name})? Look at the kernel's log of netboot-1 "
        "(out of memory?), then run it again."
    )
    assert found.keys() <= {"failed", "msg", "rc"}


@pytest.mark.parametrize(
    "result",
    [
        pytest.param({"changed": True}, id="went-well"),
        pytest.param({"failed": True, "msg": "site-a: the disk is full"}, id="the-module-s-own-failure"),
        pytest.param({**NOTHING_CAME, "rc": 1, "module_stderr": "SyntaxError"}, id="could-not-start"),
        pytest.param({**NOTHING_CAME, "rc": 127}, id="no-interpreter"),
        pytest.param({**NOTHING_CAME, "rc": 255}, id="no-signal-has-that-number"),
        pytest.param({**NOTHING_CAME, "module_stdout": "Segmentation fault"}, id="it-said-something"),
        pytest.param({"failed": True, "module_stdout": "", "msg": "x"}, id="no-status"),
    ],
)
def test_everything_else_is_left_as_it_is(result: dict[str, Any]) -> None:
    assert told_in_words(dict(result), host="site-a", machine="netboot-1") == result
