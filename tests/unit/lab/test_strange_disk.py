# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""File systems with quirks behave as described, as seen by programs that know nothing about them."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lab import strange_disk
from tests.lab.process import STANDARD_PATH
from tests.lab.strange_disk import COARSE, EXFAT, FOLDING, NO_CTIME, NO_MODES_NO_TIMES, Quirks, StrangeDisk
from tests.lab.waiting import wait_until

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(bool(strange_disk.missing()), reason=strange_disk.missing()),
]
EVEN, ODD = 1_700_000_000, 1_700_000_001


def test_without_quirks_it_is_an_ordinary_one(tmp_path: Path) -> None:
    with StrangeDisk(tmp_path / "disk", Quirks()) as disk:
        path = disk.path / "prod" / "x.squashfs"
        path.parent.mkdir()
        path.write_bytes(b"x" * 300_000)
        path.chmod(0o640)
        os.utime(path, ns=(EVEN, ODD * 10**9 + 5))
        os.link(path, disk.path / "link")
        os.symlink("prod/x.squashfs", disk.path / "symlink")
        (disk.path / "X.squashfs").write_bytes(b"another")
        os.rename(path, disk.path / "x.squashfs")
        found = (disk.path / "x.squashfs").stat()
        assert (found.st_mode & 0o777, found.st_size, found.st_mtime_ns) == (0o640, 300_000, ODD * 10**9 + 5)
        assert sorted(os.listdir(disk.path)) == ["X.squashfs", "link", "prod", "symlink", "x.squashfs"]
        assert (disk.path / "link").read_bytes() == b"x" * 300_000
        assert os.readlink(disk.path / "symlink") == "prod/x.squashfs"
        with path.parent.joinpath("lock").open("w") as one, path.parent.joinpath("lock").open("w") as other:
            fcntl.flock(one, fcntl.LOCK_EX)
            with pytest.raises(BlockingIOError):
                fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert not os.path.ismount(disk.path)
    assert (disk.backing / "x.squashfs").stat().st_size == 300_000


@pytest.mark.parametrize(
    ("quirks", "spelling"),
    [
        pytest.param(FOLDING, "Image", id="keeps the spelling"),
        pytest.param(EXFAT, "iMAGE", id="takes the new spelling"),
    ],
)
def test_names_that_differ_in_case_are_one(tmp_path: Path, quirks: Quirks, spelling: str) -> None:
    with StrangeDisk(tmp_path / "disk", quirks) as disk:
        (disk.path / "Image").write_bytes(b"old")
        (disk.path / "new").write_bytes(b"new")
        assert (disk.path / "IMAGE").read_bytes() == b"old"
        os.rename(disk.path / "new", disk.path / "iMAGE")
        assert os.listdir(disk.path) == [spelling]
        assert (disk.path / "image").read_bytes() == b"new"
        assert (disk.path / "image").stat().st_ino == (disk.path / "IMAGE").stat().st_ino
        os.rename(disk.path / "image", disk.path / "IMAGE")
        assert os.listdir(disk.path) == ["IMAGE"]
        with pytest.raises(FileExistsError):
            (disk.path / "imagE").mkdir()
        (disk.path / "image").unlink()
        assert not os.listdir(disk.path)
        (disk.path / "e\u0301").write_bytes(b"decomposed")
        assert (disk.path / "\u00c9").read_bytes() == b"decomposed"


def test_times_are_coarse(tmp_path: Path) -> None:
    with StrangeDisk(tmp_path / "disk", COARSE) as disk:
        path = disk.path / "x"
        path.touch()
        os.utime(path, (ODD, ODD))
        assert path.stat().st_mtime == EVEN


@pytest.mark.parametrize("quirks", [EXFAT, NO_MODES_NO_TIMES, Quirks(modes="ignored")])
def test_neither_modes_nor_links(tmp_path: Path, quirks: Quirks) -> None:
    with StrangeDisk(tmp_path / "disk", quirks) as disk:
        path = disk.path / "x"
        path.touch(0o600)
        if quirks.modes == "refused":
            with pytest.raises(PermissionError):
                path.chmod(0o600)
        else:
            path.chmod(0o600)
        assert path.stat().st_mode & 0o777 == 0o755
        if not quirks.links:
            with pytest.raises(PermissionError):
                os.link(path, disk.path / "link")
        if not quirks.sets_times:
            with pytest.raises(PermissionError):
                os.utime(path, (EVEN, EVEN))


def test_an_overwrite_leaves_no_trace_where_there_is_no_ctime(tmp_path: Path) -> None:
    with StrangeDisk(tmp_path / "disk", NO_CTIME) as disk:
        path = disk.path / "x"
        path.write_bytes(b"old")
        before = path.stat()
        path.write_bytes(b"new")
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        after = path.stat()
        assert (after.st_size, after.st_mtime_ns, after.st_ctime_ns, after.st_ino) == (
            before.st_size,
            before.st_mtime_ns,
            before.st_ctime_ns,
            before.st_ino,
        )


def test_a_read_hangs_until_it_is_released(tmp_path: Path) -> None:
    with StrangeDisk(tmp_path / "disk", Quirks()) as disk:
        (disk.path / "x.squashfs").write_bytes(b"x" * 1000)
        (disk.path / "other").write_bytes(b"x")
        disk.hang("*.squashfs")
        assert (disk.path / "other").read_bytes() == b"x"
        command = ["sha256sum", str(disk.path / "x.squashfs")]
        with subprocess.Popen(command, stdout=subprocess.PIPE, env={"PATH": STANDARD_PATH}) as reader:
            wait_until(lambda: disk.waiting() == 1, "the read to begin")
            assert reader.poll() is None
            disk.release()
            assert reader.wait(30) == 0


def test_nothing_stays_mounted_when_the_test_is_killed(tmp_path: Path) -> None:
    program = (
        "import os, signal, sys; from pathlib import Path; from tests.lab.strange_disk import *\n"
        "with StrangeDisk(Path(sys.argv[1]), FOLDING): os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "disk")], cwd=strange_disk.CHECKOUT, check=False)
    wait_until(lambda: str(tmp_path / "disk") not in Path("/proc/mounts").read_text(encoding="utf-8"), "the unmount")
