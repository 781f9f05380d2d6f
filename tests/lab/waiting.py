# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting for what happens by itself, and doing something in the middle of it."""

from __future__ import annotations

import abc
import concurrent.futures
import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import ClassVar, Self

from .process import LabError

PATIENCE = 180.0  # seconds before a test gives up waiting for anything


def wait_until(true: Callable[[], bool], what: str, *, patience: float = PATIENCE, every: float = 0.01) -> None:
    """Wait for a condition; times are in seconds. Raises LabError with *what* if it does not become true in time."""
    deadline = time.monotonic() + patience
    while not true():
        if time.monotonic() > deadline:
            raise LabError(f"waited in vain: {what}")
        time.sleep(every)


class Poller(abc.ABC):
    """Looks at something every few seconds while the block runs, in a thread of its own.

    :cvar every: seconds between two looks.
    """

    every: ClassVar[float]

    def __init__(self) -> None:
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name=type(self).__name__, daemon=True)

    @abc.abstractmethod
    def look(self) -> None:
        """Look once."""

    def _run(self) -> None:
        while not self._over.wait(self.every):
            self.look()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_about: object) -> None:
        self._over.set()
        self._thread.join()


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
