# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Putting a host that did nothing into the recap: only where that is possible, and never twice."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from ansible.executor.stats import AggregateStats
from ansible_collections.netboot.syncer.plugins.plugin_utils import guardian, recap


@pytest.fixture
def statistics(monkeypatch: pytest.MonkeyPatch) -> AggregateStats:
    found = AggregateStats()
    strategy = SimpleNamespace(_tqm=SimpleNamespace(_stats=found))
    monkeypatch.setattr(guardian, "current_strategy", lambda: strategy)
    return found


def test_who_did_nothing_is_counted_once(statistics: AggregateStats) -> None:
    assert recap.count(["berlin"])
    assert recap.count(["berlin"])
    assert statistics.summarize("berlin")["ok"] == 1


def test_who_did_something_is_counted_already(statistics: AggregateStats) -> None:
    statistics.increment("changed", "berlin")
    assert recap.count(["berlin"])
    assert (statistics.summarize("berlin")["ok"], statistics.summarize("berlin")["changed"]) == (0, 1)


def test_several_are_counted_at_once(statistics: AggregateStats) -> None:
    statistics.increment("changed", "berlin")
    assert recap.count(["berlin", "paris"])
    assert {host: statistics.summarize(host)["ok"] for host in statistics.processed} == {"berlin": 0, "paris": 1}


@pytest.mark.usefixtures("statistics")
def test_a_worker_has_no_statistics(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guardian, "is_main_process", lambda: False)
    assert not recap.count(["berlin"])


def test_no_play(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guardian, "current_strategy", lambda: None)
    assert not recap.count(["berlin"])
