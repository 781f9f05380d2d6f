# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""status.yml, as an operator runs it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.lab.fleet import Fleet, SiteSpec
from tests.lab.runs import IMAGE, NEXT, sync


def look(fleet: Fleet, *args: str, status: int = 0) -> tuple[dict[str, Any], str]:
    directory = fleet.directory / "status"
    run = fleet.run_playbook("status.yml", "-e", f"netboot_status_directory={directory}", *args)
    assert run.status == status, run.output
    return json.loads((directory / "status.json").read_text(encoding="utf-8")), run.output


def test_what_each_site_holds(tmp_path: Path) -> None:
    specs = [SiteSpec("near"), SiteSpec("later", variables={"netboot_sync_bandwidth_limit": "0"}), SiteSpec("gone")]
    with Fleet(tmp_path, specs) as fleet:
        fleet.tree.add_kernel()
        image = fleet.tree.add_image(IMAGE)
        for name in ("near", "gone"):
            sync(fleet, name)
        found, output = look(fleet)
        sites = found["sites"]
        assert {name: site["state"] for name, site in sites.items()} == {
            "near": "in_line",
            "gone": "in_line",
            "later": "left_for_later",
        }
        assert sites["near"]["images"][image.path]["state"] == "published"
        assert sites["later"]["images"][image.path]["state"] == "missing"
        assert sites["later"]["behind_images"] == 1
        assert sites["near"]["disk_free"] > 0
        assert "3 sites: 2 in line, 1 left for later" in output
        since = sites["gone"]["images"][image.path]["since"]

        fleet.sites["gone"].server.stop()
        fleet.tree.add_image(NEXT)
        fleet.tree.remove_image(IMAGE)
        sites = look(fleet)[0]["sites"]
        assert sites["near"]["state"] == "behind"
        assert sites["near"]["images"][image.path]["state"] == "left_over"
        assert sites["near"]["images"][f"{NEXT}.squashfs"]["state"] == "missing"
        assert sites["gone"]["state"] == "unreachable"
        assert "refused" in sites["gone"]["reason"]
        assert sites["gone"]["images"][image.path]["since"] == since
        assert (fleet.directory / "status" / "index.html").stat().st_size > 10_000


def test_waiting_for_an_image(tmp_path: Path) -> None:
    with Fleet(tmp_path, [SiteSpec("near"), SiteSpec("far")]) as fleet:
        fleet.tree.add_kernel()
        fleet.tree.add_image(IMAGE)
        sync(fleet, "near")
        wait = ("-e", f"netboot_status_wait={IMAGE}", "-e", "netboot_status_wait_timeout=0")
        output = look(fleet, *wait, status=2)[1]
        assert "these wait: far" in " ".join(output.split())
        look(fleet, *wait, "-e", "netboot_status_wait_share=50")
        sync(fleet, "far")
        look(fleet, *wait)


def test_check_mode_writes_nothing(tmp_path: Path) -> None:
    with Fleet(tmp_path, [SiteSpec("near")]) as fleet:
        fleet.tree.add_kernel()
        directory = fleet.directory / "status"
        run = fleet.run_playbook("status.yml", "-e", f"netboot_status_directory={directory}", "--check")
        assert run.status == 0, run.output
        assert "1 site: 1 in line" in run.output
        assert not directory.exists()
