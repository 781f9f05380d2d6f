# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The few commands that a caching server runs for us, each a constant script for a POSIX ``sh``.

Arguments are settings and names that we chose ourselves; names of assets arrive NUL-terminated on standard input, so
that no name is ever part of a shell command.
"""

from __future__ import annotations

import os
import re
import time
import typing as t

from ..errors import ConnectionTrouble, SyncError
from . import itself, rsync_version
from .base import BaseSession
from .conversation import Conversation, frame

# Reports what is available. With a forced command (such as internal-sftp), none of this runs. The lock's needs are
# tested: BusyBox's flock has no -w, and its timeout was different before 1.30. A pipe is used for that, since nobody
# else can hold its lock.
_TOOLS = r"""
for name in rsync sha256sum xargs dd cat tar sed tee wc; do command -v "$name" >/dev/null 2>&1 && say "has $name"; done
: | flock -w 1 0 >/dev/null 2>&1 && say "has flock"
timeout 5 sh -c : >/dev/null 2>&1 && say "has timeout"
while read -r key value; do [ "$key" = pos: ] && say "has place"; done 2>/dev/null </proc/self/fdinfo/0
grep -qw aes /proc/cpuinfo 2>/dev/null && say "has aes"
say "zone $(date +%z 2>/dev/null)"
say "$(rsync --version 2>/dev/null | head -n 1)"
"""

# Reports where the destination is, and what is mounted below it, with hardly a process of its own: many caching servers
# are asked this and no more, as long as they have nothing to do.
_WHERE = (
    r"""
