# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The slow line: it keeps its rate, and its faults act like real ones."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from tests.lab.line import Line


class Echo:
    """A server that reads all that a connection sends, and then sends the same number of bytes back."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.received = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection = self.listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            count = 0
            try:
                while data := connection.recv(65536):
                    count += len(data)
                    self.received += len(data)
                connection.sendall(bytes(count))
            except OSError:
                pass


@pytest.fixture
def echo() -> Iterator[Echo]:
    server = Echo()
    yield server
    server.listener.shutdown(socket.SHUT_RDWR)
    server.listener.close()


def line_to(echo: Echo, rate: float | None = None, latency: float = 0.0) -> Line:
    return Line(echo.listener.getsockname(), rate=rate, latency=latency)


def connect(line: Line) -> socket.socket:
    return socket.create_connection((line.address, line.port), timeout=10)


def receive(connection: socket.socket) -> int:
    count = 0
    while data := connection.recv(65536):
        count += len(data)
    return count


def there_and_back(line: Line, count: int) -> tuple[float, float]:
    """Return the seconds that *count* bytes took on the way up, and for the whole round trip.

    A busy machine notices the end of the upload late, so the way down is not timed alone: it would seem too fast.
    """
    with connect(line) as connection:
        start = time.monotonic()
        connection.sendall(bytes(count))
        connection.shutdown(socket.SHUT_WR)
        first = connection.recv(1)
        turned = time.monotonic()
        assert receive(connection) + len(first) == count
        return turned - start, time.monotonic() - start


def true_to(seconds: float, expected: float) -> bool:
    """Return whether the rate was kept within 5 %; a busy machine may make it much slower, but never faster."""
    return 0.95 * expected < seconds < 4 * expected + 2


@pytest.mark.parametrize("megabits", [16, 60])
def test_rate_is_true_in_each_direction(echo: Echo, megabits: int) -> None:
    count = 1_000_000 * megabits // 16
    expected = count * 8 / (megabits * 1e6)
    with line_to(echo, rate=megabits * 1e6) as line:
        up, both = there_and_back(line, count)
    assert true_to(up, expected)
    assert true_to(both, 2 * expected)
    assert (line.bytes_up, line.bytes_down) == (count, count)


def test_rate_is_shared_by_all_connections(echo: Echo) -> None:
    with line_to(echo, rate=32e6) as line:
        start = time.monotonic()
        threads = [threading.Thread(target=there_and_back, args=(line, 500_000)) for _index in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        took = time.monotonic() - start
    # 1.5 MB up; what goes down at the same time has the rate of its own direction
    assert took > 1_500_000 * 8 / 32e6


def test_idle_line_saves_nothing_up(echo: Echo) -> None:
    with line_to(echo, rate=16e6) as line:
        there_and_back(line, 1000)
        time.sleep(0.3)
        up, _down = there_and_back(line, 1_000_000)
    assert true_to(up, 1_000_000 * 8 / 16e6)


def test_unlimited_line_loses_nothing(echo: Echo) -> None:
    with line_to(echo) as line:
        there_and_back(line, 20_000_000)


def test_latency_counts_both_ways(echo: Echo) -> None:
    with line_to(echo, latency=0.1) as line:
        up, _down = there_and_back(line, 100)
    assert 0.2 <= up < 0.2 + 2


def test_cut_resets_and_refuses_until_restored(echo: Echo) -> None:
    with line_to(echo) as line, connect(line) as connection:
        connection.sendall(b"x")
        line.cut()
        assert line.was_cut.is_set()
        with pytest.raises(ConnectionResetError):
            connection.recv(1)
        with pytest.raises(ConnectionRefusedError):
            connect(line)
        line.restore()
        there_and_back(line, 1000)
        assert not line.was_cut.is_set()


def test_stall_is_silent_until_restored(echo: Echo) -> None:
    with line_to(echo) as line, connect(line) as connection:
        line.stall()
        connection.sendall(bytes(5000))
        connection.shutdown(socket.SHUT_WR)
        connection.settimeout(0.2)
        with pytest.raises(TimeoutError):
            connection.recv(1)
        with connect(line):  # a new connection is accepted, as behind a firewall that drops everything silently
            assert echo.received == 0
        line.restore()
        connection.settimeout(10)
        assert receive(connection) == 5000


def test_planned_cut_happens_at_the_byte_and_once(echo: Echo) -> None:
    with line_to(echo, rate=80e6) as line:
        there_and_back(line, 1000)
        line.cut_after(300_000)
        with pytest.raises(ConnectionError):  # reset, or broken pipe
            there_and_back(line, 1_000_000)
        assert line.was_cut.wait(5)
        assert line.bytes_up == 301_000
        assert echo.received <= 301_000
        line.restore()
        there_and_back(line, 500_000)


def test_stop_ends_connections_and_the_thread(echo: Echo) -> None:
    line = line_to(echo)
    line.start()
    with connect(line) as connection:
        connection.sendall(b"x")
        line.stop()
        with pytest.raises(ConnectionResetError):
            connection.recv(1)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("line to")]
