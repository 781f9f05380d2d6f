# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One of our scripts running on a caching server.

A login may print anything: a ``.bashrc`` before our script, a forced command after it. So each line of ours begins with
a mark that is unique to this conversation, and everything else is ignored. Scripts print a line with ``say``.
"""

from __future__ import annotations

import re
import shlex
import socket
import time
import typing as t
import uuid

from ..errors import ConnectionTrouble, SyncError
from .pipe import Channel

MAX_LINE = 64 * 1024  # bytes; the longest of ours is a path
MAX_NOISE = 1024 * 1024  # bytes of text that is not ours
_KEPT = 300  # bytes of that text, for messages
_END = "end "
_STATUS = re.compile(r"[0-9]{1,3}\Z")

# The script runs in a subshell, so that its exit does not prevent the line with its exit status.
_FRAME = """mark=$1; shift; say() {{ printf '%s %s\\n' "$mark" "$*"; }}
(
{script}
)
say end $?
"""


class Answer(t.NamedTuple):
    """How a script ended: exit status, our lines, what else was printed there before, standard error's first words.

    ``status`` is None if the script did not finish, as with a forced command or without a shell.
    """

    status: int | None
    lines: list[str]
    noise: str
    errors: str


def frame(script: str, *arguments: str) -> tuple[str, bytes]:
    """Return the command line of a script, for the login shell of the caching server, and the mark of its lines."""
    mark = f"netboot-sync-{uuid.uuid4().hex}"
    text = _FRAME.format(script=script)
    return shlex.join(["sh", "-c", text, "netboot-sync", mark, *arguments]), mark.encode("ascii")


class Conversation:
    """A script that was started; ``where`` is the caching server in words. Times are in seconds."""

    def __init__(self, channel: Channel, mark: bytes, where: str) -> None:
        self._channel = channel
        self._mark = mark
        self._where = where
        self._buffer = b""
        self._noise = b""
        self._count = 0  # bytes of noise
        self.status: int | None = None

    @property
    def noise(self) -> str:
        """The start of the output that is not ours, on one line."""
        return " ".join(self._noise.decode("utf-8", "replace").split())

    @property
    def errors(self) -> str:
        """The start of standard error, on one line."""
        return self._channel.errors

    def say(self, content: bytes, timeout: float) -> None:
        """Send something to the script's standard input."""
        self._channel.settimeout(timeout)
        self._channel.sendall(content)

    def say_no_more(self) -> None:
        """End its standard input."""
        self._channel.shutdown_write()

    def answer(self, timeout: float | None) -> str | None:
        """Return the next line of ours, or None at the end: then ``status`` says how it ended.

        Raises :class:`TimeoutError` when ``timeout`` seconds have passed without one, whatever else was printed, and
        :class:`SyncError` for text without end.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while self.status is None:
            line, newline, rest = self._buffer.partition(b"\n")
            if newline:
                self._buffer = rest
                said = self._ours(line)
                if said is not None and not said.startswith(_END):
                    return said
                if said is not None:
                    self.status = int(said[len(_END) :]) if _STATUS.match(said, len(_END)) else 1
                continue
            if len(self._buffer) > MAX_LINE:
                self._ignore(self._buffer[: -len(self._mark)])
                self._buffer = self._buffer[-len(self._mark) :]
            self._channel.settimeout(None if deadline is None else max(deadline - time.monotonic(), 0.001))
            try:
                block = self._channel.recv(65536)
            except (socket.timeout, TimeoutError) as error:
                raise TimeoutError(f"no answer within {timeout:g} s") from error
            if not block:
                self._ignore(self._buffer)
                self._buffer = b""
                return None
            self._buffer += block
        return None

    def _ours(self, line: bytes) -> str | None:
        """Return a line of ours without its mark, which need not be at its beginning; None for any other line."""
        before, mark, said = line.partition(self._mark)
        self._ignore(before if mark else line)
        return said.decode("utf-8", "surrogateescape").strip() if mark else None

    def _ignore(self, text: bytes) -> None:
        self._count += len(text)
        self._noise = (self._noise + text + b"\n")[:_KEPT] if text.strip() else self._noise
        if self._count > MAX_NOISE:
            self._channel.close()
            raise SyncError(
                f"the login at {self._where} prints text without end ({self.noise[:60]} ...)",
                remedy="Let its .bashrc or forced command print nothing where there is no terminal.",
            )

    def all_answers(self, timeout: float | None, *, most: int) -> Answer:
        """Return all lines of ours at the end of the script; they are bounded to ``most`` bytes."""
        lines: list[str] = []
        count = 0
        while True:
            line = self.answer(timeout)
            if line is None:
                return Answer(self.status, lines, self.noise, self.errors)
            lines.append(line)
            count += len(line) + 64
            if count > most:
                self._channel.close()
                raise ConnectionTrouble(f"{self._where} answers without end", remedy="Look at its login shell.")

    def lost(self) -> bool:
        """Return, at its end, whether it ended because the connection was lost."""
        return self._channel.lost()

    def close(self) -> None:
        """End it, together with its watcher there."""
        self._channel.close()
