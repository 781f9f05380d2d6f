# Copyright: (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ends a run that nobody waits for any more.

A module's standard output is a pipe that leads, over whatever connection, to the controller that asked for it. When the
controller dies, or the line to it does, the pipe loses its reader. Without this, the module would go on, for hours on a
slow line, and hold the lock of the caching server against the next run.
"""

from __future__ import annotations

import os
import select
import signal
import threading
import types
import typing as t

GRACE = 5.0  # seconds to give back the lock and close the session, before the process ends whatever it does
_STANDARD_OUTPUT = 1
_LOOK = 1000  # milliseconds between two looks, so that the thread ends with the run


class Abandoned(BaseException):
    """Nobody waits for this run, or somebody asked it to end."""


class Lifeline:
    """Raises :class:`Abandoned` in the main thread at a signal to end, or when nobody reads our output any more."""

    def __init__(self) -> None:
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="lifeline", daemon=True)
        self._before: dict[signal.Signals, t.Any] = {}

    def __enter__(self) -> None:
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            if signal.getsignal(number) != signal.SIG_IGN:  # nohup means it
                self._before[number] = signal.signal(number, self._end)
        self._thread.start()

    def __exit__(self, *_unused: object) -> None:
        self._over.set()
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _end(self, _number: int, _frame: types.FrameType | None) -> None:
        if not self._over.is_set():
            self._over.set()
            threading.Thread(target=self._insist, name="end", daemon=True).start()
            raise Abandoned

    def _insist(self) -> None:
        threading.Event().wait(GRACE)
        os._exit(1)

    def _watch(self) -> None:
        poll = select.poll()
        poll.register(_STANDARD_OUTPUT, 0)  # errors are always told
        while not self._over.is_set():
            if any(found & select.POLLERR for _unused, found in poll.poll(_LOOK)):
                os.kill(os.getpid(), signal.SIGTERM)
                return
