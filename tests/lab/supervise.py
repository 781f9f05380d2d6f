# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs one command and, when told to stop, ends all its descendants.

Used as a program: ``python supervise.py COMMAND [ARGUMENT...]``. It stops when its standard input ends, which also
happens when the process that started it is killed; so nothing that a test started outlives the test. An OpenSSH server
alone does not ensure that: its sessions survive when the listener is killed, and commands of a session may leave its
process group. This process is therefore the *subreaper* of all that it started (prctl(2)): orphans become its children,
and are found in /proc.

Standard library only, and no import from this package: it starts in a few milliseconds.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys
import time

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
KILL_TIMEOUT = 10.0  # seconds; SIGKILL needs far less, unless a process hangs in the kernel


def prctl(option: int, value: int) -> None:
    """Call prctl(2). Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def descendants(root: int) -> list[int]:
    """Process ids of all living descendants of *root*, from /proc/PID/stat (proc(5))."""
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/stat", encoding="utf-8", errors="replace") as stat:
                # the command name stands in brackets and may hold anything, so count from the last bracket
                state, parent = stat.read().rpartition(")")[2].split()[:2]
        except OSError:
            continue  # ended meanwhile
        if state not in "ZX":
            children.setdefault(int(parent), []).append(int(entry))
    found: list[int] = []
    queue = [root]
    while queue:
        below = children.get(queue.pop(), [])
        found += below
        queue += below
    return found


def kill_descendants(root: int) -> None:
    """Kill all descendants of *root*, which must be the caller, until none is left."""
    deadline = time.monotonic() + KILL_TIMEOUT
    while time.monotonic() < deadline:
        found = descendants(root)
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            if not found:
                return
        time.sleep(0.002)


def main(command: list[str]) -> int:
    """Run *command* until it ends or standard input does. Returns its exit status, or 0 when it was stopped."""
    # a stop by signal takes the same path as the end of standard input
    stop_read, stop_write = os.pipe()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: os.write(stop_write, b"s"))
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        # even if this process itself is killed, the command is not left behind
        preexec_fn=lambda: prctl(PR_SET_PDEATHSIG, signal.SIGKILL),
    ) as child:
        ended = os.pidfd_open(child.pid)
        ready = select.select([0, stop_read, ended], [], [])[0]
        status = child.wait() if ended in ready else 0
        kill_descendants(os.getpid())
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
