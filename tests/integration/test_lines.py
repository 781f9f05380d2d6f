# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is sent over the line: differences, and the rest after the connection broke or fell silent."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.netboot.syncer.plugins.module_utils.limits.bandwidth import parse_limit
from ansible_collections.netboot.syncer.plugins.module_utils.source.tree import SourceTree

from tests.lab import images
from tests.lab.fleet import Fleet, SiteSpec
from tests.lab.line import Line
from tests.lab.runs import IMAGE, NEXT, SITE, add_large_image, complaint, is_delivered, prepare, sync
from tests.lab.waiting import meanwhile

MB = 1_000_000
LARGE = "prod/large"
NEWEST = time.time() + 86_400  # sent before anything else, even if this module was imported long ago
WITH_LINE = pytest.mark.parametrize("spec", [SiteSpec(SITE, line=True)], indirect=True, ids=["line"])
CUT_LINE = pytest.mark.parametrize("spec", [SiteSpec(SITE, rate=160e6)], indirect=True, ids=["160-mbit"])
BOTH_TRANSPORTS = pytest.mark.parametrize("transport", ["rsync", "sftp"])


@pytest.fixture
def line(fleet: Fleet) -> Line:
    found = fleet.sites[SITE].line
    assert found is not None
    return found


def add_build(fleet: Fleet, name: str, work: Path, *, build: int) -> None:
    root = work / "root"
    if not root.exists():
        root.mkdir(parents=True)
        images.write_rootfs(root, size=4 * MB)
    images.upgrade_rootfs(root, build=build)
    fleet.tree.add_image(name, content=images.build_image(work / f"{build}.squashfs", root))


def test_second_build_goes_as_the_difference_to_the_first(fleet: Fleet, tmp_path: Path) -> None:
    add_build(fleet, IMAGE, tmp_path / "work", build=1)
    sync(fleet)
    add_build(fleet, NEXT, tmp_path / "work", build=2)
    outcome = sync(fleet).images[f"{NEXT}.squashfs"]
    assert outcome.basis == f"{IMAGE}.squashfs"
    assert outcome.sent_bytes < 0.3 * outcome.size


@CUT_LINE
@BOTH_TRANSPORTS
def test_a_cut_line_is_tried_again_and_goes_on(fleet: Fleet, line: Line, transport: str) -> None:
    """What arrived is not sent again; SFTP continues from the last boundary of 8 MiB, which it knows to be on disk."""
    image = add_large_image(fleet.tree, LARGE, size=24 * MB)
    line.cut_after(18 * MB)
    run = prepare(fleet, transport=transport, retries=3)
    # The planned cut also takes the line down, as a real one does for a while; it is up again for the next try.
    with meanwhile(line.was_cut.is_set, lambda: threading.Timer(0.5, line.restore).start()):
        run.run()
    assert run.attempts == 2
    assert run.failures == []
    assert is_delivered(fleet, image)
    assert line.bytes_up < 1.15 * 24 * MB
    assert 8 * MB < run.images[image.path].sent_bytes < 1.15 * 24 * MB


@CUT_LINE
@BOTH_TRANSPORTS
def test_another_run_goes_on_where_one_was_cut(fleet: Fleet, line: Line, transport: str) -> None:
    image = add_large_image(fleet.tree, LARGE, size=24 * MB)
    line.cut_after(18 * MB)
    run = prepare(fleet, transport=transport)
    said = complaint(run, fleet.sites[SITE].ssh.address)
    assert "the next run goes on from there" in said
    assert run.images[image.path].state == "failed"
    assert run.images[image.path].sent_bytes > MB
    assert not list(fleet.sites[SITE].assets.glob(f"{LARGE}*"))
    line.restore()
    before = line.bytes_up
    sync(fleet, transport=transport)
    assert is_delivered(fleet, image)
    assert line.bytes_up - before < 10 * MB


