# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller's part of assets_info: how to reach the caching server of the task."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.netboot.syncer.plugins.plugin_utils import ended, guardian
from ansible_collections.netboot.syncer.plugins.plugin_utils.sites import Sites, UnknownSite

guardian.begin()  # the main process of a run loads this as well, before its first worker does


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible-core carries no types
    """Passes the host's variables to the module, as the action plugin of sync_assets does."""

    _requires_connection = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Return the module's result."""
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        variables = task_vars or {}
        given = dict(self._task.args)
        prefix = str(given.pop("variables", None) or "")
        host = str(variables["inventory_hostname"])
        here = str(self._task.delegate_to or host)
        if prefix:
            sites = Sites(self._task, variables, self._loader, prefix)
            try:
                found = sites.look(host)
            except UnknownSite as error:
                raise AnsibleActionFail(str(error)) from error
            trouble = sites.source_trouble(found.source)
            if trouble:
                raise AnsibleActionFail(f"{host}: {trouble}")
            if found.source != here:
                raise AnsibleActionFail(
                    f"{host}: the task runs on {here}, but {prefix}source is {found.source}."
                    f" Set its delegate_to to that variable."
                )
            given = {**given, **found.options}
        answer = self._execute_module(module_name="netboot.syncer.assets_info", module_args=given, task_vars=variables)
        result.update(ended.told_in_words(answer, host=host, machine=here))
        return result
