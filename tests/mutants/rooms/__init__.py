# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of deliberate faults, room by room of the code."""

from __future__ import annotations

from . import around, assets, going, limits, line, outside, planning, run, site, source

MUTANTS = (
    *planning.MUTANTS,
    *assets.MUTANTS,
    *source.MUTANTS,
    *site.MUTANTS,
    *going.MUTANTS,
    *line.MUTANTS,
    *limits.MUTANTS,
    *run.MUTANTS,
    *outside.MUTANTS,
    *around.MUTANTS,
)
