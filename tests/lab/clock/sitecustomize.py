# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Moves the clock of every Python that starts with this directory in PYTHONPATH, by NETBOOT_LAB_CLOCK seconds.

libfaketime does that for any program, but its clock_nanosleep refuses what Python 3.11 and later ask of it, so that no
``time.sleep`` works under it. Monotonic clocks stay as they are, and so do the times of files.
"""

from __future__ import annotations

import os
import time

_OFFSET = float(os.environ.get("NETBOOT_LAB_CLOCK", "0"))
_time, _time_ns = time.time, time.time_ns


def _moved() -> float:
    return _time() + _OFFSET


def _moved_ns() -> int:
    return _time_ns() + int(_OFFSET * 1_000_000_000)


time.time, time.time_ns = _moved, _moved_ns
