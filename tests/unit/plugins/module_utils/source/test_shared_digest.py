# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A digest is computed once for all runs that need it at the same time, and never kept for a later one."""

from __future__ import annotations

import fcntl
import os
import threading
from pathlib import Path

import pytest
from ansible_collections.netboot.syncer.plugins.module_utils.errors import SourceChanged
from ansible_collections.netboot.syncer.plugins.module_utils.source import shared_digest
from ansible_collections.netboot.syncer.plugins.module_utils.source.shared_digest import SMALLEST, SharedDigest

IDENTITY = (1, 2, 3, 4, 5)
OTHER = (1, 2, 3, 4, 6)  # the same file, after a change
DIGEST = "0123456789abcdef" * 4


class Counted:
    """Computes a digest, and counts how often."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> str:
        self.count += 1
        return DIGEST


@pytest.fixture
def compute() -> Counted:
    return Counted()


def shared(tmp_path: Path, identity: tuple[int, ...] = IDENTITY, size: int = SMALLEST) -> SharedDigest:
    return SharedDigest(identity, size, directory=str(tmp_path / "digests"))


def test_who_comes_while_another_uses_it_takes_it(tmp_path: Path, compute: Counted) -> None:
    held = [shared(tmp_path) for _number in range(3)]
    assert [one.get(compute) for one in held] == [DIGEST] * 3
    assert compute.count == 1


def test_who_comes_while_another_hashes_waits_for_it(tmp_path: Path, compute: Counted) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow() -> str:
        begun.set()
        assert go_on.wait(60)
        return compute()

    first, second, found = shared(tmp_path), shared(tmp_path), []
    threads = [threading.Thread(target=lambda: found.append(first.get(slow)))]
    threads[0].start()
    assert begun.wait(60)
    threads.append(threading.Thread(target=lambda: found.append(second.get(compute))))
    threads[1].start()
    threads[1].join(0.2)
    assert threads[1].is_alive()
    go_on.set()
    for thread in threads:
        thread.join(60)
    assert found == [DIGEST, DIGEST]
    assert compute.count == 1


def test_a_later_run_hashes_anew(tmp_path: Path, compute: Counted) -> None:
    first = shared(tmp_path)
    first.get(compute)
    del first
    second = shared(tmp_path)
    second.get(compute)
    assert compute.count == 2


def test_a_changed_file_is_another_one(tmp_path: Path, compute: Counted) -> None:
    held = [shared(tmp_path, IDENTITY), shared(tmp_path, OTHER)]
    for one in held:
        one.get(compute)
    assert compute.count == 2


def test_the_files_of_ended_runs_are_removed_and_no_others(tmp_path: Path, compute: Counted) -> None:
    held, ended = shared(tmp_path), shared(tmp_path, OTHER)
    held.get(compute)
    ended.get(compute)
    del ended
    last = shared(tmp_path, (7,))
    last.get(compute)
    assert len(list((tmp_path / "digests").iterdir())) == 2
    again = shared(tmp_path)
    again.get(compute)
    assert compute.count == 3


def test_an_error_is_ones_own(tmp_path: Path, compute: Counted) -> None:
    def fails() -> str:
        raise SourceChanged("it changed", path="prod/x")

    first, second = shared(tmp_path), shared(tmp_path)
    with pytest.raises(SourceChanged):
        first.get(fails)
    assert second.get(compute) == DIGEST
    assert compute.count == 1


@pytest.mark.parametrize("text", ["", "0123", "Z" * 64 + "\n", DIGEST, f"{DIGEST}\n\n"])
def test_what_is_no_digest_is_not_believed(tmp_path: Path, compute: Counted, text: str) -> None:
    first, second = shared(tmp_path), shared(tmp_path)
    first.get(compute)
    next((tmp_path / "digests").iterdir()).write_text(text, encoding="ascii")
    assert second.get(compute) == DIGEST
    assert compute.count == 2


def test_one_of_long_ago_is_not_believed(tmp_path: Path, compute: Counted) -> None:
    first, second = shared(tmp_path), shared(tmp_path)
    first.get(compute)
    os.utime(next((tmp_path / "digests").iterdir()), (0, 0))
    assert second.get(compute) == DIGEST
    assert compute.count == 2


def test_nobody_waits_for_ever(tmp_path: Path, compute: Counted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_digest, "PATIENCE", 0.0)
    first, second = shared(tmp_path), shared(tmp_path)
    first.get(compute)
    with next((tmp_path / "digests").iterdir()).open("rb") as file:
        del first
        fcntl.flock(file, fcntl.LOCK_EX)
        assert second.get(compute) == DIGEST
    assert compute.count == 2


def test_a_directory_that_others_can_write_to_is_not_used(tmp_path: Path, compute: Counted) -> None:
    (tmp_path / "digests").mkdir()
    (tmp_path / "digests").chmod(0o777)
    held = [shared(tmp_path) for _number in range(2)]
    assert [one.get(compute) for one in held] == [DIGEST] * 2
    assert compute.count == 2
    assert not list((tmp_path / "digests").iterdir())


def test_a_symlink_is_not_followed(tmp_path: Path, compute: Counted) -> None:
    first = shared(tmp_path)
    first.get(compute)
    del first
    name = next((tmp_path / "digests").iterdir())
    name.unlink()
    victim = tmp_path / "victim"
    victim.write_text("kept", encoding="ascii")
    name.symlink_to(victim)
    assert shared(tmp_path).get(compute) == DIGEST
    assert victim.read_text(encoding="ascii") == "kept"


def test_small_files_are_not_worth_it(tmp_path: Path, compute: Counted) -> None:
    assert shared(tmp_path, size=SMALLEST - 1).get(compute) == DIGEST
    assert not (tmp_path / "digests").exists()
