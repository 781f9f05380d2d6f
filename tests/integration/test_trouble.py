# Copyright: (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bad input and trouble: one clear line that names host, path and remedy, and nothing lost."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.netboot.syncer.plugins.module_utils.deciding.readiness import Rules
from ansible_collections.netboot.syncer.plugins.module_utils.doing.ssh_settings import Address
from ansible_collections.netboot.syncer.plugins.module_utils.doing.sync_run import Options, SyncRun
from ansible_collections.netboot.syncer.plugins.module_utils.errors import SyncError

from tests.lab.fleet import Fleet, SiteSpec
from tests.lab.sshd import ClientKey

IMAGE = "prod/21-04-09-gnome-master-f1d734e"


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    with Fleet(tmp_path / "fleet", [SiteSpec("cache")]) as found:
        found.tree.add_kernel()
        found.tree.add_image(IMAGE)
        yield found


def sync(fleet: Fleet, *, key: Path | None = None, verify: bool = False) -> SyncRun:
    site = fleet.sites["cache"]
    address = Address(
        host=site.ssh.address,
        port=site.ssh.port,
        user=site.server.user,
        private_key_file=str(key or fleet.key.private),
        known_hosts_file=str(fleet.known_hosts),
    )
    run = SyncRun(
        address,
        Options(
            src=str(fleet.tree.root), dest=str(site.assets), rules=Rules(), retries=0, verify=verify, lock_timeout=1
        ),
    )
    run.run()
    return run


def test_all_is_hashed_on_the_caching_server(fleet: Fleet) -> None:
    run = sync(fleet)
    assert run.images[f"{IMAGE}.squashfs"].state == "published"
    assert run.images[f"{IMAGE}.squashfs"].verified
    names = [(action["action"], action["path"]) for action in run.actions]
    assert names.index(("publish", f"{IMAGE}.squashfs")) < names.index(("send", f"{IMAGE}-kernel.json"))


def test_source_missing_or_empty(fleet: Fleet) -> None:
    shutil.rmtree(fleet.tree.root)
    with pytest.raises(SyncError, match=r"is not there.*netboot_sync_src"):
        sync(fleet)
    fleet.tree.root.mkdir()
    with pytest.raises(SyncError, match=r"empty.*mounted"):
        sync(fleet)


def test_wrong_key(fleet: Fleet, tmp_path: Path) -> None:
    with pytest.raises(SyncError, match=r"does not accept .*authorized_keys"):
        sync(fleet, key=ClientKey.create(tmp_path / "other").private)


def test_unknown_and_changed_host_key(fleet: Fleet) -> None:
    known = fleet.known_hosts.read_text(encoding="utf-8")
    fleet.known_hosts.write_text("", encoding="utf-8")
    with pytest.raises(SyncError, match=r"not known.*accept-new"):
        sync(fleet)
    server = fleet.sites["cache"].server
    fleet.known_hosts.write_text(known, encoding="utf-8")
    server.stop()
    server.new_host_key()
    server.start()
    with pytest.raises(SyncError, match=r"not the known one"):
        sync(fleet)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "empty"),
        ("{", "not JSON"),
        ("[]", "not a JSON object"),
        ('{"version": "../../etc"}', "plain name"),
        ('{"version": "9.9"}', "kernels/9.9/vmlinuz, which is not there"),
        ('{"size": 1}', "its marker states 1"),
        ('{"sha256": "%s"}' % ("0" * 64), "has not the sha256"),
    ],
)
def test_bad_marker_is_held_back(fleet: Fleet, content: str, reason: str) -> None:
    fleet.tree.image(IMAGE).marker.write_text(content, encoding="utf-8")
    run = sync(fleet)
    outcome = run.images[f"{IMAGE}.squashfs"]
    assert outcome.state == "held_back"
    assert reason in outcome.reason
    assert not (fleet.sites["cache"].assets / f"{IMAGE}.squashfs").exists()


def test_truncated_squashfs_and_symlink_out_of_the_tree_are_held_back(fleet: Fleet) -> None:
    fleet.tree.truncate_image(IMAGE)
    (fleet.tree.root / "out").symlink_to("../../etc/passwd")
    run = sync(fleet)
    assert "cut short" in run.images[f"{IMAGE}.squashfs"].reason
    assert run.files["out"].state == "held_back"
    assert not (fleet.sites["cache"].assets / "out").is_symlink()


def test_hostile_names_arrive(fleet: Fleet) -> None:
    names = ["-rf", "a b", "it's", 'say "x"', "new\nline", "ümlaut", "$(touch pwned)"]
    for name in names:
        fleet.tree.add_image(f"prod/{name}")
    sync(fleet)
    there = fleet.sites["cache"].assets / "prod"
    assert all((there / f"{name}-kernel.json").is_file() for name in names)
    assert not list(there.parent.rglob("pwned"))


def test_lost_squashfs_withdraws_its_marker_and_comes_back(fleet: Fleet) -> None:
    sync(fleet)
    there = fleet.sites["cache"].assets / f"{IMAGE}.squashfs"
    there.unlink()
    run = sync(fleet)
    assert run.actions[0]["action"] == "withdraw"
    assert there.read_bytes() == fleet.tree.image(IMAGE).squashfs.read_bytes()
