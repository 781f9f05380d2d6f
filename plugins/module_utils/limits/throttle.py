# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How fast a caching server may be sent to at the moment, and what keeps a running transfer to that.

Three things are combined: the windows of the site, its local time, and its share of the netboot server's uplink. SFTP
waits before each piece; rsync gets a relay between itself and ssh (see :mod:`relay`), which is told of each change.
"""

from __future__ import annotations

import contextlib
import datetime
import pkgutil
import shlex
import socket
import sys
import tempfile
import threading
import time
import typing as t

from ..errors import LeftForLater, SyncError
from .bandwidth import IS_0, NO_LIMIT, Limit
from .relay import HEADERS, Bucket
from .uplink import Uplink

LOOK = 0.2  # seconds between two checks of the clock and the other sites
_BUFFERED = (
    512 * 1024
)  # maximum bytes that the kernel takes from rsync at once: rsync hears nothing until they are gone


class Throttle:
    """The limit of one caching server. Without a limit, it costs nothing; ``clock`` is in seconds since the epoch."""

    def __init__(
        self,
        limit: Limit = NO_LIMIT,
        *,
        zone: datetime.tzinfo = datetime.timezone.utc,
        uplink: Uplink | None = None,
        clock: t.Callable[[], float] = time.time,
    ) -> None:
        self._limit = limit
        self._zone = zone
        self._uplink = uplink
        self._clock = clock
        self._bucket = Bucket(None)
        self._looked = 0.0

    @property
    def limits(self) -> bool:
        """Return whether there is any limit."""
        return self._uplink is not None or not self._limit.never_limits

    def why_not(self) -> str:
        """Return why nothing may be sent now, in words, or an empty string."""
        return self._limit.why_not(self._now())

    def require(self, path: str) -> None:
        """Raise :class:`LeftForLater` if nothing may be sent now."""
        reason = self.why_not()
        if reason:
            raise LeftForLater(reason, path=path)

    def _now(self) -> datetime.datetime:
        return datetime.datetime.fromtimestamp(self._clock(), self._zone)

    def rate(self, passed: float) -> float | None:
        """Return the rate in bytes per second, 0 for "not now", None for no limit.

        ``passed`` is how many bytes the transfer has sent so far. Raises :class:`SyncError`.
        """
        own = self._limit.rate_at(self._now())
        if self._uplink is None or own == 0:
            return own
        self._uplink.ask_for(own)
        share = max(self._uplink.share(passed), 1.0)
        return share if own is None else min(own, share)

    def patience(self, seconds: int) -> int:
        """Return rsync's timeout for a line that should count as dead after ``seconds``.

        While the relay holds data back, rsync itself sees no progress until some of what it has written is gone.
        """
        rates = [self._limit.slowest] if self._limit.slowest else []
        if self._uplink is not None:
            rates.append(max(self._uplink.cap // 50, 1))
        return seconds + (_BUFFERED // min(rates) + 1 if rates else 0)

    @contextlib.contextmanager
    def sending(self) -> t.Iterator[None]:
        """Take part in the uplink while bytes are sent."""
        if self._uplink is None:
            yield
            return
        self._uplink.join()
        try:
            yield
        finally:
            self._uplink.leave()

    def count(self, count: int) -> None:
        """Record that a piece of so many bytes is sent."""
        self._bucket.take(count)

    def wait(self, path: str) -> None:
        """Wait until the next piece may be sent. Raises :class:`LeftForLater`."""
        while self.limits:
            if time.monotonic() - self._looked >= LOOK:
                rate = self.rate(self._bucket.passed)
                if rate == 0:
                    self.require(path)
                self._bucket.set_rate(rate)
                self._looked = time.monotonic()
            delay = self._bucket.delay()
            if delay <= 0:
                return
            time.sleep(min(delay, LOOK))

    @contextlib.contextmanager
    def relayed(self, shell: str) -> t.Iterator[Relayed]:
        """Return the settings to start one rsync with; ``shell`` is the value of its ``--rsh``."""
        if not self.limits:
            yield Relayed(shell)
            return
        # A module's code is in an archive, from which a separate program cannot be started.
        source = pkgutil.get_data(str(__package__), "relay.py") or b""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        # The program has no name in the file system, so it leaves nothing behind however a run ends.
        with ours, theirs, tempfile.TemporaryFile() as program, self.sending():
            program.write(source)
            program.flush()
            descriptors = (theirs.fileno(), program.fileno())
            python = [sys.executable, "-I", "-S", f"/proc/self/fd/{program.fileno()}", str(theirs.fileno())]
            found = Relayed(f"{shlex.join(python)} {shell}", descriptors, _Teller(self, ours, theirs))
            try:
                yield found
            finally:
                found.end()


class Relayed:
    """What an rsync is started with: the value of ``--rsh``, and the descriptors that it passes on."""

    def __init__(self, shell: str, descriptors: tuple[int, ...] = (), teller: _Teller | None = None) -> None:
        self.shell = shell
        self.descriptors = descriptors
        self._teller = teller

    def begin(self) -> None:
        """Tell the relay its rate from now on: rsync has started."""
        if self._teller is not None:
            self._teller.begin()

    def end(self) -> None:
        """Stop telling it."""
        if self._teller is not None:
            self._teller.end()

    def trouble(self, path: str) -> SyncError | None:
        """Return why the transfer was ended, if we ended it."""
        return self._teller.trouble(path) if self._teller is not None else None

    @property
    def passed(self) -> int | None:
        """How many bytes the relay has passed on, by its last report; None if there is no relay."""
        return self._teller.passed if self._teller is not None else None


class _Teller:
    """Tells a relay its rate, whenever that changes, in a thread of its own."""

    def __init__(self, throttle: Throttle, ours: socket.socket, theirs: socket.socket) -> None:
        self._throttle = throttle
        self._ours = ours
        self._theirs = theirs
        self._passed = 0.0  # bytes, with the headers of TCP
        self._over = threading.Event()
        self._reason = ""
        self._error: SyncError | None = None
        self._thread = threading.Thread(target=self._tell, name="throttle", daemon=True)

    def begin(self) -> None:
        """Start the thread."""
        self._theirs.close()
        self._thread.start()

    @property
    def passed(self) -> int:
        """How many bytes went through, as of the last report."""
        return int(self._passed / HEADERS)  # without TCP's own

    def end(self) -> None:
        """End the thread, and read the last report, which the relay sends at its end."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()
        with contextlib.suppress(OSError):
            self._ours.setblocking(False)
            while self._hear():
                pass

    def trouble(self, path: str) -> SyncError | None:
        """Return why the transfer was ended, if it was ended here."""
        self.end()  # rsync may be gone before the thread that ended it is
        return LeftForLater(self._reason, path=path) if self._reason else self._error

    def _tell(self) -> None:
        last = b""
        while not self._over.is_set():
            try:
                rate = self._throttle.rate(self._passed)
            except SyncError as error:
                self._error, rate = error, 0
            said = b"-" if rate is None else b"%d" % rate
            # Set the reason before telling it: afterwards the window of 0 may be over, and the transfer as well.
            reason = self._throttle.why_not() or IS_0 if rate == 0 and not self._error else ""
            try:
                if said != last:
                    self._ours.send(said)
                if rate == 0:
                    self._reason = reason
                    return
                self._listen()
            except OSError:
                return  # the relay has ended, and so does rsync
            last = said

    def _listen(self) -> None:
        """Listen for a moment to what has gone through."""
        deadline = time.monotonic() + LOOK
        while not self._over.is_set() and (left := deadline - time.monotonic()) > 0:
            self._ours.settimeout(min(left, 0.1))
            try:
                if not self._hear():
                    raise ConnectionResetError
            except socket.timeout:
                continue

    def _hear(self) -> bool:
        """Take one report; return whether there was one. Raises :class:`OSError`."""
        said = self._ours.recv(64)
        if said:
            self._passed = float(said)
        return bool(said)
