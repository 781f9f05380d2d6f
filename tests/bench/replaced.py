# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A row about an image that is replaced under its own name: for how long clients find no marker."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from tests.lab.waiting import Poller

from .bench import BASE_NAME, NEW, OLD, Bench
from .peers import Collection
from .results import Result, in_bytes, in_seconds

RATE = 20_000_000  # bit/s


class Missing(Poller):
    """Adds up the time during which a file is not there."""

    every = 0.001

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.seconds = 0.0
        self._path = path
        self._last = time.monotonic()

    def look(self) -> None:
        """Add the time since the last look, if it is not there."""
        now = time.monotonic()
        if not self._path.exists():
            self.seconds += now - self._last
        self._last = now


def replaced(bench: Bench) -> Iterator[Result]:
    """10: a new build under the name of the old one over 20 Mbit/s: for how long clients find no marker."""
    lab = bench.lab
    tree = lab.tree("replaced")
    image = bench.place(tree, BASE_NAME, bench.set.path("base"), when=OLD)
    (site,) = lab.use(1)
    Collection().run(lab, tree, [site], timeout=300)
    for path in (image.squashfs, image.marker):
        path.unlink()
    bench.place(tree, BASE_NAME, bench.set.path("week"), when=NEW)
    site.line.set_rate(RATE)
    with Missing(site.assets / image.marker.relative_to(tree.root)) as missing:
        cost = Collection().run(lab, tree, [site], timeout=600)
    yield Result(
        "10",
        f"the next-week build under the name of the last, {in_bytes(bench.set.size('week'))} over"
        f" {RATE // 1_000_000} Mbit/s: time without a marker, to the whole run",
        missing.seconds / cost.seconds,
        in_seconds(missing.seconds),
        in_seconds(cost.seconds),
        target=None if bench.short else 0.02,
        percent=True,
        figures={"missing_seconds": missing.seconds, "run": cost.figures()},
    )
