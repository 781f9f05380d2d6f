# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A login at a caching server: one persistent ``ssh``, over which others open sessions without their own login.

That is OpenSSH's connection sharing (``ControlMaster`` in ssh_config(5)). Its socket is in a directory that only this
user may enter, and disappears with the run. A run has two logins: one for control, and one for bulk data, which is
opened for the first file; so a question never waits behind a file.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shlex
import shutil
import subprocess
import tempfile
import threading
import time
import typing as t

from ..errors import SyncError
from . import troubles
from .pipe import Pipe, end, end_rest, end_with_parent
from .settings import Address, Effective, no_client

_PREFIX = "netboot-ssh-"
_NEW = "netboot-new-ssh-"
_LEFT = 3600  # seconds after which an unlocked one counts as that of a killed run
_LONGEST = 60  # bytes of a directory's path: a socket's may have 104, and ssh appends 18 while it creates one
_PLAIN = re.compile(r"[A-Za-z0-9/_.-]+\Z")
_KEPT = 16 * 1024  # bytes of ssh's output, from the start and from the end each
_PATIENCE = 3  # times the connect timeout: for the line, for the keys, for the login


class Sockets:
    """The private directory for the sockets of one run. The next run removes what a killed one left behind."""

    def __init__(self) -> None:
        parent = self._parent()
        # Under another name until it is locked: a concurrent cleanup would take it for one that was left behind.
        new = tempfile.mkdtemp(prefix=_NEW, dir=parent)  # for this user alone, mode 0700
        self._held = open(f"{new}/held", "wb")  # noqa: SIM115  # open, and locked, as long as the run goes on
        fcntl.flock(self._held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self.path = f"{parent}/{_PREFIX}{os.path.basename(new)[len(_NEW) :]}"
        os.rename(new, self.path)
        # What the file system says, since the clock may have been set, and that of another run may differ.
        self._sweep(parent, now=os.stat(self.path).st_mtime)

    @staticmethod
    def _parent() -> str:
        for path in (os.environ.get("XDG_RUNTIME_DIR", ""), tempfile.gettempdir(), "/tmp", "/var/tmp"):  # noqa: S108
            if len(os.fsencode(path)) <= _LONGEST and _PLAIN.match(path) and os.access(path, os.W_OK | os.X_OK):
                return path
        raise SyncError(
            "there is no directory for the sockets of ssh",
            host="netboot server",
            remedy="Let the user that the module runs as write /tmp, or another short TMPDIR.",
        )

    @classmethod
    def _sweep(cls, parent: str, now: float) -> None:
        with contextlib.suppress(OSError), os.scandir(parent) as entries:
            for entry in entries:
                if entry.name.startswith((_PREFIX, _NEW)) and not entry.is_symlink():
                    with contextlib.suppress(OSError):
                        cls._remove_left(entry, now)

    @staticmethod
    def _remove_left(entry: os.DirEntry[str], now: float) -> None:
        """Remove a directory of ours that no process holds any more. Raises :class:`OSError` if one does."""
        about = entry.stat()
        if about.st_uid != os.geteuid():
            return
        if entry.name.startswith(_NEW) or not os.path.exists(f"{entry.path}/held"):
            if about.st_mtime < now - _LEFT:
                shutil.rmtree(entry.path, ignore_errors=True)
            return
        with open(f"{entry.path}/held", "rb") as held:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)  # refused while its run is active
            shutil.rmtree(entry.path, ignore_errors=True)

    def close(self) -> None:
        """Remove it."""
        shutil.rmtree(self.path, ignore_errors=True)
        self._held.close()


