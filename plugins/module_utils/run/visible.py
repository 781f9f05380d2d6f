# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which markers a client can see during a run: those found, those withdrawn since, those published since."""

from __future__ import annotations

import typing as t

from ..planning.steps import Step, Unit, Withdraw


class Visible:
    """The markers of one caching server during one attempt.

    :param markers: the image of each marker that was there when the plan was made.
    """

    def __init__(self, markers: t.Mapping[str, str]) -> None:
        self.markers = markers
        self.put: set[str] = set()  # the final names that were published
        self._gone: set[str] = set()  # the markers that were withdrawn
        self._of_image: dict[str, set[str]] = {}
        for marker, image in markers.items():
            self._of_image.setdefault(image, set()).add(marker)

    def is_over(self, step: Step) -> bool:
        """Return whether a marker to be withdrawn was already withdrawn or renewed."""
        return isinstance(step, Withdraw) and (step.path in self._gone or step.path in self.put)

    def note(self, step: Step, unit: Unit) -> str:
        """Record a completed step, and return the image that it took from clients; an image goes with its last
        marker."""
        if isinstance(step, Withdraw):
            self._gone.add(step.path)
            left = self._of_image.get(step.image, set())
            left.discard(step.path)
            return "" if left else step.image
        if step.puts_up:
            self.put.add(step.path)
            if step.path != unit.path:
                self._of_image.setdefault(unit.path, set()).add(step.path)
        return ""
