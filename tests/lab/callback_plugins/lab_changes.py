# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes to a file which tasks changed something where, and their diffs.

The default callback's output does not show it: the diffs of a loop come without a host, after those of others.
"""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Mapping
from typing import Any

from ansible.executor.task_result import CallbackTaskResult
from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: lab_changes
type: aggregate
short_description: Writes which tasks changed something where, and the diffs that they show, to a file
description:
  - Appends a line of JSON for each change to the file that the environment variable E(NETBOOT_LAB_CHANGES) names.
"""


class CallbackModule(CallbackBase):  # type: ignore[misc]  # ansible-core carries no types
    """Writes each change as it happens, in a loop for each of its items."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "lab_changes"
    CALLBACK_NEEDS_ENABLED = True

    def _note(self, result: CallbackTaskResult, found: Mapping[str, Any], item: str = "") -> None:
        if not found.get("changed"):
            return
        change = {
            "task": result.task.get_name().strip(),
            "host": self.host_label(result),
            "item": item,
            # rendering one fills it in
            "diff": self._get_diff(copy.deepcopy(found["diff"])) if found.get("diff") else "",
        }
        with open(os.environ["NETBOOT_LAB_CHANGES"], "a", encoding="utf-8") as file:
            file.write(json.dumps(change) + "\n")

    def v2_runner_on_ok(self, result: CallbackTaskResult) -> None:
        """A task has finished; in a loop, each item was reported before."""
        if not (result.task.loop and "results" in result.result):
            self._note(result, result.result)

    def v2_runner_item_on_ok(self, result: CallbackTaskResult) -> None:
        """An item of a loop has finished."""
        self._note(result, result.result, str(self._get_item_label(result.result)))