class Login:
    """One login, which begins at once; :meth:`wait` until it is up. ``options`` are further options of ssh.

    :ivar stands: whether :meth:`wait` succeeded.
    """

    def __init__(
        self, address: Address, settings: Effective, sockets: Sockets, name: str, *, options: t.Sequence[str] = ()
    ) -> None:
        self._address = address
        self._settings = settings
        self._socket = f"{sockets.path}/{name}"
        self._pipes: list[Pipe] = []
        self._opening = threading.Lock()  # the lock's heartbeat opens sessions from its own thread
        self._swept = False  # whether what it left behind has been ended
        self._first = b""
        self._last = b""
        command = ["ssh", *options, *address.ssh_options(), "-oControlMaster=yes", "-oControlPersist=no"]
        command += [f"-oControlPath={self._socket}", "-N", "--", address.host]
        try:
            # Not run_command: it stays open for the whole run.
            # pylint: disable-next=ansible-bad-function
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                start_new_session=True,  # no key of a terminal reaches it: the run ends it
                preexec_fn=end_with_parent,
            )
        except OSError as error:
            raise no_client() from error
        self._listener = threading.Thread(target=self._listen, name=f"ssh {name}", daemon=True)
        self._listener.start()
        self._begun = time.monotonic()
        self.stands = False

    def _listen(self) -> None:
        stream = self._process.stderr
        while stream is not None:
            try:
                block = os.read(stream.fileno(), 65536)
            except (OSError, ValueError):
                return
            if not block:
                return
            room = _KEPT - len(self._first)
            self._first += block[:room]
            self._last = (self._last + block[room:])[-_KEPT:]

    @property
    def said(self) -> str:
        """The output of ssh so far; if long, only the beginning and the end."""
        return (self._first + self._last).decode("utf-8", "replace")

    def wait(self) -> None:
        """Wait until the login is up. If it fails, it is closed, and :class:`SyncError` has the words of ssh."""
        if self.stands:
            return
        try:
            self._await()
        except BaseException:
            self.close()
            raise
        self.stands = True

    def _await(self) -> None:
        """Wait until its socket is there."""
        deadline = self._begun + _PATIENCE * self._address.connect_timeout
        while not os.path.exists(self._socket):
            if self.ended():
                self._listener.join(1)
                raise troubles.refusal(self.said, self._address, self._settings)
            now = time.monotonic()
            if now > deadline:
                raise troubles.silence(self.said, self._address, self._settings)
            # In proportion to what it took so far: a fast login loses little, and a slow one costs no processor time.
            time.sleep(min(max((now - self._begun) / 32, 0.001), 0.05))

    def ended(self, patience: float = 0.0) -> bool:
        """Return whether the login is over, as far as known without asking; wait this many seconds for that."""
        try:
            self._process.wait(patience)
        except subprocess.TimeoutExpired:
            return False
        if not self._swept:
            self._swept = True
            end_rest(self._process)
        return True

    @property
    def client(self) -> list[str]:
        """The command that opens a session over this login, without the host; it never logs in itself.

        It reads no ssh_config: that applies to the login.
        """
        return [
            "ssh",
            "-Fnone",
            "-T",
            "-oBatchMode=yes",
            "-oLogLevel=ERROR",
            "-oControlMaster=no",
            f"-oControlPath={self._socket}",
            "-oProxyCommand=false",
        ]

    @property
    def remote_shell(self) -> str:
        """The value of rsync's ``--rsh``; rsync splits it at blanks and uses no shell."""
        return shlex.join(self.client)

    def open(self, command: str, *, subsystem: bool = False) -> Pipe:
        """Run a command, or a subsystem, in its own session."""
        how = ["-s"] if subsystem else []
        with self._opening:
            pipe = Pipe([*self.client, *how, "--", self._address.host, command], self._settings.where)
            self._pipes = [one for one in self._pipes if not one.closed] + [pipe]
        return pipe

    def close(self) -> None:
        """End it, with all sessions over it."""
        with self._opening:
            pipes, self._pipes = self._pipes, []
        for pipe in pipes:
            pipe.close()
        self.ended()
        end(self._process)
        self._listener.join(1)
        with contextlib.suppress(OSError):
            os.unlink(self._socket)
