# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole images and others, told apart by real superblocks."""

from __future__ import annotations

import re
import struct
import subprocess
from pathlib import Path

import pytest
from ansible_collections.netboot.syncer.plugins.module_utils.assets.squashfs import SUPERBLOCK_SIZE, trouble
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.lab import images
from tests.lab.process import find_program
from tests.unit.plugins.module_utils.trees import squashfs


def superblock() -> bytes:
    return squashfs()[:SUPERBLOCK_SIZE]


def altered(offset: int, form: str, value: int) -> bytes:
    """The real superblock with another number in one field."""
    head = bytearray(superblock())
    struct.pack_into(form, head, offset, value)
    return bytes(head)


def test_fields_are_those_that_the_tools_show(tmp_path: Path) -> None:
    image = tmp_path / "image"
    image.write_bytes(squashfs())
    command = [find_program("unsquashfs", "squashfs-tools"), "-s", str(image)]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "SQUASHFS 4:0" in shown
    size = re.search(r"Filesystem size (\d+) bytes", shown)
    assert size is not None
    used = int(size[1])
    assert SUPERBLOCK_SIZE < used < len(squashfs())  # mksquashfs pads the last page
    assert trouble(superblock(), used) is None
    assert trouble(superblock(), used - 1) == f"the squashfs is cut short: {used - 1} of {used} bytes are there"


def test_whole_image() -> None:
    assert trouble(superblock(), len(squashfs())) is None


def test_only_the_superblock_is_needed() -> None:
    assert trouble(squashfs(), len(squashfs())) is None


@pytest.mark.parametrize(
    ("head", "reason"),
    [
        pytest.param(b"<!DOCTYPE html>".ljust(96), "the magic number is missing", id="web-page"),
        pytest.param(bytes(96), "the magic number is missing", id="zeros-as-after-a-power-cut"),
        pytest.param(b"sqsh" + bytes(92), "a squashfs of another byte order", id="big-endian"),
        pytest.param(b"hsqt" + bytes(92), "the magic number is missing", id="last-letter"),
        pytest.param(b"shsq" + bytes(92), "the magic number is missing", id="lzma-of-old-routers"),
        pytest.param(b"hsqs".ljust(95), "became shorter while it was read", id="shorter-than-a-superblock"),
        pytest.param(b"", "the magic number is missing", id="nothing-could-be-read"),
    ],
)
def test_no_superblock(head: bytes, reason: str) -> None:
    found = trouble(head, 4096)
    assert found is not None
    assert reason in found


@pytest.mark.parametrize(
    ("offset", "form", "value", "reason"),
    [
        pytest.param(28, "<H", 3, "a squashfs of version 3: only version 4 can be checked", id="version-3"),
        pytest.param(28, "<H", 5, "a squashfs of version 5: only version 4 can be checked", id="version-5"),
        pytest.param(40, "<Q", 0, "a broken squashfs: its superblock claims 0 bytes", id="nothing-used"),
        pytest.param(40, "<Q", 95, "a broken squashfs: its superblock claims 95 bytes", id="less-than-itself"),
        pytest.param(40, "<Q", 4097, "the squashfs is cut short: 4096 of 4097 bytes are there", id="one-byte-missing"),
        pytest.param(
            40, "<Q", 2**64 - 1, f"the squashfs is cut short: 4096 of {2**64 - 1} bytes are there", id="largest"
        ),
        pytest.param(
            40, "<Q", 5 * 2**30, f"the squashfs is cut short: 4096 of {5 * 2**30} bytes are there", id="5-GiB"
        ),
    ],
)
def test_other_superblock(offset: int, form: str, value: int, reason: str) -> None:
    assert trouble(altered(offset, form, value), 4096) == reason


def test_minor_version_does_not_matter() -> None:
    assert trouble(altered(30, "<H", 1), 4096) is None


def test_empty_file() -> None:
    assert trouble(b"", 0) == "the squashfs is empty: its upload has not begun, or failed"


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """An image made by mksquashfs: many blocks, with fragments, and with inode, directory and id tables."""
    directory = tmp_path_factory.mktemp("squashfs")
    images.write_rootfs(directory / "root", size=700_000)
    return images.build_image(directory / "image", directory / "root").read_bytes()


def test_real_image_is_refused_wherever_it_is_cut(real: bytes) -> None:
    used = images.bytes_used(real)
    assert len(real) - 4096 < used <= len(real)  # mksquashfs pads the last page with zeros
    taken = [size for size in range(len(real) + 1) if trouble(real[: min(size, SUPERBLOCK_SIZE)], size) is None]
    assert taken == list(range(used, len(real) + 1))


@settings(database=None, derandomize=True, deadline=None, max_examples=50)
@given(st.integers(0, 2 * 4096))
def test_whole_from_its_last_byte_on(size: int) -> None:
    assert (trouble(superblock()[:size], size) is None) == (size >= images.bytes_used(superblock()))


def is_said_well(head: bytes, size: int) -> bool:
    """Return whether the verdict is a reason in one line, or rightly accepts: the superblock's image fits the size."""
    reason = trouble(head, size)
    if reason is not None:
        return bool(reason) and reason.isprintable()
    return head[:4] == b"hsqs" and head[28:30] == b"\x04\0" and SUPERBLOCK_SIZE <= images.bytes_used(head) <= size


SIZES = st.integers(0, 2**64) | st.integers(0, 2 * 4096)


@settings(database=None, derandomize=True, deadline=None, max_examples=500)
@given(head=st.binary(max_size=2 * SUPERBLOCK_SIZE) | st.binary().map(lambda rest: b"hsqs" + rest), size=SIZES)
def test_any_bytes_are_refused_in_words_or_taken_rightly(head: bytes, size: int) -> None:
    assert is_said_well(head, size)


@settings(database=None, derandomize=True, deadline=None, max_examples=500)
@given(
    changes=st.dictionaries(st.integers(0, SUPERBLOCK_SIZE - 1), st.integers(0, 255), min_size=1, max_size=8),
    size=SIZES,
)
def test_superblock_with_other_bytes_in_it(changes: dict[int, int], size: int) -> None:
    head = bytearray(superblock())
    for offset, value in changes.items():
        head[offset] = value
    assert is_said_well(bytes(head), size)
