# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fixtures of these tests, from the laboratory."""

from tests.lab.fixtures import fleet, spec, strange_disk

__all__ = ["fleet", "spec", "strange_disk"]
