# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known to be sent before the caching server is listed to the end, so that the login for it can begin.

Only plain files are foreseen: whether an image is sent also depends on what else is there.
"""

from __future__ import annotations

import typing as t

from ..assets.entries import Entry, Tree
from ..caching_server.folding import folded


def foreseen(files: t.Iterable[Entry], so_far: Tree, levels: int) -> list[Entry]:
    """Return which plain files are not on the caching server, of which so many ``levels`` are listed ``so_far``.

    One that may be there under another spelling is not among them.
    """
    there = {folded(path) for path in so_far}
    return [entry for entry in files if folded("/".join(entry.path.split("/", levels)[:levels])) not in there]
