# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A module's result if the module never produced one, in words for people."""

from __future__ import annotations

import signal
import typing as t

_NO_NEWS = ("module_stdout", "module_stderr", "exception", "stdout", "stderr", "stdout_lines", "stderr_lines")


def told_in_words(result: dict[str, t.Any], *, host: str, machine: str) -> dict[str, t.Any]:
    """Return a module's result, with one line instead of Ansible's words if the module was killed on *machine*.

    *host* is the host of the task.
    """
    if not result.get("failed") or str(result.get("module_stdout", "something")).strip():
        return result
    killed_by = _signal_of(result.get("rc"))
    if killed_by is None:
        return result
    told = {key: value for key, value in result.items() if key not in _NO_NEWS}
    told["msg"] = (
        f"{host}: the module ended without a result: killed ({killed_by})? Look at the kernel's log of {machine} "
        "(out of memory?), then run it again."
    )
    return told


def _signal_of(status: t.Any) -> str | None:
    """Return the name of the signal in an exit status, in Python's or a shell's notation."""
    if not isinstance(status, int):
        return None
    number = -status if status < 0 else status - 128
    try:
        return signal.Signals(number).name
    except ValueError:
        return None
