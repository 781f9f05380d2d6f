# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A day in the life of five sites: what status.yml writes at each hour, and what the alert rules make of it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import yaml

from tests.lab.day import START, Day, Look, embedded
from tests.lab.fleet import CHECKOUT, Fleet, SiteSpec
from tests.lab.strange_disk import NO_CTIME, StrangeDisk, missing
from tests.lab.waiting import wait_until

ALERTS = CHECKOUT / "roles" / "netboot_status" / "files" / "alerts.yml"
MINUTES = 60
DISK, GONE, STALE, LATE, NO_RUN, NO_LOOK = (
    "NetbootSiteDiskLow",
    "NetbootSiteUnreachable",
    "NetbootImageWithdrawnStillThere",
    "NetbootSiteBehind",
    "NetbootSiteNoRun",
    "NetbootNoRun",
)
SITES = ("away", "later", "near", "slow", "small")
LIMIT = 9000  # seconds: two hours and a half

pytestmark = [pytest.mark.root, pytest.mark.timeout(1500)]


@pytest.fixture
def mounted_small(tmp_path: Path) -> Iterator[Path]:
    """A disk of 300 MB for the assets of one site."""
    path = tmp_path / "fleet" / "sites" / "small" / "assets"
    path.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300m", "tmpfs", str(path)], check=True)
    yield path
    subprocess.run(["umount", "--lazy", str(path)], check=True)


@pytest.fixture
def day(tmp_path: Path, mounted_small: Path) -> Iterator[Day]:  # noqa: ARG001  # it is there before the site
    if lack := missing():
        pytest.skip(lack)
    directory = tmp_path / "fleet"
    office_hours = {"netboot_sync_bandwidth_limit": ["08:00-18:00: 0", "100Mbit"], "netboot_sync_timezone": "UTC"}
    specs = [
        SiteSpec("near"),
        SiteSpec("slow", line=True),
        SiteSpec("away"),
        SiteSpec("later", variables=office_hours),
        SiteSpec("small"),
    ]
    variables = {
        "netboot_sync_history": str(directory / "history.jsonl"),
        "netboot_status_behind_limit": LIMIT,
        "netboot_sync_retries": 0,
    }
    with ExitStack() as stack:
        stack.enter_context(StrangeDisk(directory / "netboot-server" / "assets", NO_CTIME))
        fleet = stack.enter_context(Fleet(directory, specs, variables=variables))
        found = Day(fleet)
        found.hour = 4
        kernel = fleet.tree.add_kernel()
        found.dated(kernel.parent / "latest-kernel-version.json", *kernel.iterdir())
        yield found


def test_five_sites_through_a_day(day: Day, tmp_path: Path) -> None:
    sites = day.fleet.sites
    expected: list[tuple[Look, set[tuple[str, str]]]] = []

    def look(hour: float, states: dict[str, str], alerts: set[tuple[str, str]]) -> Look:
        found = day.look(hour)
        assert found.states == {**dict.fromkeys(SITES, "in_line"), **states}
        agrees(found)
        # For the rules, the disk of one of them is too small all day long.
        expected.append((found, alerts | {(DISK, "small")}))
        return found

    first = day.upload("prod/27-02-26-gnome-master-0000001", 4)
    second = day.upload("prod/27-02-27-gnome-master-0000002", 5)
    day.run("sync.yml")
    found = look(6, {}, set())
    assert found.having(second) == dict.fromkeys(SITES, "published")

    # An upload begins. It has no marker yet.
    third = day.upload("prod/27-03-01-gnome-master-0000003", 7, size=20_000_000)
    kept = third.marker.read_bytes()
    third.marker.unlink()
    found = look(7, {}, set())
    assert found.having(third) == dict.fromkeys(SITES, "held_back")

    # It gets one at eight, when the working hours of one site begin.
    day.hour = 8
    third.marker.write_bytes(kept)
    day.dated(third.marker)
    found = look(8, {**dict.fromkeys(SITES, "behind"), "later": "left_for_later"}, set())
    assert found.behind == dict.fromkeys(SITES, 0.0)

    # One site becomes unreachable, another is slow.
    sites["away"].server.stop()
    line = sites["slow"].line
    assert line is not None
    line.set_rate(1_000_000)
    day.hour = 8.9
    run = day.start("sync.yml")
    published = [sites[name].assets / third.marker.relative_to(day.fleet.tree.root) for name in ("near", "small")]
    wait_until(lambda: all(path.exists() for path in published), "the near ones have the image")
    wait_until(lambda: day.look(9).image("slow", third) == "on_its_way", "some of it has arrived at the slow one")
    found = look(9, {"slow": "behind", "away": "unreachable", "later": "left_for_later"}, set())
    assert found.having(third) == {
        "near": "published",
        "small": "published",
        "slow": "on_its_way",
        "away": "missing",
        "later": "missing",
    }
    assert found.behind == {"slow": 1.0, "away": 1.0, "later": 1.0}
    line.set_rate(None)
    assert run.wait(120) == 2  # because of the unreachable site
    away = {"away": "unreachable", "later": "left_for_later"}
    found = look(10, away, {(GONE, "away")})
    assert found.behind == {"away": 2.0, "later": 2.0}

    # The second image is bad, and withdrawn, except at the site that cannot be reached.
    day.hour = 11
    day.run("withdraw.yml", "-e", f"netboot_withdraw={second.name}", without="away")
    late = {(LATE, "away"), (LATE, "later")}
    found = look(11, away, {(GONE, "away"), (STALE, second.path), *late})
    assert found.having(second) == {"away": "withdrawn"}
    assert found.behind == {"away": 3.0, "later": 3.0}

    # A fourth image arrives, and the first is pruned: clients no longer find it at the sites that can be reached.
    fourth = day.upload("prod/27-03-01-gnome-master-0000004", 12)
    day.run("prune.yml", "-e", "netboot_prune_keep_last=2", without="away")
    day.run("sync.yml", without="away")
    found = look(12, away, {(GONE, "away"), (STALE, second.path), *late})
    # Where nothing may be sent in working hours, clients still find it; what was withdrawn by name is gone there, too.
    assert found.having(first) == {**dict.fromkeys(SITES, "held_back"), "away": "published", "later": "left_over"}
    assert found.having(fourth) == {"near": "published", "slow": "published", "small": "published", "later": "missing"}
    assert found.behind == {"away": 4.0, "later": 4.0}

    # The site is back, unchanged. Until its next run, clients there find what was withdrawn.
    sites["away"].server.start()
    found = look(13, {"away": "behind", "later": "left_for_later"}, {(STALE, second.path), *late})
    assert (found.image("away", first), found.image("away", second)) == ("left_over", "withdrawn")
    assert found.behind == {"away": 5.0, "later": 5.0}
    day.run("sync.yml")
    day.run("prune.yml", "-e", "netboot_prune_keep_last=2", "-e", "netboot_sync_grace=0")
    found = look(14, {"later": "left_for_later"}, {(LATE, "later")})
    assert (found.having(first), found.having(second)) == ({"later": "left_over"}, {})
    assert found.behind == {"later": 6.0}

    # The working hours are over.
    day.hour = 18
    day.run("sync.yml", "-e", "netboot_sync_delete=true", "-e", "netboot_sync_grace=0")
    found = look(18, {}, set())
    assert found.having(first) == {}
    assert found.having(third) == found.having(fourth) == dict.fromkeys(SITES, "published")

    # After that, nothing runs any more.
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("all was right but for the alerts, which want promtool; ./dev test fetches it")
    nobody = {(DISK, "small"), (NO_LOOK, ""), *((NO_RUN, name) for name in SITES)}
    evaluate(promtool, tmp_path, [*expected, (found, nobody)], idle=25)


