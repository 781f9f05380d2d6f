# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The line to a site: a TCP proxy on loopback with a rate, a latency and faults."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
import time
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Literal, TypeVar

from .process import LabError
from .sshd import free_port, next_address

Direction = Literal["up", "down"]
_Result = TypeVar("_Result")

START_TIMEOUT = 5.0  # seconds
CHUNK_TIME = 0.01  # seconds of the line per piece: small enough to share the line fairly
LATE = 0.03  # seconds: a piece later than this found the line idle; an earlier one makes up for it
CHUNK_MIN, CHUNK_MAX = 1448, 65536  # bytes
SOCKET_BUFFER = 128 * 1024  # bytes; the kernel's own choice of several MB would swallow a small image at once


class _OneWay:
    """One direction of the line: all connections share its rate, its counter and its planned cut.

    The rate is enforced by a clock (the time at which the line is free again), not by counting tokens: the next piece
    makes up for a late wake-up, and an idle line accumulates nothing.
    """

    def __init__(self, rate: float | None) -> None:
        self.rate = rate  # bit/s
        self.bytes = 0
        self.cut_at: int | None = None
        self._free_at = 0.0

    def chunk(self) -> int:
        """How many bytes to take at once."""
        if self.rate is None:
            return CHUNK_MAX
        return int(min(CHUNK_MAX, max(CHUNK_MIN, self.rate / 8 * CHUNK_TIME)))

    async def pass_through(self, count: int) -> None:
        """Wait until *count* bytes have crossed the line."""
        if self.rate is None:
            return
        now = time.monotonic()
        if now - self._free_at > LATE:
            self._free_at = now
        self._free_at += count * 8 / self.rate
        if self._free_at > now:
            await asyncio.sleep(self._free_at - now)


