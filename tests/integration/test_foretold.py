# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check mode reports what the run would, as far as is known without writing; the run reports it before it sends."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.lab.fleet import Fleet, SiteSpec
from tests.lab.runs import IMAGE, NEXT, SITE, add_large_image, complaint, prepare, sync

pytestmark = pytest.mark.root
MB = 1_000_000
RESERVE = 64 * 1024 * 1024
Mount = Callable[[Path, str], None]

# A user to whom permissions apply; the tests themselves run as root.
DROP = "setpriv --reuid 65534 --regid 65534 --clear-groups"
AS_NOBODY = (
    f"case $SSH_ORIGINAL_COMMAND in internal-sftp) exec {DROP} /usr/lib/openssh/sftp-server ;;"
    f' *) exec {DROP} sh -c \\"$SSH_ORIGINAL_COMMAND\\" ;; esac'
)
ONLY_SFTP = f"cd /; exec {DROP} /usr/lib/openssh/sftp-server"


def open_up(fleet: Fleet) -> Path:
    """Let other users reach the destination, and make the user nobody its owner."""
    assets = fleet.sites[SITE].assets
    for path in assets.parents:
        if path.stat().st_mode & 0o055 != 0o055 and "pytest" in str(path):
            path.chmod(0o755)
    subprocess.run(["chown", "65534", str(assets)], check=True)
    return assets


@pytest.fixture(params=["shell", "sftp-only"])
def humble(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Fleet]:
    """A fleet with nobody as the user on the caching server."""
    command = AS_NOBODY if request.param == "shell" else ONLY_SFTP
    with Fleet(tmp_path / "fleet", [SiteSpec(SITE, key_options=f'command="{command}"')]) as fleet:
        fleet.tree.add_kernel()
        fleet.tree.add_image(IMAGE)
        open_up(fleet)
        yield fleet


def test_all_is_well(humble: Fleet) -> None:
    told = sync(humble, check_mode=True)
    assert (told.failures, told.changed) == ([], True)
    assert sync(humble).actions == told.actions


def test_directory_of_somebody_else(humble: Fleet) -> None:
    """The kernels are sent; the images, whose directory is root's, fail by name, and not a byte of them is sent."""
    if "setpriv" in humble.sites[SITE].spec.key_options and "case" not in humble.sites[SITE].spec.key_options:
        # with SFTP alone, the user id is that of the home's owner: / is root's, so check mode makes no false claim
        pytest.skip("SFTP does not tell who its user is")
    assets = humble.sites[SITE].assets
    (assets / "prod").mkdir()
    for check_mode in (True, False):
        run = prepare(humble, check_mode=check_mode)
        line = complaint(run, humble.sites[SITE].ssh.address)
        assert f"{assets}/prod cannot be written on the caching server (permission denied)" in line
        outcome = run.images[f"{IMAGE}.squashfs"]
        assert (outcome.state, outcome.sent_bytes) == ("failed", 0)
        assert any(one.state == "published" for one in run.files.values())


def test_destination_of_somebody_else(humble: Fleet) -> None:
    if "case" not in humble.sites[SITE].spec.key_options:
        pytest.skip("SFTP does not tell who its user is")
    subprocess.run(["chown", "0", str(humble.sites[SITE].assets)], check=True)
    for check_mode in (True, False):
        line = complaint(prepare(humble, check_mode=check_mode), humble.sites[SITE].ssh.address)
        assert "the destination cannot be written (" in line
        assert "Give it to" in line


BOTH = pytest.mark.parametrize(
    "spec", [SiteSpec(SITE), SiteSpec(SITE, sftp_only=True)], indirect=True, ids=["shell", "sftp-only"]
)


@BOTH
def test_read_only_file_system(fleet: Fleet, mount: Mount) -> None:
    mount(fleet.sites[SITE].assets, "ro")
    for check_mode in (True, False):
        line = complaint(prepare(fleet, check_mode=check_mode), fleet.sites[SITE].ssh.address)
        assert "the destination cannot be written (its file system is read-only)" in line


@BOTH
def test_room_in_the_order_of_the_run(fleet: Fleet, mount: Mount) -> None:
    """There is room for one of two: check mode names the one that then fails."""
    mount(fleet.sites[SITE].assets, f"size={RESERVE + 16 * MB}")
    add_large_image(fleet.tree, "prod/21-05-01-gnome-master-1111111", size=9 * MB)
    add_large_image(fleet.tree, "prod/21-05-02-gnome-master-2222222", size=9 * MB)
    told = prepare(fleet, check_mode=True)
    said = complaint(told, fleet.sites[SITE].ssh.address)
    assert "not enough space in" in said
    assert "go to what comes first" in said
    done = prepare(fleet)
    assert "not enough space in" in complaint(done, fleet.sites[SITE].ssh.address)
    assert {path: one.state for path, one in told.images.items()} == {p: one.state for p, one in done.images.items()}


def test_pieces_that_the_run_would_drop_are_no_lack_of_room(fleet: Fleet, mount: Mount) -> None:
    assets = fleet.sites[SITE].assets
    mount(assets, f"size={RESERVE + 16 * MB}")
    (assets / ".netboot-sync" / "old").mkdir(parents=True)
    (assets / ".netboot-sync" / "old" / "partial").write_bytes(bytes(12 * MB))
    add_large_image(fleet.tree, NEXT, size=9 * MB)
    told = sync(fleet, check_mode=True)
    assert (told.failures, sync(fleet).failures) == ([], [])


@pytest.mark.parametrize("spec", [SiteSpec(SITE, hide=["rsync"])], indirect=True, ids=["no-rsync"])
def test_transport_is_told(fleet: Fleet) -> None:
    told = sync(fleet, check_mode=True)
    assert told.transport == "sftp"
    assert "no rsync on the caching server" in "".join(told.warnings)
    line = complaint(prepare(fleet, check_mode=True, transport="rsync"), fleet.sites[SITE].ssh.address)
    assert "no rsync on the caching server" in line


def test_deep_tree_there_is_listed_and_left_alone(fleet: Fleet) -> None:
    """Deeper than Python's recursion limit."""
    deep = fleet.sites[SITE].assets / "deep"
    deep.mkdir()
    for _level in range(1200):
        deep = deep / "d"
        deep.mkdir()
    run = sync(fleet)
    assert run.failures == []
    assert sync(fleet, check_mode=True).actions == []
