# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes what sync_assets returned for each host to a file, so that tests and the demo can judge it."""

from __future__ import annotations

import json
import os
from typing import Any

from ansible.executor.stats import AggregateStats
from ansible.executor.task_result import CallbackTaskResult
from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: lab_results
type: aggregate
short_description: Writes what sync_assets returned for each host to a file
description:
  - Writes a JSON object with one result per inventory host to the file that the environment variable
    E(NETBOOT_LAB_RESULTS) names.
"""

ACTION = "netboot.syncer.sync_assets"


class CallbackModule(CallbackBase):  # type: ignore[misc]  # ansible-core carries no types
    """Collects during the run, writes at its end."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "lab_results"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        self.results: dict[str, Any] = {}

    def _collect(self, result: CallbackTaskResult) -> None:
        if result.task.resolved_action == ACTION:
            self.results[result.host.get_name()] = dict(result.result)

    def v2_runner_on_ok(self, result: CallbackTaskResult) -> None:
        """A host has finished."""
        self._collect(result)

    def v2_runner_on_failed(self, result: CallbackTaskResult, ignore_errors: bool = False) -> None:  # noqa: ARG002
        """A host failed; what it did before is in the result."""
        self._collect(result)

    def v2_playbook_on_stats(self, stats: AggregateStats) -> None:  # noqa: ARG002
        """The run is over."""
        with open(os.environ["NETBOOT_LAB_RESULTS"], "w", encoding="utf-8") as file:
            json.dump(self.results, file, indent=2)
