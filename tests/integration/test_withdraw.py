# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images that the netboot server no longer offers: reported if clients still find them, and withdrawn by name."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.netboot.syncer.plugins.module_utils.caching_server.server import SshCachingServer
from ansible_collections.netboot.syncer.plugins.module_utils.limits.bandwidth import parse_limit

from tests.lab import images
from tests.lab.fleet import CHECKOUT, Fleet
from tests.lab.runs import IMAGE, NEXT, SITE, actions, is_delivered, sync
from tests.lab.tree import KERNEL

MARKER = f"{IMAGE}-kernel.json"
RECORD = "prod/.21-04-09-gnome-master-f1d734e-kernel.json.withdrawn"
NOTHING = parse_limit("0")


def withdraw(fleet: Fleet, *patterns: str, **options: Any) -> dict[str, Any]:
    """Run the module on the netboot server, and return its result."""
    arguments = {"src": str(fleet.tree.root), "patterns": patterns, **options}
    file = fleet.directory / "withdraw.json"
    file.write_text(json.dumps({"ANSIBLE_MODULE_ARGS": arguments}), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "ansible_collections.netboot.syncer.plugins.modules.withdraw_assets", str(file)],
        env={**os.environ, "PYTHONPATH": str(CHECKOUT / ".collections")},
        capture_output=True,
        text=True,
        check=False,
    )
    return dict(json.loads(done.stdout))


def there(fleet: Fleet, path: str) -> Path:
    return fleet.sites[SITE].assets / path


@pytest.fixture
def published(fleet: Fleet) -> Fleet:
    """The fleet with two images, after a sync."""
    fleet.tree.add_image(NEXT)
    sync(fleet)
    return fleet


@pytest.mark.parametrize("check_mode", [True, False], ids=["check", "run"])
@pytest.mark.parametrize("what", ["marker", "image"])
def test_left_over_is_a_state_of_its_own(published: Fleet, what: str, check_mode: bool) -> None:
    image = published.tree.image(IMAGE)
    image.marker.unlink()
    if what == "image":
        image.squashfs.unlink()
    run = sync(published, check_mode=check_mode)
    assert {path: found.state for path, found in run.images.items()}.get(image.path) == "left_over"
    assert "still published there" in run.images[image.path].reason
    assert ("its marker is gone" in run.images[image.path].reason) == (what == "marker")
    assert not run.changed
    assert run.failures == []
    assert there(published, MARKER).exists()


def test_held_back_image_is_not_left_over(published: Fleet) -> None:
    """Its marker is still there, and may well become valid again."""
    published.tree.image(IMAGE).marker.write_text("{", encoding="utf-8")
    run = sync(published)
    assert run.images[f"{IMAGE}.squashfs"].state == "held_back"


def test_what_cannot_be_listed_is_not_left_over(published: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.listdir

    def refuse(path: str) -> list[str]:
        if str(path).endswith("/prod"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    # Root can read everything, so the refusal has to be faked.
    monkeypatch.setattr(os, "listdir", refuse)
    run = sync(published, delete=True)
    assert "left_over" not in {one.state for one in run.images.values()}
    assert there(published, MARKER).exists()


@pytest.mark.parametrize("pattern", [IMAGE, f"{IMAGE}.squashfs", MARKER, "prod/21-04-09-*", "*f1d734e*"])
def test_marker_is_set_aside(published: Fleet, pattern: str) -> None:
    before = published.tree.image(IMAGE).marker.stat()
    assert withdraw(published, pattern, _ansible_check_mode=True)["changed"]
    assert published.tree.image(IMAGE).marker.exists()
    found = withdraw(published, pattern)
    assert found["changed"]
    assert [(one["path"], one["state"]) for one in found["images"]] == [(f"{IMAGE}.squashfs", "withdrawn")]
    assert not published.tree.image(IMAGE).marker.exists()
    assert (published.tree.root / RECORD).stat().st_mtime_ns == before.st_mtime_ns
    again = withdraw(published, pattern)
    assert not again["changed"]
    assert [one["state"] for one in again["images"]] == ["withdrawn"]


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({}, id="plain"),
        pytest.param({"delete": True, "max_delete": 0}, id="max-delete-0"),
        pytest.param({"bandwidth_limit": NOTHING}, id="limit-0"),
        pytest.param({"exclude": ["prod/**"]}, id="not-chosen"),
        pytest.param({"only": ["dev/**"]}, id="not-this-time"),
    ],
)
def test_every_run_withdraws_it(published: Fleet, options: dict[str, Any]) -> None:
    withdraw(published, IMAGE)
    expected = [("withdraw", MARKER)]
    assert actions(sync(published, check_mode=True, **options)) == expected
    run = sync(published, **options)
    assert actions(run) == expected
    assert run.images[f"{IMAGE}.squashfs"].state == "withdrawn"
    assert not there(published, MARKER).exists()
    assert there(published, f"{IMAGE}.squashfs").exists()
    assert there(published, f"{NEXT}-kernel.json").exists()
    again = sync(published, **options)
    assert actions(again) == []
    if not options.get("exclude") and not options.get("only"):
        assert again.images[f"{IMAGE}.squashfs"].state == "held_back"
        assert "withdrawn by name" in again.images[f"{IMAGE}.squashfs"].reason


