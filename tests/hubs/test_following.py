# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Caching servers that follow their hub within one run of sync.yml, as an operator sees it."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.lab.fleet import Fleet, SiteSpec
from tests.lab.runs import IMAGE, NEXT, add_large_image, is_delivered, let_go_last, sync
from tests.lab.tree import Image
from tests.lab.waiting import meanwhile, wait_until

LAST = "other/21-04-08-kde-master-0aa1b2c"
SLOW = 4_000_000.0  # bit/s
LARGE = 60_000_000  # bytes: takes two minutes on the slow line


def fed(fleet: Fleet, sources: Mapping[str, str], **variables: Mapping[str, Any]) -> None:
    """Write to the inventory which host feeds which, and other variables of each; the order of the hosts stays."""
    inventory: dict[str, Any] = yaml.safe_load(fleet.inventory.read_text(encoding="utf-8"))
    hosts = inventory["all"]["children"]["caching_servers"]["hosts"]
    for site, source in sources.items():
        hosts[site]["netboot_sync_source"] = source
    for site, found in variables.items():
        hosts[site].update(found)
    fleet.inventory.write_text(yaml.safe_dump(inventory, sort_keys=False), encoding="utf-8")


def three_images(fleet: Fleet, *, size: int = LARGE) -> list[Image]:
    """Two small images, and a large one that is sent last."""
    fleet.tree.add_kernel()
    small = [fleet.tree.add_image(name) for name in (IMAGE, NEXT)]
    large = add_large_image(fleet.tree, LAST, size=size)
    let_go_last(large, small)
    return [*small, large]


@contextlib.contextmanager
def order_of(fleet: Fleet, image: Image) -> Iterator[list[tuple[str, frozenset[str]]]]:
    """Note each site when the marker of an image appears there, and which sites had the last image by then."""
    seen: list[tuple[str, frozenset[str]]] = []
    over = threading.Event()

    def has(site: str, marker: Path) -> bool:
        return (fleet.sites[site].assets / marker.relative_to(fleet.tree.root)).exists()

    last = fleet.tree.image(LAST).marker

    def watch() -> None:
        waiting = list(fleet.sites)
        while waiting and not over.wait(0.005):
            for site in waiting:
                through = frozenset(one for one in fleet.sites if has(one, last))  # read before the image is checked
                if has(site, image.marker):
                    seen.append((site, through))
            waiting = [site for site in waiting if site not in dict(seen)]

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


@pytest.mark.timeout(600)
def test_leaves_have_an_image_as_soon_as_their_hub_has_it(tmp_path: Path) -> None:
    """At any depth, whatever the order of the inventory, and while the hub is still being synced."""
    with Fleet(tmp_path, [SiteSpec("leaf"), SiteSpec("middle"), SiteSpec("hub", rate=SLOW)]) as fleet:
        fed(fleet, {"leaf": "middle", "middle": "hub"})
        images = three_images(fleet)

        def quicken() -> None:
            line = fleet.sites["hub"].line
            assert line is not None
            line.set_rate(None)  # everything of interest has been seen

        with order_of(fleet, images[0]) as seen, meanwhile(lambda: len(seen) == len(fleet.sites), quicken):
            run = fleet.run_playbook("sync.yml")
        assert run.status == 0, run.output
        assert all(is_delivered(fleet, image, site) for image in images for site in fleet.sites), run.output
        assert seen == [("hub", frozenset()), ("middle", frozenset()), ("leaf", frozenset())]
        assert run.results["leaf"]["stats"]["images"] == {"published": 3}
        assert fleet.run_playbook("sync.yml").output.count("in line") >= 3


@pytest.mark.timeout(600)
def test_with_one_fork_they_follow_after_their_hub(tmp_path: Path) -> None:
    with Fleet(tmp_path, [SiteSpec("leaf"), SiteSpec("middle"), SiteSpec("hub")]) as fleet:
        fed(fleet, {"leaf": "middle", "middle": "hub"})
        images = three_images(fleet, size=1_000_000)
        run = fleet.run_playbook("sync.yml", "--forks", "1", "-e", "netboot_sync_allow_few_forks=true")
        assert run.status == 0, run.output
        assert all(is_delivered(fleet, image, site) for image in images for site in fleet.sites), run.output


def end_logins_of_the_sync(fleet: Fleet, site: str) -> bool:
    """Kill the ssh through which the sync sends to a site, not Ansible's own; return whether there was one."""
    address = fleet.sites[site].ssh.address.encode()  # no other site has this address
    ended = False
    for process in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            words = (process / "cmdline").read_bytes().split(b"\0") if process.name.isdigit() else []
            if words[:1] == [b"ssh"] and b"-oBatchMode=yes" in words and address in words:
                os.kill(int(process.name), signal.SIGKILL)
                ended = True
    return ended


@pytest.mark.timeout(600)
def test_a_hub_whose_run_never_begins_and_its_leaf(tmp_path: Path) -> None:
    """The hub's variables are refused: the leaf gets what the hub already had, and is told why there is no more."""
    with Fleet(tmp_path, [SiteSpec("leaf"), SiteSpec("hub")]) as fleet:
        fed(fleet, {"leaf": "hub"}, hub={"netboot_sync_retries": "abc"})
        fleet.tree.add_kernel()
        image = fleet.tree.add_image(IMAGE)
        sync(fleet, "hub")
        fleet.tree.add_image(NEXT)
        run = fleet.run_playbook("sync.yml")
        assert run.status == 2
        assert is_delivered(fleet, image, "leaf"), run.output
        said = " ".join(run.output.split())
        assert "its hub hub could not be brought in line (its own run had not begun" in said, run.output


@pytest.mark.timeout(600)
def test_a_hub_that_fails_in_the_middle_and_its_leaves(tmp_path: Path) -> None:
    """They get what the hub had published, and are told why there is no more; one has a fallback."""
    with Fleet(tmp_path, [SiteSpec("leaf"), SiteSpec("saved"), SiteSpec("hub", rate=SLOW)]) as fleet:
        fallback = {"netboot_sync_fallback_source": "localhost"}
        fed(fleet, {"leaf": "hub", "saved": "hub"}, saved=fallback, hub={"netboot_sync_retries": 0})
        images = three_images(fleet)

        def is_following() -> bool:
            return is_delivered(fleet, images[0], "leaf") and is_delivered(fleet, images[0], "saved")

        def fail() -> None:
            wait_until(lambda: end_logins_of_the_sync(fleet, "hub"), "a login at the hub")

        with meanwhile(is_following, fail):
            run = fleet.run_playbook("sync.yml")
        said = " ".join(run.output.split())
        assert run.status == 2
        assert "failed: hub: " in said, run.output
        assert not is_delivered(fleet, images[2], "leaf")
        assert all(is_delivered(fleet, image, "leaf") for image in images[:2])
        assert "left for later: its hub hub could not be brought in line (hub: " in said, run.output
        assert all(is_delivered(fleet, image, "saved") for image in images), run.output
