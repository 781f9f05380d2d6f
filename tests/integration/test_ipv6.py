# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A caching server with an IPv6 address, in a network namespace that has only a loopback device."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lab.fleet import CHECKOUT, Fleet, SiteSpec
from tests.lab.runs import IMAGE, NEXT, SITE, add_large_image, is_delivered, sync

ADDRESS = "::1"
OUTSIDE = "NETBOOT_TEST_OUTSIDE"  # environment variable: the network namespace in which the tests below must not run
NETWORK = Path("/proc/self/ns/net")


@pytest.mark.root
@pytest.mark.skipif(not Path("/proc/net/if_inet6").exists(), reason="this kernel has no IPv6")
@pytest.mark.parametrize("way", ["by_the_module", "by_the_playbook"])
def test_ipv6(way: str, tmp_path: Path) -> None:
    done = subprocess.run(
        ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
        + [sys.executable, "-m", "tests.integration.test_ipv6", way, str(tmp_path)],
        cwd=CHECKOUT,
        env={**os.environ, OUTSIDE: os.readlink(NETWORK), "PYTHONPATH": str(CHECKOUT / ".collections")},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def by_the_module(fleet: Fleet) -> None:
    """Over rsync and over SFTP; a further run finds everything up to date."""
    for name, transport in ((IMAGE, "rsync"), (NEXT, "sftp")):
        image = add_large_image(fleet.tree, name, size=1_000_000)
        run = sync(fleet, transport=transport)
        assert run.transport == transport
        assert is_delivered(fleet, image)
    assert sync(fleet).actions == []


def by_the_playbook(fleet: Fleet) -> None:
    """With the survey first."""
    image = add_large_image(fleet.tree, IMAGE, size=1_000_000)
    run = fleet.run_playbook("sync.yml")
    assert run.status == 0, run.output
    assert is_delivered(fleet, image)
    again = fleet.run_playbook("sync.yml")
    assert (again.status, again.results) == (0, {}), again.output


def main(way: str, directory: str) -> None:
    """Run inside the namespace."""
    assert os.readlink(NETWORK) != os.environ[OUTSIDE], "this would use the network of the machine"
    with Fleet(Path(directory), [SiteSpec(SITE, address=ADDRESS)], variables={"netboot_sync_survey_from": 1}) as fleet:
        fleet.tree.add_kernel()
        {"by_the_module": by_the_module, "by_the_playbook": by_the_playbook}[way](fleet)


if __name__ == "__main__":
    main(*sys.argv[1:])
