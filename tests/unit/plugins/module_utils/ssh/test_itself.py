# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When two directories are the same one, judged by what the kernels at both ends report."""

from __future__ import annotations

import pytest
from ansible_collections.netboot.syncer.plugins.module_utils.ssh import itself

HERE = itself.Place("boot-a", ("7:100", "7:3", "7:2", "7:2"))


@pytest.mark.parametrize(
    ("there", "what"),
    [
        pytest.param(itself.Place("boot-a", ("7:100", "9:1")), itself.SAME, id="same"),
        pytest.param(itself.Place("boot-b", ("7:100", "7:3", "7:2")), "", id="equal-inodes-elsewhere"),
        pytest.param(itself.Place("boot-a", ("8:100", "8:3", "8:2")), "", id="another-container-of-this-kernel"),
        pytest.param(itself.Place("boot-a", ("7:101", "7:3", "7:2")), "", id="beside-it"),
        pytest.param(
            itself.Place("boot-a", ("7:5", "7:100")), "lies within the tree that is to be copied", id="within"
        ),
        pytest.param(itself.Place("boot-a", ("-", "7:100")), "lies within the tree that is to be copied", id="to-be"),
        pytest.param(itself.Place("boot-a", ("7:2", "7:2")), "holds the tree that is to be copied", id="around"),
        pytest.param(itself.Place("boot-a", ()), "", id="no-stat"),
        pytest.param(itself.Place("", ("7:100",)), "", id="no-boot-id"),
    ],
)
def test_relation(there: itself.Place, what: str) -> None:
    assert itself.relation(HERE, there) == what
