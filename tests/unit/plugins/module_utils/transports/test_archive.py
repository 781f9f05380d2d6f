# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The archive of small files: any tar can read it, and it is written while it is sent."""

from __future__ import annotations

import hashlib
import os
import tarfile
import tempfile
from pathlib import Path
from typing import BinaryIO

import pytest
from ansible_collections.netboot.syncer.plugins.module_utils.assets.entries import Entry
from ansible_collections.netboot.syncer.plugins.module_utils.source.tree import SourceTree
from ansible_collections.netboot.syncer.plugins.module_utils.transports.archive import Packing

WAIT = 60.0  # seconds


class Files:
    """Files of a source tree, with sizes around that of a tar block."""

    def __init__(self, root: Path) -> None:
        self.contents = {f"{size}.cfg": os.urandom(size) for size in (0, 1, 511, 512, 513, 3000, 65536)}
        for name, content in self.contents.items():
            (root / name).write_bytes(content)
            os.utime(root / name, (1_700_000_001, 1_700_000_001))
        self.root = root
        self.source = SourceTree(str(root))
        tree = self.source.scan()
        self.entries: list[Entry] = [tree[name] for name in self.contents]

    def pack(self, file: BinaryIO) -> dict[str, str]:
        """Write the whole archive; return the hashes by path."""
        with Packing(self.source, self.entries, file) as packing:
            there = 0
            while there < packing.size:
                there = packing.written(there, WAIT)
            assert packing.trouble is None
            assert os.fstat(file.fileno()).st_size == packing.size
            return packing.digests


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def unpacked(file: BinaryIO) -> list[tuple[str, int, bytes]]:
    found = []
    file.seek(0)
    with tarfile.open(fileobj=file, mode="r:") as archive:
        for member in archive:
            content = archive.extractfile(member)
            assert content is not None
            found.append((member.name, int(member.mtime), content.read()))
    return found


def test_tar_reads_it(files: Files) -> None:
    with tempfile.TemporaryFile() as file:
        digests = files.pack(file)
        assert unpacked(file) == [
            (str(number), 1_700_000_001, content) for number, content in enumerate(files.contents.values())
        ]
    assert digests == {name: hashlib.sha256(content).hexdigest() for name, content in files.contents.items()}


@pytest.mark.parametrize("become", ["shorter", "longer", "gone", "symlink"])
def test_what_has_changed_has_its_place_and_no_hash(files: Files, become: str) -> None:
    changed = files.root / "3000.cfg"
    if become == "shorter":
        changed.write_bytes(b"x")
    elif become == "longer":
        changed.write_bytes(b"x" * 90_000)
    else:
        changed.unlink()
    if become == "symlink":
        changed.symlink_to("1.cfg")
    with tempfile.TemporaryFile() as file:
        digests = files.pack(file)
        found = unpacked(file)
    assert set(digests) == set(files.contents) - {"3000.cfg"}
    expected = list({**files.contents, "3000.cfg": bytes(3000)}.values())
    assert [content for _name, _time, content in found] == expected


def test_a_full_disk_here_is_told_and_ends_the_waiting(files: Files) -> None:
    with open("/dev/full", "r+b", buffering=0) as file, Packing(files.source, files.entries, file) as packing:
        assert packing.written(0, WAIT) == packing.size
        assert isinstance(packing.trouble, OSError)


def test_it_ends_when_it_is_not_wanted_any_more(files: Files) -> None:
    with tempfile.TemporaryFile() as file, Packing(files.source, files.entries, file):
        pass  # leaving waits for the thread
