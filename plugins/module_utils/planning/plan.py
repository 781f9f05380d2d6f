# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A plan: what to do on one caching server, in order, and what not, and why."""

from __future__ import annotations

import dataclasses

from .steps import Unit


@dataclasses.dataclass(frozen=True)
class Plan:
    """What to do, in order, and what not, and why.

    ``unchanged`` lists paths; ``only_there``, ``left_over``, ``held_back`` and ``impossible`` give the reason for each
    path; ``refused`` is why nothing at all may be removed; ``markers`` names the image of each marker on the caching
    server, and ``images`` are the paths of all images on either side.
    """

    units: tuple[Unit, ...] = ()
    unchanged: tuple[str, ...] = ()
    only_there: dict[str, str] = dataclasses.field(default_factory=dict)
    left_over: dict[str, str] = dataclasses.field(default_factory=dict)
    held_back: dict[str, str] = dataclasses.field(default_factory=dict)
    impossible: dict[str, str] = dataclasses.field(default_factory=dict)
    refused: str = ""
    markers: dict[str, str] = dataclasses.field(default_factory=dict)
    images: frozenset[str] = frozenset()
