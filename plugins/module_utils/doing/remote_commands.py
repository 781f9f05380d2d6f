# Copyright: (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The few commands that a caching server runs for us, each a constant script for a POSIX ``sh``.

Arguments are settings and names that we chose ourselves; names of assets come in on standard input, ended by NUL, so
that no name is ever part of a shell's text.
"""

from __future__ import annotations

import os
import re
import typing as t

from ..errors import SyncError
from . import itself
from .session import Session

# Says what is there. A forced command (internal-sftp, say) does not print the first line.
# What the lock needs is tried out: BusyBox's flock knows no -w, and its timeout was another one before 1.30. A pipe
# serves for that, since nobody else can hold its lock.
_PROBE = (
    """say() { printf '%s\\n' "$*"; }
say netboot-sync
for name in rsync sha256sum xargs dd cat; do command -v "$name" >/dev/null 2>&1 && say "has $name"; done
: | flock -w 1 0 >/dev/null 2>&1 && say "has flock"
timeout 5 sh -c : >/dev/null 2>&1 && say "has timeout"
grep -qw aes /proc/cpuinfo 2>/dev/null && say "has aes"
say "zone $(date +%z 2>/dev/null)"
rsync --version 2>/dev/null | head -n 1
"""
    + itself.SCRIPT
)

# OpenSSL uses the processor's instructions for SHA-256, where it has them, and is then five times as fast as coreutils
# (290 MB: 0.2 s, 1.2 s). Where it is not there, or says anything else, sha256sum has the word.
_HASH = """xargs -0 -n 1 sh -c '
hash=$(openssl dgst -sha256 -r <"$1" 2>/dev/null)
case $hash in
  [0-9a-f]*" *stdin") echo "$hash" ;;
  *) sha256sum <"$1" 2>/dev/null || echo missing ;;
esac' netboot-sync"""

# Made for a delta that was cut: what arrived, followed by the predecessor, is the best basis to go on from.
_JOIN = """cat -- "$1" "$2" >"$3" """

# Holds the lock until its input ends or falls silent for $2 seconds; answers each byte, so that both ends know.
# (Where exec cannot open a file, it ends the shell without a word; so a shell of its own tries that first. flock ends
# with 1 and without a word when the time is up, and only then; $3 is that time.)
HOLD_LOCK = """umask 022
( : >>"$1" ) 2>/dev/null || { echo unwritable; exit 1; }
exec 9>>"$1"
said=$(flock -w "$3" 9 2>&1)
status=$?
case "$status:$said" in
0:*) echo locked ;;
1:) echo busy; exit 1 ;;
*) echo "failed ($status) $said"; exit 1 ;;
esac
while [ -n "$(timeout "$2" dd bs=1 count=1 2>/dev/null)" ]; do echo held; done
"""

_HASH_LINE = re.compile(r"[0-9a-f]{64}(?: |\Z)")
_ZONE = re.compile(r"^zone ([+-])([01][0-9])([0-5][0-9])$", re.MULTILINE)
_RSYNC_VERSION = re.compile(r"rsync\s+version\s+v?([0-9]{1,4})\.([0-9]{1,4})(?:\.([0-9]{1,4}))?")


class Abilities(t.NamedTuple):
    """What a caching server offers beside SFTP. ``rsync`` is its version, or an empty tuple.

    ``aes`` tells whether its processor has instructions for AES.
    ``place`` tells where the destination is, and is None where no command of ours runs.
    ``utc_offset`` is its local time's distance from UTC in seconds, positive in the east, where it tells that.
    """

    rsync: tuple[int, ...] = ()
    hashes: bool = False
    locks: bool = False
    joins: bool = False
    aes: bool = False
    utc_offset: int | None = None
    place: itself.Place | None = None


def parse_rsync_version(text: str) -> tuple[int, ...]:
    """Return the version that ``rsync --version`` printed, or an empty tuple."""
    found = _RSYNC_VERSION.search(text)
    return tuple(int(part or 0) for part in found.groups()) if found else ()


def parse_utc_offset(text: str) -> int | None:
    """Return what ``date +%z`` printed, in seconds, or None."""
    found = _ZONE.search(text)
    if not found:
        return None
    seconds = int(found.group(2)) * 3600 + int(found.group(3)) * 60
    return -seconds if found.group(1) == "-" else seconds


def probe(session: Session, dest: str = "/") -> Abilities:
    """Ask a caching server what it offers, and where a destination is."""
    _status, output = session.run(_PROBE, dest, timeout=session.address.stall_timeout)
    return parse_abilities(output)


def parse_abilities(output: bytes) -> Abilities:
    """Return what the answer to the probe says; nothing, where it is no answer of ours."""
    text = output.decode("utf-8", "replace")
    lines = text.splitlines()
    if "netboot-sync" not in lines:
        return Abilities()
    has = {line[4:] for line in lines if line.startswith("has ")}
    return Abilities(
        rsync=parse_rsync_version(text) if "rsync" in has else (),
        hashes={"sha256sum", "xargs"} <= has,
        locks={"flock", "timeout", "dd"} <= has,
        joins="cat" in has,
        aes="aes" in has,
        utc_offset=parse_utc_offset(text),
        place=itself.parse(lines),
    )


def hash_files(session: Session, paths: t.Sequence[str]) -> list[str]:
    """Have the caching server hash files, and return a SHA-256 for each; empty for one that cannot be read."""
    names = b"".join(os.fsencode(path) + b"\0" for path in paths)
    _status, output = session.run(_HASH, stdin=names)
    return parse_hashes(output, len(paths))


def parse_hashes(output: bytes, count: int) -> list[str]:
    """Return the hashes in the answer for ``count`` files. Raises :class:`SyncError` for another number."""
    lines = output.decode("ascii", "replace").splitlines()
    if len(lines) != count:
        raise SyncError(
            f"asked for {count} hashes, the caching server answered {len(lines)}",
            remedy="Does sha256sum work there?",
        )
    return [line[:64] if _HASH_LINE.match(line) else "" for line in lines]


def join_files(session: Session, first: str, second: str, into: str) -> bool:
    """Write two files, one behind the other, into a third; tell whether that went well."""
    status, _unused = session.run(_JOIN, first, second, into)
    return status == 0
