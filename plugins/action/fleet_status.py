# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller's part of fleet_status: what each caching server of the play should hold."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.netboot.syncer.plugins.plugin_utils import ended, guardian, in_place
from ansible_collections.netboot.syncer.plugins.plugin_utils.sites import Sites, UnknownSite, split

guardian.begin()  # the main process of a run loads this as well, before its first worker does

OWN = frozenset(("sites", "variables", "previous", "wait_for", "share", "timeout", "every"))


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible-core carries no types
    """Works out how to reach each host of the play, and passes that to the module."""

    _requires_connection = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Return the module's result."""
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        variables = task_vars or {}
        try:
            given, common = split(self._task.args, OWN)
        except ValueError as error:
            raise AnsibleActionFail(f"fleet_status: {error}") from error
        if given.get("variables"):
            given["sites"] = self._sites(str(given["variables"]), variables)
        given["sites"] = [{**common, **one} for one in given.get("sites") or ()]
        found = in_place.start(self, "fleet_status", given, variables)()
        host = str(variables.get("inventory_hostname", ""))
        result.update(ended.told_in_words(found, host="fleet_status", machine=str(self._task.delegate_to or host)))
        return result

    def _sites(self, prefix: str, variables: dict[str, t.Any]) -> list[dict[str, t.Any]]:
        """Return the hosts of the play that are synced from where the task runs."""
        sites = Sites(self._task, variables, self._loader, prefix)
        here = self._task.delegate_to or variables["inventory_hostname"]
        found = []
        for host in variables["ansible_play_hosts_all"]:
            try:
                one = sites.look(host)
            except UnknownSite:
                continue  # sync.yml tells it
            if one.source == here and not sites.source_trouble(one.source):
                found.append({key: value for key, value in one.options.items() if value is not None})
        return found
