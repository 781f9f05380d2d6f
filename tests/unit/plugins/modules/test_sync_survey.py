# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of the given sites are surveyed; all others are left to sync_assets."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.netboot.syncer.plugins.modules.sync_survey import _read_sites


@pytest.mark.parametrize(
    ("given", "looked_at"),
    [
        pytest.param([{"name": "a", "host": "127.0.0.1"}, {"host": "127.0.0.2"}], ["a", "127.0.0.2"], id="all"),
        pytest.param([{"name": "a", "host": "h", "port": None, "timezone": None}], ["a"], id="null-is-left-out"),
        pytest.param([{"name": "a", "host": "h", "retries": "abc"}, {"name": "b", "host": "h"}], ["b"], id="type"),
        pytest.param([{"name": "a", "host": "h", "transport": "scp"}, {"name": "b", "host": "h"}], ["b"], id="choice"),
        pytest.param([{"name": "a", "host": "h", "no_such": 1}, {"name": "b", "host": "h"}], ["b"], id="unknown"),
        pytest.param([{"name": "a", "host": "h", "dest": "/"}, {"name": "b", "host": "h"}], ["b"], id="meaning"),
        pytest.param([{"name": "a"}, {"name": "b", "host": "h"}], ["b"], id="no-address"),
        pytest.param([{"name": "a", "host": "h", "verify": True}], [], id="to-be-compared"),
        pytest.param([{"name": "a", "host": "h"}, {"name": "a", "host": "i"}], [], id="one-name-for-two"),
        pytest.param([{"name": "a", "host": "h"}, {"host": "a"}], [], id="a-name-that-is-an-address"),
        pytest.param([{"name": "a", "host": "h"}, {"name": "a", "host": "h", "port": "x"}], [], id="a-wrong-twin"),
    ],
)
def test_sites_to_look_at(given: list[dict[str, Any]], looked_at: list[str]) -> None:
    assert [site.name for site in _read_sites(given)] == looked_at
