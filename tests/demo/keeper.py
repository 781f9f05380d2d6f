# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lock on the demo's directory, and the fleet that stays up after ``--keep``."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from tests.lab.fleet import CHECKOUT, Fleet
from tests.lab.process import LabError

LONGEST = 8 * 3600  # seconds that a kept fleet stays up at most
PATIENCE = 20.0  # seconds to wait for a kept fleet to come up, or to end
LOCK = "demo.lock"


@contextlib.contextmanager
def turn(directory: Path, *, role: str) -> Iterator[None]:
    """Lock the demo's directory; the lock file names the holder. Raises LabError if another process holds it."""
    directory.mkdir(parents=True, exist_ok=True)
    if not (directory / LOCK).exists() and any(directory.iterdir()):
        raise LabError(f"{directory} is not empty and no demo's: name an empty or a new directory with --dir")
    with (directory / LOCK).open("a+", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise LabError(f"{directory} is in use by {_holder(directory)}: wait for its end, or use --dir") from exc
        lock.truncate(0)
        lock.write(f"{role} {os.getpid()}")
        lock.flush()
        try:
            yield
        finally:
            lock.truncate(0)


def _holder(directory: Path) -> str:
    try:
        return (directory / LOCK).read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""


def _is_held(directory: Path) -> bool:
    try:
        with (directory / LOCK).open("r+", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False


def end_kept(directory: Path) -> bool:
    """End the fleet that is kept up in *directory*. Returns whether there was one; raises LabError if it stays."""
    role, _space, pid = _holder(directory).partition(" ")
    # the process id in the file may be stale: it is valid only while somebody holds the lock
    if role != "fleet" or not pid.isdigit() or not _is_held(directory):
        return False
    with contextlib.suppress(ProcessLookupError):
        os.kill(int(pid), signal.SIGTERM)
    deadline = time.monotonic() + PATIENCE
    while _is_held(directory):
        if time.monotonic() > deadline:
            raise LabError(f"the fleet in {directory} (process {pid}) does not end: end it with: kill -9 {pid}")
        time.sleep(0.05)
    return True


def clear(directory: Path) -> None:
    """Remove what a demo left in *directory*. Call it inside :func:`turn`, which checks that it is a demo's."""
    for entry in directory.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry)
        elif entry.name != LOCK:
            entry.unlink()


def remove(directory: Path) -> None:
    """Remove the demo's directory itself, if it contains nothing but the lock."""
    (directory / LOCK).unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        directory.rmdir()


def keep(directory: Path) -> None:
    """Bring the fleet in *directory* up again in its own process. Call it outside :func:`turn`, with the fleet down."""
    with (directory / "keeper.log").open("wb") as log:
        keeper = subprocess.Popen(
            [sys.executable, "-m", "tests.demo", "--dir", str(directory), "--serve"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=CHECKOUT,
            start_new_session=True,
        )
    deadline = time.monotonic() + PATIENCE
    while "up" not in (said := (directory / "keeper.log").read_text(encoding="utf-8", errors="replace")).split():
        if keeper.poll() is not None or time.monotonic() > deadline:
            raise LabError(f"the fleet did not stay up: {said.strip()}")
        time.sleep(0.05)


def serve(directory: Path) -> None:
    """Keep the fleet in *directory* up until a signal comes or its files are gone, for at most LONGEST seconds."""
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    with turn(directory, role="fleet"), Fleet.load(directory):
        print("up", flush=True)
        deadline = time.monotonic() + LONGEST
        while not ended.wait(1.0) and time.monotonic() < deadline and (directory / "fleet.json").exists():
            pass
