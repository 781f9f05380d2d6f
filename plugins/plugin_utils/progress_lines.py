# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shows now and then what a run says of itself, beside whatever waits for its end."""

from __future__ import annotations

import contextvars
import json
import threading
import typing as t

from ansible_collections.netboot.syncer.plugins.module_utils import reporting

FIRST = 4.0  # seconds until the first look
WORTH = 3.0  # seconds that something must have taken before it is worth a line
LONGEST = 60.0  # seconds between two lines in a long transfer, unless the user wants more
LINES = 2.0  # per second, at most, of all hosts of a play together


def pause(interval: float, seconds: float, hosts: int) -> float:
    """Return the seconds until the next line of a host.

    At least ``interval``; longer in a transfer that has taken long already, of which a line says less and less; and
    longer where many hosts of a play may say something.
    """
    return max(interval, min(seconds / 20, LONGEST), hosts / LINES)


class ProgressLines:
    """Shows lines from the beginning to the end of a ``with`` block, in a thread of its own.

    Whatever goes wrong in here, the block does not notice.

    :param read: returns the state of the run as JSON; it may raise, or take its time.
    :param show: shows a line to the user.
    :param interval: seconds between two lines, at least.
    :param hosts: how many hosts of the play may say something.
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
        """Show a line, and return for how long that has been going on; None if there is nothing to tell yet."""
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
