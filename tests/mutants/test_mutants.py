# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of deliberate faults fits the code as it is; `./dev mutants` runs the tests against each."""

from __future__ import annotations

import ast
import re
import shutil
from pathlib import Path

import pytest

from tests.lab.fleet import CHECKOUT

from .mutant import SHIPPED, AnchorError, Mutant
from .rooms import MUTANTS


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    into = tmp_path_factory.mktemp("checkout")
    for directory in SHIPPED:
        shutil.copytree(CHECKOUT / directory, into / directory, ignore=shutil.ignore_patterns("__pycache__"))
    return into


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_fault_can_still_be_made(mutant: Mutant, copy: Path) -> None:
    file = mutant.put_into(copy)
    original = CHECKOUT / file.relative_to(copy)
    try:
        assert file.read_bytes() != original.read_bytes()
        if file.suffix == ".py":
            compile(file.read_text(encoding="utf-8"), file, "exec")
    finally:
        shutil.copy(original, file)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_its_test_is_there(mutant: Mutant) -> None:
    path, _colons, test = mutant.test.partition("::")
    names = [
        node.name for node in ast.walk(ast.parse((CHECKOUT / path).read_text())) if isinstance(node, ast.FunctionDef)
    ]
    assert test.partition("[")[0] in names


def test_there_are_enough_and_no_two_alike() -> None:
    assert len(MUTANTS) >= 60
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)
    assert len({(mutant.old, mutant.new) for mutant in MUTANTS}) == len(MUTANTS)


def _checkout(directory: Path, text: str) -> Path:
    file = directory / "plugins" / "some.py"
    file.parent.mkdir(parents=True)
    file.write_text(text, encoding="utf-8")
    return file


def test_lines_are_found_however_far_they_are_indented(tmp_path: Path) -> None:
    file = _checkout(tmp_path, "def f():\n    while True:\n            one()\n            two()\n            three()\n")
    fault = Mutant("fault", old="\n  one()\n  two()\n", new="\n  if x:\n      two()\n  one()\n", test="")
    assert fault.put_into(tmp_path) == file
    assert file.read_text(encoding="utf-8") == (
        "def f():\n    while True:\n            if x:\n                two()\n            one()\n            three()\n"
    )


@pytest.mark.parametrize("text", ["other()\n", "one()\none()\n"], ids=["nowhere", "twice"])
def test_a_place_that_is_not_there_once_is_refused(tmp_path: Path, text: str) -> None:
    _checkout(tmp_path, text)
    with pytest.raises(AnchorError):
        Mutant("fault", old="one()", new="pass", test="").put_into(tmp_path)


@pytest.mark.parametrize(
    ("failure", "counts"),
    [
        ("AssertionError: assert 1 == 2", True),
        ("Failed: DID NOT RAISE <class 'ValueError'>", True),
        ("LabError: waited in vain: the end", True),
        ("LabError: sshd did not start", False),
        ("Failed: Timeout (>120.0s) from pytest-timeout.", False),
        ("NameError: name 'x' is not defined", False),
    ],
)
def test_only_what_the_test_is_to_see_counts(failure: str, counts: bool) -> None:
    assert Mutant("fault", old="", new="", test="", sees=("LabError: waited in vain",)).counts(failure) is counts


def test_reliability_names_each_fault() -> None:
    text = (CHECKOUT / "RELIABILITY.md").read_text(encoding="utf-8")
    assert [
        mutant.name for mutant in MUTANTS if f" {mutant.name};" not in text and f" {mutant.name}." not in text
    ] == []
    counts = [int(found) for found in re.findall(r"^- [a-z', ]+ \(([0-9]+)\): ", text, re.MULTILINE)]
    assert sum(counts) == len(MUTANTS)
