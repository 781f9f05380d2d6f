# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How rsync is started."""

from __future__ import annotations

import pytest
from ansible_collections.netboot.syncer.plugins.module_utils.transports.rsync import MOST_BLOCKS, block_size

GIB = 2**30


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        pytest.param(1, 8192, id="tiny"),
        pytest.param(300_000_000, 8192, id="an image"),
        pytest.param(GIB, 8192, id="the largest with small blocks"),
        pytest.param(GIB + 1, 16384, id="larger than that"),
        pytest.param(4 * GIB, 32768, id="4 GiB"),
        pytest.param(64 * GIB, 131072, id="no larger than rsync takes"),
    ],
)
def test_blocks_grow_with_large_files(size: int, expected: int) -> None:
    assert block_size(size) == expected
    assert min(size, 16 * GIB) <= block_size(size) * MOST_BLOCKS
