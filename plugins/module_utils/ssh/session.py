# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The session of a run, through OpenSSH alone: whatever a user's ``ssh`` does, or refuses, applies.

It has at most two logins: one for control, and one for bulk data, which is opened on first use.
"""

from __future__ import annotations

import os
import typing as t

from ..errors import SyncError
from ..options import called
from .base import BaseSession
from .login import Login, Sockets
from .pipe import Pipe
from .settings import Address, known_hosts_option, resolve


class Session(BaseSession):
    """A connection that is checked, authenticated and kept alive.

    Without ``remember``, a host key that ``accept-new`` accepts is not saved: check mode changes nothing.
    """

    def __init__(self, address: Address, *, remember: bool = True) -> None:
        super().__init__(address, resolve(address))
        self._remember = remember
        self._sockets: Sockets | None = None
        self._control: Login | None = None
        self._bulk: Login | None = None

    def connect(self) -> None:
        """See :class:`BaseSession`."""
        self._sockets = Sockets()
        try:
            self._control = self._begin("control")
            self._control.wait()
        except BaseException:
            self.close()
            raise

    def _begin(self, name: str, ciphers: t.Sequence[str] = ()) -> Login:
        """Begin to log in."""
        if self._sockets is None:
            raise self.broken()
        options = [f"-oCiphers={','.join(ciphers)}"] if ciphers else []
        if self.address.host_key_checking == "accept-new":
            options += self._learning(self._sockets)
        return Login(self.address, self.settings, self._sockets, name, options=options)

    def _learning(self, sockets: Sockets) -> list[str]:
        """Return where to write a new host key: OpenSSH uses the first of the known hosts files."""
        files = self.settings.known_hosts_files
        if not self._remember:
            return [known_hosts_option([f"{sockets.path}/new", *files])]
        if files:
            self._require_writable(files[0])
        return []

    @staticmethod
    def _require_writable(path: str) -> None:
        """ssh would only warn, and the next run would accept any other key as new as well."""
        try:
            os.makedirs(os.path.dirname(path) or ".", mode=0o700, exist_ok=True)
            with open(path, "ab+") as file:
                if file.seek(0, os.SEEK_END):
                    file.seek(-1, os.SEEK_END)
                    if file.read(1) != b"\n":
                        file.write(b"\n")  # or the new line would be appended to the last one
        except OSError as error:
            raise SyncError(
                f"the new host key cannot be saved ({error.strerror})",
                path=path,
                host="netboot server",
                remedy=f"Let the user that the module runs as write it, or set {called('known_hosts_file')}.",
            ) from error

    def close(self) -> None:
        """See :class:`BaseSession`."""
        for login in (self._bulk, self._control):
            if login is not None:
                login.close()
        if self._sockets is not None:
            self._sockets.close()
        self._sftp = self._control = self._bulk = self._sockets = None

    def alive(self, patience: float = 0.0) -> bool:
        """See :class:`BaseSession`."""
        return self._control is not None and not self._control.ended(patience)

    def _open(self, command: str, *, subsystem: bool = False) -> Pipe:
        if self._control is None or self._control.ended():
            raise self.broken()
        return self._control.open(command, subsystem=subsystem)

    def expect_bulk(self, ciphers: t.Sequence[str] = ()) -> None:
        """See :class:`BaseSession`."""
        if self._bulk is None:
            self._bulk = self._begin("bulk", ciphers)

    def bulk(self, ciphers: t.Sequence[str] = ()) -> Login:
        """See :class:`BaseSession`."""
        if self._bulk is not None and self._bulk.ended():
            self.drop_bulk()
        if self._bulk is None:
            self._bulk = self._begin("bulk", ciphers)
        try:
            self._bulk.wait()
        except BaseException:
            self._bulk = None
            raise
        return self._bulk

    def drop_bulk(self) -> None:
        """See :class:`BaseSession`."""
        if self._bulk is not None:
            self._bulk.close()
            self._bulk = None
