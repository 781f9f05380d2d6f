# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A pytest plugin (``-p tests.mutants.verdicts``): records the outcome of each test, and why it failed."""

from __future__ import annotations

import json
import os
from collections.abc import Generator
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest

FILE = "NETBOOT_MUTANTS_VERDICTS"  # environment variable with the file to write to


@dataclass(frozen=True)
class Verdict:
    """The outcome of one phase of a test: its ``setup``, ``call`` or ``teardown``; *failure* is ``Class: text``."""

    test: str
    phase: str
    outcome: str
    failure: str


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Append a line for the phase; the workers of pytest-xdist share the file."""
    report = yield
    failure = f"{call.excinfo.typename}: {call.excinfo.value}" if call.excinfo is not None else ""
    line = json.dumps(asdict(Verdict(item.nodeid, call.when, report.outcome, failure))) + "\n"
    if FILE in os.environ:
        with open(os.environ[FILE], "a", encoding="utf-8") as file:
            file.write(line)
    return report


def read(path: Path) -> list[Verdict]:
    """Read all recorded verdicts."""
    if not path.exists():
        return []
    return [Verdict(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]
