# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long the survey of many caching servers goes on.

The caching servers are doubles: no test can have a thousand that each answer at their own pace. The survey of real
ones is in ``tests/integration/test_survey.py``.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.netboot.syncer.plugins.module_utils.assets.inventory import Rules
from ansible_collections.netboot.syncer.plugins.module_utils.errors import SyncError
from ansible_collections.netboot.syncer.plugins.module_utils.run import survey
from ansible_collections.netboot.syncer.plugins.module_utils.run.target import Options, Target
from ansible_collections.netboot.syncer.plugins.module_utils.ssh.alike import Alike
from ansible_collections.netboot.syncer.plugins.module_utils.ssh.settings import Address

EACH = 0.05  # seconds that one takes to answer


class Double:
    """A run that, after a while, finds nothing to do, or fails."""

    idle = True
    answers = True
    looked = 0

    def __init__(self, *_arguments: Any, **_options: Any) -> None:
        pass

    def look(self) -> None:
        time.sleep(EACH)
        type(self).looked += 1
        if not self.answers:
            raise SyncError("no answer")


@pytest.fixture
def double(monkeypatch: pytest.MonkeyPatch) -> type[Double]:
    """Return the double that the survey uses as a run; one runs at a time."""

    class Own(Double):
        pass

    monkeypatch.setattr(survey, "THREADS", 1)
    monkeypatch.setattr(survey, "SyncRun", Own)
    monkeypatch.setattr(Alike, "resolve", lambda *_arguments: True)
    for name in ("agrees", "InProcessSession", "over_ssh"):
        monkeypatch.setattr(survey, name, lambda *_arguments, **_options: True)
    return Own


def sites(tmp_path: Path, count: int) -> list[Target]:
    (tmp_path / "prod").mkdir()
    (tmp_path / "prod" / "notes.txt").write_text("x", encoding="ascii")
    options = Options(src=str(tmp_path), dest="/srv", rules=Rules())
    return [Target(f"site{number}", Address(host="192.0.2.1"), options) for number in range(count)]


def test_it_goes_on_as_long_as_they_answer(
    tmp_path: Path, double: type[Double], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of them take 4 s together, longer than the 2 s that it waits for one."""
    monkeypatch.setattr(survey, "PATIENCE", 2.0)
    found = survey.Survey(sites(tmp_path, 160), keep=lambda run: run).run()
    assert len(found) == double.looked == 160


def test_it_ends_soon_where_nobody_answers(
    tmp_path: Path, double: type[Double], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(survey, "PATIENCE", 0.5)
    monkeypatch.setattr(double, "answers", False)
    assert survey.Survey(sites(tmp_path, 2000), keep=lambda run: run).run() == {}
    assert double.looked < 1000
