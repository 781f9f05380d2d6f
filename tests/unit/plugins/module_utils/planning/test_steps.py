# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each step says what it is about; results and the state of a run are built on that."""

from __future__ import annotations

import pytest
from ansible_collections.netboot.syncer.plugins.module_utils.assets.entries import FILE, SYMLINK, Entry
from ansible_collections.netboot.syncer.plugins.module_utils.planning import steps

A_FILE = Entry("prod/a", FILE)


@pytest.mark.parametrize(
    ("step", "name"),
    [
        pytest.param(steps.Withdraw(path="prod/a", image="prod/b", reason="gone"), "withdraw", id="withdraw"),
        pytest.param(steps.Send(A_FILE, basis="prod/b"), "send", id="send"),
        pytest.param(steps.Check(A_FILE), "check", id="check"),
        pytest.param(steps.Flush(A_FILE), "flush", id="flush"),
        pytest.param(steps.Publish(A_FILE), "publish", id="publish"),
        pytest.param(steps.Permit(A_FILE), "permit", id="permit"),
        pytest.param(steps.Confirm("prod/a", (Entry("prod/b", FILE),)), "confirm", id="confirm"),
        pytest.param(steps.Link(Entry("prod/a", SYMLINK, target="b")), "link", id="link"),
        pytest.param(steps.Remove("prod/a"), "remove", id="remove-file"),
        pytest.param(steps.Remove("prod/a", directory=True), "remove", id="remove-directory"),
    ],
)
def test_name_and_path(step: steps.Step, name: str) -> None:
    assert step.name == name
    assert step.path == "prod/a"
