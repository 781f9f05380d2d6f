# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What OpenSSH would do for each of many addresses, asked once where no ssh_config can tell one host from another.

For a look at a caching server, a start of ``ssh -G`` costs this end as much as the look itself. OpenSSH tells which
files it reads (``ssh -v``); if no line there depends on the host, neither does what it would do, except for the name.
Wherever that is in doubt, it is asked about the host itself.
"""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
import threading

from .bounds import run_bounded
from .config_files import ConfigLine, config_lines
from .settings import Address, Effective, resolve

_ANY = "any-host-of-netboot-sync"
# OpenSSH takes these as they are: no capitals, no port or user in it, no zone of an address.
_PLAIN = re.compile(r"[a-z0-9](?:[a-z0-9.:-]*[a-z0-9])?\Z")
_READS = re.compile(rb"^debug1: Reading configuration data (.+?)\r?$", re.MULTILINE)
_PROGRAM = b"\x7fELF"  # a script in its place may do one thing for one host, and another for the next


class Alike:
    """Resolves the addresses of a fleet, from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: dict[tuple[str, ...], Effective | None] = {}

    def resolve(self, address: Address) -> Effective:
        """Return what :func:`~.settings.resolve` does. Raises :class:`SyncError`."""
        # A port and a user that are given count whatever the files say.
        shared = dataclasses.replace(address, host=_ANY, port=None, user=None)
        options = tuple(shared.ssh_options())
        if not _PLAIN.match(address.host) or any("%" in option for option in options):
            return resolve(address)
        with self._lock:
            if options not in self._found:
                self._found[options] = _for_any_host(shared)
            found = self._found[options]
        if found is None:
            return resolve(address)
        port, user = address.port or found.port, address.user or found.user
        own = {"host": address.host, "hostname": address.host, "port": str(port), "user": str(user)}
        said = tuple((key, own.get(key, value)) for key, value in found.said)
        return dataclasses.replace(found, hostname=address.host, port=port, user=user, said=said)


def _for_any_host(address: Address) -> Effective | None:
    """Return what OpenSSH would do for :data:`_ANY`; None if it may do something else for another host."""
    ssh = shutil.which("ssh")
    if ssh is None:
        return None
    try:
        with open(ssh, "rb") as program:
            if program.read(len(_PROGRAM)) != _PROGRAM:
                return None
        status, _output, told = run_bounded([ssh, "-v", "-G", *address.ssh_options(), "--", address.host])
        if status != 0 or any(_depends_on_host(os.fsdecode(path)) for path in _READS.findall(told)):
            return None
    except OSError:
        return None
    found = resolve(address)
    named = {key for key, value in found.said if _ANY in value}
    return found if named <= {"host", "hostname"} and found.hostname == _ANY else None


def _depends_on_host(path: str) -> bool:
    """Return whether a line of an ssh_config is not for all hosts alike. Raises :class:`OSError`."""
    lines = config_lines(path)
    return lines is None or any(map(_is_for_some, lines))


def _is_for_some(line: ConfigLine) -> bool:
    values = [value.lower() for value in line.values]
    if line.keyword == "host":
        return values != ["*"]
    if line.keyword == "match":
        return values != ["all"]
    return line.keyword == "hostname" or "%" in line.text