def agrees(found: Look) -> None:
    """Check that status.json, the page and the metrics agree."""
    assert embedded(found.page) == found.status
    metrics = found.metrics
    for name, site in found.status["sites"].items():
        label = f'{{site="{name}"}}'
        assert metrics[f'netboot_site_state{{site="{name}",state="{site["state"]}"}}'] == 1
        assert metrics[f"netboot_site_behind_images{label}"] == site["behind_images"]
        assert metrics[f"netboot_site_behind_seconds{label}"] == site["behind_seconds"]
        assert metrics[f"netboot_site_disk_free_bytes{label}"] == site["disk_free"]
        assert metrics[f"netboot_site_behind_limit_seconds{label}"] == LIMIT
    for state in ("published", "withdrawn"):
        for key, number in metrics.items():
            if key.startswith(f"netboot_image_{state}_sites"):
                path = key.split('"')[1]
                images = [site["images"].get(path, {}).get("state") for site in found.status["sites"].values()]
                assert images.count(state) == number


def evaluate(promtool: str, directory: Path, looks: list[tuple[Look, set[tuple[str, str]]]], *, idle: int) -> None:
    """Ask Prometheus which alerts fire at the end of each hour, with the metrics of that hour from its beginning.

    The last of *looks* has the alerts after *idle* more hours without a new check.
    """
    shutil.copy(ALERTS, directory)
    begin = looks[0][0].hour
    hours = [look.hour - begin for look, _alerts in looks]
    hours[-1] += idle
    lengths = [round((end - start) * MINUTES) for start, end in zip(hours, [*hours[1:], hours[-1] + 1], strict=True)]
    names = sorted({name for look, _alerts in looks for name in look.metrics})
    series = []
    for name in names:
        parts = []
        for (look, _alerts), minutes in zip(looks, lengths, strict=True):
            value = look.metrics.get(name)
            if value is not None and "timestamp_seconds" in name:
                value -= START.timestamp() + begin * 3600  # the clock of promtool begins at 0
            parts.append(f"_x{minutes - 1}" if value is None else f"{value:.0f}x{minutes - 1}")
        series.append({"series": name, "values": " ".join(parts)})
    tests = []
    for (_look, alerts), hour, minutes in zip(looks, hours, lengths, strict=True):
        samples = []
        for name, about in sorted(alerts):
            label = "" if not about else f', {"image" if name == STALE else "site"}="{about}"'
            samples.append({"labels": f'{{alertname="{name}"{label}}}', "value": 1})
        at = f"{round(hour * MINUTES) + min(minutes, MINUTES) - 1}m"
        expr = 'max by (alertname, site, image) (ALERTS{alertstate="firing"})'
        tests.append({"expr": expr, "eval_time": at, "exp_samples": samples})
    file = directory / "day.yml"
    whole = {"interval": "1m", "input_series": series, "promql_expr_test": tests}
    document = {"rule_files": ["alerts.yml"], "evaluation_interval": "1m", "tests": [whole]}
    file.write_text(yaml.safe_dump(document, width=10_000), encoding="utf-8")
    run = subprocess.run([promtool, "test", "rules", str(file)], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
