# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the two kinds of session have in common: our scripts, SFTP, and the meaning of their errors."""

from __future__ import annotations

import abc
import contextlib
import socket
import typing as t

from ..errors import AccessRefused, ConnectionTrouble, SyncError
from .conversation import Answer, Conversation, frame
from .login import Login
from .pipe import Channel
from .settings import Address, Effective
from .sftp import Sftp
from .sftp_client import BoundedClient, NoSftp

try:
    from paramiko import SFTPError, SSHException
except ImportError:  # reported by the module, with missing_required_lib
    SFTPError = SSHException = OSError  # type: ignore[assignment,misc]

MAX_ANSWER = 8 * 1024 * 1024  # bytes of the answer of one command; a hash is 65


class BaseSession(abc.ABC):
    """A connection to one caching server. Use as a context manager."""

    def __init__(self, address: Address, settings: Effective) -> None:
        self.address = address
        self.settings = settings
        self._sftp: Sftp | None = None

    def __enter__(self: Self) -> Self:
        self.connect()
        return self

    def __exit__(self, *_unused: object) -> None:
        self.close()

    @property
    def where(self) -> str:
        """The address in words."""
        return self.settings.where

    @abc.abstractmethod
    def connect(self) -> None:
        """Connect. Raises :class:`ConnectionTrouble` or :class:`AccessRefused`."""

    @abc.abstractmethod
    def close(self) -> None:
        """End the connection, and everything that runs on it."""

    @abc.abstractmethod
    def alive(self, patience: float = 0.0) -> bool:
        """Return whether the connection is still up, as far as known without asking.

        If something just ended, the connection gets ``patience`` seconds to follow.
        """

    @abc.abstractmethod
    def _open(self, command: str, *, subsystem: bool = False) -> Channel:
        """Run a command, or a subsystem."""

    @abc.abstractmethod
    def bulk(self, ciphers: t.Sequence[str] = ()) -> Login:
        """Return the login for all that is sent in bulk. Raises :class:`SyncError`."""

    def expect_bulk(self, ciphers: t.Sequence[str] = ()) -> None:  # noqa: B027  # there need be none
        """Begin the login for bulk if it will be needed soon, without waiting for it; :meth:`bulk` does."""

    @abc.abstractmethod
    def drop_bulk(self) -> None:
        """End that login, and anything in progress on it; the next user gets a new one."""

    @property
    def violation(self) -> str:
        """The other end's protocol violation, in words."""
        return ""

    def sftp(self) -> Sftp:
        """Return the SFTP side of the session, opened on the first call. For one thread only."""
        if self._sftp is None:
            self._sftp = self.new_sftp()
        return self._sftp

    def new_sftp(self) -> Sftp:
        """Open another SFTP channel. Two threads on one channel would read each other's answers."""
        channel = self._open("sftp", subsystem=True)
        channel.settimeout(self.address.stall_timeout)
        try:
            return Sftp(BoundedClient(channel))  # type: ignore[arg-type]
        except (SSHException, SFTPError, EOFError, OSError) as error:
            silent = isinstance(error, (socket.timeout, TimeoutError))
            # when a connection is lost, its channels end a moment earlier
            if silent or not self.alive(1.0):
                raise self.broken(self._silence if silent else "") from error
            raise self._no_sftp(error, channel) from error

    def _no_sftp(self, error: Exception, channel: Channel) -> SyncError:
        errors = channel.errors
        if "subsystem request failed" in errors:
            errors = ""
        errors = errors or self._refused_command()
        if isinstance(error, NoSftp):
            said = " ".join(error.text.split())
            if not errors:
                # nologin prints the reason there; a .bashrc prints something else
                return SyncError(
                    f"no SFTP at {self.where}: the login of that user prints text ({said})",
                    remedy="Let its .bashrc or forced command print nothing where there is no terminal; "
                    "if it has no shell, set Subsystem sftp internal-sftp in sshd_config.",
                )
            errors = f"{errors} {said}"
        if errors:
            return SyncError(
                f"{self.where} lets that user in, but no further: {errors}",
                remedy="Put that right for this user on the caching server.",
            )
        return SyncError(
            f"no SFTP at {self.where} ({error})", remedy="Enable it in sshd_config: Subsystem sftp internal-sftp."
        )

    def _refused_command(self) -> str:
        """Return why nothing can be run there: OpenSSH passes on the output of a command, but not that of SFTP."""
        try:
            answer = self.run(":")
        except (SyncError, SSHException, EOFError, OSError):
            return ""
        return answer.errors if answer.status is None else ""

    def start(self, script: str, *arguments: str) -> Conversation:
        """Start one of our constant scripts under ``sh``. Arguments are quoted settings or names that we chose."""
        command, mark = frame(script, *arguments)
        channel = self._open(command)
        channel.settimeout(self.address.stall_timeout)
        return Conversation(channel, mark, self.where)

    def run(self, script: str, *arguments: str, stdin: bytes = b"", timeout: float | None = None) -> Answer:
        """Run one of our scripts until it ends.

        ``timeout`` is the time in seconds for each line of its answer; by default the stall timeout.
        """
        conversation = self.start(script, *arguments)
        try:
            if stdin:
                conversation.say(stdin, self.address.stall_timeout)
        except BaseException:
            conversation.close()
            raise
        return self.finish(conversation, timeout)

    def finish(self, conversation: Conversation, timeout: float | None = None) -> Answer:
        """Wait for the end of a running script, and return its output; ``timeout`` as for :meth:`run`."""
        try:
            conversation.say_no_more()
            answer = conversation.all_answers(timeout or self.address.stall_timeout, most=MAX_ANSWER)
            lost = answer.status is None and conversation.lost()
            if not self.alive(1.0 if lost else 0.0):
                raise self.broken()
            return answer
        finally:
            conversation.close()

    @property
    def _silence(self) -> str:
        return f"no answer within {self.address.stall_timeout} s: the line, or a disk there, hangs"

    def broken(self, why: str = "") -> ConnectionTrouble:
        """Return the error for a lost connection; ``why`` is what is known about it."""
        why = self.violation or why
        return ConnectionTrouble(
            f"the connection broke ({why})" if why else "the connection broke",
            remedy="What arrived is kept; the next run goes on from there.",
        )

    def silent(self) -> ConnectionTrouble:
        """Return the error for a connection that went silent."""
        return self.broken(self._silence)

    def in_words(self, error: Exception, path: str = "") -> SyncError | None:
        """Return the meaning of an error of this session, or None for a bug of ours, which must not be hidden."""
        if isinstance(error, (ConnectionTrouble, AccessRefused)):
            return error
        silent = isinstance(error, (socket.timeout, TimeoutError))
        if silent or isinstance(error, (EOFError, SSHException)) or not self.alive():
            return self.broken(self._silence if silent and self.alive() else "")
        if isinstance(error, OSError):
            return SyncError(
                f"the caching server refused something ({error.strerror or error})",
                path=path,
                remedy="Look at the permissions there.",
            )
        return error if isinstance(error, SyncError) else None

    def require_line(self, error: Exception) -> None:
        """Raise :class:`ConnectionTrouble` if an error means that the session was lost, not just that one call failed.

        A missing answer must never be taken for an answer.
        """
        trouble = self.in_words(error)
        if isinstance(trouble, ConnectionTrouble):
            raise trouble from error

    @contextlib.contextmanager
    def told_as(self, path: str, what: str, remedy: str) -> t.Iterator[None]:
        """Convert an OS error of SFTP in the block to a :class:`SyncError` that says what was tried."""
        try:
            yield
        except (OSError, EOFError, SSHException) as error:
            self.require_line(error)
            words = getattr(error, "strerror", None) or error
            raise SyncError(f"{what} ({words})", path=path, remedy=remedy) from error


Self = t.TypeVar("Self", bound=BaseSession)
