# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Carries out withdrawals by name on the netboot server. Only this writes to its tree."""

from __future__ import annotations

import contextlib
import errno
import getpass
import os
import typing as t

from ..assets.withdrawal import Rename, record_path
from ..errors import SyncError


def record_sizes(root: str, markers: t.Iterable[str]) -> dict[str, int]:
    """Return the size in bytes of each file that records that a marker was set aside."""
    found: dict[str, int] = {}
    for marker in markers:
        for purge in (False, True):
            record = record_path(marker, purge=purge)
            with contextlib.suppress(OSError):
                found[record] = os.lstat(os.path.join(root, record)).st_size
    return found


def carry_out(root: str, renames: t.Iterable[Rename]) -> None:
    """Rename each file within its directory, in one step, and flush it to disk.

    Raises :class:`SyncError` if one cannot be renamed, after all others were: a bad image must not stay up because of
    another one.
    """
    troubles: list[SyncError] = []
    for one in renames:
        try:
            _carry_out(root, one)
        except FileNotFoundError:
            # Somebody else did the same, or removed it; or, for an image that only caching servers have, the directory
            # does not exist either.
            continue
        except OSError as error:
            troubles.append(_trouble(error, os.path.join(root, one.old or one.new)))
    if troubles:
        raise troubles[0]


def _carry_out(root: str, one: Rename) -> None:
    old, new = os.path.join(root, one.old), os.path.join(root, one.new)
    directory = os.path.dirname(new if one.new else old)
    if not one.old:
        as_named = os.path.normpath(os.path.join(os.path.realpath(root), os.path.dirname(one.new)))
        if os.path.realpath(directory) != as_named:
            return  # a symlink to a directory: its target may be outside
        os.close(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o644))
    elif one.new:
        os.rename(old, new)
    else:
        os.unlink(old)
    _flush_directory(directory)


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
    if error.errno == errno.ENAMETOOLONG:
        remedy = "Its hidden name would be too long: remove the marker itself, then withdraw the image once more."
    if error.errno == errno.EISDIR:
        remedy = "A directory has the name of the record beside it (the same, hidden, with .withdrawn): move it away."
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        remedy = f"Let {user} write to its directory, or run withdraw.yml with --become."
    return SyncError(
        f"the marker cannot be set aside ({error.strerror or error})", path=path, host="netboot server", remedy=remedy
    )
