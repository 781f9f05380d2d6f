# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small plain files: sent together if possible, otherwise one by one, and never with less care."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
from ansible_collections.netboot.syncer.plugins.module_utils.assets.entries import Entry
from ansible_collections.netboot.syncer.plugins.module_utils.limits.bandwidth import parse_limit
from ansible_collections.netboot.syncer.plugins.module_utils.run.executor import Executor
from ansible_collections.netboot.syncer.plugins.module_utils.run.sync_run import SyncRun
from ansible_collections.netboot.syncer.plugins.module_utils.ssh import remote_commands
from ansible_collections.netboot.syncer.plugins.module_utils.ssh.conversation import Conversation
from ansible_collections.netboot.syncer.plugins.module_utils.ssh.pipelined import Opened, Pipelined
from ansible_collections.netboot.syncer.plugins.module_utils.ssh.sftp import Sftp

from tests.lab.fleet import Fleet, SiteSpec
from tests.lab.runs import SITE, actions, complaint, prepare, sync
from tests.lab.trace import events

STRANGE = ["a b", "-rf", "new\nline", "quote'\"", "*", "ü", os.fsdecode(b"\xff\xfe"), "$(reboot)", "a;b"]
NAMES = [f"boot/{number // 20:02}/{number:03}.cfg" for number in range(100)] + [f"boot/odd/{name}" for name in STRANGE]
BOTH_TRANSPORTS = pytest.mark.parametrize("transport", ["rsync", "sftp"])
WITH_LINE = pytest.mark.parametrize("spec", [SiteSpec(SITE, rate=8e6)], indirect=True, ids=["8-mbit"])


def add_files(fleet: Fleet, names: list[str] = NAMES, *, size: int = 3000) -> None:
    for name in names:
        file = fleet.tree.root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(os.urandom(size))


def contents(root: Path) -> dict[str, tuple[bytes, int, int]]:
    """Return what a client or a web server finds: content, permissions, and time in seconds."""
    return {
        str(file.relative_to(root)): (file.read_bytes(), file.stat().st_mode, int(file.stat().st_mtime))
        for file in root.rglob("*")
        if file.is_file() and ".netboot-sync" not in file.parts
    }


def files_of(fleet: Fleet) -> tuple[dict[str, tuple[bytes, int, int]], dict[str, tuple[bytes, int, int]]]:
    return contents(fleet.tree.root), contents(fleet.sites[SITE].assets)


def leftovers(fleet: Fleet) -> set[str]:
    return set(os.listdir(fleet.sites[SITE].assets / ".netboot-sync")) - {"lock", "lock.holder"}


def states(run: SyncRun) -> set[str]:
    return {outcome.state for outcome in run.files.values()}


@BOTH_TRANSPORTS
def test_many_small_files_of_any_name(fleet: Fleet, transport: str) -> None:
    add_files(fleet)
    run = sync(fleet, transport=transport)
    here, there = files_of(fleet)
    assert there == here
    assert states(run) == {"published"}
    assert all(outcome.verified and outcome.sent_bytes >= outcome.size for outcome in run.files.values())
    done = actions(run)
    for name in NAMES:
        assert [action for action, path in done if path == name] == ["send", "check", "flush", "publish"]
    assert leftovers(fleet) == set()
    assert actions(sync(fleet, transport=transport)) == []


