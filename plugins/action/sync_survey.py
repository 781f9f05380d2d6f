# Copyright: (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller's part of sync_survey: what each caching server of the play is to hold."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.plugins.action import ActionBase
from ansible.template import Templar
from ansible_collections.netboot.syncer.plugins.plugin_utils import ended, guardian

guardian.begin()  # the main process of a run loads this as well, before its first worker does


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible-core carries no types
    """Evaluates a variable for each host of the play, and hands the values to the module.

    A task for each host would do the same, with a process for each of them: with fifty hosts that took more time than
    to look at them.
    """

    _requires_connection = True
    _VALID_ARGS = frozenset(("sites", "site_variable", "source_variable"))

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Return the module's result."""
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        variables = task_vars or {}
        arguments = dict(self._task.args)
        site, source = arguments.pop("site_variable", None), arguments.pop("source_variable", None)
        if site:
            arguments["sites"] = self._sites(site, source, variables)
        found = self._execute_module(
            module_name="netboot.syncer.sync_survey", module_args=arguments, task_vars=variables
        )
        host = str(variables.get("inventory_hostname", ""))
        result.update(ended.told_in_words(found, host="survey", machine=str(self._task.delegate_to or host)))
        return result

    def _sites(self, site: str, source: str | None, variables: dict[str, t.Any]) -> list[t.Any]:
        for name in (site, source):
            if name and name not in variables:
                raise AnsibleActionFail(f"sync_survey: there is no variable {name}")
        try:
            ours = self._evaluate(source, variables) if source else None
        except AnsibleError:
            return []  # as below: this host is told so where it is synced, and the others are not held up
        sites = []
        for host in variables["ansible_play_hosts"]:
            its = self._variables_of(host, variables["hostvars"])
            try:
                if source is None or self._evaluate(source, its) == ours:
                    sites.append(self._evaluate(site, its))
            except AnsibleError:
                continue  # what cannot be evaluated is told where it is used, for this host alone
        return sites

    def _variables_of(self, host: str, hostvars: t.Any) -> dict[str, t.Any]:
        """Return all variables of a host of the play, as a task for it would see them."""
        found: dict[str, t.Any] = hostvars._variable_manager.get_vars(
            play=self._task.play, host=hostvars._inventory.get_host(host), task=self._task
        )
        return found

    def _evaluate(self, name: str, variables: dict[str, t.Any]) -> t.Any:
        return Templar(loader=self._loader, variables=variables).template(variables[name])
