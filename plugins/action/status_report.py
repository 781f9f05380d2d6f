# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shows the state of the fleet, and builds the files about it."""

from __future__ import annotations

import json
import typing as t

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.netboot.syncer.plugins.plugin_utils import fleet_report, fleet_summary
from ansible_collections.netboot.syncer.plugins.plugin_utils.sites import Sites, UnknownSite, split

display = Display()

LIMIT = "netboot_status_behind_limit"


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible-core carries no types
    """Runs only on the control node, once for all hosts of the play."""

    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Show the table, and return the texts."""
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        try:
            given, _unused = split(self._task.args, frozenset(("looks", "page")))
        except ValueError as error:
            raise AnsibleActionFail(f"status_report: {error}") from error
        looks = given.get("looks")
        if not isinstance(looks, list):
            raise AnsibleActionFail("status_report: it takes looks, a list of results of fleet_status, and page")
        found = [one["status"] for one in looks if "status" in one]
        sites: dict[str, t.Any] = {}
        for one in found:
            sites.update(one["sites"])
        generated = max((str(one["generated"]) for one in found), default=None)
        if generated is None:
            return {**result, "failed": True, "msg": "nothing is known of any site"}
        status: dict[str, t.Any] = {"schema": 1, "generated": generated, "sites": dict(sorted(sites.items()))}
        limits = Sites(self._task, task_vars or {}, self._loader)
        for name, site in status["sites"].items():
            site["behind_limit"] = _limit(limits, name)
        for line in fleet_report.lines(status):
            display.display(line)
        text = json.dumps(status, indent=1)
        page = ""
        if given.get("page"):
            # "</script" ends a script anywhere, even inside a string.
            embedded = json.dumps(status, separators=(",", ":")).replace("<", "\\u003c")
            with open(self._find_needle("files", str(given["page"])), encoding="utf-8") as file:
                page = file.read().replace("@STATUS@", embedded)
        behind = [name for name, one in status["sites"].items() if one["state"] != "in_line"]
        return {
            **result,
            "changed": False,
            "json": f"{text}\n",
            "metrics": fleet_report.metrics(status),
            "page": page,
            "not_in_line": behind,
            "subject": fleet_summary.subject(status),
            "summary": fleet_summary.text(status),
            "troubles": [one.key for one in fleet_summary.findings(status)],
        }


def _limit(sites: Sites, name: str) -> int:
    """Return for how many seconds a site may be behind before an alert."""
    try:
        return int(sites.evaluate(name, [LIMIT]).get(LIMIT, 86400))
    except (UnknownSite, AttributeError, TypeError, ValueError):
        return 86400
