# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Earlier measurements: the latest result of each row, with the machine that it was measured on."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .results import Result


@dataclasses.dataclass(frozen=True)
class Measurement:
    """The results of one machine, with one set of images.

    :ivar machine: processors, memory, system and versions; *images*: what was sent.
    :ivar results: the rows, in order.
    :ivar growth: time, CPU and memory as the work grows; None if that was not measured.
    """

    machine: Mapping[str, str]
    images: Sequence[Mapping[str, Any]]
    results: Sequence[Result]
    growth: Mapping[str, Any] | None = None

    def data(self) -> dict[str, Any]:
        """For the JSON file."""
        return {
            "machine": dict(self.machine),
            "images": [dict(one) for one in self.images],
            "results": [one.data() for one in self.results],
            "growth": self.growth,
        }

    @property
    def _of(self) -> tuple[Any, ...]:
        return dict(self.machine), [dict(one) for one in self.images]

    def without(self, rows: set[str], *, growth: bool) -> Measurement:
        """What remains valid once these rows, or the growth, have been measured again."""
        kept = [one for one in self.results if one.row not in rows]
        return dataclasses.replace(self, results=kept, growth=None if growth else self.growth)

    def joined(self, other: Measurement) -> Measurement:
        """Both in one; they must be of the same machine and the same images."""
        results = sorted([*self.results, *other.results], key=lambda one: one.row)
        return dataclasses.replace(self, results=results, growth=self.growth or other.growth)

    def goes_with(self, other: Measurement) -> bool:
        """Whether both are of the same machine and the same images."""
        return self._of == other._of


def merge(earlier: Sequence[Measurement], now: Measurement) -> list[Measurement]:
    """All measurements, the newest first; of each row only the latest result is kept, whatever machine it is from."""
    rows = {one.row for one in now.results}
    left = [one.without(rows, growth=now.growth is not None) for one in earlier]
    merged = [now]
    for one in left:
        if one.goes_with(now):
            merged[0] = merged[0].joined(one)
        elif one.results or one.growth:
            merged.append(one)
    return merged


def read(path: Path) -> list[Measurement]:
    """Read the measurements of earlier runs from a file; none if it does not exist."""
    if not path.exists():
        return []
    fields = {field.name for field in dataclasses.fields(Result)}
    return [
        Measurement(
            one["machine"],
            one["images"],
            [Result(**{name: value for name, value in row.items() if name in fields}) for row in one["results"]],
            one["growth"],
        )
        for one in json.loads(path.read_text(encoding="utf-8"))
    ]


def write(path: Path, measurements: Sequence[Measurement]) -> None:
    """Write all of them as JSON, for the next run."""
    path.write_text(json.dumps([one.data() for one in measurements], indent=1) + "\n", encoding="utf-8")
