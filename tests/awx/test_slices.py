# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The slices of a job: each has some of the hosts, and at most one of them has the netboot server."""

from __future__ import annotations

import time

import pytest

from tests.awx.conftest import Stage
from tests.lab.fleet import Fleet, SiteSpec
from tests.lab.runs import IMAGE, NEXT, add_large_image, is_delivered
from tests.lab.waiting import wait_until

CAP = 8e6  # bit/s for all slices together; each line alone has twice that
SIZE = 3_000_000  # bytes


def sent(fleet: Fleet) -> int:
    """Bytes sent to all sites so far."""
    return sum(site.line.bytes_up for site in fleet.sites.values() if site.line is not None)


@pytest.mark.parametrize("specs", [[SiteSpec(name, rate=2 * CAP) for name in ("a", "b")]], indirect=True)
def test_two_at_once_share_the_uplink(stage: Stage) -> None:
    """Sorted, the hosts are a, b, netboot: the first slice has a and the netboot server, the second has b alone."""
    fleet = stage.fleet
    stage.known_by_variables()
    stage.everywhere["netboot_sync_uplink_limit"] = f"{CAP / 1e6:.0f}Mbit"
    image = add_large_image(fleet.tree, NEXT, size=SIZE)
    lines = [site.line for site in fleet.sites.values() if site.line is not None]
    with stage.job(slice=(1, 2)) as first, stage.job(slice=(2, 2)) as second:
        wait_until(lambda: all(line.bytes_up > 200_000 for line in lines), "both slices sending")
        begun, bytes_before = time.monotonic(), sent(fleet)
        wait_until(lambda: any(line.bytes_up > 0.9 * SIZE for line in lines), "most of an image")
        rate = (sent(fleet) - bytes_before) * 8 / (time.monotonic() - begun)
        first.wait()
        second.wait()
    for job, name in ((first, "a"), (second, "b")):
        assert job.status == "successful", job.output
        assert is_delivered(fleet, image, name)
        assert job.artifacts["netboot_sync_summary"]["sites"] == {name: "changed"}
    assert rate < 1.25 * CAP  # without the cap, each would send at twice that rate


@pytest.mark.parametrize("specs", [[SiteSpec("a")]], indirect=True)
def test_one_without_caching_servers_says_so_and_is_green(stage: Stage) -> None:
    stage.known_by_variables()
    job = stage.run(slice=(2, 2))
    assert job.status == "successful", job.output
    said = "nothing to do here: this slice of the AWX job has no host of caching_servers. Other slices have them."
    assert said in " ".join(job.output.split())


def test_one_that_a_limit_leaves_empty_is_green(stage: Stage) -> None:
    stage.known_by_variables()
    job = stage.run(slice=(1, 2), survey={"netboot_limit": "b"})
    assert job.status == "successful", job.output
    said = "this slice of the AWX job has no host of caching_servers that netboot_limit names (b). Other slices"
    assert said in " ".join(job.output.split())
    assert not is_delivered(stage.fleet, stage.fleet.tree.image(IMAGE), "a")


def test_withdrawal_in_a_slice_that_lacks_the_netboot_server(stage: Stage) -> None:
    stage.known_by_variables()
    job = stage.run(slice=(2, 2), survey={"netboot_withdraw": IMAGE})
    assert job.status == "successful", job.output
    assert not stage.fleet.tree.image(IMAGE).marker.exists()


def test_a_slice_does_not_renew_the_boot_menu(stage: Stage) -> None:
    """It knows only its own sites; a menu for them would send the clients of all others away."""
    stage.known_by_variables()
    stage.everywhere["netboot_boot_menu_renew"] = True
    stage.fleet.tree.add_image(NEXT)
    job = stage.run(slice=(1, 2))
    assert job.status == "successful", job.output
    assert is_delivered(stage.fleet, stage.fleet.tree.image(NEXT), "a")
    assert "the boot menu was not renewed: a slice of an AWX job knows only its own" in " ".join(job.output.split())
    assert not (stage.fleet.tree.root / "boot.ipxe").exists()
    job = stage.run(slice=(1, 2), playbook="playbooks/boot_menu.yml")
    assert job.status == "failed"
    assert "Write it by a job template without slices" in " ".join(job.output.split())


def test_status_of_a_slice_that_lacks_the_netboot_server(stage: Stage) -> None:
    stage.known_by_variables()
    job = stage.run(slice=(2, 2), playbook="playbooks/status.yml")
    assert job.status == "successful", job.output


def test_nothing_is_guessed(stage: Stage) -> None:
    """If neither a host nor a variable says where to send from, nothing is sent, and one line says why."""
    job = stage.run(slice=(2, 2))
    assert job.status == "failed"
    text = " ".join(job.output.split())
    assert "nobody says where to send from: the group netboot_server has no host in this inventory." in text
    assert "set netboot_sync_source_address where it has only some hosts, as in a slice of an AWX job." in text
    assert not is_delivered(stage.fleet, stage.fleet.tree.image(IMAGE), "b")
