# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each playbook that a fleet on loopback can run, with ``--check --diff``: says what it would do, writes nothing.

For onboard.yml and offboard.yml see tests/machines/story.py, for awx.yml tests/awx/test_setup.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.lab.fleet import CHECKOUT, Fleet, SiteSpec
from tests.lab.runs import IMAGE, NEXT, listing, sync
from tests.lab.tree import KERNEL, flip_byte

SITES = ("near", "far")
ELSEWHERE = {"onboard.yml", "offboard.yml", "awx.yml"}
DAMAGED = f"kernels/{KERNEL}/initrd"


def nothing_new(_fleet: Fleet) -> None:
    pass


def a_new_image(fleet: Fleet) -> None:
    fleet.tree.add_image(NEXT)


def a_damaged_file(fleet: Fleet) -> None:
    flip_byte(fleet.sites["far"].assets / DAMAGED)


CASES: dict[str, tuple[Callable[[Fleet], None], list[str], list[str]]] = {
    # playbook: what happens before it runs, its arguments, what it must say that it would do
    "fleet.yml": (nothing_new, [], []),
    "sync.yml": (a_new_image, [], [f"send {NEXT}.squashfs", "near would change 1"]),
    "resync.yml": (a_damaged_file, [], [f"send {DAMAGED}", "far would change"]),
    "withdraw.yml": (
        nothing_new,
        ["-e", f"netboot_withdraw={IMAGE}"],
        [f"withdraw {IMAGE}-kernel.json", "near would change"],
    ),
    "prune.yml": (
        a_new_image,
        ["-e", "netboot_prune_keep_last=1"],
        ["images: 1 kept, 1 to be set aside", f"{IMAGE}-kernel.json -> "],
    ),
    "status.yml": (a_new_image, [], ["2 sites: 2 behind"]),
    "boot_menu.yml": (nothing_new, ["-e", "netboot_boot_menu_server_url=http://198.51.100.10"], ["+#!ipxe"]),
}


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    """Two caching servers in line; whatever playbooks write elsewhere is configured to go next to the trees."""
    kept = tmp_path / "fleet" / "kept"
    variables = {
        "netboot_boot_menu_gateways": ["203.0.113.{{ 1 + groups['caching_servers'].index(inventory_hostname) }}"],
        "netboot_status_directory": f"{kept}/status",
        "netboot_sync_history": f"{kept}/history.jsonl",
    }
    with Fleet(tmp_path / "fleet", [SiteSpec(name) for name in SITES], variables=variables) as found:
        found.tree.add_kernel()
        found.tree.add_image(IMAGE)
        kept.mkdir()
        for name in SITES:
            sync(found, name)
        yield found


def written(fleet: Fleet) -> dict[str, tuple[int, ...]]:
    """The state of all trees and of everything next to them, except for sshd's log, to which each login adds lines."""
    places = [fleet.tree.root.parent, fleet.directory / "kept", *(site.assets.parent for site in fleet.sites.values())]
    found = {f"{place}/{path}": seen for place in places for path, seen in listing(place).items()}
    return {path: seen for path, seen in found.items() if not path.endswith("/ssh/log")}


@pytest.mark.parametrize("playbook", CASES)
def test_says_what_it_would_do_and_writes_nothing(fleet: Fleet, playbook: str) -> None:
    begin, arguments, told = CASES[playbook]
    begin(fleet)
    before = written(fleet)
    run = fleet.run_playbook(playbook, *arguments, "--check", "--diff")
    assert run.status == 0, run.output
    for words in told:
        assert words in " ".join(run.output.split()), run.output
    after = written(fleet)
    assert {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)} == set()


def test_no_playbook_is_left_out() -> None:
    assert CASES.keys() | ELSEWHERE == {path.name for path in (CHECKOUT / "playbooks").glob("*.yml")}
