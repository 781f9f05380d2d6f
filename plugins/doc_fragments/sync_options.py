# Copyright: (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The documentation of options that are declared in module_utils/options.py."""

from __future__ import annotations

import typing as t

import yaml
from ansible_collections.netboot.syncer.plugins.module_utils import options

# What a module needs to know of the assets tree on the host that it runs on.
TREE = ("src", "marker_names", "pointers")


def _documentation(names: t.Iterable[str]) -> str:
    return str(yaml.safe_dump({"options": {name: options.BY_NAME[name].documentation() for name in names}}))


class ModuleDocFragment:
    """All options of sync_assets, and those that other modules share with it."""

    DOCUMENTATION = _documentation(options.ARGUMENTS)
    TREE = _documentation(TREE)
