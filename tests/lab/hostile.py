# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A compromised caching server: it speaks the real protocols, and sends what no honest one does, forever.

Forever means :data:`ENOUGH` bytes: no test waits for a clock, and none fills the machine's memory.
"""

from __future__ import annotations

import contextlib
import itertools
import socket
import stat
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType

import paramiko
from paramiko.common import (
    AUTH_SUCCESSFUL,
    MSG_CHANNEL_DATA,
    MSG_CHANNEL_EXTENDED_DATA,
    OPEN_SUCCEEDED,
)

from .sshd import ClientKey

ENOUGH = 400_000_000  # bytes
INIT, OPEN, CLOSE, READ, LSTAT, OPENDIR, READDIR, STAT, READLINK, EXTENDED = 1, 3, 4, 5, 7, 11, 12, 17, 19, 200
VERSION, STATUS, HANDLE, DATA, NAME, ATTRS = 2, 101, 102, 103, 104, 105
OK, EOF, NO_SUCH_FILE, FAILURE = 0, 1, 2, 4
Entries = list[tuple[bytes, int, int]]  # name, mode, size
# One answer to a question: its kind, and what comes after the number of the question.
Answer = tuple[int, bytes]
Sftp = Callable[["Channel", int, bytes], Answer | None]
Shell = Callable[["Channel", str], None]


def string(content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + content


def attributes(mode: int, size: int) -> bytes:
    return struct.pack(">IQIIIII", 0x0F, size, 0, 0, mode, 0, 0)


def names(entries: Entries) -> Answer:
    found = [string(name) + string(name) + attributes(mode, size) for name, mode, size in entries]
    return NAME, struct.pack(">I", len(found)) + b"".join(found)


def status(code: int) -> Answer:
    return STATUS, struct.pack(">I", code) + string(b"no") + string(b"")


class Channel:
    """One channel of the client, with ways to send more than it has room for. ``spent`` counts all that was sent."""

    def __init__(self, channel: paramiko.Channel) -> None:
        self._channel = channel
        self.spent = 0

    def receive(self, count: int) -> bytes:
        content = b""
        while len(content) < count:
            block = self._channel.recv(count - len(content))
            if not block:
                raise EOFError
            content += block
        return content

    def send(self, content: bytes) -> None:
        self._count(len(content))
        self._channel.sendall(content)

    def packet(self, kind: int, content: bytes) -> None:
        self.send(struct.pack(">IB", len(content) + 1, kind) + content)

    def flood(self, content: bytes, *, errors: bool = False) -> None:
        """Send it over and over, whatever the client has room for."""
        transport = self._channel.get_transport()
        while transport.is_active():
            message = paramiko.Message()
            message.add_byte(bytes([MSG_CHANNEL_EXTENDED_DATA if errors else MSG_CHANNEL_DATA]))
            message.add_int(self._channel.remote_chanid)
            if errors:
                message.add_int(1)
            message.add_string(content)
            self._count(len(content))
            transport._send_message(message)  # type: ignore[attr-defined]

    def _count(self, count: int) -> None:
        self.spent += count
        if self.spent > ENOUGH:
            raise EOFError

    def close(self) -> None:
        self._channel.close()


class OpenDoor(paramiko.ServerInterface):
    """Lets everybody in."""

    def check_auth_publickey(self, _username: str, _key: paramiko.PKey) -> int:
        return AUTH_SUCCESSFUL

    def get_allowed_auths(self, _username: str) -> str:
        return "publickey"

    def check_channel_request(self, _kind: str, _number: int) -> int:
        return OPEN_SUCCEEDED


class _Door(OpenDoor):
    """Passes requests to the server."""

    def __init__(self, server: HostileServer) -> None:
        self._server = server

    def check_channel_subsystem_request(self, channel: paramiko.Channel, _name: str) -> bool:
        self._server.begin(self._server.serve_sftp, Channel(channel))
        return True

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        self._server.begin(self._server.serve_shell, Channel(channel), command.decode())
        return True


class HostileServer:
    """An SSH server on loopback. ``sftp`` has answers to kinds of requests, ``shell`` the output of commands.

    With *greeting*, it is not an SSH server: it sends that, over and over.
    """

    def __init__(
        self,
        directory: Path,
        *,
        sftp: Mapping[int, Sftp] | None = None,
        shell: Shell | None = None,
        greeting: Iterator[bytes] | None = None,
    ) -> None:
        self._sftp = dict(sftp or {})
        self._shell = shell
        self._greeting = greeting
        self._host_key = ClientKey.create(directory / "host_key")
        self.key = ClientKey.create(directory / "key")
        self._ended = threading.Event()
        self._threads: list[threading.Thread] = []
        self._transports: list[paramiko.Transport] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0.2)
        self.port = self._listener.getsockname()[1]
        self.known_hosts = directory / "known_hosts"
        self.known_hosts.write_text(f"[127.0.0.1]:{self.port} {self._host_key.public}\n", encoding="ascii")

    def __enter__(self) -> HostileServer:
        self.begin(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._listener.close()
        for transport in self._transports:
            transport.close()
        for thread in self._threads:
            thread.join(10)

    def begin(self, work: Callable[..., None], *arguments: object) -> None:
        """Start a thread that may end with its connection."""

        def run() -> None:
            with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
                work(*arguments)

        thread = threading.Thread(target=run, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        key = paramiko.Ed25519Key.from_private_key_file(str(self._host_key.private))
        while not self._ended.is_set():
            try:
                connection, _peer = self._listener.accept()
            except TimeoutError:
                continue
            if self._greeting is not None:
                self.begin(self._greet, connection)
                continue
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # as OpenSSH does it
            transport = paramiko.Transport(connection)
            self._transports.append(transport)
            transport.add_server_key(key)
            transport.start_server(server=_Door(self))

    def _greet(self, connection: socket.socket) -> None:
        with connection:
            spent = 0
            for block in self._greeting or ():
                connection.sendall(block)
                spent += len(block)
                if spent > ENOUGH:
                    return

    def serve_shell(self, channel: Channel, command: str) -> None:
        """Answer a command."""
        if self._shell is not None:
            self._shell(channel, command)
        with contextlib.suppress(EOFError):
            channel.receive(1_000_000)  # until it sends no more, or the answer to its request would come too late
        channel.close()

    def serve_sftp(self, channel: Channel) -> None:
        """Answer the questions of one SFTP channel: the destination is an empty directory, but for what was ordered."""
        read: set[bytes] = set()
        while True:
            (size,) = struct.unpack(">I", channel.receive(4))
            packet = channel.receive(size)
            kind = packet[0]
            if kind == INIT:
                channel.packet(VERSION, struct.pack(">I", 3))
                continue
            (number,) = struct.unpack(">I", packet[1:5])
            answer = (
                self._sftp[kind](channel, number, packet[5:])
                if kind in self._sftp
                else self._polite(kind, packet, read)
            )
            if answer is not None:
                channel.packet(answer[0], struct.pack(">I", number) + answer[1])

    @staticmethod
    def _polite(kind: int, packet: bytes, read: set[bytes]) -> Answer:
        if kind in (LSTAT, STAT):
            return (ATTRS, attributes(stat.S_IFDIR | 0o755, 0)) if b"/.n" not in packet[9:] else status(NO_SUCH_FILE)
        if kind in (OPEN, OPENDIR):
            read.discard(packet[9:])
            return HANDLE, string(packet[9:][:20])
        if kind in (READ, READDIR):
            return status(EOF)
        return status(OK if kind != EXTENDED else FAILURE)


def numbers() -> Iterator[bytes]:
    """Names that are all different."""
    for number in itertools.count():
        yield b"%012d" % number
