# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run left in the variables of its hosts: the result for each caching server, for table and summary."""

from __future__ import annotations

import typing as t

Variables = t.Mapping[str, t.Any]


def result_of(host: str, variables: Variables) -> t.Mapping[str, t.Any] | None:
    """Return the result of a caching server, from its variables; None if the play never got to it.

    The role leaves C(netboot_sync_result), the survey C(netboot_sync_survey) if there was nothing to do, and the
    preflight C(netboot_sync_sources).
    """
    found: t.Mapping[str, t.Any] | None = variables.get("netboot_sync_result")
    found = found or variables.get("netboot_sync_survey", {}).get("sites", {}).get(host)
    if found is not None:
        return found
    trouble = trouble_of(variables.get("netboot_sync_sources", {})).get(host)
    if trouble:
        return {"trouble": trouble}
    if "msg" in variables.get("ansible_failed_result", {}):
        # The role ended before its module was called, for example because of an invalid variable.
        return {"msg": " ".join(str(variables["ansible_failed_result"]["msg"]).split())}
    return None


def trouble_of(sources: t.Mapping[str, t.Any]) -> dict[str, str]:
    """Return why caching servers cannot be synced, by their names, from the check of each source."""
    found = {}
    for look in sources.get("results", ()):
        if "msg" in look:
            found.update(dict.fromkeys(look["item"]["sites"], str(look["msg"])))
    return found
