# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Work on a caching server that makes no progress, as on a hung disk, ends as a broken connection does."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.lab.fleet import Fleet, SiteSpec
from tests.lab.runs import IMAGE, NEXT, SITE, add_large_image, complaint, is_delivered, prepare, sync
from tests.lab.waiting import meanwhile, wait_until

NO_HASH = {"openssl": "#!/bin/sh\nexit 1\n", "sha256sum": "#!/bin/sh\ntouch $HOME/began\nexec sleep 1000\n"}
# It reads at 1 MB a second: slow, and never silent for long.
SLOW_HASH = {
    "openssl": "#!/bin/sh\nexit 1\n",
    "sha256sum": "#!/bin/sh\nparts=$(($(stat -L -c %s /proc/self/fd/0) / 1000000 + 1))\n"
    "for part in $(seq $parts); do dd bs=1000000 count=1 2>/dev/null; sleep 1; done"
    " | /usr/bin/sha256sum\n",
}
HANGING_CAT = {
    "cat": '#!/bin/sh\ncase $1 in --) touch $HOME/began; exec sleep 1000 ;; *) exec /usr/bin/cat "$@" ;; esac\n'
}

# How far a hash has come, as a broken or hostile caching server might claim.
LIES = {"$(date +%s%N)": "always-further", "\u00b2": "no-decimal-digit", "9" * 5000: "longer-than-python-reads"}


def lying_cat(place: str) -> dict[str, str]:
    return {"cat": f'#!/bin/sh\ncase $1 in /proc/*) echo "pos: {place}" ;; *) exec /usr/bin/cat "$@" ;; esac\n'}


def left_running(fleet: Fleet) -> list[str]:
    """Commands that this caching server started and that still run, recognized by their HOME, which only they have."""
    home = f"HOME={fleet.sites[SITE].server.directory / 'home'}".encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if home in (process / "environ").read_bytes().split(b"\0"):
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return found


@pytest.mark.parametrize("spec", [SiteSpec(SITE, scripts=NO_HASH)], indirect=True, ids=["hash"])
@pytest.mark.parametrize("size", [100_000, 12_000_000], ids=["small", "large"])
def test_hash_that_never_ends(fleet: Fleet, size: int) -> None:
    """It is reported as making no progress, it is retried, and it leaves neither the lock nor a process there."""
    image = add_large_image(fleet.tree, IMAGE, size=size)
    run = prepare(fleet, stall_timeout=3, retries=1, retry_delay=0)
    line = complaint(run, fleet.sites[SITE].ssh.address)
    assert "makes no progress for 3 s" in line
    assert run.attempts == 2
    assert not (fleet.sites[SITE].assets / f"{IMAGE}-kernel.json").exists()
    wait_until(lambda: left_running(fleet) == [], "what was started there has ended")
    for name in NO_HASH:
        (fleet.sites[SITE].server.directory / "bin" / name).unlink()
        os.symlink(f"/usr/bin/{name}", fleet.sites[SITE].server.directory / "bin" / name)
    sync(fleet, lock_timeout=0)
    assert is_delivered(fleet, image)


@pytest.mark.parametrize(
    "spec",
    [SiteSpec(SITE, scripts=NO_HASH | lying_cat(place)) for place in LIES],
    indirect=True,
    ids=list(LIES.values()),
)
def test_place_that_no_file_has_is_no_progress(fleet: Fleet) -> None:
    add_large_image(fleet.tree, IMAGE, size=12_000_000)
    line = complaint(prepare(fleet, stall_timeout=3), fleet.sites[SITE].ssh.address)
    assert "makes no progress for 3 s" in line


@pytest.mark.parametrize("spec", [SiteSpec(SITE, scripts=SLOW_HASH)], indirect=True, ids=["slow"])
def test_hash_that_is_slow_is_waited_for(fleet: Fleet) -> None:
    """It takes twice the stall timeout, but each check finds that it has progressed."""
    image = add_large_image(fleet.tree, IMAGE, size=18_000_000)
    assert sync(fleet, stall_timeout=8).images[image.path].verified


@pytest.mark.parametrize("spec", [SiteSpec(SITE, rate=40e6, scripts=HANGING_CAT)], indirect=True, ids=["cat"])
def test_join_that_never_ends(fleet: Fleet) -> None:
    site = fleet.sites[SITE]
    line = site.line
    assert line is not None
    add_large_image(fleet.tree, IMAGE, size=1_000_000)
    sync(fleet)
    add_large_image(fleet.tree, NEXT, size=8_000_000)
    before = line.bytes_up
    with meanwhile(lambda: line.bytes_up > before + 3_000_000, line.cut):
        complaint(prepare(fleet), site.ssh.address)
    line.restore()
    said = complaint(prepare(fleet, stall_timeout=3), site.ssh.address)
    assert (site.server.directory / "home" / "began").exists()
    assert "makes no progress for" in said
    wait_until(lambda: left_running(fleet) == [], "what was started there has ended")
