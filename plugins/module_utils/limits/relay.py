# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sits between rsync and ssh, and passes on no more than the rate that the module currently tells it.

rsync's own ``--bwlimit`` cannot be changed while rsync runs. This file is also run as a separate program, without the
rest of the collection (see :mod:`throttle`): ``python relay.py DESCRIPTOR ssh ...``. Over the descriptor, a message
socket, it receives rates: bytes per second, ``-`` for no limit, ``0`` for an orderly end; it answers with what has gone
through. If the module is gone, it ends ssh and itself.

Only what goes to ssh passes through here: ssh writes its answers to rsync itself.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import socket
import subprocess
import sys
import time

CHUNK = 32 * 1024  # bytes passed on at once at most where there is a limit: what fits into one packet of SSH
CHUNK_TIME = 0.05  # seconds of the line per piece, so that others are not held up
SMALLEST = 1024  # bytes of a piece; with less, headers would exceed content
CREDIT = 0.25  # seconds: how much of an unused rate, lost for lack of CPU, is made up for
PACKET = 48  # bytes that SSH adds to a piece: lengths, padding, authentication
# A TCP segment of 1448 bytes has headers of 52 (IPv4) to 86 (IPv6, Ethernet), 3.6 to 6 %. Some tools that measure a
# line see them and some do not, so half of them are counted: then both find the limit kept.
HEADERS = 1.02
REPORT = 0.2  # seconds between two reports
_PR_SET_PDEATHSIG = 1  # prctl(2)


def cost(count: int) -> float:
    """Return the size of a piece on the line, in bytes."""
    return (count + PACKET) * HEADERS


class Bucket:
    """Keeps a rate (bytes per second; None: no limit) that may change at any time.

    A piece goes as soon as the ones before it are paid for. An idle line accumulates no more than :data:`CREDIT`.
    """

    def __init__(self, rate: float | None) -> None:
        self.rate = rate
        self.passed = 0.0  # bytes on the line so far
        self._balance = 0.0
        self._then = time.monotonic()

    def set_rate(self, rate: float | None) -> None:
        """Change the rate."""
        self._settle()
        self.rate = rate
        if rate is not None:
            self._balance = min(self._balance, rate * CREDIT)

    def delay(self) -> float:
        """Return how many seconds the next piece has to wait."""
        self._settle()
        return max(-self._balance / self.rate, 0.0) if self.rate else 0.0

    def size(self) -> int:
        """Return how many bytes the next piece should have at most."""
        if not self.rate:
            return 2 * CHUNK
        # never more than two seconds' worth: the other end has a timeout
        return max(int(min(max(self.rate * CHUNK_TIME, min(SMALLEST, self.rate * 2)), CHUNK)), 1)

    def take(self, count: int) -> None:
        """Record that a piece of so many bytes was sent."""
        self.passed += cost(count)
        if self.rate:
            self._balance -= cost(count)

    def _settle(self) -> None:
        now = time.monotonic()
        if self.rate:
            self._balance = min(self._balance + (now - self._then) * self.rate, self.rate * CREDIT)
        else:
            self._balance = 0.0
        self._then = now


def die_with_parent() -> None:
    """Make the kernel end this process when its parent ends, however that happens."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class _Relay:
    """One transfer: from standard input to the standard input of a command."""

    def __init__(self, control: socket.socket, command: list[str]) -> None:
        self._control = control
        self._bucket = Bucket(1.0)
        self._rate_is_known = False
        self._over = False  # nothing more is to be passed on
        self._reported = 0.0
        theirs, self._into = os.pipe()
        # Not run_command: it passes bytes on while the command runs.
        # pylint: disable-next=ansible-bad-function
        self._process = subprocess.Popen(command, stdin=theirs, preexec_fn=die_with_parent)
        os.close(theirs)
        os.set_blocking(self._into, False)  # or a stalled line would keep us from listening
        self._pending = b""  # read, and not yet taken by the command

    def run(self) -> int:
        """Pass everything on; return the exit status of the command."""
        while not self._over:
            self._step()
        os.close(self._into)
        os.close(0)  # rsync, too, learns that no more is accepted
        self._report(0.0)
        status = self._process.wait()
        return status if status >= 0 else 128 - status

    def _step(self) -> None:
        """Wait until there is something to do, and do it."""
        delay = self._bucket.delay() if self._rate_is_known else 60.0
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        poll.register(self._into, select.POLLOUT if self._pending else 0)  # an error means that the command is gone
        if not self._pending and delay <= 0:
            poll.register(0, select.POLLIN)
        waits = not self._pending and delay > 0
        ready = dict(poll.poll(int(delay * 1000) + 1 if waits else None))
        if ready.get(self._into, 0) & (select.POLLERR | select.POLLNVAL):
            self._over = True
        elif self._control.fileno() in ready:
            self._listen()
        elif self._into in ready:
            self._write()
        elif 0 in ready:
            self._pending = os.read(0, self._bucket.size())
            self._over = not self._pending
            self._bucket.take(len(self._pending))
            self._write()

    def _listen(self) -> None:
        said = self._control.recv(64)
        if not said:
            self._process.kill()
            self._over = True
        elif said == b"0":
            self._over = True
        else:
            self._bucket.set_rate(None if said == b"-" else float(said))
            self._rate_is_known = True

    def _write(self) -> None:
        try:
            self._pending = self._pending[os.write(self._into, self._pending) :]
        except BlockingIOError:
            return
        except BrokenPipeError:
            self._over = True
        self._report(REPORT)

    def _report(self, every: float) -> None:
        now = time.monotonic()
        if now - self._reported >= every:
            self._reported = now
            # The last ones may not have been read; if the module is gone, the next step notices.
            with contextlib.suppress(OSError):
                self._control.send(b"%d" % self._bucket.passed, socket.MSG_DONTWAIT)


def main() -> int:
    """Run as a program. Returns the exit status."""
    die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    control = socket.socket(fileno=int(sys.argv[1]))
    control.set_inheritable(False)
    return _Relay(control, sys.argv[2:]).run()


if __name__ == "__main__":
    raise SystemExit(main())
