# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbooks against real OpenSSH and rsync on loopback."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from tests.lab.fleet import Fleet, SiteSpec
from tests.lab.tree import flip_byte

IMAGE = "prod/21-04-09-gnome-master-f1d734e"


def test_sync_twice_then_repair(tmp_path: Path) -> None:
    """Ready images arrive, others are held back; the second run changes nothing; a resync finds a flipped byte."""
    specs = [SiteSpec("cache-rsync"), SiteSpec("cache-sftp", sftp_only=True)]
    with Fleet(tmp_path, specs, variables={"netboot_sync_retries": 0}) as fleet:
        fleet.tree.add_kernel()
        good = fleet.tree.add_image(IMAGE)
        unmarked = fleet.tree.add_image("prod/21-04-10-kde-master-0aa1b2c", marker=False)
        odd = fleet.tree.add_image("prod/21-04-10 it's $(touch x) ä-master-1234567")
        fleet.ledger.snapshot()
        first = fleet.run_playbook("sync.yml")
        assert first.status == 0, first.output
        for site in fleet.sites.values():
            for image in (good, odd):
                there = site.assets / image.path
                assert there.read_bytes() == image.squashfs.read_bytes()
                assert (site.assets / image.marker.relative_to(fleet.tree.root)).is_file()
            assert not (site.assets / unmarked.path).exists()
            assert [path.name for path in (site.assets / ".netboot-sync").iterdir() if path.name != "lock"] == []
        second = fleet.run_playbook("sync.yml")
        assert second.status == 0, second.output
        assert second.output.count("changed=0") == 2
        damaged = [site.assets / good.path for site in fleet.sites.values()]
        for path in damaged:
            flip_byte(path)
        repair = fleet.run_playbook("resync.yml")
        assert repair.status == 0, repair.output
        assert all(path.read_bytes() == good.squashfs.read_bytes() for path in damaged)


def test_unreachable_fails_alone(tmp_path: Path) -> None:
    """A caching server that is down fails, the other one finishes, and the run says so."""
    with Fleet(
        tmp_path, [SiteSpec("cache-up"), SiteSpec("cache-down")], variables={"netboot_sync_retries": 0}
    ) as fleet:
        fleet.tree.add_kernel()
        image = fleet.tree.add_image(IMAGE)
        fleet.sites["cache-down"].server.stop()
        run = fleet.run_playbook("sync.yml")
        assert run.status != 0
        # one line when it happens, and another in the table at the end
        assert run.output.count("cache-down: ") >= 2
        assert "refused the connection. Is sshd running, is the port right?" in " ".join(run.output.split())
        assert "Traceback" not in run.output
        table = run.output[run.output.index("caching server  came out") :]
        assert "cache-up        changed" in table
        assert "cache-down      FAILED" in table
        assert (fleet.sites["cache-up"].assets / image.path).is_file()


@pytest.mark.parametrize("which", ["all", "the-only-one"])
def test_table_is_printed_whoever_fails(tmp_path: Path, which: str) -> None:
    """Ansible ends a playbook when no host is left; the table comes before that, and the exit status shows it."""
    with Fleet(
        tmp_path, [SiteSpec("cache-up"), SiteSpec("cache-down")], variables={"netboot_sync_retries": 0}
    ) as fleet:
        fleet.tree.add_kernel()
        fleet.tree.add_image(IMAGE)
        fleet.sites["cache-down"].server.stop()
        if which == "all":
            fleet.sites["cache-up"].server.stop()
        run = fleet.run_playbook("sync.yml", *([] if which == "all" else ["--limit", "cache-down"]))
        assert run.status == 2
        before, table = run.output.split("caching server  came out", 1)
        table, after = table.split("PLAY [", 1)
        for name in ("cache-up", "cache-down") if which == "all" else ("cache-down",):
            said = f"{name}: root@" if f"{name}: root@" in table else f"{name}: "
            assert f"fatal: [{name}]" in before
            assert said in before
            assert f"\n{name}".ljust(17) + "FAILED" in table
            assert table.count(f"failed: {name}: ") == 1
            assert f"fatal: [{name}]" in after
            assert "refused" not in after
            assert re.search(rf"^{name} .* failed=1 ", after, re.MULTILINE)
            assert len(run.results[name]["failures"]) == 1
            assert "refused the connection" in run.results[name]["failures"][0]


def test_netboot_server_out_of_reach(tmp_path: Path) -> None:
    """If Ansible cannot reach it, no caching server is contacted, and one message says why."""
    with Fleet(tmp_path, [SiteSpec("cache")], variables={"netboot_sync_source": "nowhere"}) as fleet:
        fleet.tree.add_kernel()
        inventory = yaml.safe_load(fleet.inventory.read_text(encoding="utf-8"))
        inventory["all"]["hosts"] = {"nowhere": {"ansible_host": "127.0.0.1", "ansible_port": 1}}
        fleet.inventory.write_text(yaml.safe_dump(inventory), encoding="utf-8")
        run = fleet.run_playbook("sync.yml")
        assert run.status == 2
        assert "nowhere: Ansible cannot reach it (" in " ".join(run.output.split())
        assert run.results == {}


def test_too_few_forks_are_refused_before_anything_is_sent(tmp_path: Path) -> None:
    """Ansible's default of 5 forks would let the sixth caching server wait; the run says what to set instead."""
    specs = [SiteSpec("cache-one"), SiteSpec("cache-two")]
    with Fleet(tmp_path, specs) as fleet:
        fleet.tree.add_kernel()
        image = fleet.tree.add_image(IMAGE)
        run = fleet.run_playbook("sync.yml", "--forks", "1")
        assert run.status != 0
        assert "Set forks to 2 or more" in " ".join(run.output.split())
        assert run.output.count("fatal:") == 1
        assert not any((site.assets / image.path).exists() for site in fleet.sites.values())
        waiting = fleet.run_playbook("sync.yml", "--forks", "1", "-e", "netboot_sync_allow_few_forks=true")
        assert waiting.status == 0, waiting.output
        assert all((site.assets / image.path).exists() for site in fleet.sites.values())


def test_variables_are_checked_before_anything_is_sent(tmp_path: Path) -> None:
    with Fleet(tmp_path, [SiteSpec("cache")]) as fleet:
        fleet.tree.add_kernel()
        run = fleet.run_playbook("sync.yml", "-e", "netboot_sync_transport=carrier-pigeon")
        assert run.status != 0
        assert "netboot_sync_transport" in run.output
        assert list(fleet.sites["cache"].assets.iterdir()) == []
