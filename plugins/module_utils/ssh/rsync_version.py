# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which rsync one end has, and whether it is new enough."""

from __future__ import annotations

import re
import shutil

from ..options import called
from .bounds import run_bounded

OLDEST = (3, 1, 0)  # --info and --no-human-readable
_VERSION = re.compile(r"rsync\s+version\s+v?([0-9]{1,4})\.([0-9]{1,4})(?:\.([0-9]{1,4}))?")


def parse(text: str) -> tuple[int, ...]:
    """Return the version that ``rsync --version`` printed, or an empty tuple."""
    found = _VERSION.search(text)
    return tuple(int(part or 0) for part in found.groups()) if found else ()


def local() -> tuple[int, ...]:
    """Return the version of rsync on this host, or an empty tuple."""
    program = shutil.which("rsync")
    if program is None:
        return ()
    _status, output, _errors = run_bounded([program, "--version"])
    return parse(output.decode("utf-8", "replace"))


def trouble(version: tuple[int, ...], where: str) -> str:
    """Return why an rsync is unusable, with the remedy, or an empty string; ``where`` is its host in words."""
    if not version:
        return f"no rsync on {where}. Install it there, or set {called('transport')} to sftp."
    if version < OLDEST:
        found, oldest = (".".join(str(part) for part in one) for one in (version, OLDEST[:2]))
        return f"rsync {found} on {where} is too old. Install {oldest} or newer, or set {called('transport')} to sftp."
    return ""
