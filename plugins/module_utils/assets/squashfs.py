# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The superblock of a squashfs image, version 4.

Layout: Documentation/filesystems/squashfs.rst and ``fs/squashfs/squashfs_fs.h`` of the Linux kernel. All fields are
little endian; ``s_magic`` is at byte 0, ``s_major`` at byte 28 and ``bytes_used`` at byte 40.
"""

from __future__ import annotations

import struct

SUPERBLOCK_SIZE = 96
MAGIC = b"hsqs"
MAGICS = (MAGIC, b"sqsh")  # the second is of old versions, written on a big-endian machine


def begins(head: bytes) -> bool:
    """Return whether a file that begins like this is a squashfs image, whole or not."""
    return head[:4] in MAGICS


def trouble(superblock: bytes, size: int) -> str | None:
    """Return why a file of ``size`` bytes that begins with ``superblock`` is not a complete squashfs image, or None."""
    if size == 0:
        return "the squashfs is empty: its upload has not begun, or failed"
    if size < SUPERBLOCK_SIZE:
        return f"the squashfs is cut short: {size} bytes are less than a superblock"
    if not begins(superblock):
        return "not a squashfs image: the magic number is missing"
    if superblock[:4] != MAGIC:
        return "a squashfs of another byte order: only version 4 can be checked"
    if len(superblock) < SUPERBLOCK_SIZE:
        return "the squashfs became shorter while it was read"
    (major,) = struct.unpack_from("<H", superblock, 28)
    if major != 4:
        return f"a squashfs of version {major}: only version 4 can be checked"
    (bytes_used,) = struct.unpack_from("<Q", superblock, 40)
    if bytes_used < SUPERBLOCK_SIZE:
        return f"a broken squashfs: its superblock claims {bytes_used} bytes"
    if size < bytes_used:
        return f"the squashfs is cut short: {size} of {bytes_used} bytes are there"
    return None
