# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The boot client: it finds every kind of broken promise, and does not report a legitimate change."""

from __future__ import annotations

import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.lab.client import BootClient, Event
from tests.lab.fleet import Fleet, SiteSpec
from tests.lab.ledger import Ledger
from tests.lab.tree import KERNEL, AssetsTree, flip_byte
from tests.lab.web import AssetsWeb

NAME = "prod/21-04-09-gnome-master-f1d734e"
SQUASHFS = f"{NAME}.squashfs"
MARKER = f"{NAME}-kernel.json"
INITRD = f"kernels/{KERNEL}/initrd"


class Lab:
    """A netboot server's tree and one caching server with a full copy of it."""

    def __init__(self, directory: Path) -> None:
        self.source = AssetsTree(directory / "source")
        self.source.add_kernel()
        self.source.add_image(NAME)
        self.source.add_image("caching-server/netboot-caching-server", marker=False)
        self.ledger = Ledger(self.source.root)
        self.ledger.snapshot()
        self.cache = directory / "cache"
        shutil.copytree(self.source.root, self.cache)
        self.web = AssetsWeb(self.cache, address="127.0.0.1")
        self.client = BootClient({"site": self.web}, self.ledger, interval=0.01)

    def copy(self, path: str) -> None:
        """Copy one file to the caching server the correct way: under a hidden name, then renamed."""
        hidden = self.cache / Path(path).parent / ".incoming"
        shutil.copy2(self.source.root / path, hidden)
        hidden.rename(self.cache / path)

    def found(self) -> set[tuple[str, str]]:
        self.client.check_now()
        return {(violation.kind, violation.path) for violation in self.client.violations}


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    lab = Lab(tmp_path)
    lab.web.start()
    yield lab
    lab.client.stop()
    lab.web.stop()


def wait_for(condition: Callable[[], object]) -> bool:
    deadline = time.monotonic() + 5
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    return bool(condition())


def rewrite(path: Path, content: bytes) -> None:
    path.unlink()
    path.write_bytes(content)


def test_full_copy_is_bootable_and_blameless(lab: Lab) -> None:
    assert lab.found() == set()
    assert lab.client.bootable("site") == {SQUASHFS}
    assert lab.client.polls == 1
    assert lab.client.checks == 1


def remove_squashfs(lab: Lab) -> None:
    (lab.cache / SQUASHFS).unlink()


def remove_initrd(lab: Lab) -> None:
    (lab.cache / INITRD).unlink()


def shorten_initrd(lab: Lab) -> None:
    rewrite(lab.cache / INITRD, (lab.source.root / INITRD).read_bytes()[:-1])


def change_squashfs(lab: Lab) -> None:
    flip_byte(lab.cache / SQUASHFS)


def copy_truncated_upload(lab: Lab) -> None:
    # the netboot server did hold this content, so only the superblock shows the problem
    lab.source.truncate_image(NAME)
    lab.ledger.snapshot()
    lab.copy(SQUASHFS)


def copy_what_is_no_squashfs(lab: Lab) -> None:
    rewrite(lab.source.root / SQUASHFS, b"<html>504 Gateway Time-out</html>" * 200)
    lab.ledger.snapshot()
    lab.copy(SQUASHFS)


def mix_two_kernels(lab: Lab) -> None:
    # each file existed at some time, but never these together
    lab.source.add_kernel(size=80_000)
    for name in ("initrd", "vmlinuz"):
        rewrite(lab.source.root / "kernels" / KERNEL / name, b"rebuilt " * 10_000)
    lab.ledger.snapshot()
    lab.copy(INITRD)


def break_marker(lab: Lab) -> None:
    rewrite(lab.cache / MARKER, b'{"version": ')


def change_marker(lab: Lab) -> None:
    rewrite(lab.cache / MARKER, b'{"version":"5.8.0-43-generic"}')


def climb_out(lab: Lab) -> None:
    rewrite(lab.cache / MARKER, b'{"version": "../../etc"}')


def partial_unmarked_image(lab: Lab) -> None:
    path = lab.cache / "caching-server" / "netboot-caching-server.squashfs"
    rewrite(path, path.read_bytes()[:1000])


def strange_file(lab: Lab) -> None:
    (lab.cache / "prod" / "21-04-10-upload.squashfs").write_bytes(b"partial")


@pytest.mark.parametrize(
    ("plant", "expected"),
    [
        (remove_squashfs, {("missing", SQUASHFS)}),
        (remove_initrd, {("missing", INITRD)}),
        (shorten_initrd, {("short", INITRD), ("foreign", INITRD)}),
        (change_squashfs, {("different", SQUASHFS), ("foreign", SQUASHFS)}),
        (copy_truncated_upload, {("broken", SQUASHFS)}),
        (copy_what_is_no_squashfs, {("broken", SQUASHFS)}),
        (mix_two_kernels, {("different", MARKER)}),
        (break_marker, {("bad marker", MARKER), ("foreign", MARKER)}),
        (change_marker, {("different", MARKER), ("foreign", MARKER)}),
        (climb_out, {("bad marker", MARKER), ("foreign", MARKER)}),
        (partial_unmarked_image, {("foreign", "caching-server/netboot-caching-server.squashfs")}),
        (strange_file, {("foreign", "prod/21-04-10-upload.squashfs")}),
    ],
)
def test_planted_violation_is_found(lab: Lab, plant: Callable[[Lab], None], expected: set[tuple[str, str]]) -> None:
    assert lab.found() == set()
    plant(lab)
    assert lab.found() == expected


