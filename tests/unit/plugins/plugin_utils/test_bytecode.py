# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Importing modules of the collection with their bytecode kept, and leaving everything else to Ansible."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.netboot.syncer.plugins import plugin_utils
from ansible_collections.netboot.syncer.plugins.plugin_utils import bytecode

PACKAGE = f"{bytecode.COLLECTION}plugin_utils"


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A further directory of the package, with a module in it."""
    (tmp_path / "passing.py").write_text("WORTH = 7\n", encoding="utf-8")
    (tmp_path / "bare").mkdir()
    monkeypatch.setattr(plugin_utils, "__path__", [*plugin_utils.__path__, str(tmp_path)])
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    yield tmp_path
    sys.modules.pop(f"{PACKAGE}.passing", None)


def test_bytecode_is_kept_and_used(directory: Path) -> None:
    with bytecode.kept():
        module = importlib.import_module(f"{PACKAGE}.passing")
    (kept,) = (directory / "__pycache__").iterdir()
    assert module.WORTH == 7
    found = bytecode.Finder.find_spec(f"{PACKAGE}.passing", [str(directory)])
    assert found is not None
    assert found.cached == str(kept)


def test_what_has_changed_is_compiled_anew(directory: Path) -> None:
    with bytecode.kept():
        importlib.import_module(f"{PACKAGE}.passing")
    del sys.modules[f"{PACKAGE}.passing"]
    (directory / "passing.py").write_text("WORTH = 1234\n", encoding="utf-8")
    with bytecode.kept():
        assert importlib.import_module(f"{PACKAGE}.passing").WORTH == 1234


@pytest.mark.parametrize("name", [f"{PACKAGE}.bare", f"{PACKAGE}.missing", "ansible_collections.other.thing.passing"])
def test_everything_else_is_for_ansible(directory: Path, name: str) -> None:
    assert bytecode.Finder.find_spec(name, [str(directory)]) is None
    assert bytecode.Finder.find_spec(f"{PACKAGE}.passing") is None


def test_nothing_stays_after_the_block() -> None:
    with pytest.raises(ZeroDivisionError), bytecode.kept():
        raise ZeroDivisionError
    assert bytecode.Finder not in sys.meta_path
