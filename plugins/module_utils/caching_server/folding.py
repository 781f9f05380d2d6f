# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names that differ on the netboot server but are the same on a file system that folds case, or Unicode forms.

That is never assumed from the type of the file system, but tested: a name that is not in the listing of its directory,
but is found all the same, is another spelling of one that is.
"""

from __future__ import annotations

import dataclasses
import typing as t
import unicodedata

from ..assets.entries import Entry, Tree

Look = t.Callable[[str], t.Optional[Entry]]


def folded(path: str) -> str:
    """Return what two spellings of a name have in common, for any file system that treats them as the same."""
    if path.isascii():
        return path.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFKD", path).casefold())


class Spelling(t.NamedTuple):
    """A listing in the spelling of the netboot server, and which of its names cannot stand beside another one there.

    ``clashes`` gives, for each such name, the one that holds the place.
    """

    tree: Tree
    clashes: dict[str, str]


def in_spelling_of(wanted: Tree, listed: Tree, look: Look) -> Spelling:
    """Return a listing with the names of ``wanted`` for what is the same file there under another spelling.

    ``look`` asks the caching server for one path; it is only called if two names could be the same.
    """
    groups = _groups([*wanted, *(path for path in listed if path not in wanted)])
    tree, clashes = dict(listed), {}
    for names in groups:
        there = [name for name in names if name in listed]
        missing = [name for name in names if name in wanted and name not in listed]
        for name in missing:
            found = look(name) if there else None
            if found is None:
                continue  # its own name, or none at all yet
            stale = [one for one in there if one not in wanted]
            if stale:
                tree.pop(stale[0], None)
                tree[name] = dataclasses.replace(listed[stale[0]], path=name)
                there.remove(stale[0])
                there.append(name)
            else:
                clashes[name] = there[0]
    return Spelling(tree, clashes)


class Spellings:
    """A set of paths that can find other spellings of a path."""

    def __init__(self) -> None:
        self._by_folded: dict[str, list[str]] = {}

    def add(self, path: str) -> None:
        """Add a path."""
        self._by_folded.setdefault(folded(path), []).append(path)

    def rivals(self, path: str) -> list[str]:
        """Return the paths that are another spelling of this one."""
        return [other for other in self._by_folded.get(folded(path), ()) if other != path]


def _groups(paths: t.Iterable[str]) -> list[list[str]]:
    """Return groups of names that could be the same."""
    found: dict[str, list[str]] = {}
    for path in paths:
        found.setdefault(folded(path), []).append(path)
    return [names for names in found.values() if len(names) > 1]
