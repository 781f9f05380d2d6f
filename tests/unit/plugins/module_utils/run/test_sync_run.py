# Copyright: (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run is made of."""

from __future__ import annotations

import typing

from ansible_collections.netboot.syncer.plugins.module_utils.planning.steps import Step
from ansible_collections.netboot.syncer.plugins.module_utils.run.sync_run import PHASES


def test_whoever_watches_is_told_of_every_step() -> None:
    assert set(PHASES) == set(typing.get_args(Step))
