# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who started a run, for the history that the modules keep on the source."""

from __future__ import annotations

import getpass
import os
import secrets
import typing as t

_RUN = secrets.token_hex(6)  # created in the main process of a run, before its first worker


def started_by(variables: t.Mapping[str, t.Any], source: str) -> dict[str, str]:
    """Return it, from the variables of a task and the environment of the control node."""
    return {
        "user": _awx(variables, "user_name") or os.environ.get("SUDO_USER") or _login(),
        "job": _awx(variables, "job_id"),
        "run": _RUN,
        "source": source,
    }


def _awx(variables: t.Mapping[str, t.Any], name: str) -> str:
    """Return what AWX, or Tower before it, passes to each of its jobs."""
    return str(variables.get(f"awx_{name}") or variables.get(f"tower_{name}") or "")


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # an account without a name, as in a container
        return str(os.getuid())