real=$(cd -P -- "$1" 2>/dev/null && pwd)
if [ -n "$real" ]; then
  say "real $real"
  shape=$real
  case $real in *[\\\ ]*) shape=$(printf '%s' "$real" | sed 's/\\/\\134/g; s/ /\\040/g') ;; esac
  while read -r id parent device root point rest; do
    case $point in "${shape%/}"/*) say "mount $id $parent $device $root $point $rest" ;; esac
  done 2>/dev/null </proc/self/mountinfo && say "mounts told"
fi
"""
    + itself.SCRIPT
)

# For a long file, progress is reported every other second: the position in it, which the kernel knows for a descriptor
# that both share; without /proc, only that it is still running. When nobody listens any more, the whole script ends:
# sshd leaves running processes alone when a connection ends, and a hanging process would stay forever. The watcher has
# a process to wait for that holds none of the pipes, or the end of the script would wait for it; nor does it hold the
# file, or its space would not be freed when the file is removed.
_WATCH = r"""
tell() { printf '%s %s\n' "$mark" "$*" 2>/dev/null || kill -9 0; }
look() {
  place=
  if [ -n "${1-}" ]; then
    while read -r key value; do [ "$key" = pos: ] && place=$value; done <<PLACE
$(cat "/proc/self/fdinfo/$1" 2>/dev/null)
PLACE
  fi
}
watch() {
  trap '' PIPE
  while sleep 2 </dev/null >/dev/null 2>&1 3>&- 4>&-; do
    look "${1-}"
    tell "at ${place:--}"
  done
}
look_away() { kill "$1"; wait "$1" 2>/dev/null; }
"""

# OpenSSL uses the processor's instructions for SHA-256, where it has them, and is then five times as fast as coreutils
# (290 MB: 0.2 s, 1.2 s). If it is missing, or prints anything else, sha256sum is used. Each file comes as two words:
# whether it is long enough to be watched, and its name.
_HASH_ONE = r"""
mark=$1; long=$2
{ [ -f "$3" ] && exec 3<"$3"; } 2>/dev/null || { printf '%s missing\n' "$mark"; exit 0; }
eval "$watching"
begin() { if [ "$long" = long ]; then watch 3 & watcher=$!; fi; }
end() { if [ "$long" = long ]; then look_away "$watcher"; fi; }
begin
hash=$(openssl dgst -sha256 -r <&3 2>/dev/null)
case $hash in
  [0-9a-f]*" *stdin") ;;
  *) end; exec 3<"$3"; begin; hash=$(sha256sum <&3 2>/dev/null) || hash=missing ;;
esac
end
printf '%s %s\n' "$mark" "$hash"
"""
_HASH = (
    _WATCH
    + r"""watching=$1; export watching
watch & watcher=$!
xargs -0 -n 2 sh -c "$2" netboot-sync "$mark"
status=$?
look_away "$watcher"
exit "$status"
"""
)

# For an interrupted delta: what arrived, followed by the predecessor, is the best basis to resume from.
_JOIN = (
    _WATCH
    + r"""set -C
exec 4>"$3" || exit 1
watch 4 & watcher=$!
cat -- "$1" "$2" >&4
status=$?
look_away "$watcher"
exit "$status"
"""
)

# Writes its input to a new file, after a piece of it if there is one, and reports the progress.
_RECEIVE = (
    _WATCH
    + r"""set -C
LC_ALL=C; export LC_ALL
exec 4>"$2" || exit 1
watch 4 & watcher=$!
{ [ -z "$1" ] || cat -- "$1"; } >&4 && cat >&4
status=$?
look_away "$watcher"
look 4
tell "came to $place"
exit "$status"
"""
)

# Unpacks an archive of small files into an empty directory of ours while it arrives, then flushes all of it to disk at
# once, and meanwhile hashes each. The copy of the archive only tells how much has come: a pipe has no position.
# Without names, sync flushes all file systems; so does BusyBox's, whatever its arguments.
_UNPACK = (
    _WATCH
    + r"""LC_ALL=C; export LC_ALL
umask 022
cd -- "$1" && : >archive || exit 1
look() { place=$(($(wc -c <archive))); }
watch & watcher=$!
tee archive | tar -xof -
status=$?
look_away "$watcher"
look
tell "came to $place"
rm -f archive
[ "$status" = 0 ] || exit 1
{ sync -f . 2>/dev/null || sync; } & flushing=$!
sha256sum -- * | sed "s/^/$mark hash /"
wait "$flushing"
"""
)

# Holds the lock until its input ends or goes silent for $2 seconds; answers each byte, so that both ends know. $4 is a
# directory that SFTP has just created: if the shell does not find it, the two see different file systems. The lock is
# checked before it is opened, and is opened neither through a symlink nor if that could block, and never written.
# Whoever holds it is told by another file, $7, renamed to $6 with $5 in it, which goes before the lock does. That is
# only for people: on a full disk the run goes on without it, since it may be what frees space.
# (Where exec cannot open a file, it ends the shell without a word; so a shell of its own tries that first. flock ends
# with 1 and without a word when the time is up, and only then; $3 is that time.)
HOLD_LOCK = r"""umask 022
if [ -n "$4" ]; then rmdir -- "$4" 2>/dev/null || { say elsewhere; exit 1; }; fi
if [ -L "$1" ]; then say strange; exit 1; fi
if [ ! -e "$1" ]; then ( set -C; : >"$1" ) 2>/dev/null || [ -e "$1" ] || { say unwritable; exit 1; }; fi
if [ -L "$1" ] || [ ! -f "$1" ]; then say strange; exit 1; fi
( exec 9<>"$1" ) 2>/dev/null || { say unwritable; exit 1; }
exec 9<>"$1"
said=$(flock -w "$3" 9 2>&1)
status=$?
case "$status:$said" in
0:*) ;;
1:) say busy; exit 1 ;;
*) say "failed ($status) $said"; exit 1 ;;
esac
( set -C; printf '%s\n' "$5" >"$7" ) 2>/dev/null && [ ! -d "$6" ] && mv -f -- "$7" "$6" 2>/dev/null || rm -f -- "$7"
say locked
while [ -n "$(timeout "$2" dd bs=1 count=1 2>/dev/null)" ]; do say held; done
rm -f -- "$6"
"""

# Reports for each directory whether it is writable.
_WRITABLE = r"""xargs -0 -n 1 sh -c '
if [ -w "$2" ] && [ -x "$2" ]; then printf "%s yes\n" "$1"; else printf "%s no\n" "$1"; fi' netboot-sync "$mark"
"""

# SFTP has no error code for a quota; a shell has.
_WHY_NOT = r"""said=$( { dd if=/dev/zero of="$1" bs=65536 count=1; } 2>&1 ) || say "$(printf '%s' "$said" | head -n 1)"
rm -f -- "$1"
"""

LONG = 8 * 1024 * 1024  # bytes from which on a hash reports progress
_TICK = 2  # seconds between two progress reports
_BATCH = 200  # files in one command: their names fit into the buffers of both ends
_SLOWEST = 1024 * 1024  # minimum read rate of a disk in bytes per second, without progress reports
_UNPACKING = 120.0  # seconds to unpack and flush some MB of small files, on a disk that others use as well
_AT_REST = "at rest"
_PLACE = re.compile(r"at ([0-9]{1,18})\Z")
_UNPACKED = re.compile(r"hash ([0-9a-f]{64}) [ *]([0-9]{1,6})\Z")
_CAME = re.compile(r"came to ([0-9]{1,18})\Z")
_HASH_LINE = re.compile(r"[0-9a-f]{64}(?: |\Z)")
_ZONE = re.compile(r"^zone ([+-])([01][0-9])([0-5][0-9])$", re.MULTILINE)


class Abilities(t.NamedTuple):
    """What a caching server offers besides SFTP. ``rsync`` is its version, or an empty tuple.

    ``aes`` tells whether its processor has instructions for AES, ``tells_place`` whether its kernel says how far a
    process has come in a file, ``unpacks`` whether it takes many files as one archive.
    ``place`` tells where the destination is, and is None if no command of ours runs.
    ``utc_offset`` is its local time's distance from UTC in seconds, positive in the east, where it tells that.
    ``has_shell`` tells whether it ran our script, ``real`` is the destination as that found it, without symlinks, and
    ``mounts`` the kernel's lines of what is mounted below it, None if that is not known. ``prints`` is what the
    login prints by itself, ``complains`` why there is no shell, in its own words.
    """

    rsync: tuple[int, ...] = ()
    hashes: bool = False
    locks: bool = False
    joins: bool = False
    aes: bool = False
    tells_place: bool = False
    unpacks: bool = False
    utc_offset: int | None = None
    has_shell: bool = False
    real: str = ""
    mounts: tuple[str, ...] | None = None
    prints: str = ""
    complains: str = ""
    place: itself.Place | None = None

    def described(self) -> dict[str, t.Any]:
        """Return them in the form of the module's documentation."""
        return {
            "shell": self.has_shell,
            "rsync": ".".join(str(part) for part in self.rsync),
            "hashes": self.hashes,
            "locks": self.locks,
            "archives": self.unpacks,
            "utc_offset": self.utc_offset,
        }

    def without_files(self) -> Abilities:
        """Return what remains if the shell sees other files than SFTP: its clock."""
        return Abilities(utc_offset=self.utc_offset)


def parse_utc_offset(text: str) -> int | None:
    """Return what ``date +%z`` printed, in seconds, or None."""
    found = _ZONE.search(text)
    if not found:
        return None
    seconds = int(found.group(2)) * 3600 + int(found.group(3)) * 60
    return -seconds if found.group(1) == "-" else seconds


def probe(session: BaseSession, dest: str = "/") -> Abilities:
    """Ask a caching server what it offers, and whether its shell sees a destination."""
    return probed(session, begin_probe(session, dest))


def begin_probe(session: BaseSession, dest: str, *, tools: bool = True) -> Conversation:
    """Ask that without waiting for the answer, which is for :func:`probed`; without ``tools``, only for the place."""
    return session.start(f"{_TOOLS}{_WHERE}" if tools else _WHERE, dest)


def probed(session: BaseSession, conversation: Conversation) -> Abilities:
    """Return the answer of a caching server to :func:`begin_probe`."""
    answer = session.finish(conversation)
    if answer.status is None:
        return Abilities(complains=answer.errors or answer.noise)
    return parse_abilities(answer.lines)._replace(prints=answer.noise)


def parse_abilities(lines: t.Sequence[str]) -> Abilities:
    """Parse the answer to the probe."""
    text = "\n".join(lines)
    has = {line[4:] for line in lines if line.startswith("has ")}
    return Abilities(
        rsync=rsync_version.parse(text) if "rsync" in has else (),
        hashes={"sha256sum", "xargs"} <= has,
        locks={"flock", "timeout", "dd"} <= has,
        joins="cat" in has,
        aes="aes" in has,
        tells_place="place" in has,
        unpacks={"tar", "tee", "wc", "sed", "sha256sum"} <= has,
        utc_offset=parse_utc_offset(text),
        has_shell=True,
        real=next((line[5:] for line in lines if line.startswith("real ")), ""),
        mounts=tuple(line[6:] for line in lines if line.startswith("mount ")) if "mounts told" in lines else None,
        place=itself.parse(lines),
    )


def hash_files(session: BaseSession, files: t.Sequence[tuple[str, int]]) -> list[str]:
    """Let the caching server hash files, given with their sizes; empty for one that cannot be read.

    Raises :class:`ConnectionTrouble` if that makes no progress for the stall timeout.
    """
    found = []
    for start in range(0, len(files), _BATCH):
        found += _hash_batch(session, files[start : start + _BATCH])
    return found


def _hash_batch(session: BaseSession, files: t.Sequence[tuple[str, int]]) -> list[str]:
    conversation = session.start(_HASH, _WATCH, _HASH_ONE)
    try:
        words = (w for path, size in files for w in (b"long" if size >= LONG else b"short", os.fsencode(path)))
        conversation.say(b"".join(word + b"\0" for word in words), session.address.stall_timeout)
        conversation.say_no_more()
        lines: list[str] = []
        for path, size in files:
            line = _result(conversation, session, path, size)
            if line is None:
                break
            lines.append(line)
        if not session.alive():
            raise session.broken()
        return parse_hashes(lines, len(files))
    finally:
        conversation.close()


def receive(piece: str, into: str) -> tuple[str, bytes]:
    """Return the command that writes its input to a file, and the mark of its answer.

    ``piece`` is a file to copy in front of it, or empty. The answer is for :func:`received`.
    """
    return frame(_RECEIVE, piece, into)


def received(conversation: Conversation, session: BaseSession, path: str, size: int, patience: float) -> int:
    """Follow a command of :func:`receive` to its end; return the reported length of the file there.

    ``size`` is its final length in bytes. Raises :class:`ConnectionTrouble` if it makes no progress for ``patience``
    seconds.
    """
    came = 0
    while (line := _result(conversation, session, path, size, patience)) is not None:
        told = _CAME.match(line)
        came = int(told.group(1)) if told else came
    return came


def unpack(directory: str) -> tuple[str, bytes]:
    """Return the command that unpacks an archive into a directory, and the mark of its answer, which is a hash per
    file.

    The answer is for :func:`unpacked`.
    """
    return frame(_UNPACK, directory)


def unpacked(
    conversation: Conversation, session: BaseSession, path: str, size: int, count: int, patience: float
) -> dict[str, str]:
    """Follow a command of :func:`unpack` to its end; return the SHA-256 of each file by its name.

    ``size`` is that of the archive in bytes, ``count`` the number of files in it. Raises :class:`ConnectionTrouble`
    where it makes no progress for ``patience`` seconds, or is not unpacked and on disk in two minutes more, and
    :class:`SyncError` for more answers than files.
    """
    line = _result(conversation, session, path, size, patience)
    found: dict[str, str] = {}
    while line is not None:
        told = _UNPACKED.match(line)
        if told:
            found[told.group(2)] = told.group(1)
        if len(found) > count:
            raise _wrong_number(count, len(found))
        try:
            line = conversation.answer(patience + _UNPACKING)
        except TimeoutError:
            raise session.silent() from None
    return found


def _result(
    conversation: Conversation, session: BaseSession, path: str, size: int, patience: float | None = None
) -> str | None:
    """Return the next line of the answer, or None at its end, as long as it makes progress.

    ``patience`` is how many seconds it may stall, if not the stall timeout.
    """
    usual: float = (patience or session.address.stall_timeout) + _TICK
    patience = usual
    moved, place = time.monotonic(), -1
    heard = moved
    while True:
        left = moved + patience - time.monotonic()
        try:
            line = conversation.answer(left) if left > 0 else _AT_REST
        except TimeoutError:
            line = _AT_REST
        if line == _AT_REST and heard + usual <= time.monotonic():
            raise session.silent()
        heard = time.monotonic()
        if line == _AT_REST:
            raise ConnectionTrouble(
                f"the caching server makes no progress for {session.address.stall_timeout} s, as if its disk hung",
                path=path,
                remedy="Look at the kernel's log there.",
            )
        if line is None or not line.startswith("at "):
            return line
        told = _PLACE.match(line)
        # There is no position beyond its end: the file is growing there, or the position is made up.
        if told and place < int(told.group(1)) <= size:
            moved, place, patience = time.monotonic(), int(told.group(1)), usual
        elif place < 0:
            patience = usual + size / _SLOWEST


def parse_hashes(lines: t.Sequence[str], count: int) -> list[str]:
    """Return the hashes in the answer for ``count`` files. Raises :class:`SyncError` for another number."""
    if len(lines) != count:
        raise _wrong_number(count, len(lines))
    return [line[:64] if _HASH_LINE.match(line) else "" for line in lines]


def _wrong_number(asked: int, answered: int) -> SyncError:
    return SyncError(
        f"asked for {asked} hashes, the caching server answered {answered}", remedy="Does sha256sum work there?"
    )


def join_files(session: BaseSession, first: str, second: str, into: str, size: int) -> bool:
    """Concatenate two files into a new third one; return whether that succeeded.

    ``size`` is their total size in bytes. Raises :class:`ConnectionTrouble` if it makes no progress.
    """
    conversation = session.start(_JOIN, first, second, into)
    try:
        conversation.say_no_more()
        while _result(conversation, session, into, size) is not None:
            pass
        return conversation.status == 0
    finally:
        conversation.close()


def can_write(session: BaseSession, directories: t.Sequence[str]) -> list[bool | None]:
    """Return for each directory whether the user of the session may write to it; None if unknown."""
    return begin_can_write(session, directories)()


def begin_can_write(session: BaseSession, directories: t.Sequence[str]) -> t.Callable[[], list[bool | None]]:
    """Ask that without waiting, as far as it is one question; the returned function waits, and returns the answer."""
    batches = [directories[start : start + _BATCH] for start in range(0, len(directories), _BATCH)]
    first = _ask_can_write(session, batches[0]) if batches else None

    def answers() -> list[bool | None]:
        found: list[bool | None] = []
        asked = first
        for batch in batches:
            lines = session.finish(asked or _ask_can_write(session, batch)).lines
            asked = None
            told = [line == "yes" for line in lines if line in ("yes", "no")]
            found += told if len(told) == len(batch) else [None] * len(batch)
        return found

    return answers


def _ask_can_write(session: BaseSession, directories: t.Sequence[str]) -> Conversation:
    conversation = session.start(_WRITABLE)
    try:
        conversation.say(b"".join(os.fsencode(path) + b"\0" for path in directories), session.address.stall_timeout)
    except BaseException:
        conversation.close()
        raise
    return conversation


def why_no_write(session: BaseSession, path: str) -> str:
    """Write a little under a name of ours, remove it, and return the shell's words; empty on success."""
    answer = session.run(_WHY_NOT, path)
    return answer.lines[0].rpartition(": ")[2] if answer.lines else ""
