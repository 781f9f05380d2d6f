# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run is doing, in a small file that others may read.

A module cannot print anything before its end. So a run writes its state to a file, about once a second, for whoever
started it to read. Nothing depends on it: if the file cannot be written, the run continues without it.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import json
import os
import re
import threading
import time

from .errors import printable

# Phases of a run. reporting.py has their names for people.
READING = "reading"
LOCKING = "locking"
COMPARING = "comparing"
SENDING = "sending"
CHECKING = "checking"
FLUSHING = "flushing"
PUBLISHING = "publishing"
REMOVING = "removing"
RETRYING = "retrying"
FOLLOWING = "following"

EVERY = 1.0  # seconds between two checks of the state
WINDOW = 15.0  # seconds over which a rate is measured
_POSITION = re.compile(rb"\r *([0-9][0-9,]{0,24}) +[0-9]{1,3}%")


@dataclasses.dataclass
class Doing:
    """One activity of a run: ``position`` of ``size`` bytes are done, for ``sent`` bytes on the line."""

    phase: str
    path: str = ""
    size: int = 0
    position: int = 0
    sent: int = 0
    started: float = dataclasses.field(default_factory=time.monotonic)


class Pace:
    """Measures a rate over the last :data:`WINDOW` seconds."""

    def __init__(self) -> None:
        self._seen: collections.deque[tuple[float, int]] = collections.deque()
        self._begun = False

    def add(self, now: float, position: int) -> None:
        """Record a position in bytes.

        Nothing counts before the first byte, while the basis is scanned; nor does the first position, since a transfer
        begins with filling all buffers on the way.
        """
        if self._begun:
            self._seen.append((now, position))
        self._begun = position > 0
        while len(self._seen) > 2 and self._seen[1][0] <= now - WINDOW:
            self._seen.popleft()

    @property
    def rate(self) -> float:
        """Bytes per second; 0 if not known yet."""
        if len(self._seen) < 2:
            return 0.0
        (begin, first), (end, last) = self._seen[0], self._seen[-1]
        return max(last - first, 0) / (end - begin) if end > begin else 0.0


class Progress:
    """Reports what a run does. Without a path, nobody listens and nothing is written.

    The file appears about a second after the start and is gone at the end. It always holds one JSON object: ``phase``,
    ``path``, ``size``, ``position`` and ``sent`` in bytes, ``rate`` in bytes per second, ``seconds`` since the phase
    began.
    """

    def __init__(self, path: str | None = None) -> None:
        self._path = path or ""
        self._now = Doing(READING)
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def wanted(self) -> bool:
        """Return whether anybody listens."""
        return bool(self._path)

    def __enter__(self) -> Progress:
        if self.wanted:
            self._thread = threading.Thread(target=self._watch, name="progress", daemon=True)
            self._thread.start()
        return self

    def __exit__(self, *_unused: object) -> None:
        self._over.set()
        if self._thread is not None:
            self._thread.join()
            with contextlib.suppress(OSError):
                os.unlink(self._path)

    def enter(self, phase: str, path: str = "", size: int = 0) -> None:
        """Report that a phase begins, for which path, and its size in bytes."""
        self._now = Doing(phase, path, size)

    def at(self, position: int, sent: int) -> None:
        """Report the progress of a transfer: bytes of the file, and bytes that crossed the line for them."""
        self._now.position, self._now.sent = position, sent

    def _watch(self) -> None:
        doing, pace = self._now, Pace()
        while not self._over.wait(EVERY):
            if self._now is not doing:
                doing, pace = self._now, Pace()
            now = time.monotonic()
            pace.add(now, doing.position)
            try:
                _replace(self._path, _state(doing, now, pace.rate))
            except OSError:
                return


def position(output: bytes) -> int | None:
    """Return how many bytes of a file rsync has done, by the last complete word of ``--info=progress2``.

    That counts bytes of the resulting file, whether sent or taken from the basis.
    """
    found = _POSITION.findall(output)
    return int(found[-1].replace(b",", b"")) if found else None


def _state(doing: Doing, now: float, rate: float) -> str:
    fields = dataclasses.asdict(doing)
    seconds = now - fields.pop("started")
    return json.dumps({**fields, "path": printable(doing.path), "rate": round(rate), "seconds": round(seconds, 1)})


def _replace(path: str, text: str) -> None:
    """Replace a file in one rename; another user may have to read it. Never write through a symlink or pipe."""
    new = f"{path}.new"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(new)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644)
    with open(descriptor, "w", encoding="ascii") as file:
        os.fchmod(descriptor, 0o644)
        file.write(text)
    os.replace(new, path)