@CUT_LINE
def test_a_difference_goes_on_where_it_was_cut(fleet: Fleet, line: Line) -> None:
    first = add_large_image(fleet.tree, IMAGE, size=4 * MB)
    sync(fleet)
    build = add_large_image(fleet.tree, NEXT, size=1)
    build.squashfs.write_bytes(first.squashfs.read_bytes() + os.urandom(20 * MB))
    line.cut_after(14 * MB)
    complaint(prepare(fleet), fleet.sites[SITE].ssh.address)
    line.restore()
    outcome = sync(fleet).images[build.path]
    assert is_delivered(fleet, build)
    assert outcome.basis == first.path
    assert MB < outcome.sent_bytes < 11 * MB


@CUT_LINE
@pytest.mark.parametrize("after", [2, 7], ids=["at-its-beginning", "in-the-middle"])
def test_a_difference_goes_on_though_its_predecessor_was_removed(fleet: Fleet, line: Line, after: int) -> None:
    """As a run with ``delete`` does after it has failed with the new build."""
    first = add_large_image(fleet.tree, IMAGE, size=20 * MB)
    sync(fleet)
    build = add_large_image(fleet.tree, NEXT, size=1)
    old = first.squashfs.read_bytes()
    build.squashfs.write_bytes(old[:100_000] + os.urandom(10 * MB) + old[100_000:])
    line.cut_after(after * MB)
    complaint(prepare(fleet), fleet.sites[SITE].ssh.address)
    line.restore()
    for path in (first.marker, first.squashfs):
        path.unlink()
        (fleet.sites[SITE].assets / path.relative_to(fleet.tree.root)).unlink()
    before = line.bytes_up
    sync(fleet)
    assert is_delivered(fleet, build)
    assert line.bytes_up - before < (10 - after + 4) * MB
    assert pieces(fleet) < MB


@CUT_LINE
@pytest.mark.parametrize("spoil", [lambda piece: piece[:-1] + b"?", lambda piece: b"x" * len(piece), bytes.upper])
def test_a_piece_of_something_else_is_no_beginning(fleet: Fleet, line: Line, spoil: Callable[[bytes], bytes]) -> None:
    """A power cut may have left zeros in it, or the image was replaced in the meantime."""
    image = add_large_image(fleet.tree, LARGE, size=24 * MB)
    line.cut_after(18 * MB)
    complaint(prepare(fleet), fleet.sites[SITE].ssh.address)
    line.restore()
    for piece in fleet.sites[SITE].assets.glob(".netboot-sync/*/incoming-*"):
        piece.write_bytes(spoil(piece.read_bytes()))
    sync(fleet)
    assert is_delivered(fleet, image)


def pieces(fleet: Fleet) -> int:
    """Return the bytes that the files in the work area take."""
    area = fleet.sites[SITE].assets / ".netboot-sync"
    return sum(path.stat().st_size for path in area.glob("*/*") if path.is_file())


def is_idle(fleet: Fleet, **changes: Any) -> bool:
    """Return whether a survey would skip the caching server."""
    source = SourceTree(str(fleet.tree.root))
    source.scan()
    run = prepare(fleet, check_mode=True, source=source, **changes)
    run.look()
    assert run.attempts == 1
    return run.idle


@CUT_LINE
@BOTH_TRANSPORTS
def test_what_arrived_outlives_runs_about_something_else(fleet: Fleet, line: Line, transport: str) -> None:
    """Such as a narrower selection, or with the image held back; and it does not make runs call the site needlessly."""
    image = add_large_image(fleet.tree, LARGE, size=24 * MB)
    os.utime(image.marker, (NEWEST, NEWEST))
    line.cut_after(18 * MB)
    complaint(prepare(fleet, transport=transport), fleet.sites[SITE].ssh.address)
    line.restore()
    kept = pieces(fleet)
    assert kept > 8 * MB
    other = fleet.tree.add_image("dev/other")
    sync(fleet, transport=transport, include=["dev/**"])
    assert is_delivered(fleet, other)
    assert pieces(fleet) >= kept  # what was in flight at the cut may have been written since
    marker = image.marker.read_bytes()
    image.marker.unlink()
    assert sync(fleet, transport=transport).images[image.path].state == "held_back"
    assert pieces(fleet) >= kept
    assert is_idle(fleet, transport=transport)
    image.marker.write_bytes(marker)
    before = line.bytes_up
    sync(fleet, transport=transport)
    assert is_delivered(fleet, image)
    assert line.bytes_up - before < 18 * MB
    assert pieces(fleet) == 0


