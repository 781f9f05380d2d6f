# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One SHA-256 of a file for all runs that need it at the same time: runs of one user on one host.

Each file has a small one in a private directory, named by its identity, which changes whenever the content does. The
run that comes first locks it exclusively, and writes the digest there; the others wait for a shared lock, and keep that
until they end. Whoever finds it without any lock, or older than :data:`FRESH`, hashes anew: a later run, such as one
that verifies everything, reads what the disk has then.

There is no coordinator; if anything is wrong, a run hashes on its own.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import time
import typing as t
import weakref

from ..own_directory import make_own, own_directory

SMALLEST = 1024 * 1024  # bytes of a file; to hash less costs less than to agree on it
PATIENCE = 10.0  # seconds to wait for another run, and one more for each so many bytes:
SLOWEST = 20 * 1024 * 1024
FRESH = 300.0  # seconds for which a digest is taken from another run; an identity may miss a change
_PAUSE = 0.02  # seconds between two tries for the lock
_DIGEST = re.compile(rb"[0-9a-f]{64}\n\Z")


class SharedDigest:
    """The digest of one file; ``directory`` is common to all that share it. It is shared until this is deleted."""

    def __init__(self, identity: tuple[int, ...], size: int, *, directory: str | None = None) -> None:
        self._directory = directory or own_directory("digests")
        self._name = hashlib.sha256(repr(identity).encode("ascii")).hexdigest()
        self._size = size
        self._drop: t.Callable[[], object] = lambda: None

    def get(self, compute: t.Callable[[], str]) -> str:
        """Return the digest from the run that computes it, or has; or else of ``compute``, whose errors are raised."""
        if self._size < SMALLEST:
            return compute()
        try:
            file = self._open()
            if not _locked(file, fcntl.LOCK_EX):
                return self._wait(file) or self._alone(compute)
            os.ftruncate(file, 0)
            self._sweep()
        except OSError:
            return self._alone(compute)
        try:
            found = compute()
        except BaseException:
            self._drop()  # still empty, so the others hash it themselves
            raise
        with contextlib.suppress(OSError):
            os.pwrite(file, f"{found}\n".encode("ascii"), 0)
            _locked(file, fcntl.LOCK_SH)  # if another was quicker, it hashes anew
        return found

    def _alone(self, compute: t.Callable[[], str]) -> str:
        self._drop()
        return compute()

    def _open(self) -> int:
        make_own(self._directory)
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        file = os.open(os.path.join(self._directory, self._name), flags, 0o600)
        self._drop = weakref.finalize(self, os.close, file)
        return file

    def _wait(self, file: int) -> str | None:
        """Wait until the run that hashes the file has; return None if it does not come to that."""
        deadline = time.monotonic() + PATIENCE + self._size / SLOWEST
        while not _locked(file, fcntl.LOCK_SH):
            if time.monotonic() > deadline:
                return None
            time.sleep(_PAUSE)
        if abs(time.time() - os.fstat(file).st_mtime) > FRESH:
            return None
        said = os.pread(file, 80, 0)
        return said.decode("ascii").strip() if _DIGEST.match(said) else None

    def _sweep(self) -> None:
        """Remove what no run uses any more. A run that has just opened one of these hashes on its own."""
        for name in os.listdir(self._directory):
            path = os.path.join(self._directory, name)
            if name == self._name:
                continue
            with contextlib.suppress(OSError), open(path, "rb") as file:
                if _locked(file.fileno(), fcntl.LOCK_EX):
                    os.unlink(path)


def _locked(file: int, how: int) -> bool:
    """Lock a file if that is possible at once."""
    try:
        fcntl.flock(file, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
