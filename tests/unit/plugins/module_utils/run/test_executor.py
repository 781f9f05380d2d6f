# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The executor can do every step of the protocol."""

from __future__ import annotations

from typing import cast

import pytest
from ansible_collections.netboot.syncer.plugins.module_utils import reporting
from ansible_collections.netboot.syncer.plugins.module_utils.caching_server.protocol import CachingServer
from ansible_collections.netboot.syncer.plugins.module_utils.planning import steps
from ansible_collections.netboot.syncer.plugins.module_utils.progress import Progress
from ansible_collections.netboot.syncer.plugins.module_utils.run.comparing import Comparing
from ansible_collections.netboot.syncer.plugins.module_utils.run.executor import Executor
from ansible_collections.netboot.syncer.plugins.module_utils.source.tree import SourceTree

KINDS = [kind for kind in vars(steps).values() if isinstance(kind, type) and issubclass(kind, steps.Step)]
STEPS = [kind for kind in KINDS if hasattr(kind, "name")]


def test_all_kinds_of_steps_are_listed() -> None:
    assert set(STEPS) == set(steps.KINDS)


@pytest.mark.parametrize("kind", STEPS, ids=lambda kind: kind.name)
def test_every_step_has_a_method_and_words(kind: type[steps.Step]) -> None:
    server = cast(CachingServer, None)  # it is never called
    source = SourceTree("/nowhere")
    executor = Executor(server, source, Comparing(server, source, Progress()), read_back=False, progress=Progress())
    assert kind in executor.kinds
    assert kind.phase in reporting.PHASES
