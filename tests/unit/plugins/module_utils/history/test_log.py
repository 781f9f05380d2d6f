# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The history file: many processes at once, rotation, a full disk, and whatever somebody else left there."""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import signal
from pathlib import Path

import pytest
from ansible_collections.netboot.syncer.plugins.module_utils.history import log as logs
from ansible_collections.netboot.syncer.plugins.module_utils.history.log import Log, NotWritten

SPAWN = multiprocessing.get_context("spawn")


def write_many(path: str, who: int, count: int, largest: int, kept: int) -> None:
    log = Log(path, largest=largest, kept=kept, patience=60)
    for number in range(count):
        log.add([json.dumps({"who": who, "number": number, "text": "x" * (37 * number % 300)}).encode()])


@pytest.mark.timeout(300)
def test_many_processes_at_once_lose_no_line_over_rotations(tmp_path: Path) -> None:
    path = str(tmp_path / "history.jsonl")
    work = [SPAWN.Process(target=write_many, args=(path, who, 150, 6000, 200)) for who in range(6)]
    for one in work:
        one.start()
    for one in work:
        one.join()
    assert [one.exitcode for one in work] == [0] * 6
    found = [json.loads(line) for line in Log(path, kept=200).newest_first()]
    assert len(found) == 900
    for who in range(6):
        assert [one["number"] for one in found if one["who"] == who] == list(range(149, -1, -1))
    assert len(list(tmp_path.iterdir())) > 10
    assert max(one.stat().st_size for one in tmp_path.iterdir()) <= 6000


def test_it_is_bounded_even_if_others_fill_the_new_file_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log, another = (Log(str(tmp_path / "h"), largest=1000, kept=3) for _name in range(2))
    log.add([b"a" * 900])
    replace = os.replace

    def replace_and_fill(old: str, new: str) -> None:
        replace(old, new)
        monkeypatch.setattr(os, "replace", replace)
        another.add([b"b" * 900])

    monkeypatch.setattr(os, "replace", replace_and_fill)
    log.add([b"c" * 900])
    assert [line[:1] for line in log.newest_first()] == [b"c", b"b", b"a"]
    assert max(one.stat().st_size for one in tmp_path.iterdir()) <= 1000


def test_it_is_bounded(tmp_path: Path) -> None:
    log = Log(str(tmp_path / "h"), largest=1000, kept=3)
    for number in range(400):
        log.add([b"%090d" % number])
    names = sorted(one.name for one in tmp_path.iterdir())
    assert names == ["h", "h.1", "h.2", "h.3"]
    assert sum(one.stat().st_size for one in tmp_path.iterdir()) <= 4000
    assert next(log.newest_first()) == b"%090d" % 399


def test_a_line_that_somebody_died_over_does_not_spoil_the_next(tmp_path: Path) -> None:
    path = tmp_path / "h"
    path.write_bytes(b'{"a":1}\n{"b":')
    Log(str(path)).add([b'{"c":3}'])
    assert path.read_bytes() == b'{"a":1}\n{"b":\n{"c":3}\n'


def test_a_full_disk_leaves_no_half_of_a_line(tmp_path: Path) -> None:
    """A limit on the file size acts as the full disk: the kernel cuts the write in the middle."""
    path = tmp_path / "h"
    path.write_bytes(b"whole\n")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        with pytest.raises(NotWritten, match=r"h cannot be written \(File too large\)"):
            Log(str(path)).add([b"x" * 500])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert path.read_bytes() == b"whole\n"


def test_nothing_is_written_through_a_symlink_or_into_a_pipe(tmp_path: Path) -> None:
    (tmp_path / "other").write_bytes(b"")
    (tmp_path / "link").symlink_to("other")
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "pipe"):
        with pytest.raises(NotWritten):
            Log(str(tmp_path / name)).add([b"x"])
    assert (tmp_path / "other").read_bytes() == b""


def test_a_lock_that_is_never_given_back_ends_in_words(tmp_path: Path) -> None:
    path = str(tmp_path / "h")
    with Log(path)._opened(), pytest.raises(NotWritten, match="netboot_sync_history"):
        Log(path, patience=0.1).add([b"x"])


@pytest.mark.root
def test_what_root_begins_the_owner_of_the_directory_goes_on_with(tmp_path: Path) -> None:
    os.chown(tmp_path, 1234, 4321)
    log = Log(str(tmp_path / "log"), largest=200)
    for _line in range(9):
        log.add([b"x" * 50])
    assert {(path.stat().st_uid, path.stat().st_gid) for path in tmp_path.iterdir()} == {(1234, 4321)}
    theirs = tmp_path / "theirs"
    theirs.touch()
    Log(str(theirs)).add([b"x"])
    assert theirs.stat().st_uid == 0  # what was there is left alone


@pytest.mark.root
def test_where_owners_cannot_be_changed_root_still_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a disk that keeps no owners, or where root has lost that right."""

    def refuse(*_arguments: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "fchown", refuse)
    Log(str(tmp_path / "h")).add([b"x"])
    assert (tmp_path / "h").read_bytes() == b"x\n"


def test_nobody_made_the_directory(tmp_path: Path) -> None:
    assert not Log(str(tmp_path / "missing" / "h")).wanted
    assert not Log("").wanted
    assert Log(str(tmp_path / "h")).wanted


def test_a_reader_goes_back_so_far_and_no_further(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "h"
    path.write_bytes(b"".join(b"%07d\n" % number for number in range(1000)))
    monkeypatch.setattr(logs, "MOST_READ", 80)
    monkeypatch.setattr(logs, "_BLOCK", 17)
    assert list(Log(str(path)).newest_first()) == [b"%07d" % number for number in range(999, 990, -1)]
    monkeypatch.setattr(logs, "MOST_READ", 10**6)
    assert list(Log(str(path)).newest_first()) == [b"%07d" % number for number in range(999, -1, -1)]


def test_a_line_without_end_takes_no_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "h"
    path.write_bytes(b"first\n" + b"x" * 100_000 + b"\nlast\n")
    monkeypatch.setattr(logs, "_BLOCK", 1000)
    found = list(Log(str(path)).newest_first())
    assert (found[0], found[-1]) == (b"last", b"first")
    assert max(len(line) for line in found) <= logs.LONGEST + 1000
