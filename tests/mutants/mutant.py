# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a deliberate fault is, and how it is put into a copy of the code."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SHIPPED = ("plugins", "roles", "playbooks")
# How a test fails when it has detected the fault: with an assertion, or because an expected error was not raised.
SEEN = ("AssertionError", "Failed: DID NOT RAISE")


class AnchorError(Exception):
    """The place where a fault is to be made does not exist, or exists more than once."""


@dataclass(frozen=True)
class Mutant:
    """One deliberate fault: *old*, which occurs once in the shipped code, is replaced by *new*.

    :ivar name: what is done wrong.
    :ivar old: a part of a line, or several lines, the last of which may be partial. Neither their indentation nor their
        file matters, so that code can be moved.
    :ivar new: the lines in its place, indented in the same way as those of *old*.
    :ivar test: the test that is meant to catch it: only this one is run, and only this one counts.
    :ivar sees: other beginnings, as ``Class: text``, that the failure of that test may have instead of an assertion.
    :ivar within: a part of the path, relative to the checkout, of the files in which *old* is looked for.
    """

    name: str
    old: str
    new: str
    test: str
    sees: tuple[str, ...] = ()
    within: str = ""

    def put_into(self, checkout: Path) -> Path:
        """Put the fault into a copy of the checkout. Returns the changed file. Raises AnchorError."""
        found = [(file, place) for file in self._files(checkout) for place in self._places(file)]
        if len(found) != 1:
            where = ", ".join(str(file.relative_to(checkout)) for file, _place in found) or "nowhere"
            raise AnchorError(f"{self.name}: its place is to be there once, and is: {where}")
        file, (begin, end) = found[0]
        text = file.read_text(encoding="utf-8")
        file.write_text(text[:begin] + self._new_text(text, begin) + text[end:], encoding="utf-8")
        return file

    def counts(self, failure: str) -> bool:
        """Whether a failure shows that the test detected the fault."""
        return failure.startswith((*SEEN, *self.sees))

    def _files(self, checkout: Path) -> Iterator[Path]:
        for directory in SHIPPED:
            for path in sorted((checkout / directory).rglob("*")):
                named = self.within in str(path.relative_to(checkout))
                if named and path.is_file() and path.suffix not in (".pyc", ".md"):
                    yield path

    def _places(self, file: Path) -> Iterator[tuple[int, int]]:
        lines = self._lines(self.old)
        if len(lines) == 1:
            pattern = re.escape(lines[0])
        else:
            pattern = r"(?m)(?<=[ \t\n])" + r"\n[ \t]*".join(re.escape(line.strip()) for line in lines)
        for match in re.finditer(pattern, file.read_text(encoding="utf-8")):
            yield match.span()

    def _new_text(self, text: str, begin: int) -> str:
        line = text[text.rfind("\n", 0, begin) + 1 : begin]
        indent = _indent(line)[len(_indent(self._lines(self.old)[0])) :]
        first, *others = self._lines(self.new)
        return "\n".join([first.strip() if others else first, *(indent + other for other in others)])

    @staticmethod
    def _lines(text: str) -> list[str]:
        return textwrap.dedent(text).strip("\n").split("\n") if "\n" in text else [text]


def _indent(line: str) -> str:
    return line[: len(line) - len(line.lstrip())]
