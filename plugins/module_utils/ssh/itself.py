# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a caching server is the netboot server itself, with the very tree that is to be copied.

With an address that leads back (an alias, a loopback or hairpin address, a missing host entry), a sync would otherwise
find everything in line, and nothing would ever arrive at the site. So both ends are checked, not their names:

- With a shell there: the kernel's boot id, and device and inode of the destination and of what is above it. Inode
  numbers alone are equal on many machines; below one kernel, device and inode are one directory, through whatever mount
  or container it is reached.
- With SFTP alone: whether it shows a file that this process has just created, under a name that nobody can guess, and
  resolves the destination to the path of the source. Before a run writes, whether the source shows the work area.

Another tree on the same machine is fine, unless one is within the other.
"""

from __future__ import annotations

import os
import tempfile
import typing as t
import uuid

from ..assets.entries import WORK_DIRECTORY
from ..errors import SyncError
from ..options import called

if t.TYPE_CHECKING:
    from .sftp import Sftp

_BOOT_ID = "/proc/sys/kernel/random/boot_id"
SAME = "is the tree that is to be copied"
_ABOVE = 12  # how many directories above a tree are reported

# Part of the probe, whose one argument is the destination: "boot ID", then "above DEVICE:INODE" for it and what is
# above it; a destination that does not exist yet has none. POSIX has no stat(1); GNU, BusyBox and toybox have this
# form.
SCRIPT = rf"""
read -r boot <{_BOOT_ID} && say "boot $boot"
(
  cd -P -- "$1" 2>/dev/null || {{ say "above -"; cd -P -- "${{1%/*}}/" 2>/dev/null; }} || exit
  stat -c "$mark above %d:%i" . {" ".join("/".join([".."] * n) for n in range(1, _ABOVE))} 2>/dev/null
)
"""


class Place(t.NamedTuple):
    """Where a tree is: the kernel's boot id; device and inode of the tree (``-``: not there) and of what is above."""

    boot: str = ""
    above: tuple[str, ...] = ()


def parse(lines: t.Iterable[str]) -> Place:
    """Parse the output of :data:`SCRIPT` among other lines."""
    boot, above = "", []
    for line in lines:
        key, _unused, value = line.partition(" ")
        if key == "boot":
            boot = value
        elif key == "above":
            above.append(value)
    return Place(boot, tuple(above))


def place(path: str) -> Place:
    """Return where a tree of this host is."""
    try:
        with open(_BOOT_ID, encoding="ascii") as file:
            boot = file.read().strip()
        path = os.path.realpath(path)
        above = []
        for _number in range(_ABOVE):
            found = os.stat(path)
            above.append(f"{found.st_dev}:{found.st_ino}")
            path = os.path.dirname(path)
    except OSError:
        return Place()  # such as not on Linux; problems with the tree are reported when it is listed
    return Place(boot, tuple(above))


def relation(here: Place, there: Place) -> str:
    """Return in words how a destination is related to the tree of the source; empty if they are separate trees."""
    if not here.boot or here.boot != there.boot or not here.above or not there.above:
        return ""
    ours, theirs = here.above[0], there.above[0]
    if ours == theirs:
        return SAME
    if ours in there.above[1:]:
        return "lies within the tree that is to be copied"
    if theirs in here.above[1:]:
        return "holds the tree that is to be copied"
    return ""


def refusal(where: str, dest: str, what: str) -> SyncError:
    """Return the error for a caching server at an address."""
    return SyncError(
        f"{where} is the netboot server itself, and this directory {what}: nothing was changed",
        path=dest,
        remedy=f"Set {called('host')} (or ansible_host, ansible_port) to where the site's own SSH server is.",
    )


def is_seen(sftp: Sftp, dest: str, src: str) -> bool:
    """Return whether SFTP shows this host's own files, and the destination as the tree itself. It leaves nothing
    behind."""
    with tempfile.NamedTemporaryFile(prefix="netboot-sync-") as ours:
        try:
            if sftp.look(ours.name) is None:
                return False
        except OSError:
            return False
    try:
        return sftp.resolve(dest) == os.path.realpath(src)
    except OSError:
        return False  # it is not there


def shows_work_area(sftp: Sftp, area: str, src: str) -> bool:
    """Return whether the tree of the source shows a directory that is created in a work area, and removed again."""
    name = f"seen-{uuid.uuid4().hex}"
    sftp.make_directory(f"{area}/{name}")
    try:
        return os.path.isdir(os.path.join(src, WORK_DIRECTORY, name))
    finally:
        sftp.remove_directory(f"{area}/{name}")
