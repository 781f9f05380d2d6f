# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller's part of sync_source: whether Ansible can run anything on the host at all."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible.plugins.action import ActionBase
from ansible_collections.netboot.syncer.plugins.plugin_utils import in_place, reach
from ansible_collections.netboot.syncer.plugins.plugin_utils.sites import split

in_place.warm_up()  # this is the first of them that the main process of a run loads


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible-core carries no types
    """Runs the module, and reports what prevents it from running in one line with the name of the host."""

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Return the module's result; a failure has only its message."""
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        variables = task_vars or {}
        name = str(self._task.delegate_to or variables.get("inventory_hostname", ""))
        try:
            given, _unused = split(self._task.args, frozenset(("src", "name", "rsync", "filled", "variables")))
        except ValueError as error:
            raise AnsibleActionFail(f"sync_source: {error}") from error
        given.setdefault("name", name)
        try:
            found = in_place.start(self, "sync_source", given, variables)()
        except AnsibleConnectionFailure as error:
            return {**result, "failed": True, "msg": f"{name}: {reach.no_connection(name, error)}"}
        if found.get("failed"):
            said = reach.no_module(found)
            msg = said if said.startswith(f"{name}: ") else f"{name}: {said}"
            return {**result, "failed": True, "msg": msg}
        return {**result, **found}
