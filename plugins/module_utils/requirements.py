# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the modules' host needs besides Ansible, and which package provides it."""

from __future__ import annotations

import re
import sys

OLDEST_PYTHON = (3, 9)
OLDEST_PARAMIKO = (2, 12)
_PACKAGES = "the package python3-paramiko (Debian, Ubuntu, Fedora; on RHEL from EPEL)"


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(str(part) for part in version)


def python_trouble() -> str:
    """Return why this Python cannot run the modules, with the remedy, or an empty string."""
    if sys.version_info >= OLDEST_PYTHON:
        return ""
    return (
        f"{sys.executable} is Python {_dotted(sys.version_info[:2])}. Install {_dotted(OLDEST_PYTHON)} or newer, and"
        " set ansible_python_interpreter of this host to it."
    )


def paramiko_trouble() -> str:
    """Return why paramiko is unusable for this Python, with the remedy, or an empty string."""
    elsewhere = f"; for another Python than the system's: {sys.executable} -m pip install paramiko"
    try:
        import paramiko
    except ImportError as error:
        broken = "" if isinstance(error, ModuleNotFoundError) and error.name == "paramiko" else f" ({error})"
        return f"there is no paramiko for {sys.executable}{broken}. Install {_PACKAGES}{elsewhere}."
    return version_trouble(str(paramiko.__version__), elsewhere)


def version_trouble(version: str, elsewhere: str = "") -> str:
    """Return why a version of paramiko is unusable, with the remedy, or an empty string."""
    found = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
    if found >= OLDEST_PARAMIKO:
        return ""
    return (
        f"paramiko {version} of {sys.executable} is too old: {_dotted(OLDEST_PARAMIKO)} or newer is needed. Upgrade"
        f" {_PACKAGES}{elsewhere}."
    )
