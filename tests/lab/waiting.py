# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting for what happens by itself, and doing something in the middle of it."""

from __future__ import annotations

import concurrent.futures
import contextlib
import threading
import time
from collections.abc import Callable, Iterator

from .process import LabError

PATIENCE = 180.0  # seconds before a test gives up waiting for anything


def wait_until(true: Callable[[], bool], what: str, *, patience: float = PATIENCE, every: float = 0.01) -> None:
    """Wait for a condition; times are in seconds. Raises LabError with *what* if it does not become true in time."""
    deadline = time.monotonic() + patience
    while not true():
        if time.monotonic() > deadline:
            raise LabError(f"waited in vain: {what}")
        time.sleep(every)


@contextlib.contextmanager
def meanwhile(when: Callable[[], bool], act: Callable[[], object]) -> Iterator[None]:
    """Do something once while the block runs, as soon as *when* is true. Raises LabError if it never was."""
    ended = threading.Event()

    def watch() -> bool:
        while not ended.is_set():
            if when():
                act()
                return True
            time.sleep(0.005)
        return False

    with concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="meanwhile") as pool:
        happened = pool.submit(watch)
        try:
            yield
        finally:
            ended.set()
    if not happened.result():
        raise LabError("what was to happen in the middle of it never did: it was over too soon")
