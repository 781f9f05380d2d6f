# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was lost or damaged on a caching server: its marker is withdrawn, and only these files are sent again."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from ansible_collections.netboot.syncer.plugins.module_utils.progress import CHECKING, SENDING, Progress

from tests.lab.fleet import Fleet, SiteSpec
from tests.lab.runs import IMAGE, NEXT, SITE, actions, add_large_image, complaint, is_delivered, prepare, sync
from tests.lab.tree import KERNEL, flip_byte
from tests.lab.waiting import wait_until

MARKER = f"{IMAGE}-kernel.json"
SFTP_ONLY = pytest.mark.parametrize("spec", [SiteSpec(SITE, sftp_only=True)], indirect=True, ids=["sftp-only"])


@pytest.mark.parametrize("lost", [f"{IMAGE}.squashfs", f"kernels/{KERNEL}/initrd", f"kernels/{KERNEL}/vmlinuz"])
def test_lost_file_withdraws_the_marker_and_comes_back(fleet: Fleet, lost: str) -> None:
    sync(fleet)
    there = fleet.sites[SITE].assets / lost
    there.unlink()
    run = sync(fleet)
    done = actions(run)
    assert done[0] == ("withdraw", MARKER)
    assert [path for name, path in done if name == "send"] == [lost, MARKER]
    assert done.index(("publish", lost)) < done.index(("publish", MARKER))
    assert there.read_bytes() == (fleet.tree.root / lost).read_bytes()
    assert is_delivered(fleet, fleet.tree.image(IMAGE))


def test_lost_marker_comes_back_alone(fleet: Fleet) -> None:
    sync(fleet)
    (fleet.sites[SITE].assets / MARKER).unlink()
    run = sync(fleet)
    assert [path for name, path in actions(run) if name == "send"] == [MARKER]
    assert is_delivered(fleet, fleet.tree.image(IMAGE))


def test_lost_kernel_file_that_the_source_lacks_too(fleet: Fleet) -> None:
    """Nothing can be repaired; the marker is withdrawn all the same, and other images stay."""
    other = fleet.tree.add_image(NEXT, kernel=None)
    sync(fleet)
    initrd = f"kernels/{KERNEL}/initrd"
    (fleet.sites[SITE].assets / initrd).unlink()
    (fleet.tree.root / initrd).unlink()
    run = sync(fleet)
    assert run.images[f"{IMAGE}.squashfs"].state in ("withdrawn", "held_back")
    assert not (fleet.sites[SITE].assets / MARKER).exists()
    assert is_delivered(fleet, other)


class _Mending(Progress):
    """Calls *then* right before a file is sent again, or when another of its phases begins."""

    def __init__(self, path: str, then: Callable[[], object], *, at: str = SENDING) -> None:
        super().__init__()
        self._path_of_file = path
        self._then = then
        self._at = at

    def enter(self, phase: str, path: str = "", size: int = 0) -> None:
        super().enter(phase, path, size)
        if phase == self._at and path == self._path_of_file:
            self._then()


@pytest.mark.parametrize("flipped", [f"{IMAGE}.squashfs", f"kernels/{KERNEL}/initrd", MARKER])
def test_flipped_byte_under_a_polling_client(fleet: Fleet, flipped: str) -> None:
    """The marker is withdrawn first; only damaged files are sent; no client that boots meanwhile sees a mixture."""
    add_large_image(fleet.tree, NEXT, size=1_000_000)
    fleet.ledger.snapshot()
    sync(fleet)
    assets = fleet.sites[SITE].assets
    there = assets / flipped
    image = fleet.tree.image(IMAGE)
    with fleet.client(full_every=0.2) as client:
        wait_until(lambda: client.bootable(SITE) == {image.path, f"{NEXT}.squashfs"}, "both images bootable")
        assert client.violations == []
        flip_byte(there)
        wait_until(lambda: {one.kind for one in client.violations} >= {"foreign"}, "the client sees the damage")
        assert actions(sync(fleet)) == []  # size and time do not show it
        run = prepare(fleet, verify=True, progress=_Mending(flipped, client.violations.clear))
        run.run()
        client.check_now()
        assert client.violations == []
        assert client.bootable(SITE) == {image.path, f"{NEXT}.squashfs"}
    done = actions(run)
    assert done[0][0] == "withdraw"
    assert done.index(("withdraw", MARKER)) < done.index(("publish", flipped))
    assert {path for name, path in done if name == "send"} <= {flipped, MARKER, f"{NEXT}-kernel.json"}
    assert there.read_bytes() == (fleet.tree.root / flipped).read_bytes()
    states = {path: outcome.state for path, outcome in {**run.files, **run.images}.items()}
    assert states[image.path if flipped == MARKER else flipped] == "repaired"
    assert is_delivered(fleet, image)
    assert actions(sync(fleet, verify=True)) == []


