# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The connection breaks during a step that clients see: the report matches what they see, done or not.

The line and the server are real. Only the moment of the cut is chosen inside the run: no line can be told to
break between a rename and its answer.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.netboot.syncer.plugins.module_utils.assets.entries import Entry
from ansible_collections.netboot.syncer.plugins.module_utils.caching_server.server import SshCachingServer
from ansible_collections.netboot.syncer.plugins.module_utils.errors import ConnectionTrouble
from ansible_collections.netboot.syncer.plugins.module_utils.run.sync_run import SyncRun

from tests.lab.fleet import Fleet, SiteSpec
from tests.lab.line import Line
from tests.lab.runs import IMAGE, SITE, actions, is_delivered, prepare, sync
from tests.lab.waiting import wait_until

pytestmark = pytest.mark.parametrize("spec", [SiteSpec(SITE, line=True)], indirect=True, ids=["line"])
MARKER = f"{IMAGE}-kernel.json"
BEFORE_OR_AFTER = pytest.mark.parametrize("done", [True, False], ids=["done", "not-done"])
CutAt = Callable[..., None]


@pytest.fixture
def line(fleet: Fleet) -> Line:
    found = fleet.sites[SITE].line
    assert found is not None
    return found


@pytest.fixture
def cut_at(monkeypatch: pytest.MonkeyPatch, line: Line) -> CutAt:
    """Cut the line, once, at a call of the caching server about a path: before the call, or after it."""

    def prepare_cut(name: str, path: str, *, done: bool) -> None:
        real = getattr(SshCachingServer, name)
        cuts: list[str] = []

        def call(server: SshCachingServer, what: Any) -> None:
            if cuts or getattr(what, "path", what) != path:
                real(server, what)
                return
            cuts.append(path)
            if done:
                real(server, what)
            line.cut()
            try:
                server.look(path)  # gets no answer
            finally:
                line.restore()

        monkeypatch.setattr(SshCachingServer, name, call)

    return prepare_cut


def in_two_attempts(fleet: Fleet, **changes: Any) -> SyncRun:
    run = sync(fleet, retries=1, retry_delay=0, **changes)
    assert run.attempts == 2
    assert run.failures == []
    assert run.changed
    states = {one.state for one in [*run.images.values(), *run.files.values()]}
    assert states <= {"published", "unchanged", "withdrawn", "repaired"}
    return run


@BEFORE_OR_AFTER
def test_marker(fleet: Fleet, cut_at: CutAt, done: bool) -> None:
    cut_at("publish", MARKER, done=done)
    run = in_two_attempts(fleet)
    image = run.images[f"{IMAGE}.squashfs"]
    assert (image.state, image.reason) == ("published", "")
    assert image.sent_bytes > 1000
    assert actions(run).count(("publish", MARKER)) == 1
    assert is_delivered(fleet, fleet.tree.image(IMAGE))


@BEFORE_OR_AFTER
def test_plain_file_and_symlink(fleet: Fleet, cut_at: CutAt, done: bool) -> None:
    sync(fleet)
    (fleet.tree.root / "menu.txt").write_text("boot this", encoding="utf-8")
    (fleet.tree.root / "menu").symlink_to("menu.txt")
    cut_at("publish", "menu.txt", done=done)
    run = in_two_attempts(fleet)
    assert run.files["menu.txt"].state == "published"
    assert run.files["menu"].state == "published"
    assert actions(run).count(("publish", "menu.txt")) == 1
    (fleet.tree.root / "menu").unlink()
    (fleet.tree.root / "menu").symlink_to("prod")
    cut_at("link", "menu", done=done)
    run = in_two_attempts(fleet)
    assert run.files["menu"].state == "published"
    assert actions(run).count(("link", "menu")) == 1


@BEFORE_OR_AFTER
@pytest.mark.parametrize("path", [MARKER, f"{IMAGE}.squashfs"], ids=["marker", "squashfs"])
def test_removal(fleet: Fleet, cut_at: CutAt, path: str, done: bool) -> None:
    image = fleet.tree.image(IMAGE)
    sync(fleet)
    size = image.squashfs.stat().st_size
    fleet.tree.remove_image(IMAGE)
    cut_at("remove", path, done=done)
    run = in_two_attempts(fleet, delete=True)
    outcome = run.images[image.path]
    assert (outcome.state, outcome.reason) == ("withdrawn", "the netboot server no longer holds it")
    assert outcome.size == size
    assert [one for one in actions(run) if IMAGE in one[1]] == [("withdraw", MARKER), ("remove", image.path)]
    assert not list(fleet.sites[SITE].assets.glob(f"{IMAGE}*"))


@BEFORE_OR_AFTER
def test_repair_of_permissions(fleet: Fleet, cut_at: CutAt, done: bool) -> None:
    sync(fleet)
    squashfs = fleet.sites[SITE].assets / f"{IMAGE}.squashfs"
    squashfs.chmod(0o600)
    cut_at("permit", f"{IMAGE}.squashfs", done=done)
    run = in_two_attempts(fleet)
    image = run.images[f"{IMAGE}.squashfs"]
    assert image.state == "repaired"
    assert "could be read by its owner alone" in image.reason
    assert actions(run).count(("permit", f"{IMAGE}.squashfs")) == 1
    assert squashfs.stat().st_mode & 0o777 == 0o644


def test_withdrawal_of_what_only_the_caching_server_has(fleet: Fleet, cut_at: CutAt) -> None:
    """Its kernel was lost on the caching server."""
    fleet.tree.add_kernel("4.19.0-old", latest=False)
    old = fleet.tree.add_image("prod/old", kernel="4.19.0-old")
    sync(fleet)
    fleet.tree.remove_image(old.name)
    shutil.rmtree(fleet.tree.root / "kernels" / "4.19.0-old")
    (fleet.sites[SITE].assets / "kernels" / "4.19.0-old" / "vmlinuz").unlink()
    cut_at("remove", "prod/old-kernel.json", done=True)
    run = in_two_attempts(fleet)
    assert run.images[old.path].state == "withdrawn"
    assert "vmlinuz" in run.images[old.path].reason
    assert run.images[old.path].size > 0
    assert actions(run) == [("withdraw", "prod/old-kernel.json")]


def test_without_another_attempt_it_counts_as_a_change(fleet: Fleet, cut_at: CutAt) -> None:
    """Clients may see it, and there is no way to tell."""
    sync(fleet)
    (fleet.tree.root / "menu.txt").write_text("boot this", encoding="utf-8")
    cut_at("publish", "menu.txt", done=True)
    run = prepare(fleet)
    with contextlib.suppress(ConnectionTrouble):
        run.run()
    assert run.files["menu.txt"].state == "failed"
    assert run.changed
    assert actions(run)[-1] == ("publish", "menu.txt")


def test_step_that_was_not_begun_is_no_change(fleet: Fleet, line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection broke before it, so the lock is lost: nothing was published."""
    sync(fleet)
    (fleet.tree.root / "menu.txt").write_text("boot this", encoding="utf-8")
    real = SshCachingServer.publish

    def publish(server: SshCachingServer, entry: Entry) -> None:
        line.cut()
        wait_until(lambda: not server._session.alive(), "the session notices the cut")
        real(server, entry)

    monkeypatch.setattr(SshCachingServer, "publish", publish)
    run = prepare(fleet)
    with pytest.raises(ConnectionTrouble, match="the lock was lost"):
        run.run()
    assert run.files["menu.txt"].state == "failed"
    assert not run.changed
