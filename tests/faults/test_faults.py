# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fault laboratory in its short form, and checks that it detects what it is meant to detect."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.faults import FAULTS
from tests.faults.report import outcome
from tests.faults.rounds import plan
from tests.faults.witness import GRACE, Witness
from tests.lab.client import Violation
from tests.lab.fleet import CHECKOUT
from tests.lab.ledger import Ledger
from tests.lab.process import STANDARD_PATH
from tests.lab.tree import KERNEL, AssetsTree, flip_byte

IMAGE = "prod/21-04-09-gnome-master-f1d734e"


PROGRAMS = ("nginx", "ip", "tc", "unshare", "nsenter", "faketime")
MISSING = [name for name in PROGRAMS if shutil.which(name, path=f"{os.environ['PATH']}:{STANDARD_PATH}") is None]


@pytest.mark.root
@pytest.mark.timeout(400)
@pytest.mark.skipif(bool(MISSING), reason=f"./dev faults installs what is missing here: {', '.join(MISSING)}")
def test_short_campaign_ends_without_a_violation(tmp_path: Path) -> None:
    figures = tmp_path / "faults.json"
    command = [sys.executable, "-m", "tests.faults", "--short", "--json", str(figures)]
    ended = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    data = json.loads(figures.read_text(encoding="utf-8"))
    assert data["faults_struck"] >= 15
    assert data["violations"] == data["failed_recoveries"] == 0
    assert data["figures"]["polls_visible"] > 500


@pytest.mark.skipif(os.geteuid() == 0, reason="shows what happens without root")
def test_without_root_it_says_so() -> None:
    command = [sys.executable, "-m", "tests.faults", "--short"]
    ended = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "needs root" in ended.stdout
    assert len(ended.stdout.splitlines()) == 1


def test_plan_follows_from_the_seed_and_treats_all_faults_alike() -> None:
    rounds = plan(3 * len(FAULTS), "seed", [])
    assert rounds == plan(3 * len(FAULTS), "seed", [])
    assert rounds != plan(3 * len(FAULTS), "another seed", [])
    assert {name: rounds.count(name) for name in FAULTS} == dict.fromkeys(FAULTS, 3)
    assert set(plan(5, "seed", ["cut-line"])) == {"cut-line"}


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        pytest.param("ok", "ok", id="all well"),
        pytest.param("ended by signal 9", "killed", id="killed"),
        pytest.param("cache1: not enough space in /srv: 5 bytes and a reserve", "disk full", id="disk full"),
        pytest.param("cache1: another run is working on this caching server: root", "lock held", id="locked"),
        pytest.param("cache1: x.squashfs: the transfer broke (rsync error)", "line broke", id="line broke"),
        pytest.param("cache1: x: rsync was ended by signal 9. Run the sync again.", "rsync killed", id="rsync killed"),
        pytest.param("cache1: something new", "other", id="unknown"),
    ],
)
def test_reports_are_sorted_by_kind(words: str, kind: str) -> None:
    assert outcome(words) == kind


class Stage:
    """A netboot server's tree, a caching server's tree, and a witness that watches the latter."""

    def __init__(self, directory: Path) -> None:
        self.source = AssetsTree(directory / "source")
        self.source.add_kernel()
        self.image = self.source.add_image(IMAGE)
        self.ledger = Ledger(self.source.root)
        self.ledger.snapshot()
        self.site = directory / "site"
        (self.site / ".netboot-sync").mkdir(parents=True)
        self.damaged: list[str] = []
        self.seen: list[Violation] = []
        self.witness = Witness("site", self.site, self.ledger, damaged=lambda: self.damaged, blame=self.seen.append)
        self.marker = f"{IMAGE}-kernel.json"
        self.parts = [f"kernels/{KERNEL}/vmlinuz", f"kernels/{KERNEL}/initrd", self.image.path]

    def deliver(self, *paths: str) -> None:
        """Bring files to their final names the correct way, by a rename."""
        for path in paths:
            (self.site / path).parent.mkdir(parents=True, exist_ok=True)
            time.sleep(0.02)  # give the witness time to find the new directory
            hidden = self.site / ".netboot-sync" / "incoming"
            hidden.write_bytes((self.source.root / path).read_bytes())
            hidden.rename(self.site / path)

    def kinds(self) -> list[str]:
        """The kinds of violation that the witness has reported, once it has seen everything."""
        steps = -1
        while steps != self.witness.steps:
            steps = self.witness.steps
            time.sleep(0.05)
        return [violation.kind for violation in self.seen]


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    before = threading.active_count()
    stage = Stage(tmp_path)
    stage.deliver(*stage.parts, stage.marker)
    assert stage.kinds() == []
    yield stage
    stage.witness.stop()
    assert threading.active_count() == before


def _write_in_place(stage: Stage) -> None:
    flip_byte(stage.site / stage.image.path)


def _link(stage: Stage) -> None:
    os.link(stage.site / stage.image.path, stage.site / "prod" / "linked.squashfs")


def _take_a_part(stage: Stage) -> None:
    (stage.site / stage.parts[0]).unlink()


def _withdraw(stage: Stage) -> None:
    stage.ledger._changed.update(dict.fromkeys([stage.marker, *stage.parts], time.monotonic() - GRACE - 1))
    (stage.site / stage.marker).unlink()


@pytest.mark.parametrize(
    ("do", "kind"),
    [
        pytest.param(_write_in_place, "in place", id="written in place"),
        pytest.param(_link, "in place", id="linked, not renamed"),
        pytest.param(_take_a_part, "missing", id="a part taken away under its marker"),
        pytest.param(_withdraw, "withdrawn", id="withdrawn without a reason"),
    ],
)
def test_witness_blames(stage: Stage, do: Callable[[Stage], None], kind: str) -> None:
    do(stage)
    assert set(stage.kinds()) == {kind}


def _change_source_then_withdraw(stage: Stage) -> None:
    stage.source.add_image(IMAGE, content="another")
    _withdraw_all(stage)


def _withdraw_damaged(stage: Stage) -> None:
    stage.damaged.append(stage.image.path)
    flip_byte(stage.site / stage.image.path)
    _withdraw_all(stage)


def _withdraw_damaged_under_another_spelling(stage: Stage) -> None:
    stage.damaged.append(stage.image.path.upper())
    flip_byte(stage.site / stage.image.path)
    _withdraw_all(stage)


def _replace_by_rename(stage: Stage) -> None:
    stage.deliver(stage.parts[1])


def _withdraw_all(stage: Stage) -> None:
    (stage.site / stage.marker).unlink()
    (stage.site / stage.image.path).unlink()


@pytest.mark.parametrize(
    "do",
    [
        pytest.param(_change_source_then_withdraw, id="withdrawn since the source changed"),
        pytest.param(_withdraw_damaged, id="withdrawn since it was damaged"),
        pytest.param(_withdraw_damaged_under_another_spelling, id="and spelled otherwise since then"),
        pytest.param(_replace_by_rename, id="replaced by a rename"),
    ],
)
def test_witness_says_nothing(stage: Stage, do: Callable[[Stage], None]) -> None:
    do(stage)
    assert stage.kinds() == []
