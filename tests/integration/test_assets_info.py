# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""assets_info: the netboot server's tree, and a caching server's, image by image."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from tests.lab.fleet import Fleet, SiteSpec
from tests.lab.runs import IMAGE, NEXT, listing, sync

PLAY = """
- hosts: caching_servers
  gather_facts: false
  tasks:
    - netboot.syncer.assets_info:
        {where}
        hash: true
      delegate_to: localhost
      register: info
    - ansible.builtin.copy:
        content: "{{{{ info | to_json }}}}"
        dest: "{into}"
        mode: "0644"
      delegate_to: localhost
"""


def look(fleet: Fleet, where: str) -> dict[str, dict[str, Any]]:
    play, into = fleet.directory / "play.yml", fleet.directory / "info.json"
    play.write_text(PLAY.format(where=where, into=into), encoding="utf-8")
    run = fleet.run_playbook(str(play))
    assert run.status == 0, run.output
    found = json.loads(into.read_text(encoding="utf-8"))
    assert found["disk_free"] > 0
    assert not found["changed"]
    return {image["path"]: image for image in found["images"]}


def test_both_sides(tmp_path: Path) -> None:
    with Fleet(tmp_path, [SiteSpec("near")]) as fleet:
        kernel = fleet.tree.add_kernel()
        image = fleet.tree.add_image(IMAGE)
        fleet.tree.add_image(NEXT)
        sync(fleet, "near")
        fleet.tree.truncate_image(NEXT)
        before = listing(fleet.tree.root), listing(fleet.sites["near"].assets)
        ours = look(fleet, f'src: "{fleet.tree.root}"')
        theirs = look(fleet, "variables: netboot_sync_")
        assert (listing(fleet.tree.root), listing(fleet.sites["near"].assets)) == before
        digest = hashlib.sha256(image.squashfs.read_bytes()).hexdigest()
        for found, state in ((ours, "ready"), (theirs, "published")):
            one = found[image.path]
            assert one["state"] == state
            assert one["sha256"] == digest
            assert one["size"] == image.squashfs.stat().st_size
            assert one["marker"] == f"{IMAGE}-kernel.json"
            assert one["kernels"] == [kernel.name]
            assert one["age"] is not None
        assert ours[f"{NEXT}.squashfs"]["state"] == "held_back"
        assert theirs[f"{NEXT}.squashfs"]["state"] == "published"
        (fleet.sites["near"].assets / "kernels" / kernel.name / "initrd").unlink()
        assert look(fleet, "variables: netboot_sync_")[image.path]["state"] == "incomplete"


def test_a_site_that_is_down_is_told_in_one_line(tmp_path: Path) -> None:
    with Fleet(tmp_path, [SiteSpec("near")]) as fleet:
        fleet.tree.add_kernel()
        fleet.sites["near"].server.stop()
        play = fleet.directory / "play.yml"
        play.write_text(PLAY.format(where="variables: netboot_sync_", into="/dev/null"), encoding="utf-8")
        run = fleet.run_playbook(str(play))
        assert run.status == 2
        assert "refused" in run.output
        assert "Traceback" not in run.output
