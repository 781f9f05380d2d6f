# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prints the progress of a run now and then, in parallel with whatever waits for its end."""

from __future__ import annotations

import contextvars
import json
import threading
import typing as t

from ansible_collections.netboot.syncer.plugins.module_utils import reporting

FIRST = 4.0  # seconds until the first check
WORTH = 3.0  # seconds before an activity is worth a line
LONGEST = 60.0  # seconds between two lines in a long transfer, unless the user wants more
LINES = 2.0  # per second, at most, of all hosts of a play together


def pause(interval: float, seconds: float, hosts: int) -> float:
    """Return the seconds until the next line of a host.

    At least ``interval``; longer in a long transfer, where lines say less and less; and longer if many hosts of a play
    print lines.
    """
    return max(interval, min(seconds / 20, LONGEST), hosts / LINES)


class ProgressLines:
    """Prints lines during a ``with`` block, in its own thread.

    Errors in here do not affect the block.

    :param read: returns the state of the run as JSON; it may raise, or be slow.
    :param show: shows a line to the user.
    :param interval: seconds between two lines, at least.
    :param hosts: how many hosts of the play may print lines.
    """

    def __init__(
        self,
        read: t.Callable[[], str],
        show: t.Callable[[str], None],
        *,
        host: str,
        interval: float,
        hosts: int = 1,
    ) -> None:
        self._read = read
        self._show = show
        self._host = host
        self._interval = interval
        self._hosts = hosts
        self._over = threading.Event()
        self._showing = threading.Lock()
        # What Ansible knows of the current task is bound to the context.
        context = contextvars.copy_context()
        self._thread = threading.Thread(target=context.run, args=(self._watch,), name="progress", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_unused: object) -> None:
        # A worker that ended in the middle of a line would leave the queue to the main process locked for all others.
        with self._showing:
            self._over.set()
        self._thread.join(1)

    def _watch(self) -> None:
        wait = FIRST
        while not self._over.wait(wait):
            wait = max(min(FIRST, self._interval), self._hosts / LINES / 2)
            seconds = self._tell()
            if seconds is not None:
                wait = pause(self._interval, seconds, self._hosts)

    def _tell(self) -> float | None:
        """Print a line, and return how long the activity has lasted; None if there is nothing to report yet."""
        try:
            state = json.loads(self._read())
            seconds = float(state["seconds"])
            line = reporting.progress(self._host, state)
            with self._showing:
                if seconds < WORTH or self._over.is_set():
                    return None
                self._show(line)
        except Exception:  # noqa: BLE001  # no state yet, or no way to it; a sync never ends over its progress
            return None
        return seconds
