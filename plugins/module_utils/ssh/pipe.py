# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A channel over a login: the standard input and output of one ``ssh`` process, in the shape of a paramiko channel.

Unread data from the other end stays in the kernel's buffers and in ssh's window, so it is bounded.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import typing as t

from ..errors import SyncError

_KEPT = 4096  # bytes of standard error
_PR_SET_PDEATHSIG = 1  # prctl(2)
_LIBC = ctypes.CDLL(None)
_REFUSED = ("open refused by peer", "open failed")


def end_with_parent() -> None:
    """Make the kernel end this process in an orderly way when its parent ends, so that its socket is removed as
    well."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def one_line(text: bytes) -> str:
    """Return the start of a program's output, on one line."""
    return " ".join(text.decode("utf-8", "replace").split())[:300]


class Channel(t.Protocol):
    """What a conversation needs of a channel; times are in seconds."""

    @property
    def errors(self) -> str:
        """The start of standard error, on one line."""

    def settimeout(self, timeout: float | None) -> None:
        """Set the timeout of a read or a write."""

    def recv(self, size: int) -> bytes:
        """Return what has arrived; nothing at the end."""

    def sendall(self, data: bytes) -> None:
        """Send all of it."""

    def shutdown_write(self) -> None:
        """Say that nothing more will be sent."""

    def lost(self) -> bool:
        """Tell, at its end, whether that came because the connection went away."""

    def close(self) -> None:
        """End it."""


class Pipe:
    """A channel over an established login; ``where`` is the caching server in words.

    ``descriptors`` are passed on to the command.
    """

    def __init__(self, command: list[str], where: str, *, descriptors: t.Sequence[int] = ()) -> None:
        self._where = where
        self._said = b""
        self._received = False
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                # Not run_command: it stays open for the whole run.
                # pylint: disable-next=ansible-bad-function
                self._process = subprocess.Popen(
                    command,
                    stdin=theirs.fileno(),
                    stdout=theirs.fileno(),
                    stderr=subprocess.PIPE,
                    start_new_session=True,
                    preexec_fn=end_with_parent,
                    pass_fds=descriptors,
                )
            except BaseException:
                ours.close()
                raise
        self._socket = ours
        if self._process.stderr is not None:
            os.set_blocking(self._process.stderr.fileno(), False)

    @property
    def closed(self) -> bool:
        """Whether it was closed here."""
        return self._socket.fileno() < 0

    def get_name(self) -> str:
        """Return a name; paramiko's SFTP client wants one for its log."""
        return "ssh"

    @property
    def errors(self) -> str:
        """See :class:`Channel`."""
        stream = self._process.stderr
        while stream is not None and not stream.closed and len(self._said) < _KEPT:
            try:
                block = os.read(stream.fileno(), _KEPT - len(self._said))
            except BlockingIOError:
                break
            if not block:
                break
            self._said += block
        return one_line(self._said)

    def settimeout(self, timeout: float | None) -> None:
        """See :class:`Channel`."""
        self._socket.settimeout(timeout)

    def recv(self, size: int) -> bytes:
        """See :class:`Channel`. Raises :class:`SyncError` if the server opens no further session."""
        try:
            block = self._socket.recv(size)
        except ConnectionResetError:
            block = b""
        if block:
            self._received = True
        elif not self._received:
            self._require_opened()
        return block

    def _require_opened(self) -> None:
        if self.lost() and any(words in self.errors for words in _REFUSED):
            raise SyncError(
                f"{self._where} opens no further session over one login",
                remedy="Raise MaxSessions in its sshd_config; its default, 10, is enough.",
            )

    def send(self, data: bytes) -> int:
        """Send some of it, and return how much."""
        try:
            return self._socket.send(data)
        except (BrokenPipeError, ConnectionResetError) as error:
            raise EOFError("the channel ended") from error

    def sendall(self, data: bytes) -> None:
        """See :class:`Channel`."""
        try:
            self._socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            return  # a script that needs no more of it has ended, and its answer says how

    def send_file(self, file: t.BinaryIO, offset: int, count: int, timeout: float) -> int | None:
        """Send up to ``count`` bytes of a file, for which the kernel need not hand them to us; return how many went.

        None if it took none for ``timeout`` seconds; 0 is the end of the file. Raises :class:`EOFError` at the end
        of the channel, and :class:`OSError` for what goes wrong with the file. It may be called beside :meth:`recv`,
        from another thread.
        """
        try:
            with self._socket.dup() as other:
                other.settimeout(timeout)
                with contextlib.suppress(socket.timeout, TimeoutError):
                    return other.sendfile(file, offset, count)
        except (BrokenPipeError, ConnectionResetError) as error:
            raise EOFError("the channel ended") from error
        return file.tell() - offset or None

    def shutdown_write(self) -> None:
        """See :class:`Channel`."""
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError:
            return  # it has ended before

    def lost(self) -> bool:
        """See :class:`Channel`."""
        try:
            status: int = self._process.wait(2)
        except subprocess.TimeoutExpired:
            return False
        # 255 is ssh's own; a signal ended the process itself, or the ssh below it.
        return status == 255 or status < 0 or status > 128

    def close(self) -> None:
        """See :class:`Channel`."""
        self._socket.close()
        end(self._process)


def end_rest(process: subprocess.Popen[bytes]) -> None:
    """Clean up after an ssh that has just ended: its ProxyCommand, and whatever that has started.

    A ProxyJump that leads in a circle makes one process after another, for as long as nobody ends them all at once.
    """
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def end(process: subprocess.Popen[bytes]) -> None:
    """End an ssh, and what it has started."""
    runs = process.poll() is None
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is None:
            process.send_signal(number)
            try:
                process.wait(2)
            except subprocess.TimeoutExpired:
                continue
    if runs:
        end_rest(process)
    if process.stderr is not None:
        process.stderr.close()
