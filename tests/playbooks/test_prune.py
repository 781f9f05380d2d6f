# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""prune.yml, as an operator runs it: first in check mode, then in two runs, then once more with nothing to do."""

from __future__ import annotations

import os
import time
from pathlib import Path

from tests.lab.fleet import Fleet, SiteSpec
from tests.lab.runs import is_delivered, listing, sync

BUILDS = [f"prod/21-04-{10 + n}-gnome-[ab]-f1d734{n}" for n in range(4)]
OLD_KERNEL = "5.4.0-1-generic"
KEEP_TWO = ("-e", "netboot_prune_keep_last=2")


def build(fleet: Fleet) -> None:
    fleet.tree.add_kernel()
    fleet.tree.add_kernel(OLD_KERNEL, latest=False)
    for age, name in enumerate(reversed(BUILDS)):
        image = fleet.tree.add_image(name, kernel=OLD_KERNEL) if name == BUILDS[0] else fleet.tree.add_image(name)
        at = time.time() - (age + 1) * 86400
        for path in (image.squashfs, image.marker):
            os.utime(path, (at, at))


def test_in_two_runs_on_the_netboot_server_and_at_the_sites(tmp_path: Path) -> None:
    with Fleet(tmp_path, [SiteSpec("near")]) as fleet:
        build(fleet)
        sync(fleet, "near")
        site, tree = fleet.sites["near"].assets, fleet.tree.root
        oldest = fleet.tree.image(BUILDS[0])

        before = listing(tree)
        run = fleet.run_playbook("prune.yml", *KEEP_TWO, "--check", "--diff")
        assert run.status == 0, run.output
        assert f"{BUILDS[0]}-kernel.json -> " in run.output
        assert "images: 2 kept, 2 to be set aside" in run.output
        assert listing(tree) == before

        run = fleet.run_playbook("prune.yml", *KEEP_TWO)
        assert run.status == 0, run.output
        assert not oldest.marker.exists()
        assert oldest.squashfs.exists()
        assert not (site / f"{BUILDS[0]}-kernel.json").exists()
        assert (site / oldest.path).exists()

        for folder in (site, tree):  # so that the grace at the sites is over, too
            os.utime(folder / "prod")
        run = fleet.run_playbook("prune.yml", *KEEP_TWO, "-e", "netboot_sync_grace=0")
        assert run.status == 0, run.output
        for root in (tree, site):
            assert sorted(path.name for path in (root / "prod").iterdir() if path.suffix == ".squashfs") == [
                f"{Path(name).name}.squashfs" for name in BUILDS[2:]
            ]
            assert not (root / "kernels" / OLD_KERNEL).exists()
            assert not list((root / "prod").glob(".*"))
        for name in BUILDS[2:]:
            assert is_delivered(fleet, fleet.tree.image(name), "near")

        before = listing(tree)
        run = fleet.run_playbook("prune.yml", *KEEP_TWO, "-e", "netboot_sync_grace=0")
        assert run.status == 0, run.output
        assert listing(tree) == before


def test_nothing_said(tmp_path: Path) -> None:
    with Fleet(tmp_path, [SiteSpec("near")]) as fleet:
        build(fleet)
        before = listing(fleet.tree.root)
        run = fleet.run_playbook("prune.yml")
        assert run.status == 2
        assert "keep_last" in run.output
        assert "Traceback" not in run.output
        assert listing(fleet.tree.root) == before


def test_other_leftovers_of_a_site_are_not_its_matter(tmp_path: Path) -> None:
    with Fleet(tmp_path, [SiteSpec("near")]) as fleet:
        build(fleet)
        sync(fleet, "near")
        fleet.tree.remove_image(BUILDS[1])
        run = fleet.run_playbook("prune.yml", "-e", "netboot_prune_max_age=80h", "-e", "netboot_sync_grace=0")
        assert run.status == 0, run.output
        site = fleet.sites["near"].assets
        assert not (site / f"{BUILDS[0]}.squashfs").exists()
        assert (site / f"{BUILDS[1]}.squashfs").exists()
