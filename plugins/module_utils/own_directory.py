# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Directories that the module's processes of one user on one host share, and nobody else can write to."""

from __future__ import annotations

import os
import stat
import tempfile


def own_directory(purpose: str = "") -> str:
    """Return the path of this user's shared directory on this host; it may not exist yet."""
    name = f"netboot-syncer-{os.geteuid()}"
    return os.path.join(tempfile.gettempdir(), f"{name}-{purpose}" if purpose else name)


def make_own(path: str) -> None:
    """Create such a directory if it is not there. Raises :class:`OSError`, also if others could write to it."""
    os.makedirs(path, mode=0o700, exist_ok=True)
    found = os.lstat(path)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise PermissionError(0, "it is not ours alone")
