# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""withdraw.yml, as an operator runs it."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

from tests.lab.fleet import Fleet, SiteSpec
from tests.lab.runs import IMAGE, NEXT, is_delivered, sync

MARKER = f"{IMAGE}-kernel.json"


def test_withdrawn_everywhere_and_put_back(tmp_path: Path) -> None:
    """A caching server that was down follows at its next sync."""
    with Fleet(tmp_path, [SiteSpec("near"), SiteSpec("far")]) as fleet:
        fleet.tree.add_kernel()
        image = fleet.tree.add_image(IMAGE)
        other = fleet.tree.add_image(NEXT)
        for name in fleet.sites:
            sync(fleet, name)
        near, far = (fleet.sites[name] for name in ("near", "far"))
        far.server.stop()
        run = fleet.run_playbook("withdraw.yml", "-e", f"netboot_withdraw={IMAGE}")
        assert run.status == 2
        assert not image.marker.exists()
        assert not (near.assets / MARKER).exists()
        assert (near.assets / image.path).exists()
        assert (far.assets / MARKER).exists()
        far.server.start()
        assert fleet.run_playbook("sync.yml").status == 0
        assert not (far.assets / MARKER).exists()
        undo = ("-e", f"netboot_withdraw={IMAGE}", "-e", "netboot_withdraw_undo=true")
        run = fleet.run_playbook("withdraw.yml", *undo)
        assert run.status == 0, run.output
        for name in ("near", "far"):
            assert is_delivered(fleet, image, name)
            assert is_delivered(fleet, other, name)
        assert run.results["near"]["stats"]["size"] == image.marker.stat().st_size
        assert fleet.run_playbook("withdraw.yml", *undo).status == 2  # nothing is left to put back


def test_names_that_are_no_text(tmp_path: Path) -> None:
    """One name contains a line break, the other is not UTF-8."""
    names = ("new\nline", "latin\udce9")
    with Fleet(tmp_path, [SiteSpec("near")]) as fleet:
        fleet.tree.add_kernel()
        image = fleet.tree.add_image(IMAGE)
        for name in names:
            for path in (image.squashfs, image.marker):
                shutil.copy2(path, path.with_name(path.name.replace(IMAGE.rpartition("/")[2], name)))
        before = sorted((fleet.tree.root / "prod").iterdir())
        markers = [fleet.sites["near"].assets / f"prod/{name}-kernel.json" for name in names]
        assert fleet.run_playbook("sync.yml").status == 0
        assert [marker.exists() for marker in markers] == [True, True]
        pattern = ("-e", json.dumps({"netboot_withdraw": [f"prod/{name[:3]}*" for name in names]}))
        assert fleet.run_playbook("withdraw.yml", *pattern).status == 0
        assert [marker.exists() for marker in markers] == [False, False]
        assert fleet.run_playbook("withdraw.yml", *pattern, "-e", "netboot_withdraw_undo=true").status == 0
        assert [marker.exists() for marker in markers] == [True, True]
        assert sorted((fleet.tree.root / "prod").iterdir()) == before


def test_check_mode_counts_what_the_run_then_changes(tmp_path: Path) -> None:
    with Fleet(tmp_path, [SiteSpec("near")]) as fleet:
        fleet.tree.add_kernel()
        fleet.tree.add_image(IMAGE)
        sync(fleet, "near")
        counted = []
        for mode in (["--check"], []):
            run = fleet.run_playbook("withdraw.yml", "-e", f"netboot_withdraw={IMAGE}", *mode)
            assert run.status == 0, run.output
            counted.append(re.findall(r"^(\S+) +: .*\b(changed=\d+)", run.output, re.MULTILINE))
        assert counted[0] == counted[1] == [("near", "changed=2")]


def test_nothing_named(tmp_path: Path) -> None:
    with Fleet(tmp_path, [SiteSpec("near")]) as fleet:
        fleet.tree.add_kernel()
        run = fleet.run_playbook("withdraw.yml")
        assert run.status == 2
        assert "netboot_withdraw=" in run.output


def test_a_name_that_no_image_has_is_no_success(tmp_path: Path) -> None:
    """The name must exist at neither end; an image that is withdrawn already, or is only at a site, is a success."""
    with Fleet(tmp_path, [SiteSpec("near")]) as fleet:
        fleet.tree.add_kernel()
        fleet.tree.add_image(IMAGE)
        sync(fleet, "near")
        run = fleet.run_playbook("withdraw.yml", "-e", "netboot_withdraw=prod/slip*")
        assert run.status == 2
        assert "nothing was withdrawn: " in " ".join(run.output.split())
        assert (fleet.sites["near"].assets / MARKER).exists()
        fleet.tree.remove_image(IMAGE)
        for _time in range(2):
            run = fleet.run_playbook("withdraw.yml", "-e", f"netboot_withdraw={IMAGE}")
            assert run.status == 0, run.output
            assert not (fleet.sites["near"].assets / MARKER).exists()