def test_polling_finds_it_too_and_names_it_once(lab: Lab) -> None:
    with lab.client:
        assert wait_for(lambda: lab.client.bootable("site"))
        assert lab.client.violations == []
        change_squashfs(lab)
        assert wait_for(lambda: len(lab.client.violations) == 2)
        time.sleep(0.4)
    assert sorted(violation.kind for violation in lab.client.violations) == ["different", "foreign"]
    assert lab.client.polls > 10


def test_missing_parts_without_a_marker_are_no_violation(lab: Lab) -> None:
    (lab.cache / MARKER).unlink()
    remove_initrd(lab)
    remove_squashfs(lab)
    (lab.cache / "prod" / ".hidden.squashfs").write_bytes(b"partial")
    (lab.cache / ".staging").mkdir()
    (lab.cache / ".staging" / "initrd").write_bytes(b"partial")
    assert lab.found() == set()
    assert lab.client.bootable("site") == set()


def test_repair_with_the_marker_withdrawn_is_no_violation(lab: Lab) -> None:
    events: list[Event] = []
    lab.client.on_event = events.append
    lab.found()
    (lab.cache / MARKER).unlink()
    lab.found()
    (lab.cache / SQUASHFS).unlink()
    lab.found()
    lab.copy(SQUASHFS)
    lab.copy(MARKER)
    assert lab.found() == set()
    assert [(event.what, event.site, event.image) for event in events] == [
        ("bootable", "site", SQUASHFS),
        ("withdrawn", "site", SQUASHFS),
        ("bootable", "site", SQUASHFS),
    ]


@pytest.mark.parametrize("back", [True, False], ids=["published again", "gone"])
def test_marker_withdrawn_while_its_parts_are_fetched_is_no_violation(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, back: bool
) -> None:
    plain = BootClient._ask

    def ask(client: BootClient, site: object, method: str, path: str, *, keep: bool = False) -> object:
        if path == SQUASHFS and (lab.cache / SQUASHFS).exists():
            # after the client has read the marker, before it asks for the squashfs
            (lab.cache / MARKER).unlink()
            (lab.cache / SQUASHFS).unlink()
            if back:
                lab.copy(MARKER)
        return plain(client, site, method, path, keep=keep)  # type: ignore[arg-type]

    monkeypatch.setattr(BootClient, "_ask", ask)
    lab.client.check_now()
    assert lab.client.violations == []
    assert lab.client.bootable("site") == set()


def test_content_that_came_to_the_netboot_server_just_now_is_no_violation(lab: Lab) -> None:
    lab.source.add_image("prod/21-04-10-gnome-master-0aa1b2c")
    lab.copy("prod/21-04-10-gnome-master-0aa1b2c.squashfs")
    lab.copy("prod/21-04-10-gnome-master-0aa1b2c-kernel.json")
    assert lab.found() == set()
    lab.client.check_now()  # the ledger knows the image now
    assert len(lab.client.bootable("site")) == 2


def test_silent_server_is_not_an_absent_marker(lab: Lab) -> None:
    lab.found()
    lab.web.stop()
    assert lab.found() == set()
    assert lab.client.unanswered == 1
    assert lab.client.bootable("site") == {SQUASHFS}
    lab.web.start()
    assert lab.found() == set()
    assert lab.client.unanswered == 1


def test_web_server_hides_what_is_in_transit(lab: Lab) -> None:
    (lab.cache / ".staging").mkdir()
    (lab.cache / ".staging" / "a").write_bytes(b"x")
    (lab.cache / "prod" / ".a").write_bytes(b"x")
    for path in (".staging/a", "prod/.a", "prod/%2ea", "prod/../.staging/a", "prod", "nothing", ""):
        with pytest.raises(urllib.error.HTTPError) as answer:
            urllib.request.urlopen(f"{lab.web.url}/{path}", timeout=5)  # noqa: S310  (our own URL)
        answer.value.close()
        assert answer.value.code == 404
    with urllib.request.urlopen(f"{lab.web.url}/{MARKER}", timeout=5) as answer:  # noqa: S310
        assert answer.read() == (lab.source.root / MARKER).read_bytes()


def test_ledger_keeps_what_was_held_before(lab: Lab) -> None:
    old = (lab.source.root / SQUASHFS).read_bytes()
    lab.source.add_image(NAME, content="rebuilt under the same name")
    lab.ledger.snapshot()
    assert lab.found() == set()  # the caching server still has the old one
    lab.copy(SQUASHFS)
    assert (lab.cache / SQUASHFS).read_bytes() != old
    assert lab.found() == set()


def test_fleet_comes_back_as_it_was(tmp_path: Path) -> None:
    specs = [SiteSpec("cache-a"), SiteSpec("cache-b", rate=50e6, variables={"netboot_sync_exclude": ["dev/**"]})]
    with Fleet(tmp_path, specs, variables={"netboot_sync_unmarked_images": ["caching-server/*"]}) as fleet:
        inventory = fleet.inventory.read_text(encoding="utf-8")
        known_hosts = fleet.known_hosts.read_text(encoding="utf-8")
        line = fleet.sites["cache-b"].line
        assert line is not None
        assert f"ansible_port: {line.port}" in inventory
        assert f"[{line.address}]:{line.port} ssh-ed25519" in known_hosts
    with Fleet.load(tmp_path) as again:
        assert again.inventory.read_text(encoding="utf-8") == inventory
        assert again.known_hosts.read_text(encoding="utf-8") == known_hosts
        assert again.sites["cache-b"].server.run("echo", "up", key=again.key).stdout == "up\n"
