# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a playbook says of changes: which tasks changed something where, and what ``--diff`` shows of it."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection, Iterable, Mapping, Sequence, Set

_BEFORE = re.compile(r"^--- before", re.MULTILINE)
_PATH = re.compile(r"""^[ +-]    "?path"?: "?([^"\n]*?)"?,?$""", re.MULTILINE)


@dataclasses.dataclass(frozen=True, order=True)
class Change:
    """That a task changed something, or would: on a host (of a delegated task, both hosts), for an item of a loop."""

    task: str
    host: str
    item: str = ""


@dataclasses.dataclass(frozen=True, order=True)
class Diff:
    """What a task showed of a file: its lines, without the first; or of its attributes alone, its path."""

    task: str
    host: str
    shown: str


@dataclasses.dataclass(frozen=True)
class Said:
    """All the changes of a run, and the diffs."""

    changes: frozenset[Change]
    diffs: frozenset[Diff]

    def of(self, hosts: Set[str]) -> Said:
        """That of some hosts alone; what was delegated to them counts, too."""
        return Said(
            frozenset(one for one in self.changes if hosts & set(_names(one.host))),
            frozenset(one for one in self.diffs if hosts & set(_names(one.host))),
        )

    def without(self, tasks: Collection[str]) -> Said:
        """All but that of some tasks."""
        return Said(
            frozenset(one for one in self.changes if one.task not in tasks),
            frozenset(one for one in self.diffs if one.task not in tasks),
        )


def said(changes: Iterable[Mapping[str, str]]) -> Said:
    """Read what the callback lab_changes wrote: task, host, item and the text of the diffs of each change."""
    made, diffs = set(), set()
    for one in changes:
        made.add(Change(one["task"], one["host"], one["item"]))
        for text in _BEFORE.split(one["diff"])[1:]:
            content = _content(text.splitlines()[1:])
            if content:
                diffs.add(Diff(one["task"], one["host"], content))
    return Said(frozenset(made), frozenset(diffs))


def _names(host: str) -> list[str]:
    """The hosts of ``cache-berlin -> netboot(192.0.2.1)``."""
    return [one.partition("(")[0] for one in host.split(" -> ")]


def _content(diff: Sequence[str]) -> str:
    """What is shown of a file, without its first lines; of its attributes, only whose they are.

    Owners are shown by their numbers, and of accounts that have to be made first nobody knows any.
    """
    text = "\n".join(line.rstrip() for line in diff if not line.startswith("+++ after")).rstrip()
    path = _PATH.search(text)
    return path[1] if path else text


def differences(foretold: Said, done: Said, *, diffs_of: Collection[str] = ()) -> list[str]:
    """A line for each change that only one of them knows of, and for each diff.

    :arg diffs_of: tasks of whose diffs nobody can know yet.
    """
    lines = [f"not foretold: {one}" for one in sorted(done.changes - foretold.changes)]
    lines += [f"foretold, and not done: {one}" for one in sorted(foretold.changes - done.changes)]
    for what, shown in (
        ("diff not foretold", done.diffs - foretold.diffs),
        ("diff foretold, and not done", foretold.diffs - done.diffs),
    ):
        lines += [f"{what}: {one.task}: {one.host}: {one.shown}" for one in sorted(shown) if one.task not in diffs_of]
    return lines
