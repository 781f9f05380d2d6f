# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The boot scripts at the root of the netboot server's tree: read, and replaced as a whole."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat

from ..errors import SyncError, source_remedy
from .scripts import is_machine_script

_LARGEST = 8 * 1024 * 1024  # bytes; a menu has some hundred for each image
_MODE = 0o644  # a web server has to read them, whatever the umask says


class ScriptFiles:
    """Small files of one directory. Raises :class:`SyncError` for any refusal of the system."""

    def __init__(self, root: str) -> None:
        self.root = root

    def read(self, name: str) -> bytes | None:
        """Return the content of a script, or None if there is none."""
        try:
            descriptor = os.open(self._path(name), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._trouble(name, "read", error) from error
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise SyncError("it is not a file", path=name, host="netboot server", remedy="Remove or rename it.")
            return file.read(_LARGEST)

    def is_public(self, name: str) -> bool:
        """Return whether every user can read a script."""
        try:
            return stat.S_IMODE(os.lstat(self._path(name)).st_mode) == _MODE
        except OSError:
            return False

    def machine_scripts(self) -> list[str]:
        """Return the names of all scripts of single machines."""
        try:
            return sorted(name for name in os.listdir(self.root) if is_machine_script(name))
        except OSError as error:
            raise self._trouble("", "list", error) from error

    def write(self, name: str, content: bytes) -> None:
        """Put a script up, or another in its place: whoever reads it meanwhile has the old one or the new one."""
        staged = self._path(f".{name}.{secrets.token_hex(8)}")
        try:
            try:
                descriptor = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, _MODE)
                with os.fdopen(descriptor, "wb") as file:
                    file.write(content)
                    file.flush()
                    os.fchmod(descriptor, _MODE)
                    os.fsync(descriptor)
                os.rename(staged, self._path(name))
                self._flush_directory()
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(staged)
                raise
        except OSError as error:
            raise self._trouble(name, "write", error) from error

    def remove(self, name: str) -> None:
        """Take a script away; it is no trouble where it is gone already."""
        try:
            os.unlink(self._path(name))
            self._flush_directory()
        except FileNotFoundError:
            pass
        except OSError as error:
            raise self._trouble(name, "remove", error) from error

    def _flush_directory(self) -> None:
        descriptor = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _path(self, name: str) -> str:
        return os.path.join(self.root, name)

    def _trouble(self, name: str, verb: str, error: OSError) -> SyncError:
        remedy = source_remedy(error)
        if verb in ("write", "remove"):
            remedy = f"Let the user that the module runs as write in {self.root}, and see that there is room."
        return SyncError(
            f"the boot script cannot be {verb if verb == 'read' else _PARTICIPLES[verb]} ({error.strerror or error})",
            path=self._path(name),
            host="netboot server",
            remedy=remedy,
        )


_PARTICIPLES = {"list": "listed", "write": "written", "remove": "removed"}
