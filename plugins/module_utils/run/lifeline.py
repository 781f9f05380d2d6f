# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ends a run that nobody waits for any more.

A module's standard output is a pipe that leads, over some connection, to the controller that started it. When the
controller dies, or the connection to it, the pipe loses its reader. Without this, the module would keep running, for
hours on a slow line, and hold the caching server's lock against the next run.

Not every program in between passes on that its own reader is gone: an ssh client, or a sudo that runs the module on its
own terminal, notices only when it has something to write. So the module writes an empty line now and then. Ansible
skips what comes before the result, which begins with an empty line anyway.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import signal
import threading
import time
import types
import typing as t

GRACE = 5.0  # seconds to release the lock and close the session, before the process ends in any case
_STANDARD_OUTPUT = 1
_LOOK = 1000  # milliseconds between two checks, so that the thread ends with the run
_BEAT = 2.0  # seconds between two empty lines


class Abandoned(BaseException):
    """Nobody waits for this run any more, or it was asked to end."""


class Lifeline:
    """Raises :class:`Abandoned` in the main thread at a signal to end, or when nobody reads our output any more.

    ``last`` is called before the process ends with the main thread still busy, such as on a stalled line.
    """

    def __init__(self, last: t.Callable[[], object] = lambda: None) -> None:
        self._last = last
        self._over = threading.Event()
        self._writing = threading.Lock()
        self._thread = threading.Thread(target=self._watch, name="lifeline", daemon=True)
        self._before: dict[signal.Signals, t.Any] = {}

    def __enter__(self) -> None:
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            if signal.getsignal(number) != signal.SIG_IGN:  # nohup means it
                self._before[number] = signal.signal(number, self._end)
        self._thread.start()

    def __exit__(self, *_unused: object) -> None:
        with self._writing:  # no empty line may get into the result
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
        with contextlib.suppress(Exception):
            self._last()
        os._exit(1)

    def _watch(self) -> None:
        poll = select.poll()
        poll.register(_STANDARD_OUTPUT, 0)  # these two are always told
        beaten = time.monotonic()
        while not self._over.is_set():
            # a pipe without a reader reports an error; a socket, such as sshd's, or a terminal, a hang-up
            gone = any(found & (select.POLLERR | select.POLLHUP) for _unused, found in poll.poll(_LOOK))
            if not gone and time.monotonic() - beaten >= _BEAT:
                beaten = time.monotonic()
                gone = not self._beat()
            if gone:
                os.kill(os.getpid(), signal.SIGTERM)
                return

    def _beat(self) -> bool:
        """Write an empty line; return whether somebody may still read it."""
        with self._writing:
            if not self._over.is_set():
                try:
                    os.write(_STANDARD_OUTPUT, b"\n")
                except OSError as error:
                    return error.errno not in (errno.EPIPE, errno.EIO)
        return True