class Line:
    """A TCP proxy between the netboot server and one caching server, in its own thread.

    ``up`` is the direction from the client (the netboot server) to the target (the caching server), ``down`` the
    reverse.

    :arg target: address and port of the caching server.
    :arg rate: bit/s in each direction, shared by all connections; None: unlimited.
    :arg latency: seconds in each direction.
    :arg address: loopback address to listen on, by default one of its own; *port*: by default a free one.
    """

    def __init__(
        self,
        target: tuple[str, int],
        *,
        rate: float | None = None,
        latency: float = 0.0,
        address: str | None = None,
        port: int | None = None,
    ) -> None:
        self.target = target
        self.address = address or next_address()
        self.port = port or free_port(self.address)
        self.latency = latency
        self.was_cut = threading.Event()  # set by cut() and by a planned cut, cleared by restore()
        self._ways: dict[Direction, _OneWay] = {"up": _OneWay(rate), "down": _OneWay(rate)}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._listener: socket.socket | None = None
        self._flowing = asyncio.Event()
        self._accepted: set[socket.socket] = set()  # whose task has not begun yet
        self._connections: set[asyncio.Task[None]] = set()
        self._planned: asyncio.Task[None] | None = None

    @property
    def bytes_up(self) -> int:
        """Bytes that arrived at the caching server so far."""
        return self._ways["up"].bytes

    @property
    def bytes_down(self) -> int:
        """Bytes that arrived at the netboot server so far."""
        return self._ways["down"].bytes

    @property
    def connections(self) -> int:
        """How many connections are open now."""
        return len(self._connections)

    def set_rate(self, rate: float | None) -> None:
        """Change the rate, bit/s in each direction, from the next piece on."""
        for way in self._ways.values():
            way.rate = rate

    def start(self) -> None:
        """Start to listen. Raises OSError if the address is taken."""
        if self._loop is not None:
            return
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"line to {self.target}", daemon=True)
        self._thread.start()
        self._call(self._restore())

    def stop(self) -> None:
        """Reset all connections, refuse new ones, end the thread."""
        if self._loop is None or self._thread is None:
            return
        self._call(self._cut())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(START_TIMEOUT)
        self._loop.close()
        self._loop = self._thread = None

    def __enter__(self) -> Line:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def cut(self) -> None:
        """Reset all connections and refuse new ones, until restore()."""
        self._call(self._cut())

    def stall(self) -> None:
        """Stop forwarding, but keep connections open and accept new ones, until restore()."""
        self._call(self._stall())

    def restore(self) -> None:
        """End cut() and stall(), and forget a planned cut."""
        self._call(self._restore())

    def cut_after(self, count: int, direction: Direction = "up") -> None:
        """Plan a cut(), once, at the moment when *count* more bytes have arrived in *direction*.

        :attr:`was_cut` tells when it happened.
        """
        self._call(self._plan_cut(count, direction))

    def _call(self, work: Coroutine[Any, Any, _Result]) -> _Result:
        if self._loop is None:
            work.close()
            raise LabError(f"the line to {self.target[0]}:{self.target[1]} is not started")
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(START_TIMEOUT)

    async def _plan_cut(self, count: int, direction: Direction) -> None:
        way = self._ways[direction]
        way.cut_at = way.bytes + count

    async def _stall(self) -> None:
        self._flowing.clear()

    async def _restore(self) -> None:
        for way in self._ways.values():
            way.cut_at = None
        self._flowing.set()
        self.was_cut.clear()
        if self._listener is None:
            self._listener = socket.create_server((self.address, self.port), backlog=128)
            self._listener.setblocking(False)
            # connections inherit it
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SOCKET_BUFFER)
            asyncio.get_running_loop().add_reader(self._listener, self._accept)

    async def _cut(self) -> None:
        if self._listener is not None:
            asyncio.get_running_loop().remove_reader(self._listener)
            self._listener.close()  # also resets what the kernel has taken for it
            self._listener = None
        for connection in self._accepted:
            _close_by_reset(connection)
            connection.close()
        self._accepted.clear()
        tasks = list(self._connections)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)  # the loop closes the sockets in its next round
        self.was_cut.set()

    def _accept(self) -> None:
        # not asyncio.start_server: a connection that is being set up there is known to nobody, and would survive a cut
        assert self._listener is not None
        try:
            connection = self._listener.accept()[0]
        except OSError:
            return  # it went away again
        # asyncio does it for sockets that it makes itself. Without, a small packet waits for the acknowledgement of the
        # one before it, which the other end delays by 40 ms.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._accepted.add(connection)
        task = asyncio.get_running_loop().create_task(self._connection(connection))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _connection(self, connection: socket.socket) -> None:
        self._accepted.discard(connection)
        writers = []
        end: Callable[[asyncio.StreamWriter], None] = _reset
        try:
            reader, writer = await asyncio.open_connection(sock=connection, limit=CHUNK_MAX)
            writers.append(writer)
            await self._flowing.wait()
            far_reader, far_writer = await asyncio.open_connection(*self.target, limit=CHUNK_MAX)
            writers.append(far_writer)
            far_writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SOCKET_BUFFER)
            async with asyncio.TaskGroup() as both:
                both.create_task(self._forward(reader, far_writer, self._ways["up"]))
                both.create_task(self._forward(far_reader, writer, self._ways["down"]))
            end = asyncio.StreamWriter.close  # both sides said that they were done
        except* (OSError, asyncio.CancelledError):
            pass  # one side dropped the connection, or the line was cut: both sides see a reset
        finally:
            for each in writers:
                end(each)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: _OneWay) -> None:
        """Copy everything from *reader* to *writer*, then close the half connection."""
        # what is in transit: (time of arrival, bytes)
        travelling: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(maxsize=256)
        async with asyncio.TaskGroup() as both:
            both.create_task(self._deliver(travelling, writer, way))
            while data := await reader.read(way.chunk()):
                await way.pass_through(len(data))
                await travelling.put((time.monotonic() + self.latency, data))
            await travelling.put((time.monotonic() + self.latency, b""))

    async def _deliver(
        self, travelling: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter, way: _OneWay
    ) -> None:
        while True:
            due, data = await travelling.get()
            if (wait := due - time.monotonic()) > 0:
                await asyncio.sleep(wait)
            await self._flowing.wait()
            if not data:
                break
            if way.cut_at is not None and way.bytes + len(data) >= way.cut_at:
                data, way.cut_at = data[: way.cut_at - way.bytes], None
                writer.write(data)
                way.bytes += len(data)
                await writer.drain()
                # in a task of the loop, because the cut ends this one
                self._planned = asyncio.get_running_loop().create_task(self._cut())
                return
            writer.write(data)
            way.bytes += len(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()


def _close_by_reset(connection: socket.socket) -> None:
    """Make the close of a connection a TCP reset, as with a broken line."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _reset(writer: asyncio.StreamWriter) -> None:
    connection = writer.get_extra_info("socket")
    if connection is not None and connection.fileno() >= 0:
        _close_by_reset(connection)
    writer.transport.abort()
