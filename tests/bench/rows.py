# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rows of the benchmark, in the order of its report."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from .bench import Bench
from .many_sites import fan_out, nothing_to_do, stalled_sites
from .memory import memory
from .one_site import cut_transfers, first_copy_fast, first_copy_slow, new_builds
from .replaced import replaced
from .results import Result
from .small_files import small_files

ROWS: dict[str, Callable[[Bench], Iterator[Result]]] = {
    "1": first_copy_fast,
    "2": first_copy_slow,
    "3": new_builds,
    "4": cut_transfers,
    "5": fan_out,
    "6": stalled_sites,
    "7": nothing_to_do,
    "8": memory,
    "9": small_files,
    "10": replaced,
}