def test_undo_costs_some_bytes(published: Fleet) -> None:
    image = published.tree.image(IMAGE)
    withdraw(published, IMAGE)
    sync(published)
    found = withdraw(published, IMAGE, state="present")
    assert [one["state"] for one in found["images"]] == ["put_back"]
    assert image.marker.exists()
    run = sync(published, only=[image.path])
    assert [path for action, path in actions(run) if action == "send"] == [MARKER]
    assert is_delivered(published, image)
    assert not withdraw(published, IMAGE, state="present")["images"]


def test_marker_that_is_uploaded_again_does_not_bring_it_back(published: Fleet) -> None:
    image = published.tree.image(IMAGE)
    withdraw(published, IMAGE)
    images.write_marker(image.marker, version=KERNEL)
    sync(published)
    assert not there(published, MARKER).exists()
    withdraw(published, IMAGE, state="present")
    assert not (published.tree.root / RECORD).exists()
    sync(published)
    assert is_delivered(published, image)


def test_symlink_to_it_goes_with_it(published: Fleet) -> None:
    alias = published.tree.root / "prod" / "stable.squashfs"
    alias.symlink_to(f"{IMAGE.removeprefix('prod/')}.squashfs")
    images.write_marker(published.tree.root / "prod" / "stable-kernel.json", version=KERNEL)
    sync(published)
    assert there(published, "prod/stable-kernel.json").exists()
    withdraw(published, IMAGE)
    sync(published)
    assert not there(published, MARKER).exists()
    assert not there(published, "prod/stable-kernel.json").exists()


def test_withdrawal_waits_for_nothing(published: Fleet) -> None:
    """Neither for the lock that another run holds, nor for a bandwidth window."""
    withdraw(published, IMAGE)
    with there(published, ".netboot-sync/lock").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        run = sync(published, withdraw=(IMAGE,), bandwidth_limit=NOTHING, lock_timeout=5)
    assert actions(run) == [("withdraw", MARKER)]
    assert not there(published, MARKER).exists()


