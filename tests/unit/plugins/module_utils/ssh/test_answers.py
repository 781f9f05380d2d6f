# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Parsing the output of rsync and of a caching server's shell; nothing in it can break a run."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest
from ansible_collections.netboot.syncer.plugins.module_utils.errors import SyncError
from ansible_collections.netboot.syncer.plugins.module_utils.ssh import rsync_version
from ansible_collections.netboot.syncer.plugins.module_utils.ssh.itself import Place
from ansible_collections.netboot.syncer.plugins.module_utils.ssh.remote_commands import (
    Abilities,
    parse_abilities,
    parse_hashes,
)
from ansible_collections.netboot.syncer.plugins.module_utils.transports.rsync import transferred
from hypothesis import given
from hypothesis import strategies as st

DIGEST = hashlib.sha256(b"").hexdigest()


@pytest.mark.parametrize(
    ("text", "version"),
    [
        pytest.param("rsync  version 3.2.7  protocol version 31", (3, 2, 7), id="Debian 12"),
        pytest.param("rsync  version v3.4.1  protocol version 32", (3, 4, 1), id="with a v"),
        pytest.param("rsync  version 2.6.9  protocol version 29", (2, 6, 9), id="old"),
        pytest.param("openrsync: protocol version 29\nrsync version 2.6.9 compatible", (2, 6, 9), id="openrsync"),
        pytest.param("rsync  version UNKNOWN", (), id="built from a checkout"),
        pytest.param("", (), id="silent"),
    ],
)
def test_rsync_version(text: str, version: tuple[int, ...]) -> None:
    assert rsync_version.parse(text) == version


@pytest.mark.skipif(shutil.which("rsync") is None, reason="needs rsync")
def test_what_the_real_rsync_prints(tmp_path: Path) -> None:
    (tmp_path / "from").write_bytes(b"x" * 5000)
    command = ["rsync", "--stats", "--no-human-readable", "--whole-file", str(tmp_path / "from"), str(tmp_path / "to")]
    stats = subprocess.run(command, check=True, capture_output=True, env={"LC_ALL": "C", "PATH": "/usr/bin:/bin"})
    assert 5000 < transferred(stats.stdout) < 6000
    version = subprocess.run(["rsync", "--version"], check=True, capture_output=True, text=True)
    assert rsync_version.parse(version.stdout) > (3, 0, 0)


@pytest.mark.parametrize(
    ("answer", "abilities"),
    [
        pytest.param([], Abilities(has_shell=True, place=Place()), id="a bare shell"),
        pytest.param(
            ["has rsync", "has sha256sum", "has xargs", "rsync  version 3.2.7  protocol version 31"],
            Abilities(rsync=(3, 2, 7), hashes=True, has_shell=True, place=Place()),
            id="rsync and hashes",
        ),
        pytest.param(["has rsync"], Abilities(has_shell=True, place=Place()), id="an rsync that does not run"),
        pytest.param(
            ["has dd", "has flock", "has timeout"], Abilities(locks=True, has_shell=True, place=Place()), id="flock"
        ),
        pytest.param(
            ["has dd", "has timeout"], Abilities(has_shell=True, place=Place()), id="a flock that knows no -w"
        ),
        pytest.param(
            ["real /srv/assets", "mount 36 35 98:0 / /srv/assets/prod rw - ext4 /dev/b rw", "mounts told"],
            Abilities(
                has_shell=True,
                place=Place(),
                real="/srv/assets",
                mounts=("36 35 98:0 / /srv/assets/prod rw - ext4 /dev/b rw",),
            ),
            id="a mount",
        ),
    ],
)
def test_abilities(answer: list[str], abilities: Abilities) -> None:
    assert parse_abilities(answer) == abilities


def test_hashes() -> None:
    assert parse_hashes([f"{DIGEST}  -", "missing"], 2) == [DIGEST, ""]
    with pytest.raises(SyncError, match="asked for 2 hashes, the caching server answered 1"):
        parse_hashes([f"{DIGEST}  -"], 2)


@given(st.lists(st.text(max_size=100), max_size=6), st.integers(0, 5))
def test_any_answer_is_read_or_refused(answer: list[str], count: int) -> None:
    found = parse_abilities(answer)
    assert all(part >= 0 for part in found.rsync)
    assert transferred("\n".join(answer).encode()) >= 0
    try:
        hashes = parse_hashes(answer, count)
    except SyncError:
        return
    assert len(hashes) == count
    assert all(one == "" or len(one) == 64 for one in hashes)


@given(st.from_regex(r"Total bytes (sent|received): [0-9,]{0,5000}\n", fullmatch=True))
def test_any_statistics_are_a_number(text: str) -> None:
    assert transferred(text.encode()) >= 0
