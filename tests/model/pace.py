# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Holding a run at each point of its protocol, in a thread of its own."""

from __future__ import annotations

import threading

PATIENCE = 30.0  # seconds after which a step that does not end is a defect of the model


class Crashed(BaseException):
    """The run was killed where it was."""


class Pace:
    """Lets a thread go on from one point to the next, and no further."""

    def __init__(self) -> None:
        self._go = threading.Semaphore(0)
        self._there = threading.Semaphore(0)
        self._killed = False

    def point(self) -> None:
        """Called by the run: wait here until it may go on."""
        self._there.release()
        self._go.acquire()
        if self._killed:
            raise Crashed

    def end(self) -> None:
        """Called by the run: there are no more points."""
        self._there.release()

    def step(self, *, kill: bool = False) -> None:
        """Called by the observer: let the run go on to its next point, or kill it where it is."""
        self._killed = kill
        self._go.release()
        self.wait()

    def wait(self) -> None:
        """Wait until the run is at a point, or has ended."""
        if not self._there.acquire(timeout=PATIENCE):
            raise AssertionError("the run comes to no point")
