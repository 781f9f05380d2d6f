# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a module is asked to do, and what it answers, whoever calls it.

Ansible runs ``main`` of a module, which ends in :func:`perform_for`. On the control node, :mod:`plugin_utils.in_place`
calls :func:`answer` itself.
"""

from __future__ import annotations

import dataclasses
import typing as t


class Failed(Exception):
    """Ends a module, which failed; ``result`` is its result, with ``msg``."""

    def __init__(self, msg: str, **result: t.Any) -> None:
        super().__init__(msg)
        self.result: dict[str, t.Any] = {**result, "failed": True, "msg": msg}


@dataclasses.dataclass
class Call:
    """One call of a module, with its parameters checked.

    :ivar warnings: what users are to be told besides the result, a line each.
    """

    params: dict[str, t.Any]
    check_mode: bool = False
    diff: bool = False
    warnings: list[str] = dataclasses.field(default_factory=list)


Perform = t.Callable[[Call], dict[str, t.Any]]


def perform_for(module: t.Any, perform: Perform) -> None:
    """Do what an ``AnsibleModule`` was called for, and end the process with the result."""
    call = Call(module.params, module.check_mode, module._diff)
    result = answer(call, perform)
    for warning in call.warnings:
        module.warn(warning)
    (module.fail_json if result.pop("failed", False) else module.exit_json)(**result)


def answer(call: Call, perform: Perform) -> dict[str, t.Any]:
    """Return the result of a call; one that failed has ``failed``."""
    try:
        return perform(call)
    except Failed as failure:
        return failure.result
