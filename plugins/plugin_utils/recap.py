# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts hosts that did nothing into the recap, where a task for each would cost a process for each."""

from __future__ import annotations

import contextlib
import typing as t

from . import guardian


def count(hosts: t.Iterable[str]) -> bool:
    """Count each host as ok if nothing is counted of it so far, and return whether the recap has all of them.

    That is possible in the main process alone, and only as long as ansible-core keeps its statistics where it does.
    """
    with contextlib.suppress(Exception):
        if guardian.is_main_process():
            statistics = guardian.current_strategy()._tqm._stats
            for host in hosts:
                if host not in statistics.processed:
                    statistics.increment("ok", host)
            return all(host in statistics.processed for host in hosts)
    return False
