# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shares the netboot server's uplink among all current senders: the module's processes of one user on one host.

Each transfer has its own file in a private directory. It locks the file while it sends, so that the file of a killed
process does not count, and writes there how much it can use. All read all files and compute the same shares; there is
no coordinator.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
import uuid

from ..errors import SyncError
from ..options import called
from ..own_directory import make_own, own_directory
from .bandwidth import fair_shares

REFRESH = 0.4  # seconds between two checks of the others
# Each reads what all others have written. With more than this many, it does so less often, so that the work of each
# stays the same: a thousand that looked every 0.4 s would keep nine processors busy.
MANY = 100
FIRST = 0.02  # of the cap: what a new one takes at most until all others have seen it
ENOUGH = 2.5  # seconds over which a transfer's use is measured: a slow line takes data in gulps
GROWTH = 1.5  # growth of the demand of a transfer that uses up its share
SPARE = 1.1  # headroom for a transfer on a slow line, so that it shows when it can use more
USED_UP = 0.95  # of its share: a transfer that uses this much could use more
LEAST = 0.02  # of the cap: the minimum demand of a sender
_NEW = ".new-"


class Uplink:
    """The share of one transfer in a cap, in bytes per second. Raises :class:`SyncError`.

    ``directory`` is common to all that share the cap.
    """

    def __init__(self, cap: int, *, directory: str | None = None) -> None:
        self.cap = cap
        self._directory = directory or own_directory()
        self._file: int | None = None
        self._path = ""
        self._share = float(cap)
        self._looked = 0.0
        self._refresh = REFRESH
        self._samples: list[tuple[float, float]] = []
        self._demand: float | None = None

    # Life

    def join(self) -> None:
        """Begin to send."""
        self._samples.clear()
        self._demand = None
        self._register()
        others = len(self._others())
        self._share = self.cap * min(FIRST, 1 / (others + 1)) if others else float(self.cap)
        self._refresh = _refresh(others)
        # All others have looked twice by then.
        self._looked = time.monotonic() + (self._refresh + 0.2 if others else 0)

    def leave(self) -> None:
        """Send nothing more for now."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                os.unlink(self._path)
            os.close(self._file)
            self._file = None

    def _register(self) -> None:
        name = f"{os.getpid()}-{uuid.uuid4().hex[:12]}"
        try:
            make_own(self._directory)
            new = os.path.join(self._directory, _NEW + name)
            self._path = os.path.join(self._directory, name)
            self._file = os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            # Locked under a name that nobody reads: the others take an unlocked file for a dead one.
            fcntl.flock(self._file, fcntl.LOCK_EX)
            self._write()
            os.rename(new, self._path)
        except OSError as error:
            raise self._trouble(error.strerror or str(error)) from error

    def _trouble(self, what: str) -> SyncError:
        return SyncError(
            f"the transfers cannot agree on their shares of the uplink ({what})",
            path=self._directory,
            host="netboot server",
            remedy=f"Remove that directory, or leave {called('uplink_limit')} out.",
        )

    # The share

    def share(self, passed: float) -> float:
        """Return what this transfer may send now; ``passed`` is how many bytes it has sent so far."""
        now = time.monotonic()
        self._note(now, passed)
        if now - self._looked >= self._refresh and self._file is not None:
            self._looked = now
            self._demand = self._judge(now)
            try:
                if not os.path.exists(self._path):  # somebody cleaned up
                    self.leave()  # or a closed file would be closed again at the end
                    self._register()
                self._write()
            except OSError as error:
                raise self._trouble(error.strerror or str(error)) from error
            before = self._share
            others = self._others()
            self._refresh = _refresh(len(others))
            self._share = fair_shares(self.cap, {**others, "": self._demand})[""]
            if abs(self._share - before) > 0.02 * before:
                self._samples.clear()
        return self._share

    def ask_for(self, most: float | None) -> None:
        """Record what another limit allows this transfer, None for no other."""
        self._most = most

    _most: float | None = None

    def _note(self, now: float, passed: float) -> None:
        if passed and (
            not self._samples or passed != self._samples[-1][1]
        ):  # before the first byte, anything is possible
            self._samples.append((now, passed))

    def _judge(self, now: float) -> float | None:
        """Return how much this transfer can use, judging by its use of its share; None for all that it gets."""
        (first, began), (last, passed) = (self._samples[0], self._samples[-1]) if self._samples else ((now, 0.0),) * 2
        until = now if now - last > ENOUGH else last
        if until - first < ENOUGH:
            found = self._demand
        else:
            used = (passed - began) / (until - first)
            if used < USED_UP * self._share:
                found = max(used * SPARE, LEAST * self.cap)
            else:
                grown = self.cap if self._demand is None else self._demand * GROWTH
                found = grown if grown < self.cap else None
            self._samples.clear()
        limits = [one for one in (found, self._most) if one is not None]
        return min(limits, default=None)

    def _write(self) -> None:
        if self._file is None:
            return
        text = "-" if self._demand is None else f"{self._demand:.0f}"
        os.pwrite(self._file, f"{text:<31}\n".encode("ascii"), 0)

    def _written(self) -> float:
        """Return when this transfer last wrote its demand, by the file system's time; 0 if it has no file."""
        return 0.0 if self._file is None else os.fstat(self._file).st_mtime

    def _others(self) -> dict[str, float | None]:
        """Return what the other transfers can use, and clean up after dead ones."""
        found: dict[str, float | None] = {}
        try:
            names = os.listdir(self._directory)
        except OSError:
            return found
        for name in names:
            path = os.path.join(self._directory, name)
            if path == self._path:
                continue
            try:
                demand = self._read(path, name)
            except OSError:
                continue  # it has just left
            if demand != 0:
                found[name] = demand
        return found

    def _read(self, path: str, name: str) -> float | None:
        """Return what the transfer of a file can use, 0 for a dead one."""
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                if name.startswith(_NEW):
                    return 0
                text = os.read(file, 32).decode("ascii", "replace").strip()
                return float(text) if text.isascii() and text.isdigit() and text != "0" else None
            # A new file is without a lock for a moment. Clocks are of no use here: they are set, and runs' own differ.
            if not name.startswith(_NEW) or self._written() - os.fstat(file).st_mtime > 60:
                os.unlink(path)
            return 0
        finally:
            os.close(file)


def _refresh(others: int) -> float:
    """Return after how many seconds to check that many others again."""
    return REFRESH * max(1.0, others / MANY)
