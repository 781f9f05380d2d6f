# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts that the documentation of all modules shares."""

from __future__ import annotations


class ModuleDocFragment:
    """The action group that all modules are in."""

    ACTIONGROUP_ALL = r"""
attributes:
  action_group:
    description: Use C(group/netboot.syncer.all) in C(module_defaults) to set defaults for all modules at once.
    support: full
    membership:
      - netboot.syncer.all
"""
