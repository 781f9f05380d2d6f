# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bandwidth limits, measured on the line: kept, changed in the middle of a transfer, shared among sites."""

from __future__ import annotations

import concurrent.futures
import contextlib
import datetime
import os
import time
import zoneinfo
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.netboot.syncer.plugins.module_utils.errors import SyncError
from ansible_collections.netboot.syncer.plugins.module_utils.limits.bandwidth import parse_limit
from ansible_collections.netboot.syncer.plugins.module_utils.limits.throttle import Throttle

from tests.lab.fleet import Fleet, SiteSpec
from tests.lab.line import Line
from tests.lab.runs import IMAGE, SITE, add_large_image, is_delivered, prepare, sync
from tests.lab.waiting import Poller, wait_until

MB = 1_000_000
LARGE = "prod/large"
TOKYO = "Asia/Tokyo"  # not the zone of this machine, and without daylight saving time
WITH_LINE = pytest.mark.parametrize("spec", [SiteSpec(SITE, line=True)], indirect=True, ids=["line"])
BOTH_TRANSPORTS = pytest.mark.parametrize("transport", ["rsync", "sftp"])
# How far a limit may be missed. On a busy machine, a transfer that waits for the CPU is slower.
MOST, LEAST = 1.05, 0.9
# Seconds until a window begins. On a busy machine, a run may take longer to begin: then again, with more time for that.
LEADS = (5, 15, 45)
# Data that sat in pipes and sockets while the receiver waited for the CPU arrives late, and all at once.
IN_BUFFERS = 2 * MB


@pytest.fixture(autouse=True, scope="module")
def _before_others() -> Iterator[None]:
    """Raise the priority of these tests, which measure rates, over that of other tests, if permitted."""
    before = os.getpriority(os.PRIO_PROCESS, 0)
    with contextlib.suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, before - 10)
    yield
    os.setpriority(os.PRIO_PROCESS, 0, before)


class Watch(Poller):
    """Records what each line has carried, ten times per second."""

    every = 0.1

    def __init__(self, *lines: Line) -> None:
        super().__init__()
        self._lines = lines
        self._before = [line.bytes_up for line in lines]
        self.samples: list[tuple[float, tuple[int, ...]]] = []

    def look(self) -> None:
        """Record it."""
        counts = tuple(line.bytes_up - before for line, before in zip(self._lines, self._before, strict=True))
        self.samples.append((time.time(), counts))

    def carried(self, begin: float, end: float, *of: int) -> tuple[int, float]:
        """Return the bytes between two times, and in how many seconds: of the lines with these numbers, or of all."""
        found = [(then, sum(counts[i] for i in of or range(len(counts)))) for then, counts in self.samples]
        within = [one for one in found if begin <= one[0] <= end]
        assert within, f"nothing was carried between {begin} and {end}"
        (first, before), (last, after) = within[0], within[-1]
        assert last - first > 0.6 * (end - begin), "there are too few samples"
        return after - before, last - first

    def rate(self, begin: float, end: float, *of: int) -> float:
        """Return the bytes per second between two times: of the lines with these numbers, or of all."""
        carried, seconds = self.carried(begin, end, *of)
        return carried / seconds

    def is_kept(self, limit: float, begin: float, end: float, *of: int) -> bool:
        """Return whether a limit in bytes per second was kept, and used, between two times."""
        carried, seconds = self.carried(begin, end, *of)
        return LEAST * limit * seconds - IN_BUFFERS < carried < MOST * limit * seconds + IN_BUFFERS

    def span(self, number: int = 0) -> tuple[float, float]:
        """Return the time span in which a line carried most of its bytes: without the first and the last tenth."""
        total = self.samples[-1][1][number]
        busy = [then for then, counts in self.samples if 0.1 * total < counts[number] < 0.9 * total]
        return busy[0], busy[-1]


@pytest.fixture
def line(fleet: Fleet) -> Line:
    found = fleet.sites[SITE].line
    assert found is not None
    return found


def window(seconds: float, *, zone: str = TOKYO, hours: int = 1) -> str:
    """Return the times of a window that begins that many seconds from now, in a site's local time."""
    begin = datetime.datetime.now(zoneinfo.ZoneInfo(zone)) + datetime.timedelta(seconds=seconds)
    return f"{begin:%H:%M:%S}-{begin + datetime.timedelta(hours=hours):%H:%M:%S}"


