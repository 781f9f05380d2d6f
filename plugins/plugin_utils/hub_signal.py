# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tells a run that sends from a hub, on another machine, how long the hub's own run is active."""

from __future__ import annotations

import contextvars
import itertools
import threading
import time
import typing as t

from ansible_collections.netboot.syncer.plugins.module_utils.run.following import AT_WORK, OVER

from .hub_runs import Seen, is_followed

BEAT = 10.0  # seconds between two signals
LOOK = 0.5  # seconds between two checks of the hub's run


class HubSignal:
    """Writes to a file on the hub during a ``with`` block, in its own thread.

    Errors in here do not affect the block: a run that hears nothing any more continues without.

    :param look: returns the state of the hub's run.
    :param write: writes a text to the file; it may raise, or be slow.
    :param expected: whether a run for the hub belongs to this play.
    """

    def __init__(
        self,
        look: t.Callable[[], Seen],
        write: t.Callable[[str], object],
        *,
        expected: bool,
        beat: float = BEAT,
    ) -> None:
        self._look = look
        self._write = write
        self._expected = expected
        self._beat = beat
        self._over = threading.Event()
        self._started = time.monotonic()
        # What Ansible knows of the current task is bound to the context.
        context = contextvars.copy_context()
        self._thread = threading.Thread(target=context.run, args=(self._watch,), name="hub", daemon=True)

    @property
    def _followed(self) -> bool:
        return is_followed(self._look(), expected=self._expected, waited=time.monotonic() - self._started)

    def __enter__(self) -> None:
        if not self._told(f"{AT_WORK} 0"):  # before anybody reads it
            return
        self._thread.start()

    def __exit__(self, *_unused: object) -> None:
        self._over.set()
        if self._thread.is_alive():
            self._thread.join(1)

    def _watch(self) -> None:
        for number in itertools.count(1):
            due = time.monotonic() + self._beat
            while self._followed:
                if self._over.wait(LOOK):
                    return
                if time.monotonic() >= due:
                    break
            else:
                # If that does not arrive, the effect is the same as silence.
                while not self._told(OVER) and not self._over.wait(LOOK):
                    pass
                return
            self._told(f"{AT_WORK} {number}")

    def _told(self, text: str) -> bool:
        try:
            self._write(text)
        except Exception:  # noqa: BLE001  # no way to the hub just now
            return False
        return True
