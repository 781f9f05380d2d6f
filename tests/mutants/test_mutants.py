# Copyright: (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of deliberate faults fits the code as it is; `./dev mutants` runs the tests against each."""

from __future__ import annotations

import pytest

from tests.lab.fleet import CHECKOUT

from .faults import MUTANTS, Mutant


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_fault_can_still_be_made(mutant: Mutant) -> None:
    text = (CHECKOUT / mutant.file).read_text(encoding="utf-8")
    assert text.count(mutant.old) == 1
    compile(mutant.put_into(text), mutant.file, "exec")
    assert all((CHECKOUT / test).exists() for test in mutant.tests)