@pytest.mark.parametrize(
    ("closed", "path", "done"),
    [
        pytest.param(f"{IMAGE}.squashfs", f"{IMAGE}.squashfs", ["permit", "confirm"], id="squashfs"),
        pytest.param(MARKER, f"{IMAGE}.squashfs", ["confirm", "send", "check", "flush", "publish"], id="marker"),
        pytest.param(f"kernels/{KERNEL}/initrd", f"kernels/{KERNEL}/initrd", ["permit"], id="initrd"),
        pytest.param("README", "README", ["permit"], id="plain-file"),
    ],
)
def test_file_that_the_web_server_can_no_longer_read(fleet: Fleet, closed: str, path: str, done: list[str]) -> None:
    (fleet.tree.root / "README").write_text("read me", encoding="utf-8")
    sync(fleet)
    there = fleet.sites[SITE].assets / closed
    there.chmod(0o600)
    told = sync(fleet, check_mode=True)
    assert there.stat().st_mode & 0o777 == 0o600
    run = sync(fleet)
    assert [name for name, _path in actions(run)] == [name for name, _path in actions(told)] == done
    assert there.stat().st_mode & 0o777 == 0o644
    outcome = (run.images if path.endswith(".squashfs") else run.files)[path]
    assert outcome.state == "repaired"
    assert outcome.reason == f"{closed} could be read by its owner alone on the caching server (mode 0600)"
    assert run.changed
    assert actions(sync(fleet)) == []
    assert is_delivered(fleet, fleet.tree.image(IMAGE))


@SFTP_ONLY
def test_mode_of_what_is_not_chosen_stays(fleet: Fleet) -> None:
    (fleet.tree.root / "README").write_text("read me", encoding="utf-8")
    sync(fleet)
    files = [fleet.sites[SITE].assets / name for name in ("README", f"{IMAGE}.squashfs")]
    for file in files:
        file.chmod(0o600)
    run = sync(fleet, exclude=["README"])
    assert actions(run)[0] == ("permit", f"{IMAGE}.squashfs")
    assert [file.stat().st_mode & 0o777 for file in files] == [0o600, 0o644]


def test_all_is_hashed_on_the_caching_server(fleet: Fleet) -> None:
    run = sync(fleet)
    assert run.images[f"{IMAGE}.squashfs"].verified
    assert not sync(fleet).images[f"{IMAGE}.squashfs"].verified
    assert sync(fleet, verify=True).images[f"{IMAGE}.squashfs"].verified


@SFTP_ONLY
def test_without_a_shell_files_are_read_back_only_if_asked_for(fleet: Fleet) -> None:
    image = fleet.tree.image(IMAGE)
    assert not sync(fleet).images[image.path].verified
    later = fleet.tree.add_image(NEXT)
    assert sync(fleet, verify=True).images[later.path].verified
    assert is_delivered(fleet, later)
    flip_byte(fleet.sites[SITE].assets / image.path)
    run = sync(fleet, verify=True)
    assert run.images[image.path].state == "repaired"
    assert run.images[image.path].verified
    assert [path for name, path in actions(run) if name == "send"] == [image.path, MARKER]
    assert is_delivered(fleet, image)


def test_damaged_kernel_that_is_there_gets_no_new_marker(fleet: Fleet) -> None:
    """An ordinary run does not look for damage, but everything that a new marker promises is hashed first."""
    sync(fleet)
    there = fleet.sites[SITE].assets / f"kernels/{KERNEL}/initrd"
    flip_byte(there)
    later = fleet.tree.add_image(NEXT)
    said = complaint(prepare(fleet), fleet.sites[SITE].ssh.address)
    assert f"it promises kernels/{KERNEL}/initrd, whose content on the caching server differs" in said
    assert not (fleet.sites[SITE].assets / later.marker.relative_to(fleet.tree.root)).exists()


@SFTP_ONLY
def test_what_arrives_damaged_is_read_back_where_nothing_can_hash(fleet: Fleet) -> None:
    image = add_large_image(fleet.tree, NEXT, size=1_000_000)
    site = fleet.sites[SITE]

    def damage() -> None:
        for path in (site.assets / ".netboot-sync").glob("*/incoming-*"):
            flip_byte(path)

    run = prepare(fleet, verify=True, progress=_Mending(image.path, damage, at=CHECKING))
    assert "what arrived is not what was sent" in complaint(run, site.ssh.address)
    assert not list(site.assets.glob(f"{NEXT}*"))
    sync(fleet, verify=True)
    assert is_delivered(fleet, image)