@WITH_LINE
@BOTH_TRANSPORTS
@pytest.mark.parametrize("limit", ["8Mbit", "4MB"])
def test_a_limit_is_kept(fleet: Fleet, line: Line, transport: str, limit: str) -> None:
    rate = parse_limit(limit).otherwise
    assert rate
    image = add_large_image(fleet.tree, LARGE, size=8 * rate)
    with Watch(line) as watch:
        sync(fleet, transport=transport, bandwidth_limit=parse_limit(limit))
    assert is_delivered(fleet, image)
    assert watch.is_kept(rate, *watch.span())


@WITH_LINE
@BOTH_TRANSPORTS
def test_a_window_takes_effect_in_the_middle_of_a_transfer(fleet: Fleet, line: Line, transport: str) -> None:
    for lead in LEADS:
        image = add_large_image(fleet.tree, LARGE, size=(5 + 3 * lead) * MB)
        begin = time.time() + lead
        limit = parse_limit([f"{window(lead)}: 8Mbit", "24Mbit"])
        with Watch(line) as watch:
            sync(fleet, transport=transport, bandwidth_limit=limit, timezone=TOKYO)
        assert is_delivered(fleet, image)
        if watch.span()[0] < begin - 2:
            break
    assert watch.is_kept(3 * MB, watch.span()[0], begin - 0.5)
    assert watch.is_kept(MB, begin + 1, watch.span()[1])


@WITH_LINE
@BOTH_TRANSPORTS
def test_a_window_of_0_ends_a_transfer_and_the_rest_is_left_for_later(fleet: Fleet, line: Line, transport: str) -> None:
    for lead in LEADS:
        size = (10 + 5 * lead) * MB
        image = add_large_image(fleet.tree, LARGE, size=size)
        other = add_large_image(fleet.tree, "prod/other", size=MB)
        os.utime(other.marker, (1, 1))
        os.utime(other.squashfs, (1, 1))
        limit = parse_limit([f"{window(lead)}: 0", "40Mbit"])
        run = sync(fleet, transport=transport, bandwidth_limit=limit, timezone=TOKYO)
        assert run.failures == []
        if line.bytes_up > MB:
            break
    for path in (image.path, other.path):
        assert run.images[path].state == "held_back"
        assert run.images[path].reason.startswith("until ")
        assert run.images[path].reason.endswith(" the limit of this site is 0")
    assert 0.9 * line.bytes_up < run.images[image.path].sent_bytes < line.bytes_up  # without what only filled pipes
    assert line.bytes_up > MB
    sync(fleet, transport=transport)
    assert is_delivered(fleet, image)
    assert is_delivered(fleet, other)
    # SFTP continues from the last boundary of 8 MiB
    assert line.bytes_up < 1.05 * (size + MB) + (8.4 * MB if transport == "sftp" else 0.5 * MB)


@WITH_LINE
def test_nothing_is_sent_nor_withdrawn_in_a_window_of_0(fleet: Fleet, line: Line) -> None:
    """An image that is to be replaced stays as it is until it can be replaced."""
    sync(fleet)
    image = fleet.tree.image(IMAGE)
    marker = fleet.sites[SITE].assets / image.marker.relative_to(fleet.tree.root)
    before = marker.read_bytes()
    image.squashfs.write_bytes(image.squashfs.read_bytes() + os.urandom(3 * MB))
    carried = line.bytes_up
    run = sync(fleet, bandwidth_limit=parse_limit("0"))
    assert run.failures == []
    assert not run.changed
    assert run.images[image.path].state == "held_back"
    assert run.images[image.path].reason == "the limit of this site is 0"
    assert line.bytes_up - carried < 0.1 * MB
    assert marker.read_bytes() == before
    sync(fleet)
    assert is_delivered(fleet, image)


def test_lost_image_is_withdrawn_in_a_window_of_0(fleet: Fleet) -> None:
    """A marker without its squashfs is withdrawn at once: that takes only a few bytes."""
    sync(fleet)
    image = fleet.tree.image(IMAGE)
    (fleet.sites[SITE].assets / image.path).unlink()
    run = sync(fleet, bandwidth_limit=parse_limit("0"))
    assert not (fleet.sites[SITE].assets / image.marker.relative_to(fleet.tree.root)).exists()
    assert run.sent_bytes == 0
    sync(fleet)
    assert is_delivered(fleet, image)


