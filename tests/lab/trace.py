# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a server did to its file system, as seen by strace: the order of writes, flushes, renames and removals."""

from __future__ import annotations

import os.path
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .process import find_program

CALLS = (
    "open,openat,creat,write,pwrite64,writev,fsync,fdatasync,syncfs,"
    "rename,renameat,renameat2,link,linkat,symlink,symlinkat,unlink,unlinkat"
)

_LINE = re.compile(r"(?P<pid>\d+) +(?P<call>\w+)\((?P<arguments>.*)\) += (?P<result>\d+)(?:<(?P<opened>.*)>)?$")
_UNFINISHED = re.compile(r"(?P<pid>\d+) +(?P<begin>\w+\(.*) <unfinished \.\.\.>$")
_RESUMED = re.compile(r"(?P<pid>\d+) +<\.\.\. \w+ resumed>(?P<end>.*)$")
# A name, with the directory that it is relative to if the call has one: 1</directory>, "name"
_NAME = re.compile(r'(?:(?:\d+|AT_FDCWD)<(?P<directory>[^>]*)>, )?"(?P<name>(?:[^"\\]|\\.)*)"')
_DESCRIPTOR = re.compile(r"\d+<(?P<path>/[^>]*)>")
# Calls such as rename name no directory; the process was in the one that its last openat shows
_WORKING_DIRECTORY = re.compile(r"(?P<pid>\d+) .*?\bAT_FDCWD<(?P<directory>[^>]*)>")


@dataclass(frozen=True)
class Event:
    """One change: ``what`` is create, write, flush, flush all, rename, link, symlink or remove.

    ``path`` is absolute; ``to`` is the new name of a rename or link; ``size`` the bytes of a write.
    """

    what: str
    path: str
    to: str = ""
    size: int = 0


def strace(output: Path) -> list[str]:
    """The prefix of the command to watch, with all that it starts."""
    return [find_program("strace", "strace"), "-f", "-qq", "-y", "-s", "0", "-e", f"trace={CALLS}", "-o", str(output)]


def events(trace: Path, below: Path) -> list[Event]:
    """All changes below a directory, in order, without failed calls."""
    found = []
    begun: dict[str, str] = {}
    directories: dict[str, str] = {}
    for line in trace.read_text(encoding="utf-8", errors="surrogateescape").splitlines():
        working = _WORKING_DIRECTORY.match(line)
        if working:
            directories[working["pid"]] = working["directory"]
        unfinished = _UNFINISHED.match(line)
        if unfinished:
            begun[unfinished["pid"]] = unfinished["begin"]
            continue
        resumed = _RESUMED.match(line)
        call = _LINE.match(f"{resumed['pid']} {begun.pop(resumed['pid'], '')}{resumed['end']}" if resumed else line)
        if call:
            found += list(_events(call, directories.get(call["pid"], "")))
    return [event for event in found if event.path == str(below) or event.path.startswith(f"{below}/")]


def _events(call: re.Match[str], working: str) -> Iterator[Event]:
    name, arguments = call["call"].removesuffix("2").removesuffix("at"), call["arguments"]
    names = [os.path.join(found["directory"] or working, found["name"]) for found in _NAME.finditer(arguments)]
    descriptor = _DESCRIPTOR.match(arguments)
    if name in ("open", "creat"):
        if name == "creat" or "O_CREAT" in arguments:
            yield Event("create", call["opened"])
    elif name in ("write", "pwrite64", "writev"):
        if descriptor:
            yield Event("write", descriptor["path"], size=int(call["result"]))
    elif name in ("fsync", "fdatasync"):
        if descriptor:
            yield Event("flush", descriptor["path"])
    elif name == "syncfs":
        yield Event("flush all", descriptor["path"] if descriptor else "")
    elif name in ("rename", "link"):
        yield Event(name, names[0], names[1])
    elif name == "symlink":
        yield Event(name, names[-1])
    elif name == "unlink":
        yield Event("remove", names[0])
