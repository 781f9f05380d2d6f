# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which paths a run handles: include and exclude patterns.

A pattern is a glob relative to the tree. ``*`` and ``?`` stay within a name, ``**`` crosses directories, a pattern
without ``/`` matches a name at any depth, and a pattern that matches a directory covers all below it.
"""

from __future__ import annotations

import dataclasses
import functools
import re
import typing as t

from ..errors import printable
from .entries import is_hidden, parents


@functools.cache
def compile_pattern(pattern: str) -> t.Pattern[str]:
    """Translate one pattern (``glob.translate`` does this too, but only from Python 3.13 on).

    Raises :class:`ValueError` for one that is invalid, or could never match.
    """
    parts = [part for part in pattern.split("/") if part not in ("", ".")]
    if not parts:
        raise ValueError(f"not a pattern: {pattern!r} (it names nothing in the tree; everything is **)")
    if ".." in parts:
        raise ValueError(f"not a pattern: {pattern!r} (it leads above the tree with ..)")
    anchored = "/".join(parts)
    if "/" not in pattern.rstrip("/"):
        anchored = f"**/{anchored}"
    out = ""
    i = 0
    while i < len(anchored):
        if anchored.startswith("**/", i):
            out, i = out + "(?:[^/]+/)*", i + 3
        elif anchored.startswith("**", i):
            out, i = out + ".*", i + 2
        elif anchored[i] == "*":
            out, i = out + "[^/]*", i + 1
        elif anchored[i] == "?":
            out, i = out + "[^/]", i + 1
        elif anchored[i] == "[" and _end_of_set(anchored, i) > 0:
            end = _end_of_set(anchored, i)
            # literal, though Python may read it as a set operation one day
            body = re.sub(r"([\\\[&|~])", r"\\\1", anchored[i + 1 : end])
            # a set stays within a name as well, negated or with a range that spans the slash
            out, i = out + "(?!/)[" + ("^" + body[1:] if body[0] == "!" else body) + "]", end + 1
        else:
            out, i = out + re.escape(anchored[i]), i + 1
    try:
        return re.compile(out + r"\Z", re.DOTALL)
    except re.error as error:
        raise ValueError(f"not a pattern: {pattern!r} ({error})") from error


def _end_of_set(pattern: str, start: int) -> int:
    """Return where the set that begins at ``start`` is closed, or -1; a ``]`` that comes first is in the set."""
    return pattern.find("]", start + (3 if pattern.startswith("[!", start) else 2))


def check_patterns(patterns: t.Iterable[str]) -> None:
    """Raise :class:`ValueError` with the first invalid pattern."""
    for pattern in patterns:
        compile_pattern(pattern)


def matches(path: str, patterns: t.Iterable[str]) -> bool:
    """Return whether a pattern matches the path or a directory above it, raw or as printed.

    A name that is not valid text cannot be typed; the printed form from one run can be given to the next.
    """
    names = [path] + parents(path)
    names += [printable(name) for name in names if not name.isprintable()]
    return any(compile_pattern(pattern).match(name) for pattern in patterns for name in names)


@dataclasses.dataclass(frozen=True)
class Selection:
    """The chosen part of a tree. Hidden names are never chosen.

    ``only`` narrows it down to what these patterns match as well: one run then handles some of its images.
    """

    include: t.Sequence[str] = ()
    exclude: t.Sequence[str] = ()
    only: t.Sequence[str] = ()

    def __post_init__(self) -> None:
        """Check what a user wrote, and keep it as tuples, so that equal selections are found again."""
        object.__setattr__(self, "include", tuple(self.include))
        object.__setattr__(self, "exclude", tuple(self.exclude))
        object.__setattr__(self, "only", tuple(self.only))
        check_patterns((*self.include, *self.exclude, *self.only))

    def has(self, path: str) -> bool:
        """Return whether the path is chosen."""
        return not (is_hidden(path) or self.excludes(path)) and all(
            not patterns or matches(path, patterns) for patterns in (self.include, self.only)
        )

    def excludes(self, path: str) -> bool:
        """Return whether the path is left out by name, so that not even an image that requires it brings it along."""
        return matches(path, self.exclude)
