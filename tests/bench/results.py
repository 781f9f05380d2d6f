# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The result of a row of the bench: one ratio, its target, and the figures behind it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal


@dataclasses.dataclass(frozen=True)
class Result:
    """One line of the table.

    :ivar row: the number of the row, as ``--rows`` takes it.
    :ivar what: what was done.
    :ivar ratio: the measured ratio; None if there is none, and *note* says why.
    :ivar target: the bound for the ratio, with *sense* as the direction; None: the ratio is only shown.
    :ivar ours: this collection's part of the ratio, as text; *theirs*: the other part.
    :ivar percent: whether the ratio is shown in percent.
    """

    row: str
    what: str
    ratio: float | None
    ours: str = ""
    theirs: str = ""
    target: float | None = None
    sense: Literal["at most", "at least"] = "at most"
    percent: bool = False
    note: str = ""
    figures: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None if there is no target."""
        if self.target is None:
            return None
        if self.ratio is None:
            return False
        return self.ratio <= self.target if self.sense == "at most" else self.ratio >= self.target

    def shown(self, value: float | None) -> str:
        """Format a ratio for the reader."""
        if value is None:
            return "-"
        return f"{value * 100:.2f} %" if self.percent else f"{value:.2f}"

    def data(self) -> dict[str, Any]:
        """For the JSON file."""
        return {**dataclasses.asdict(self), "figures": dict(self.figures), "met": self.met}


def in_bytes(count: float) -> str:
    """Format a number of bytes with its unit."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.3g} {unit}" if count < 1000 * size else f"{count / size:.0f} {unit}"
    return f"{count:.0f} B"


def in_seconds(seconds: float) -> str:
    """Format seconds with their unit."""
    return f"{seconds:.1f} s" if seconds >= 10 else f"{seconds:.2f} s"
