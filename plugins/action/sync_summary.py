# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shows the result of each caching server of the play, and passes the totals to whoever started the run.

The table goes through Display, line by line: in a result, Ansible's default callback would print it as one line, and so
does ansible-runner before 2.4.3, whatever ansible.cfg says.
"""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.netboot.syncer.plugins.module_utils import reporting
from ansible_collections.netboot.syncer.plugins.plugin_utils import outcomes
from ansible_collections.netboot.syncer.plugins.plugin_utils.sites import split

display = Display()

ARTIFACT = "netboot_sync_summary"


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible-core carries no types
    """Runs only on the control node, once for all hosts of the play."""

    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Show the table, and return the summary."""
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        variables = task_vars or {}
        try:
            split(self._task.args, frozenset())
        except ValueError as error:
            raise AnsibleActionFail(f"sync_summary: {error}") from error
        results = {host: _result_of(host, variables) for host in variables["ansible_play_hosts_all"]}
        display.display(reporting.table(results))
        summary = reporting.summary(results)
        # As set_stats does it: ansible-runner and AWX make artifacts of it.
        stats = {"data": {ARTIFACT: summary}, "per_host": False, "aggregate": True}
        failed = [host for host, word in summary["sites"].items() if word == reporting.FAILED]
        return {**result, "changed": False, "ansible_stats": stats, "failed_sites": failed, **summary}


def _result_of(host: str, variables: dict[str, t.Any]) -> t.Mapping[str, t.Any] | None:
    # The survey's findings are the same in the variables of all hosts; evaluating those of each takes far longer.
    if host in variables.get("netboot_sync_survey", {}).get("sites", {}):
        return outcomes.result_of(host, {"netboot_sync_survey": variables["netboot_sync_survey"]})
    return outcomes.result_of(host, variables["hostvars"].raw_get(host))