def test_withdrawn_while_its_own_transfer_is_under_way(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever of the two comes last makes sure that no client finds the marker."""
    real = SshCachingServer.send

    def send(self: SshCachingServer, entry: Any, *arguments: Any) -> Any:
        if entry.path == f"{IMAGE}.squashfs":
            withdraw(fleet, IMAGE)
            sync(fleet, withdraw=(IMAGE,))  # in practice, another process
        return real(self, entry, *arguments)

    monkeypatch.setattr(SshCachingServer, "send", send)
    run = sync(fleet)
    assert not there(fleet, MARKER).exists()
    assert run.images[f"{IMAGE}.squashfs"].state == "held_back"


def test_marker_that_goes_while_it_is_put_up_is_taken_down(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    real = SshCachingServer.publish

    def publish(self: SshCachingServer, entry: Any) -> None:
        if entry.path == MARKER:
            withdraw(fleet, IMAGE)  # after the check of the source, before the rename at the site
        real(self, entry)

    # No timing could hit this moment reliably.
    monkeypatch.setattr(SshCachingServer, "publish", publish)
    run = sync(fleet)
    assert ("withdraw", MARKER) in actions(run)
    assert run.images[f"{IMAGE}.squashfs"].state == "withdrawn"
    assert not there(fleet, MARKER).exists()


def test_image_that_only_caching_servers_have(published: Fleet) -> None:
    published.tree.remove_image(IMAGE)
    run = sync(published, withdraw=(IMAGE,), check_mode=True)
    assert actions(run) == [("withdraw", MARKER)]
    withdraw(published, IMAGE, only_elsewhere=[f"{IMAGE}.squashfs"])
    assert (published.tree.root / RECORD).exists()
    # A caching server that was away catches up at its next run.
    assert actions(sync(published)) == [("withdraw", MARKER)]
    withdraw(published, IMAGE, state="present")
    assert not published.tree.image(IMAGE).marker.exists()


def test_unmarked_image_cannot_be_withdrawn(fleet: Fleet) -> None:
    fleet.tree.add_image("caching-server/one", marker=False)
    (found,) = withdraw(fleet, "caching-server/*")["images"]
    assert found["state"] == "unmarked"


def test_undo_in_the_middle_keeps_the_image(published: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    withdraw(published, IMAGE)
    real = SshCachingServer.open_for_writing

    def open_for_writing(self: SshCachingServer, *likely: Any) -> Any:
        return real(self, *likely)

    def tree(self: SshCachingServer, *wanted: Any) -> Any:
        found = listed(self, *wanted)
        withdraw(published, IMAGE, state="present")  # after the plan has read the source
        return found

    listed = SshCachingServer.tree
    monkeypatch.setattr(SshCachingServer, "open_for_writing", open_for_writing)
    monkeypatch.setattr(SshCachingServer, "tree", tree)
    run = sync(published)
    assert actions(run) == []
    assert there(published, MARKER).exists()


def age(fleet: Fleet, path: str, seconds: float) -> None:
    """Set the last change of a directory at the site to that many seconds ago."""
    directory = there(fleet, path)
    now = there(fleet, ".netboot-sync/lock").stat().st_mtime
    os.utime(directory, (now - seconds, now - seconds))


def test_purge_waits_for_those_who_boot(published: Fleet) -> None:
    withdraw(published, IMAGE, purge=True)
    assert actions(sync(published, grace=300)) == [("withdraw", MARKER)]
    run = sync(published, grace=300)
    assert actions(run) == []
    assert "goes in a run 300 s from now or later" in run.images[f"{IMAGE}.squashfs"].reason
    age(published, "prod", 400)
    run = sync(published, grace=300, max_delete=0)
    assert actions(run) == [("remove", f"{IMAGE}.squashfs")]
    assert published.tree.image(IMAGE).squashfs.exists()
    assert not there(published, f"{IMAGE}.squashfs").exists()
    assert is_delivered(published, published.tree.image(NEXT))


def test_plain_withdrawal_becomes_a_purge(published: Fleet) -> None:
    withdraw(published, IMAGE)
    sync(published)
    assert withdraw(published, IMAGE, purge=True)["changed"]
    assert (published.tree.root / f"{RECORD}-purge").exists()
    assert not (published.tree.root / RECORD).exists()
    assert actions(sync(published)) == [("remove", f"{IMAGE}.squashfs")]


def test_delete_waits_for_those_who_boot(published: Fleet) -> None:
    published.tree.add_kernel("6.1.0-new", latest=False)
    old = published.tree.add_image("prod/old", kernel="6.1.0-new")
    sync(published)
    published.tree.remove_image("prod/old")
    for path in sorted((published.tree.root / "kernels" / "6.1.0-new").iterdir()):
        path.unlink()
    (published.tree.root / "kernels" / "6.1.0-new").rmdir()
    run = sync(published, delete=True, grace=300)
    assert actions(run) == [("withdraw", "prod/old-kernel.json")]
    assert run.images[old.path].state == "withdrawn"
    assert actions(sync(published, delete=True, grace=300)) == []
    for directory in ("", "prod", "kernels", "kernels/6.1.0-new", f"kernels/{KERNEL}"):
        age(published, directory, 400)
    done = actions(sync(published, delete=True, grace=300))
    assert sorted(done) == sorted(
        [
            ("remove", old.path),
            ("remove", "kernels/6.1.0-new/initrd"),
            ("remove", "kernels/6.1.0-new/vmlinuz"),
            ("remove", "kernels/6.1.0-new"),
        ]
    )


def test_what_comes_back_meanwhile_is_not_removed(published: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """An image is moved away, the plan is made, and it is moved back before its turn to be removed comes."""
    image = published.tree.image(IMAGE)
    aside = published.directory / "aside"
    aside.mkdir()
    for path in (image.squashfs, image.marker):
        path.rename(aside / path.name)
    fleet = published
    fleet.tree.add_image("prod/other")
    real = SshCachingServer.send

    def send(self: SshCachingServer, *arguments: Any) -> Any:
        for path in (image.squashfs, image.marker):
            if not path.exists():
                (aside / path.name).rename(path)
        return real(self, *arguments)

    monkeypatch.setattr(SshCachingServer, "send", send)
    run = sync(fleet, delete=True)
    assert "remove" not in {action for action, _path in actions(run)}
    assert "withdraw" not in {action for action, _path in actions(run)}
    assert is_delivered(fleet, image)


@pytest.mark.root
def test_directory_that_is_no_longer_mounted_removes_nothing(published: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    published.tree.remove_image(IMAGE)
    prod = published.tree.root / "prod"
    listed = SshCachingServer.tree

    def tree(self: SshCachingServer, *wanted: Any) -> Any:
        found = listed(self, *wanted)
        prod.rename(prod.with_name(".away"))
        prod.mkdir()
        return found

    monkeypatch.setattr(SshCachingServer, "tree", tree)
    run = sync(published, delete=True)
    assert not {"remove", "withdraw"} & {action for action, _path in actions(run)}
    assert there(published, MARKER).exists()
