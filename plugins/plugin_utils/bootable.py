# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""In one line: what the clients of a caching server can boot after a sync, and what did not have to be sent."""

from __future__ import annotations

import typing as t

from ansible_collections.netboot.syncer.plugins.module_utils.reporting import size as size_in_words

SERVED = ("published", "unchanged", "repaired", "left_over")
MOST = 5  # images named; beyond that, only the number


def line(name: str, result: t.Mapping[str, t.Any] | None, *, check: bool = False) -> str:
    """Return the line.

    :arg result: what sync_assets returned, or a survey; None if nothing was synced.
    """
    if result is None:
        would = "would be prepared, and then be sent all that it lacks" if check else "was not synced"
        return f"{name}: {would}"
    images = [image for image in result.get("images", ()) if image.get("state") in SERVED]
    paths = [str(image["path"]) for image in images]
    named = ", ".join(paths[:MOST])
    if len(paths) > MOST:
        named += f" and {len(paths) - MOST} more"
    can = "could" if check else "can"
    said = f"{name}: clients {can} boot {named}" if named else f"{name}: clients {can} boot nothing from here yet"
    sent = sum(int(image.get("sent_bytes") or 0) for image in images)
    spared = max(0, sum(int(image.get("size") or 0) for image in images) - sent)
    if spared:
        said += f"; {size_in_words(spared)} of that did not have to be sent"
    return said
