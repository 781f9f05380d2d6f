# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a playbook reports about changes: which tasks changed something where, and what ``--diff`` shows."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection, Iterable, Mapping, Sequence, Set

_BEFORE = re.compile(r"^--- before", re.MULTILINE)
_PATH = re.compile(r"""^[ +-]    "?path"?: "?([^"\n]*?)"?,?$""", re.MULTILINE)


@dataclasses.dataclass(frozen=True, order=True)
class Change:
    """A change that a task made or would make: on which host (both, if it is delegated), for which item of a loop."""

    task: str
    host: str
    item: str = ""


@dataclasses.dataclass(frozen=True, order=True)
class Diff:
    """A diff that a task showed: the lines without the header; if it is only about a file's attributes, the path."""

    task: str
    host: str
    shown: str


@dataclasses.dataclass(frozen=True)
class Said:
    """All changes and diffs of a run."""

    changes: frozenset[Change]
    diffs: frozenset[Diff]

    def of(self, hosts: Set[str]) -> Said:
        """Only those of some hosts, including what was delegated to them."""
        return Said(
            frozenset(one for one in self.changes if hosts & set(_names(one.host))),
            frozenset(one for one in self.diffs if hosts & set(_names(one.host))),
        )

    def without(self, tasks: Collection[str]) -> Said:
        """All except those of some tasks."""
        return Said(
            frozenset(one for one in self.changes if one.task not in tasks),
            frozenset(one for one in self.diffs if one.task not in tasks),
        )


def said(changes: Iterable[Mapping[str, str]]) -> Said:
    """Read what the callback lab_changes wrote: each change's task, host, item and the text of its diffs."""
    made, diffs = set(), set()
    for one in changes:
        made.add(Change(one["task"], one["host"], one["item"]))
        for text in _BEFORE.split(one["diff"])[1:]:
            content = _content(text.splitlines()[1:])
            if content:
                diffs.add(Diff(one["task"], one["host"], content))
    return Said(frozenset(made), frozenset(diffs))


def _names(host: str) -> list[str]:
    """The hosts in ``cache-berlin -> netboot(192.0.2.1)``."""
    return [one.partition("(")[0] for one in host.split(" -> ")]


def _content(diff: Sequence[str]) -> str:
    """A file's diff without its header; of a diff of attributes, only the path that they belong to.

    Attributes show owners by number, and check mode cannot know the numbers of accounts that do not exist yet.
    """
    text = "\n".join(line.rstrip() for line in diff if not line.startswith("+++ after")).rstrip()
    path = _PATH.search(text)
    return path[1] if path else text


def differences(foretold: Said, done: Said, *, diffs_of: Collection[str] = ()) -> list[str]:
    """A line for each change, and for each diff, that only one of them has.

    :arg diffs_of: tasks whose diffs cannot be known in advance.
    """
    lines = [f"not foretold: {one}" for one in sorted(done.changes - foretold.changes)]
    lines += [f"foretold, and not done: {one}" for one in sorted(foretold.changes - done.changes)]
    for what, shown in (
        ("diff not foretold", done.diffs - foretold.diffs),
        ("diff foretold, and not done", foretold.diffs - done.diffs),
    ):
        lines += [f"{what}: {one.task}: {one.host}: {one.shown}" for one in sorted(shown) if one.task not in diffs_of]
    return lines
