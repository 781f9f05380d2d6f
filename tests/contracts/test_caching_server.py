# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every caching server of the protocol guarantees: the real ones over OpenSSH, and the stepped one of the model.

What the model proves holds for the real server only as far as both of them pass these tests.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from ansible_collections.netboot.syncer.plugins.module_utils.assets.entries import DIRECTORY, SYMLINK, Entry
from ansible_collections.netboot.syncer.plugins.module_utils.caching_server.protocol import CachingServer
from ansible_collections.netboot.syncer.plugins.module_utils.caching_server.server import SshCachingServer
from ansible_collections.netboot.syncer.plugins.module_utils.errors import LockHeld, SourceChanged, SyncError
from ansible_collections.netboot.syncer.plugins.module_utils.source.tree import SourceTree
from ansible_collections.netboot.syncer.plugins.module_utils.ssh.session import Session

from tests.lab.fleet import Fleet, SiteSpec
from tests.lab.runs import SITE, address_of
from tests.model.pace import Pace
from tests.model.server import Site, SteppedServer

LARGE = 400_000  # bytes; a file of this size is sent with rsync if there is one
REAL = {"with-shell": SiteSpec(SITE), "sftp-only": SiteSpec(SITE, sftp_only=True)}


class AtOnce(Pace):
    """Passes every point at once: nothing is stepped here."""

    def point(self) -> None:
        """Go on."""


class Stage:
    """A source tree, and sessions with one caching server."""

    def __init__(self, src: Path, connect: Callable[[SourceTree], CachingServer]) -> None:
        self.src = src
        self._connect = connect
        self.source = SourceTree(str(src))
        self.server = connect(self.source)

    def another(self) -> CachingServer:
        """Return one more session with the same caching server."""
        return self._connect(self.source)

    def add(self, path: str, content: bytes) -> Entry:
        """Write a file of the netboot server, and return how it is listed."""
        file = self.src / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        os.utime(file, (1_700_000_000, 1_700_000_000))
        return self.source.scan()[path]

    def bring(self, entry: Entry) -> None:
        """Do all steps of one file, in their order."""
        self.server.send(entry, None)
        self.server.check(entry, read_back=True)
        self.server.flush(entry)
        self.server.publish(entry)


@pytest.fixture(params=[*REAL, "stepped"])
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stage]:
    with ExitStack() as stack:
        src = tmp_path / "src"
        src.mkdir()
        if request.param == "stepped":
            site = Site()
            names = iter(range(9))
            found = Stage(src, lambda source: SteppedServer(site, source, AtOnce(), str(next(names)), hashes=True))
        else:
            fleet = stack.enter_context(Fleet(tmp_path / "fleet", [REAL[request.param]]))

            def connect(source: SourceTree) -> CachingServer:
                session = stack.enter_context(Session(address_of(fleet), remember=False))
                return SshCachingServer(session, source, str(fleet.sites[SITE].server.assets), lock_timeout=0)

            found = Stage(src, connect)
        found.server.find_destination()
        found.server.open_for_writing()
        yield found
        found.server.close()


@pytest.mark.parametrize("size", [3, LARGE])
def test_nothing_is_seen_before_it_is_published(stage: Stage, size: int) -> None:
    entry = stage.add("lab/a.squashfs", b"x" * size)
    sent = stage.server.send(entry, None)
    assert sent.bytes >= size
    assert sent.basis is None
    stage.server.check(entry, read_back=True)
    stage.server.flush(entry)
    assert stage.server.tree() == {}
    assert stage.server.look(entry.path) is None
    stage.server.publish(entry)
    tree = stage.server.tree()
    assert set(tree) == {"lab", entry.path}
    assert tree["lab"].kind == DIRECTORY
    assert stage.server.shows(entry, tree[entry.path])
    assert stage.server.shows(entry, stage.server.look(entry.path))
    assert stage.server.digests([entry]) == {entry.path: stage.source.digest(entry)}


def test_the_old_file_stays_until_the_new_one_is_published(stage: Stage) -> None:
    old = stage.add("a", b"old")
    stage.bring(old)
    before = stage.server.digests([old])
    new = stage.add("a", b"newer")
    stage.server.send(new, None)
    assert stage.server.digests([old]) == before
    stage.server.publish(new)
    assert stage.server.digests([new]) == {"a": stage.source.digest(new)}
    assert stage.server.shows(new, stage.server.look("a"))
    assert not stage.server.shows(old, stage.server.look("a"))


def test_a_marker_is_read_as_it_is(stage: Stage) -> None:
    entry = stage.add("a.json", b'{"image": "a.squashfs"}')
    stage.bring(entry)
    assert stage.server.read_marker(entry) == b'{"image": "a.squashfs"}'


def test_a_file_that_changed_since_it_was_listed_does_not_pass(stage: Stage) -> None:
    entry = stage.add("a", b"first")
    stage.server.send(entry, None)
    stage.add("a", b"second one")
    with pytest.raises(SyncError) as caught:
        stage.server.check(entry, read_back=True)
    assert isinstance(caught.value, SourceChanged)


