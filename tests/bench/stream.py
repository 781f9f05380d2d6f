# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Working on the line itself: a plain stream to compare with, and cuts in the middle of a transfer."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from tests.lab.namespaces import NAMES
from tests.lab.process import Supervised

from .cost import Running
from .lab import Site

_SINK = """
import socket, sys
with socket.create_server((sys.argv[1], 7777)) as server:
    print("ready", flush=True)
    connection = server.accept()[0]
    while connection.recv(1 << 20):
        pass
    connection.sendall(b"x")
"""


def plain_stream(site: Site, file: Path, *, timeout: float) -> float:
    """Seconds until one plain TCP stream has delivered a whole file over the line to a caching server."""
    words = ["nsenter", f"--net={NAMES / site.name}", sys.executable, "-I", "-c", _SINK, site.address]
    sink = Supervised(words, stdout=subprocess.PIPE)
    try:
        assert sink.process.stdout is not None
        sink.process.stdout.readline()
        started = time.monotonic()
        with socket.create_connection((site.address, 7777), timeout=timeout) as stream, file.open("rb") as content:
            stream.sendfile(content)
            stream.shutdown(socket.SHUT_WR)
            stream.recv(1)
        return time.monotonic() - started
    finally:
        sink.stop()
        if sink.process.stdout is not None:
            sink.process.stdout.close()


@contextlib.contextmanager
def cuts(site: Site, total: int, times: int, running: Running) -> Iterator[list[int]]:
    """Break the connection *times* times while the block runs, each time halfway through the rest of the transfer.

    Yields a list to which each cut adds the number of bytes that had crossed the line by then.

    :arg total: bytes that the whole transfer needs on the line without a cut.
    """
    done: list[int] = []
    over = threading.Event()
    base = site.line.carried()

    def watch() -> None:
        left, goal = float(total), total / 2
        while len(done) < times and not over.wait(0.002):
            gone = site.line.carried() - base
            if gone >= goal and running.running:
                site.break_connections()
                done.append(gone)
                left /= 2
                goal = gone + left / 2

    thread = threading.Thread(target=watch, name="cuts", daemon=True)
    thread.start()
    try:
        yield done
    finally:
        over.set()
        thread.join()
