# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bounds on what a caching server can make this host keep in memory, below SFTP and below commands.

paramiko trusts the other end in three places: it keeps whatever arrives on a channel, even beyond the granted window;
it keeps standard error until somebody reads it; and it waits for as many bytes as a packet claims to have. A server
that exceeds one of these bounds loses the connection.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
import typing as t

try:
    import paramiko
    from paramiko.buffered_pipe import BufferedPipe
    from paramiko.ssh_exception import SSHException
except ImportError:  # reported by the module, with missing_required_lib
    paramiko = None  # type: ignore[assignment]

MIN_PARAMIKO = (2, 12)  # what Debian 12 has
MAX_PACKET = 256 * 1024  # bytes; OpenSSH's own bound, of its protocol's packets and of SFTP's
MAX_GREETING = 64 * 1024  # bytes before the first packet
_WINDOW = 2 * 1024 * 1024  # bytes that a server may send unread on one channel
_KEPT = 4096  # bytes of standard error


def run_bounded(
    command: t.Sequence[str], *, size: int = 1024 * 1024, timeout: float = 60.0
) -> tuple[int | None, bytes, bytes]:
    """Run a program on this host; return its exit status (None if it was killed) and the start of its output.

    It is killed after more than ``size`` bytes of output, or after ``timeout`` seconds.
    """
    # Not run_command: answers are bounded in bytes and time.
    # pylint: disable-next=ansible-bad-function
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )
    deadline = time.monotonic() + timeout
    said: dict[t.Any, bytes] = {process.stdout: b"", process.stderr: b""}
    streams = list(said)
    with process:
        try:
            while streams:
                ready, _unused, _unused = select.select(streams, [], [], max(deadline - time.monotonic(), 0))
                if not ready:
                    return None, said[process.stdout], said[process.stderr]
                for stream in ready:
                    block = os.read(stream.fileno(), 65536)
                    said[stream] += block
                    if not block:
                        streams.remove(stream)
                    elif len(said[stream]) > size:
                        return None, said[process.stdout], said[process.stderr]
            return process.wait(max(deadline - time.monotonic(), 0.1)), said[process.stdout], said[process.stderr]
        except subprocess.TimeoutExpired:
            return None, said[process.stdout], said[process.stderr]
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)  # a Match exec of ssh_config, too


def first_errors(channel: paramiko.Channel) -> str:
    """Return the start of a guarded channel's standard error, on one line."""
    kept = getattr(channel.in_stderr_buffer, "kept", b"")
    return " ".join(kept.decode("utf-8", "replace").split())[:300]


if paramiko is not None:

    class GuardedTransport(paramiko.Transport):
        """A transport that gives up on a server that sends more than it may; ``violation`` then says what that was."""

        def __init__(self, *arguments: t.Any, **options: t.Any) -> None:
            super().__init__(*arguments, **options)
            self.violation = ""
            packetizer: t.Any = self.packetizer
            read_all, read_timeout = packetizer.read_all, packetizer._read_timeout
            greeting = 0

            def bounded_read_all(size: int, check_rekey: bool = False) -> bytes:
                if size > MAX_PACKET:
                    raise self.broken_by("it announces a packet larger than any may be")
                found: bytes = read_all(size, check_rekey)
                return found

            def bounded_read_timeout(timeout: float) -> bytes:
                nonlocal greeting
                block: bytes = read_timeout(timeout)
                greeting += len(block)
                if greeting > MAX_GREETING:
                    raise self.broken_by("it greets without end")
                return block

            packetizer.read_all = bounded_read_all
            packetizer._read_timeout = bounded_read_timeout

        def broken_by(self, violation: str) -> SSHException:
            """Record what the server did, and return the error."""
            self.violation = violation
            return SSHException(violation)

    class _Window(BufferedPipe):  # type: ignore[type-arg]
        """Data that arrived on a channel and was not read yet: no more than the server was allowed to send."""

        def __init__(self, transport: paramiko.Transport) -> None:
            super().__init__()
            self._transport = transport

        def feed(self, data: bytes) -> None:
            """See :class:`BufferedPipe`."""
            if len(self) + len(data) > _WINDOW + MAX_PACKET:
                self.empty()
                raise _overflow(self._transport)
            super().feed(data)

    class _FirstWords(BufferedPipe):  # type: ignore[type-arg]
        """The start of a channel's standard error. The rest is dropped."""

        def __init__(self, transport: paramiko.Transport) -> None:
            super().__init__()
            self._transport = transport
            self._count = 0
            self.kept = b""

        def feed(self, data: bytes) -> None:
            """See :class:`BufferedPipe`."""
            self._count += len(data)
            self.kept = (self.kept + data)[:_KEPT]
            if self._count > _WINDOW + MAX_PACKET:  # none of it is read, so the server may send no more than that
                raise _overflow(self._transport)

    def _overflow(transport: paramiko.Transport) -> SSHException:
        words = "it sends more than it may"
        return transport.broken_by(words) if isinstance(transport, GuardedTransport) else SSHException(words)

    def guard_channel(channel: paramiko.Channel, transport: paramiko.Transport) -> None:
        """Bound what a channel keeps. For a newly opened one."""
        with channel.lock:
            channel.in_buffer = _Window(transport)
            channel.in_stderr_buffer = _FirstWords(transport)
            if channel.closed or channel.eof_received:
                channel.in_buffer.close()
                channel.in_stderr_buffer.close()
