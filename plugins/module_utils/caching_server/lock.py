# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One run at a time for each caching server: the second one waits, then says who holds the lock.

If the server has a shell, the lock is the kernel's (``flock``): it ends with the process that holds it, and that
process ends with our session, or when it has heard nothing from us for :data:`LEASE` seconds. The lock file is never
written: it might be a second name of a published one. Another file next to it names the holder; the shell that has the
lock creates it anew. If the server has only SFTP, the lock is a file that its holder keeps rewriting; one that does not
change for :data:`LEASE` seconds is abandoned. The waiting side measures the time, so no two clocks have to agree.

A lock that is lost unnoticed does no harm: two concurrent runs send to separate hidden files, and each renames only
what it has checked itself.
"""

from __future__ import annotations

import errno
import getpass
import json
import os
import socket
import threading
import time
import typing as t
import uuid

from ..assets import strict_json
from ..assets.entries import FILE
from ..errors import ConnectionTrouble, LockHeld, LockLost, SyncError
from ..options import called
from ..ssh.base import BaseSession
from ..ssh.remote_commands import HOLD_LOCK
from ..transports.work_area import HOLDER

LEASE = 30  # seconds
BEAT = 5  # seconds
_HOLDER_SIZE = 4096  # bytes


class Elsewhere(Exception):
    """The shell does not see what SFTP has created: they see different file systems, as on many a NAS."""


def describe_self(run: str) -> dict[str, t.Any]:
    """Return how this run describes itself to another one."""
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
    """Return a description of the lock's holder."""
    try:
        holder = strict_json.loads(content)
        return f"{holder['user']} on {holder['on']}, process {int(holder['pid'])}, since {holder['since']}"
    except (ValueError, KeyError, TypeError):
        return "another run that did not say who it is"


class Lock:
    """The lock of one caching server. ``path`` is absolute; times are in seconds."""

    def __init__(self, session: BaseSession, path: str, *, timeout: int) -> None:
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
        """Release the lock."""
        self._stop.set()
        if self._thread is not None:
            # The channel is for one thread: a heartbeat in progress has it until it is answered, or for too long.
            self._thread.join(BEAT + self._session.address.stall_timeout)
            if self._thread.is_alive() or self._lost.is_set():
                return  # the connection is gone, and the lock with it
        self._release()

    def require(self) -> None:
        """Raise :class:`LockLost` if the lock is no longer ours."""
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
                self._lost.set()
                if not self._stop.is_set():
                    self._session.close()
                return

    @property
    def told(self) -> str:
        """The file that names the lock's holder."""
        return self._path

    def _read(self, path: str) -> bytes | None:
        """Return what a file of ours holds; None if it is not there, or is anything but a file."""
        sftp = self._session.sftp()
        try:
            found = sftp.look(path)
            if found is None:
                return None
            if found.kind != FILE:  # a pipe would be waited for, and a device has no end
                raise self.strange()
            return sftp.read(path, _HOLDER_SIZE + 1)
        except OSError:
            return None

    def strange(self) -> SyncError:
        """Return the error for a lock that is not a file."""
        return SyncError(
            "the lock is not a file, but a symlink or something else that is not ours",
            path=self._path,
            remedy="See what it is, and remove it on the caching server.",
        )

    def _held(self) -> LockHeld:
        holder = describe_holder(self._read(self.told) or b"")
        return LockHeld(
            f"another run is working on this caching server: {holder}",
            path=self._path,
            remedy=f"This one waited {self._timeout} s; let the other finish, or raise {called('lock_timeout')}.",
        )


class KernelLock(Lock):
    """``flock`` in a shell on the caching server.

    ``proof`` is an empty directory that SFTP has just made; the shell removes it. Where it cannot, it is
    :class:`Elsewhere`.
    """

    def __init__(self, session: BaseSession, path: str, *, timeout: int, proof: str = "") -> None:
        super().__init__(session, path, timeout=timeout)
        self._proof = proof

    @property
    def told(self) -> str:
        """See :attr:`Lock.told`."""
        return f"{self._path}{HOLDER}"

    def acquire(self) -> None:
        """See :meth:`Lock.acquire`. Raises :class:`Elsewhere`, too."""
        new = f"{self.told}.{self._me['run']}"
        about = json.dumps(self._me)
        times = (str(LEASE), str(self._timeout))
        self._talk = self._session.start(HOLD_LOCK, self._path, *times, self._proof, about, self.told, new)
        answer = self._talk.answer(self._timeout + LEASE) or ""
        if answer != "locked":
            words = self._talk.errors or self._talk.noise
            self._talk.close()
            raise self._refusal(answer, words)
        self._keep()

    def _refusal(self, answer: str, words: str) -> Exception:
        if answer == "busy":
            return self._held()
        if answer == "unwritable":
            return PermissionError(errno.EACCES, "its lock cannot be made")
        if answer == "elsewhere":
            return Elsewhere()
        if answer == "strange":
            return self.strange()
        if answer.startswith("failed"):
            return SyncError(
                f"the lock cannot be taken: flock {answer}",
                path=self._path,
                remedy="Try flock there by hand; the file system has to know such locks.",
            )
        return ConnectionTrouble(f"the lock cannot be taken ({answer or words or 'no answer'})", path=self._path)

    def _beat(self) -> None:
        self._talk.say(b".", LEASE)
        if self._talk.answer(LEASE) != "held":
            raise LockLost("the lock was lost", path=self._path)

    def _release(self) -> None:
        self._talk.close()  # the shell removes what names the holder, and ends


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
                # Most likely there is another run's lock; SFTP has no code for that, so read it.
                content = self._read(self._path)
                absent = absent + 1 if content is None else 0
                if absent > 1 or (absent and time.monotonic() > deadline):  # nor was one just given back
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
        if self._me["run"].encode("ascii") not in (self._read(self._path) or b""):
            raise LockLost("the lock was taken over by another run", path=self._path)

    def _take_over(self, abandoned: bytes) -> bool:
        """Move an abandoned lock out of the way. If two try, the one that moved the wrong lock moves it back."""
        sftp = self._session.sftp()
        aside = f"{self._path}.{self._me['run']}"
        try:
            sftp.move(self._path, aside)
        except OSError:
            return False
        if self._read(aside) != abandoned:
            sftp.move(aside, self._path)
            return False
        sftp.remove(aside)
        return True

    def _content(self, beats: int) -> bytes:
        # Always the same size, so that a reader never sees a mixture of two.
        return json.dumps(dict(self._me, beats=beats)).encode("ascii")[:_HOLDER_SIZE].ljust(_HOLDER_SIZE) + b"\n"

    def _beat(self) -> None:
        self._beats += 1
        self._handle.write(0, self._content(self._beats))
        self._handle.drain()

    def _release(self) -> None:
        if self._session.alive():
            self._handle.close()
            if self._me["run"].encode("ascii") in (self._read(self._path) or b""):
                self._session.sftp().remove(self._path)