def test_it_is_asked_a_few_times_for_all_of_them(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a line with high latency, each round trip costs more than the file."""
    asked: list[str] = []
    for owner, name in ((Sftp, "look"), (Sftp, "rename"), (Sftp, "open"), (Sftp, "list"), (Conversation, "answer")):
        original = getattr(owner, name)

        def counted(*given: object, _original: object = original, _name: str = name, **more: object) -> object:
            asked.append(_name)
            return _original(*given, **more)  # type: ignore[operator]

        monkeypatch.setattr(owner, name, counted)
    sync(fleet)
    idle = len(asked)
    add_files(fleet, NAMES[:100])
    sync(fleet)
    assert len(asked) - 2 * idle < 150  # one by one, it was some 2,500; now, 100 are hashes in one answer


def test_new_content_under_old_names(fleet: Fleet) -> None:
    add_files(fleet)
    sync(fleet)
    add_files(fleet, NAMES[::2], size=3001)
    run = sync(fleet)
    here, there = files_of(fleet)
    assert there == here
    assert {path for action, path in actions(run) if action == "publish"} == set(NAMES[::2])


def test_what_cannot_go_with_the_others_says_why_and_stops_none(fleet: Fleet) -> None:
    add_files(fleet)
    blocked = fleet.sites[SITE].assets / "boot/03"
    blocked.parent.mkdir(parents=True)
    blocked.write_text("no directory", encoding="utf-8")
    (fleet.sites[SITE].assets / "boot/04/080.cfg/in the way").mkdir(parents=True)
    run = prepare(fleet)
    run.run()
    refused = {path for path, outcome in run.files.items() if outcome.state == "failed"}
    assert refused == {*NAMES[60:80], NAMES[80]}
    here, there = files_of(fleet)
    assert (
        there.items() - {("boot/03", there["boot/03"])} == {k: v for k, v in here.items() if k not in refused}.items()
    )
    assert all("is not a directory" in run.files[path].reason for path in NAMES[60:80])
    assert leftovers(fleet) == set()


def test_a_file_that_changes_meanwhile_is_left_for_the_next_run(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    add_files(fleet)
    original = Sftp.make_directory

    def change_one(sftp: Sftp, path: str) -> None:
        original(sftp, path)
        if "/batch-" in path:
            (fleet.tree.root / NAMES[7]).write_bytes(b"another")

    monkeypatch.setattr(Sftp, "make_directory", change_one)
    run = sync(fleet)
    assert run.files[NAMES[7]].state == "held_back"
    here, there = files_of(fleet)
    assert there == {name: seen for name, seen in here.items() if name != NAMES[7]}


def test_a_file_that_changes_before_it_is_seen(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    add_files(fleet)
    original = Executor.publish_together

    def change_one(executor: Executor, entries: Sequence[Entry]) -> set[str]:
        (fleet.tree.root / NAMES[7]).write_bytes(b"another")
        return original(executor, entries)

    monkeypatch.setattr(Executor, "publish_together", change_one)
    run = sync(fleet)
    assert run.files[NAMES[7]].state == "held_back"
    here, there = files_of(fleet)
    assert there == {name: seen for name, seen in here.items() if name != NAMES[7]}


@WITH_LINE
def test_what_is_in_doubt_is_told_as_what_it_came_to(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection breaks after all renames, before the caching server can confirm them."""
    add_files(fleet)
    original = Pipelined.flush
    broke: list[bool] = []

    def break_once(many: Pipelined, paths: Sequence[str], opened: Opened) -> list[OSError | None]:
        line = fleet.sites[SITE].line
        if line is not None and not broke:
            broke.append(True)
            line.cut()
            try:
                return original(many, paths, opened)
            finally:
                line.restore()
        return original(many, paths, opened)

    monkeypatch.setattr(Pipelined, "flush", break_once)
    run = sync(fleet, retries=1)
    assert broke
    assert run.attempts == 2
    assert states(run) == {"published"}
    published = [path for action, path in actions(run) if action == "publish"]
    assert set(published) >= {*NAMES}
    assert len(set(published)) == len(published)
    here, there = files_of(fleet)
    assert there == here


def test_a_directory_that_cannot_be_written_to_disk_is_told(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even though the files are in place already. The caching server's disk works, so its error is faked."""
    add_files(fleet, NAMES[:20])
    failing = f"{fleet.sites[SITE].server.assets}/boot/00"
    trouble = OSError(errno.EIO, "Input/output error")
    many, one = Pipelined.flush, Sftp.flush

    def flush_many(self: Pipelined, paths: Sequence[str], opened: Opened) -> list[OSError | None]:
        answers = many(self, paths, opened)
        return [trouble if path == failing else answer for path, answer in zip(paths, answers, strict=True)]

    def flush_one(self: Sftp, path: str) -> None:
        if path == failing:
            raise trouble
        one(self, path)

    monkeypatch.setattr(Pipelined, "flush", flush_many)
    monkeypatch.setattr(Sftp, "flush", flush_one)
    run = prepare(fleet)
    run.run()
    failed = {path for path, outcome in run.files.items() if outcome.state == "failed"}
    assert failed == {*NAMES[:20]}
    assert all("Input/output error" in run.files[path].reason for path in failed)


@WITH_LINE
@pytest.mark.parametrize("after", [60_000, 250_000, 345_000])
def test_a_line_that_breaks_meanwhile(fleet: Fleet, after: int) -> None:
    """Also during the renames: which of them were done is unknown until the next run looks."""
    add_files(fleet)
    line = fleet.sites[SITE].line
    assert line is not None
    line.cut_after(after)
    said = complaint(prepare(fleet), fleet.sites[SITE].ssh.address)
    assert "broke" in said or "cannot be reached" in said
    here, there = files_of(fleet)
    assert there.items() <= here.items()
    line.restore()
    run = sync(fleet)
    assert files_of(fleet)[1] == here
    assert states(run) <= {"published", "unchanged"}
    assert leftovers(fleet) == set()


@WITH_LINE
def test_outside_its_hours_none_goes(fleet: Fleet) -> None:
    add_files(fleet)
    run = sync(fleet, bandwidth_limit=parse_limit("0"))
    assert states(run) == {"held_back"}
    assert files_of(fleet)[1] == {}


@WITH_LINE
def test_they_keep_the_limit(fleet: Fleet) -> None:
    """They take at least a quarter of the time that the limit implies; nothing beyond that is certain."""
    add_files(fleet)
    run = sync(fleet, bandwidth_limit=parse_limit("1Mbit"))
    assert states(run) == {"published"}
    # Each of them took as long as all of them.
    assert run.files[NAMES[0]].seconds > 0.25 * 8 * 3000 * len(NAMES) / 1e6


def test_what_arrives_damaged_goes_once_more_by_itself(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    add_files(fleet)
    script = remote_commands._UNPACK
    monkeypatch.setattr(
        remote_commands, "_UNPACK", script.replace("rm -f archive", "rm -f archive && printf ! | dd of=7 conv=notrunc")
    )
    run = sync(fleet)
    here, there = files_of(fleet)
    assert there == here
    assert len(here) < len([path for action, path in actions(run) if action == "send"]) + 2


@pytest.mark.parametrize(
    "spec", [SiteSpec(SITE, scripts={"sync": "#!/bin/sh\nsleep 1\nexit 1\n"})], indirect=True, ids=["no-flush"]
)
def test_where_not_all_is_on_disk_none_is_seen_together(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    add_files(fleet, NAMES[:5])
    together: list[str] = []
    original = Executor.publish_together

    def publish(self: Executor, entries: Sequence[Entry]) -> set[str]:
        together.extend(entry.path for entry in entries)
        return original(self, entries)

    monkeypatch.setattr(Executor, "publish_together", publish)
    run = sync(fleet)
    assert together == []
    assert states(run) == {"published"}  # each by itself, and flushed by SFTP
    here, there = files_of(fleet)
    assert there == here


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
@pytest.mark.parametrize("spec", [SiteSpec(SITE, traced=True)], indirect=True, ids=["traced"])
def test_they_are_on_disk_before_they_are_seen(fleet: Fleet) -> None:
    add_files(fleet, NAMES[:30])
    sync(fleet)
    site = fleet.sites[SITE]
    found = events(site.server.directory / "trace", site.assets)
    for name in NAMES[:30]:
        final = f"{site.assets}/{name}"
        (published,) = [number for number, event in enumerate(found) if event.what == "rename" and event.to == final]
        hidden = found[published].path
        written = [n for n, event in enumerate(found) if event.what == "write" and event.path == hidden]
        flushed = [n for n, event in enumerate(found) if event.what == "flush all"]
        assert any(max(written) < number < published for number in flushed)
        directory = [
            n for n, event in enumerate(found) if event.what == "flush" and event.path == os.path.dirname(final)
        ]
        assert max(directory, default=0) > published