def test_a_file_that_changed_is_not_sent(stage: Stage) -> None:
    entry = stage.add("a", b"first")
    stage.add("a", b"second one")
    with pytest.raises(SourceChanged):
        stage.server.send(entry, None)
    assert stage.server.look("a") is None


def test_the_check_compares_the_content(stage: Stage) -> None:
    entry = stage.add("a", b"first")
    stage.server.send(entry, None)
    assert stage.server.check(entry, read_back=True) is True


def test_a_symlink_takes_the_place_of_what_is_there(stage: Stage) -> None:
    stage.bring(stage.add("newest", b"a file"))
    stage.server.link(Entry("newest", SYMLINK, target="a.squashfs"))
    found = stage.server.look("newest")
    assert found is not None
    assert (found.kind, found.target) == (SYMLINK, "a.squashfs")


def test_a_file_is_removed_and_may_be_gone_already(stage: Stage) -> None:
    entry = stage.add("lab/a", b"x")
    stage.bring(entry)
    stage.server.remove(entry.path)
    assert stage.server.look(entry.path) is None
    stage.server.remove(entry.path)
    stage.server.remove_directory("lab")
    assert stage.server.tree() == {}


def test_a_directory_with_something_in_it_stays(stage: Stage) -> None:
    entry = stage.add("lab/a", b"x")
    stage.bring(entry)
    stage.server.remove_directory("lab")
    assert set(stage.server.tree()) == {"lab", "lab/a"}


def test_the_same_content_under_another_time_is_a_suspect_and_can_be_adopted(stage: Stage) -> None:
    stage.bring(stage.add("a", b"same"))
    os.utime(stage.src / "a", (1_700_001_000, 1_700_001_000))
    entry = stage.source.scan()["a"]
    assert not stage.server.shows(entry, stage.server.look("a"))
    assert stage.server.suspects([entry], stage.server.tree()) == [entry]
    assert stage.server.adopt(entry)
    assert stage.server.shows(entry, stage.server.look("a"))


def test_one_run_at_a_time(stage: Stage) -> None:
    other = stage.another()
    with pytest.raises(LockHeld):
        other.open_for_writing()
    stage.server.close()
    other.open_for_writing()
    other.close()


def test_what_is_left_unfinished_is_cleaned_and_the_tree_is_not(stage: Stage) -> None:
    published = stage.add("a", b"x")
    stage.bring(published)
    unfinished = stage.add("b", b"y" * LARGE)
    stage.server.send(unfinished, None)
    stage.server.clean([])
    assert set(stage.server.tree()) == {"a"}
    with pytest.raises((SyncError, LookupError, OSError)):
        stage.server.publish(unfinished)
    assert stage.server.look("b") is None


def test_a_mistake_of_ours_is_not_explained_away(stage: Stage) -> None:
    assert stage.server.in_words(ValueError("a mistake"), "a") is None


def test_small_files_go_together(stage: Stage) -> None:
    if not stage.server.takes_many:
        pytest.skip("each file goes by itself there")
    old = stage.add("lab/b", b"old")
    stage.bring(old)
    stage.add("lab/b", b"newer")
    stage.add("lab/deep/c\n", b"")
    tree = dict(stage.source.tree)
    tree["lab/a"] = stage.add("lab/a", b"first")
    tree["lab/b"], tree["lab/deep/c\n"] = stage.source.tree["lab/b"], stage.source.tree["lab/deep/c\n"]
    entries = [tree["lab/a"], tree["lab/b"], tree["lab/deep/c\n"]]
    ready = stage.server.send_together(entries)
    assert {path for path, cost in ready.items() if cost >= tree[path].size} == {entry.path for entry in entries}
    assert set(stage.server.tree()) == {"lab", "lab/b"}
    assert stage.server.shows(old, stage.server.look("lab/b"))
    assert stage.server.publish_together(entries) == {entry.path for entry in entries}
    assert all(stage.server.shows(entry, stage.server.look(entry.path)) for entry in entries)
    assert stage.server.digests(entries) == {entry.path: stage.source.digest(entry) for entry in entries}
    stage.server.clean([])
    assert not stage.server.has_leftovers([])


def test_what_is_another_file_by_now_does_not_go_with_the_others(stage: Stage) -> None:
    if not stage.server.takes_many:
        pytest.skip("each file goes by itself there")
    for name in ("a", "b", "c", "d"):
        stage.add(name, name.encode())
    entries = [stage.source.tree[name] for name in ("a", "b", "c", "d")]
    (stage.src / "b").write_bytes(b"another")
    (stage.src / "d").unlink()
    ready = stage.server.send_together(entries)
    assert ready.keys() == {"a", "c"}
    assert stage.server.publish_together([entry for entry in entries if entry.path in ready]) == {"a", "c"}
    assert set(stage.server.tree()) == {"a", "c"}