def test_a_window_of_0_that_ends_meanwhile(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """An image whose kernel was left for later is left for later too, and that is not a failure."""
    words = ["until 18:00 the limit of this site is 0", ""]
    # Only a fake can make the window end at the very moment between the kernel and its image.
    monkeypatch.setattr(Throttle, "why_not", lambda _self: words.pop(0) if len(words) > 1 else words[0])
    run = sync(fleet, bandwidth_limit=parse_limit("0"))
    assert run.failures == []
    assert run.left_for_later == "until 18:00 the limit of this site is 0"
    assert not run.changed
    assert run.images[f"{IMAGE}.squashfs"].state == "held_back"
    assert sync(fleet).images[f"{IMAGE}.squashfs"].state == "published"


@pytest.mark.parametrize(
    "spec", [SiteSpec(SITE, scripts={"date": "#!/bin/sh\necho +0900\n"})], indirect=True, ids=["tokyo"]
)
def test_the_windows_are_in_the_time_that_the_caching_server_tells(fleet: Fleet) -> None:
    run = sync(fleet, bandwidth_limit=parse_limit(f"{window(-60)}: 0"))
    assert run.images[f"{IMAGE}.squashfs"].state == "held_back"
    assert run.warnings == []
    run = sync(fleet, bandwidth_limit=parse_limit(f"{window(-60)}: 0"), timezone="Europe/London")
    assert run.images[f"{IMAGE}.squashfs"].state == "published"


@pytest.mark.parametrize("spec", [SiteSpec(SITE, sftp_only=True)], indirect=True, ids=["sftp-only"])
def test_a_server_that_does_not_tell_its_time_is_warned_of_once(fleet: Fleet) -> None:
    run = sync(fleet, transport="sftp", bandwidth_limit=parse_limit("08:00-09:00: 5Mbit"))
    assert [warning for warning in run.warnings if "Set timezone." in warning] == run.warnings
    assert len(run.warnings) == 1
    assert sync(fleet, transport="sftp", bandwidth_limit=parse_limit("5Mbit")).warnings == []
    assert (
        sync(fleet, transport="sftp", bandwidth_limit=parse_limit("08:00-09:00: 5Mbit"), timezone=TOKYO).warnings == []
    )


CAP = 4 * MB


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Fleet]:
    with Fleet(tmp_path / "fleet", [SiteSpec("near", line=True), SiteSpec("far", line=True)]) as fleet:
        fleet.tree.add_kernel()
        yield fleet


def lines(fleet: Fleet) -> list[Line]:
    return [site.line for site in fleet.sites.values() if site.line is not None]


@contextlib.contextmanager
def in_parallel(fleet: Fleet, shared: Path, **of_site: dict[str, object]) -> Iterator[None]:
    """Sync all sites at once under the cap; *of_site* has the options of each site's own run."""
    with concurrent.futures.ThreadPoolExecutor() as pool:
        common = {"uplink_limit": CAP, "uplink_directory": str(shared)}
        runs = [pool.submit(sync, fleet, site, **{**common, **options}) for site, options in of_site.items()]
        yield
        for run in runs:
            assert run.result().failures == []


def test_two_sites_share_the_uplink_and_one_alone_has_all(two: Fleet, tmp_path: Path) -> None:
    two.tree.add_image(IMAGE)
    large = add_large_image(two.tree, LARGE, size=32 * MB)
    with (
        Watch(*lines(two)) as watch,
        in_parallel(
            two, tmp_path / "shared", near={"exclude": [f"{LARGE}*"], "transport": "rsync"}, far={"transport": "sftp"}
        ),
    ):
        pass
    assert is_delivered(two, large, "far")
    assert watch.is_kept(CAP, *watch.span(1), 1)
    assert list((tmp_path / "shared").iterdir()) == []