@CUT_LINE
def test_pieces_of_what_the_netboot_server_dropped_are_cleaned(fleet: Fleet, line: Line) -> None:
    image = add_large_image(fleet.tree, LARGE, size=12 * MB)
    os.utime(image.marker, (NEWEST, NEWEST))
    line.cut_after(9 * MB)
    run = prepare(fleet)
    complaint(run, fleet.sites[SITE].ssh.address)
    line.restore()
    # no image is left out of the result, though the run ended at the first one
    assert run.images[f"{IMAGE}.squashfs"].state == "failed"
    assert run.images[f"{IMAGE}.squashfs"].reason == "not reached: the run ended before its turn"
    assert run.images[f"{IMAGE}.squashfs"].size > 0
    fleet.tree.remove_image(LARGE)
    assert not is_idle(fleet, include=["dev/**"])
    assert pieces(fleet) > MB
    sync(fleet, include=["dev/**"])
    assert pieces(fleet) == 0
    assert image.path not in sync(fleet).images


@WITH_LINE
@BOTH_TRANSPORTS
def test_a_line_that_falls_silent(fleet: Fleet, line: Line, transport: str) -> None:
    """The run gives up after stall_timeout, and does not blame the disk or the permissions."""
    image = add_large_image(fleet.tree, LARGE, size=12 * MB)
    os.utime(image.marker, (NEWEST, NEWEST))
    run = prepare(fleet, transport=transport, stall_timeout=2)
    with meanwhile(lambda: line.bytes_up > 4 * MB, line.stall):
        said = complaint(run, fleet.sites[SITE].ssh.address)
    for words in (said, run.images[image.path].reason):
        assert " broke" in words
        assert "the next run goes on from there" in words
    line.restore()
    sync(fleet, transport=transport)
    assert is_delivered(fleet, image)


@WITH_LINE
def test_a_silent_line_is_told(fleet: Fleet, line: Line) -> None:
    line.stall()
    said = complaint(prepare(fleet, connect_timeout=1, stall_timeout=1), fleet.sites[SITE].ssh.address)
    assert "took the connection, but did not answer as an SSH server" in said
    assert "Is the line up" in said


def test_a_server_that_is_down_is_told(fleet: Fleet) -> None:
    fleet.sites[SITE].server.stop()
    said = complaint(prepare(fleet), fleet.sites[SITE].ssh.address)
    assert "refused the connection" in said
    assert "Is sshd running" in said


@BOTH_TRANSPORTS
@pytest.mark.parametrize("spec", [SiteSpec(SITE, rate=100e6)], indirect=True, ids=["100-mbit"])
def test_sessions_killed_there(fleet: Fleet, line: Line, transport: str) -> None:
    """As when the caching server reboots."""
    image = add_large_image(fleet.tree, LARGE, size=6 * MB)
    run = prepare(fleet, transport=transport, retries=1)
    with meanwhile(lambda: line.bytes_up > 2 * MB, fleet.sites[SITE].server.kill_sessions):
        run.run()
    assert run.attempts == 2
    assert is_delivered(fleet, image)


@BOTH_TRANSPORTS
def test_a_rate_is_kept(fleet: Fleet, transport: str) -> None:
    image = add_large_image(fleet.tree, LARGE, size=3 * MB)
    run = sync(fleet, transport=transport, bandwidth_limit=parse_limit("2MB"))
    assert is_delivered(fleet, image)
    assert run.images[image.path].seconds > 1
