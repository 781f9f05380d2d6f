# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which plain files are known to be missing before everything is listed."""

from __future__ import annotations

import pytest
from ansible_collections.netboot.syncer.plugins.module_utils.assets.entries import DIRECTORY, FILE, Entry
from ansible_collections.netboot.syncer.plugins.module_utils.run.foreseen import foreseen

ROOT = {"boot": DIRECTORY, "Menu.cfg": FILE}
NEXT = {**ROOT, "boot/grub": DIRECTORY, "boot/one.cfg": FILE}
LAST = {**NEXT, "boot/grub/x.cfg": FILE}


@pytest.mark.parametrize(
    ("there", "levels", "path", "certain"),
    [
        pytest.param({}, 1, "menu.cfg", True, id="nothing-there"),
        pytest.param({}, 1, "boot/grub/x.cfg", True, id="nothing-there-deep"),
        pytest.param(ROOT, 1, "other.cfg", True, id="missing"),
        pytest.param(ROOT, 1, "other/one.cfg", True, id="directory-missing"),
        pytest.param(ROOT, 1, "boot/two.cfg", False, id="not-listed-yet"),
        pytest.param(NEXT, 2, "boot/two.cfg", True, id="listed-and-missing"),
        pytest.param(NEXT, 2, "boot/one.cfg", False, id="there"),
        pytest.param(NEXT, 2, "boot/grub/y.cfg", False, id="deeper-not-listed-yet"),
        pytest.param(LAST, 3, "boot/grub/y.cfg", True, id="deeper-and-missing"),
        pytest.param(LAST, 3, "boot/grub/x.cfg", False, id="deeper-and-there"),
        pytest.param(ROOT, 1, "menu.cfg", False, id="other-spelling"),
        pytest.param(NEXT, 2, "BOOT/One.cfg", False, id="other-spelling-below"),
    ],
)
def test_only_what_is_certain(there: dict[str, str], levels: int, path: str, certain: bool) -> None:
    so_far = {name: Entry(name, kind) for name, kind in there.items()}
    wanted = Entry(path, FILE, 3)
    assert foreseen([wanted], so_far, levels) == ([wanted] if certain else [])
