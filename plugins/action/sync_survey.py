# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller's part of sync_survey: what each caching server of the play should hold."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.netboot.syncer.plugins.plugin_utils import ended, guardian, in_place, starter
from ansible_collections.netboot.syncer.plugins.plugin_utils.sites import Sites, UnknownSite, split

guardian.begin()  # the main process of a run loads this as well, before its first worker does
in_place.warm_up()

OWN = frozenset(("sites", "site_variable", "source_variable", "variables"))


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible-core carries no types
    """Works out how each host of the play is synced, and passes that to the module.

    A task for each host would do the same, with a process for each: with fifty hosts that took longer than the survey
    itself.
    """

    _requires_connection = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Return the module's result."""
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        variables = task_vars or {}
        try:
            given, common = split(self._task.args, OWN)
        except ValueError as error:
            raise AnsibleActionFail(f"sync_survey: {error}") from error
        sites: t.Any
        if given.get("variables"):
            sites = self._by_prefix(str(given["variables"]), variables)
        elif given.get("site_variable"):
            sites = self._by_name(str(given["site_variable"]), given.get("source_variable"), variables)
        else:
            sites = given.get("sites")
        if isinstance(sites, list):
            # What a site does not set, or sets to null, comes from the task's own options.
            said = [{key: value for key, value in one.items() if value is not None} for one in sites]
            given = {"sites": [{**common, **one} for one in said]}
        host = str(variables.get("inventory_hostname", ""))
        given["started_by"] = starter.started_by(variables, str(self._task.delegate_to or host))
        found = in_place.start(self, "sync_survey", given, variables)()
        result.update(ended.told_in_words(found, host="survey", machine=str(self._task.delegate_to or host)))
        return result

    def _by_prefix(self, prefix: str, variables: dict[str, t.Any]) -> list[dict[str, t.Any]]:
        """Return the hosts of the play that are synced from where the task runs."""
        sites = Sites(self._task, variables, self._loader, prefix)
        here = self._task.delegate_to or variables["inventory_hostname"]
        found = []
        if here in variables["ansible_play_hosts"] and here in sites.fleet:
            return []  # a hub that is synced in this play: it still has to pass on what it gets now
        for host in variables["ansible_play_hosts"]:
            try:
                one = sites.look(host)
            except UnknownSite:
                continue  # reported when the host is synced, so that the others are not held up
            if one.source == here and not sites.source_trouble(one.source):
                found.append(one.options)
        return found

    def _by_name(self, site: str, source: str | None, variables: dict[str, t.Any]) -> list[t.Any]:
        """Return the value that a variable has for each host that is synced from where the task's own host is."""
        for name in (site, source):
            if name and name not in variables:
                raise AnsibleActionFail(f"sync_survey: there is no variable {name}")
        sites = Sites(self._task, variables, self._loader)
        wanted = [name for name in (site, source) if name]
        try:
            ours = sites.evaluate(variables["inventory_hostname"], wanted)
        except UnknownSite:
            return []
        found = []
        for host in variables["ansible_play_hosts"]:
            try:
                its = sites.evaluate(host, wanted)
            except UnknownSite:
                continue
            if source is None or its.get(source) == ours.get(source):
                found.append(its.get(site))
        return found
