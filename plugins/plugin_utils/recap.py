# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts hosts that did nothing into the recap, where a task for each would cost a process for each."""

from __future__ import annotations

import contextlib

from . import guardian


def count(host: str) -> bool:
    """Count a host as ok if nothing is counted of it so far, and return whether the recap has it.

    That is possible in the main process alone, and only as long as ansible-core keeps its statistics where it does.
    """
    with contextlib.suppress(Exception):
        if guardian.is_main_process():
            statistics = guardian.current_strategy()._tqm._stats
            if host not in statistics.processed:
                statistics.increment("ok", host)
            return host in statistics.processed
    return False
