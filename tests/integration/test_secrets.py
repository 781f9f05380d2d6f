# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The private key is the only secret here: it is in no output, at any verbosity, and in no list of processes."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from tests.lab.fleet import Fleet, SiteSpec
from tests.lab.runs import IMAGE, SITE, add_large_image


def process_list(seen: set[bytes], ended: threading.Event) -> None:
    """Gather the arguments and the environment of every process, again and again."""
    while not ended.wait(0.02):
        for directory in Path("/proc").iterdir():
            for name in ("cmdline", "environ") if directory.name.isdigit() else ():
                try:
                    seen.add((directory / name).read_bytes())
                except OSError:
                    continue


@pytest.mark.parametrize("state", ["in line", "refused"])
def test_key_is_shown_nowhere(tmp_path: Path, state: str) -> None:
    # Slow, so that the processes of the transfer are seen even on a busy machine.
    spec = SiteSpec(SITE, rate=8e6)
    with Fleet(tmp_path / "fleet", [spec], variables={"netboot_sync_retries": 0}) as fleet:
        fleet.tree.add_kernel()
        add_large_image(fleet.tree, IMAGE, size=5_000_000)
        secret = [line for line in fleet.key.private.read_text(encoding="ascii").splitlines() if "-----" not in line]
        assert len(secret) > 3
        if state == "refused":
            fleet.sites[SITE].server.authorize([])
        seen: set[bytes] = set()
        ended = threading.Event()
        watcher = threading.Thread(target=process_list, args=(seen, ended))
        watcher.start()
        try:
            run = fleet.run_playbook("sync.yml", "-vvvv", "--diff")
        finally:
            ended.set()
            watcher.join()
    assert (run.status == 0) == (state == "in line")
    assert "sync_assets runs in a fork" in run.output  # it really is verbose
    ours = [one for one in seen if bytes(fleet.directory) in one]  # other tests transfer at the same time
    assert any(b"ssh\0" in one and b"incoming-" in one for one in ours) == (state == "in line")
    everything = b"\n".join(seen)
    for line in secret:
        assert line not in run.output
        assert line.encode() not in everything
