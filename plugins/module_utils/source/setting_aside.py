# Copyright: (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Carries out on the netboot server what was planned for withdrawing images by name. Only this writes to its tree."""

from __future__ import annotations

import errno
import getpass
import os
import typing as t

from ..assets.withdrawal import Rename
from ..errors import SyncError


def carry_out(root: str, renames: t.Iterable[Rename]) -> None:
    """Rename each file within its directory, in one step, and have it on disk. Raises :class:`SyncError`."""
    for one in renames:
        old, new = os.path.join(root, one.old), os.path.join(root, one.new)
        try:
            if not one.old:
                os.close(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o644))
            elif one.new:
                os.rename(old, new)
            else:
                os.unlink(old)
            _flush_directory(os.path.dirname(new if one.new else old))
        except FileNotFoundError:
            if one.old and not os.path.lexists(old):
                continue  # somebody else did the same, or removed it
            # The directory of an image that only caching servers have is not there either.
            continue
        except OSError as error:
            raise _trouble(error, old if one.old else new) from error


def _flush_directory(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _trouble(error: OSError, path: str) -> SyncError:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    remedy = "Look at the disk or the mount that it is on."
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        remedy = f"Let {user} write to its directory, or set netboot_withdraw_become to true."
    return SyncError(
        f"the marker cannot be set aside ({error.strerror or error})", path=path, host="netboot server", remedy=remedy
    )