def test_a_site_that_ends_leaves_its_share_to_the_other(two: Fleet, tmp_path: Path) -> None:
    add_large_image(two.tree, "prod/first", size=24 * MB)  # long enough for both to overlap on a busy machine
    add_large_image(two.tree, "prod/second", size=68 * MB)  # and this one to be alone for long enough after it
    with (
        Watch(*lines(two)) as watch,
        in_parallel(
            two,
            tmp_path / "shared",
            near={"include": ["prod/first*"], "transport": "rsync"},
            far={"include": ["prod/second*"], "transport": "rsync"},
        ),
    ):
        pass
    _begin, first_ends = watch.span(0)
    both = (max(watch.span(0)[0], watch.span(1)[0]) + 1.5, first_ends)
    gone = [then for then, counts in watch.samples if counts[0] < watch.samples[-1][1][0]][-1]
    assert watch.is_kept(CAP, *both)
    assert 0.35 < watch.rate(*both, 0) / watch.rate(*both) < 0.65
    assert watch.is_kept(CAP, gone + 3, watch.span(1)[1], 1)


def test_what_a_slow_site_cannot_use_goes_to_the_other(tmp_path: Path) -> None:
    specs = [SiteSpec("slow", rate=6e6), SiteSpec("fast", line=True)]
    with Fleet(tmp_path / "fleet", specs) as fleet:
        fleet.tree.add_kernel()
        add_large_image(fleet.tree, "prod/small", size=14 * MB)
        add_large_image(fleet.tree, LARGE, size=40 * MB)
        with (
            Watch(*lines(fleet)) as watch,
            in_parallel(
                fleet,
                tmp_path / "shared",
                slow={"include": ["prod/small*"], "transport": "rsync"},
                fast={"include": [f"{LARGE}*"], "transport": "rsync"},
            ),
        ):
            pass
        begin, end = watch.span(1)
        # at first, the line's own buffers make the rate look higher
        # Its own share would be half of the cap. On an idle machine, 0.8 is possible.
        assert watch.rate(begin + 5, end, 1) > 0.6 * CAP
        carried, seconds = watch.carried(begin + 5, end)
        assert carried < MOST * CAP * seconds + IN_BUFFERS


def test_a_dead_process_takes_no_share(fleet: Fleet, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir(mode=0o700)
    (shared / "4711-dead").write_text("-\n", encoding="ascii")
    sync(fleet, uplink_limit=CAP, uplink_directory=str(shared))
    assert list(shared.iterdir()) == []


def test_a_directory_of_somebody_else_is_refused(fleet: Fleet, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    run = prepare(fleet, uplink_limit=CAP, uplink_directory=str(shared))
    with contextlib.suppress(SyncError):
        run.run()
    assert run.failures
    assert f"netboot server: {shared}: the transfers cannot agree on their shares of the uplink" in run.failures[0]


def test_windows_in_a_playbook(tmp_path: Path) -> None:
    """With the values that YAML gives, and with the module run from its archive."""
    variables = {
        "netboot_sync_bandwidth_limit": [{window(-60): 0}, "80Mbit"],
        "netboot_sync_timezone": TOKYO,
        "netboot_sync_uplink_limit": "40Mbit",
    }
    with Fleet(tmp_path / "fleet", [SiteSpec("closed", variables=variables), SiteSpec("open")]) as fleet:
        fleet.variables.update({"netboot_sync_bandwidth_limit": "80Mbit", "netboot_sync_uplink_limit": "40Mbit"})
        fleet.inventory.write_text(fleet.inventory_text(), encoding="utf-8")
        fleet.tree.add_kernel()
        image = add_large_image(fleet.tree, LARGE, size=5 * MB)
        done = fleet.run_playbook("sync.yml", env={"TMPDIR": str(tmp_path)})
        assert done.status == 0, done.output
        assert is_delivered(fleet, image, "open")
        assert not is_delivered(fleet, image, "closed")
        assert "the limit of this site is 0" in done.output
        assert done.results["closed"]["images"][0]["state"] == "held_back"


def test_waiting_is_used(fleet: Fleet) -> None:
    """The long pauses of a very low limit are not a stall."""
    add_large_image(fleet.tree, LARGE, size=MB // 2)
    run = sync(fleet, bandwidth_limit=parse_limit("64kB"), stall_timeout=2)
    assert run.failures == []
    assert run.attempts == 1
    wait_until(lambda: is_delivered(fleet, fleet.tree.image(LARGE)), "the image")
