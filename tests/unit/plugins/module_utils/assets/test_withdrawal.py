# Copyright: (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which images a pattern names that is to withdraw them."""

from __future__ import annotations

import pytest
from ansible_collections.netboot.syncer.plugins.module_utils.assets.withdrawal import names_image


@pytest.mark.parametrize(
    ("pattern", "image", "marker", "named"),
    [
        pytest.param("prod/x.squashfs", "prod/x.squashfs", "prod/x-kernel.json", True, id="squashfs"),
        pytest.param("prod/x", "prod/x.squashfs", "prod/x-kernel.json", True, id="without-suffix"),
        pytest.param("prod/x-kernel.json", "prod/x.squashfs", "prod/x-kernel.json", True, id="marker"),
        pytest.param("prod/x*", "prod/x.squashfs", "prod/x-kernel.json", True, id="wildcard"),
        pytest.param("prod", "prod/x.squashfs", "prod/x-kernel.json", True, id="directory"),
        pytest.param("prod/**", "prod/x.squashfs", "prod/x-kernel.json", True, id="all-below"),
        pytest.param("prod/x", "prod/x.SQSH", "prod/x.json", True, id="suffix-in-capitals"),
        pytest.param("prod/x86_64", "prod/x86_64.img", "prod/x86_64.json", True, id="img"),
        pytest.param("prod/gnome-21", "prod/gnome-21.04", "prod/gnome-21.04.json", False, id="dot-in-a-name"),
        pytest.param("prod/gnome-21.04", "prod/gnome-21.04", "prod/gnome-21.04.json", True, id="name-with-a-dot"),
        pytest.param("prod/gnome-21", "prod/gnome-21.04.squashfs", "prod/gnome-21.04.json", False, id="part-of-a-stem"),
    ],
)
def test_named(pattern: str, image: str, marker: str, named: bool) -> None:
    assert names_image([pattern], image, [marker]) is named
