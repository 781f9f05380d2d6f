# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What prevents Ansible from running a module on the netboot server, in words for people."""

from __future__ import annotations

import re
import typing as t

_LOGIN = re.compile(r"(\S+): Permission denied \(([^)]*)\)")
_NO_PYTHON = re.compile(r"interpreter '([^']*)' was not found|(\S+): (?:No such file or directory|not found)")


def no_connection(name: str, error: Exception) -> str:
    """Return in one line why Ansible cannot connect to a host, with the remedy."""
    text = " ".join(str(error).split())
    refused = _LOGIN.search(text)
    if refused:
        return (
            f"it refuses Ansible's login ({refused.group(1)}: {refused.group(2)}). Set ansible_user of {name} and the"
            f' key or credential that fits; "ansible -m ping {name}" has to work.'
        )
    said = text.rpartition("reached over ssh: ")[2].rstrip(".")
    return f'Ansible cannot reach it ({said}). Is it up, and its address right? "ansible -m ping {name}" has to work.'


def no_module(result: t.Mapping[str, t.Any]) -> str:
    """Return in one line why a module failed, with the remedy if it never ran."""
    said = " ".join(str(result.get("msg", "")).split())
    everything = " ".join(str(result.get(key, "")) for key in ("msg", "module_stdout", "module_stderr"))
    missing = _NO_PYTHON.search(everything)
    if missing and "python" in missing.group(0):
        return (
            f"there is no Python at {missing.group(1) or missing.group(2)}. Install the package python3, or set"
            " ansible_python_interpreter of this host."
        )
    return said
