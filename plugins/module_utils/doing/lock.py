# Copyright: (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One run at a time for each caching server: the second waits, then says who holds the lock.

Where the server has a shell, the lock is the kernel's (``flock``): it ends with the process that holds it, and that
process ends with our session, or when it has heard nothing from us for :data:`LEASE` seconds. Where it has SFTP only,
the lock is a file that its holder keeps rewriting; one that stays the same for :data:`LEASE` seconds is abandoned.
Times are measured by the one who waits, so that no two clocks have to agree.

A lock that is lost unnoticed does no harm: what two runs send at once has separate hidden files, and each run renames
only what it has checked itself.
"""

from __future__ import annotations

import contextlib
import errno
import getpass
import json
import os
import socket
import threading
import time
import typing as t
import uuid

from ..errors import ConnectionTrouble, LockHeld, LockLost, SyncError
from .remote_commands import HOLD_LOCK
from .session import Session

LEASE = 30  # seconds
BEAT = 5  # seconds
_HOLDER_SIZE = 4096  # bytes


def describe_self(run: str) -> dict[str, t.Any]:
    """Return what another run is told about this one."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    return {
        "run": run,
        "user": user,
        "on": socket.gethostname(),
        "pid": os.getpid(),
        "since": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def describe_holder(content: bytes) -> str:
    """Return in words who wrote this into the lock."""
    try:
        holder = json.loads(content.decode("utf-8"))
        return f"{holder['user']} on {holder['on']}, process {int(holder['pid'])}, since {holder['since']}"
    except (ValueError, KeyError, TypeError):
        return "another run that did not say who it is"


class Lock:
    """The lock of one caching server. ``path`` is absolute; times are in seconds."""

    def __init__(self, session: Session, path: str, *, timeout: int) -> None:
        self._session = session
        self._path = path
        self._timeout = timeout
        self._me = describe_self(uuid.uuid4().hex)
        self._stop = threading.Event()
        self._lost = threading.Event()
        self._thread: threading.Thread | None = None

    def acquire(self) -> None:
        """Wait for the lock. Raises :class:`LockHeld` with the holder when the time is up."""
        raise NotImplementedError

    def release(self) -> None:
        """Give the lock back."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(2 * BEAT)
        self._release()

    def require(self) -> None:
        """Raise :class:`LockLost` where the lock is no longer ours."""
        if self._lost.is_set() or not self._session.alive():
            raise LockLost("the lock was lost, since the line was silent for too long", path=self._path)

    def _release(self) -> None:
        raise NotImplementedError

    def _beat(self) -> None:
        raise NotImplementedError

    def _keep(self) -> None:
        self._thread = threading.Thread(target=self._run, name="lock", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.wait(BEAT):
            try:
                self._beat()
            except Exception:  # noqa: BLE001  # whatever it was, the lock is not known to be ours any more
                if not self._stop.is_set():
                    self._lost.set()
                    self._session.close()
                return

    def _content(self, beats: int = 0) -> bytes:
        # One size for ever, so that a reader never sees a mixture of two.
        return json.dumps(dict(self._me, beats=beats)).encode("ascii")[:_HOLDER_SIZE].ljust(_HOLDER_SIZE) + b"\n"

    def _held(self) -> LockHeld:
        try:
            holder = describe_holder(self._session.sftp().read(self._path, _HOLDER_SIZE + 1))
        except (OSError, EOFError):
            holder = "another run"
        return LockHeld(
            f"another run works on this caching server: {holder}",
            path=self._path,
            remedy=f"This one waited {self._timeout} s; let the other finish, or raise netboot_sync_lock_timeout.",
        )


class KernelLock(Lock):
    """``flock`` in a shell on the caching server."""

    def acquire(self) -> None:
        """See :meth:`Lock.acquire`."""
        self._channel = self._session.start(HOLD_LOCK, self._path, str(LEASE), str(self._timeout))
        self._channel.settimeout(self._timeout + LEASE)
        answer = self._line()
        if answer == "busy":
            raise self._held()
        if answer == "unwritable":
            raise PermissionError(errno.EACCES, "its lock cannot be made")
        if answer.startswith("failed"):
            raise SyncError(
                f"the lock cannot be taken: flock {answer}",
                path=self._path,
                remedy="Try flock there by hand; the file system has to know such locks.",
            )
        if answer != "locked":
            raise ConnectionTrouble(f"the lock cannot be taken ({answer or 'no answer'})", path=self._path)
        with contextlib.suppress(OSError):
            # Only for people to read: on a full disk the run goes on without, since it may be what makes room.
            self._session.sftp().write(self._path, self._content())
        self._channel.settimeout(LEASE)
        self._keep()

    def _beat(self) -> None:
        self._channel.sendall(b".")
        if self._line() != "held":
            raise LockLost("the lock was lost", path=self._path)

    def _line(self) -> str:
        line = b""
        while not line.endswith(b"\n"):
            byte = self._channel.recv(1)
            if not byte:
                break
            line += byte
        return line.decode("ascii", "replace").strip()

    def _release(self) -> None:
        self._channel.close()


class LeaseLock(Lock):
    """A file that its holder keeps rewriting, for a caching server that has SFTP only."""

    def acquire(self) -> None:
        """See :meth:`Lock.acquire`."""
        self._own = self._session.new_sftp()
        deadline = time.monotonic() + self._timeout
        seen, seen_since = b"", time.monotonic()
        absent = 0
        while True:
            try:
                self._handle = self._own.create(self._path, exclusive=True)
                break
            except (FileNotFoundError, PermissionError):
                raise
            except OSError:
                # Somebody's lock is there, most likely; SFTP has no code for that, so it is read.
                content = self._read()
                absent = absent + 1 if content is None else 0
                if absent > 1 or (absent and time.monotonic() > deadline):  # nor was one given back just now
                    raise
            if content is not None and content != seen:
                seen, seen_since = content, time.monotonic()
            if content is not None and time.monotonic() - seen_since > LEASE and self._take_over(seen):
                continue
            if time.monotonic() > deadline:
                raise self._held()
            time.sleep(0.5)
        self._beats = 0
        try:
            self._beat()
        except OSError:
            self._own.remove(self._path)
            raise
        self._keep()

    def require(self) -> None:
        """See :meth:`Lock.require`; the file itself is asked, too."""
        super().require()
        if self._me["run"].encode("ascii") not in (self._read() or b""):
            raise LockLost("the lock was taken over by another run", path=self._path)

    def _read(self) -> bytes | None:
        try:
            return self._session.sftp().read(self._path, _HOLDER_SIZE + 1)
        except OSError:
            return None

    def _take_over(self, abandoned: bytes) -> bool:
        """Move an abandoned lock out of the way. Of two that try, the one that moved the wrong one moves it back."""
        sftp = self._session.sftp()
        aside = f"{self._path}.{self._me['run']}"
        try:
            sftp.move(self._path, aside)
        except OSError:
            return False
        if sftp.read(aside, _HOLDER_SIZE + 1) != abandoned:
            sftp.move(aside, self._path)
            return False
        sftp.remove(aside)
        return True

    def _beat(self) -> None:
        self._beats += 1
        self._handle.write(0, self._content(self._beats))
        self._handle.drain()

    def _release(self) -> None:
        if self._session.alive():
            self._handle.close()
            if self._me["run"].encode("ascii") in (self._read() or b""):
                self._session.sftp().remove(self._path)
