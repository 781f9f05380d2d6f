# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The state of an image at a site, compared with the netboot server's tree: in tables."""

from __future__ import annotations

import pytest
from ansible_collections.netboot.syncer.plugins.module_utils.assets.inventory import Rules
from ansible_collections.netboot.syncer.plugins.module_utils.fleet.image_states import of_site

from tests.unit.plugins.module_utils.trees import Assets

IMAGE = "prod/x"
MARKER = f"{IMAGE}-kernel.json"
SQUASHFS = f"{IMAGE}.squashfs"
OTHER = "prod/y"


def whole() -> Assets:
    return Assets().kernel().image(IMAGE).image(OTHER)


@pytest.mark.parametrize(
    ("source", "site", "state"),
    [
        pytest.param(whole(), whole(), "published", id="the same"),
        pytest.param(whole(), whole().drop(MARKER), "missing", id="no marker there"),
        pytest.param(whole(), whole().image(IMAGE, text="2", mtime=1), "outdated", id="another one there"),
        pytest.param(whole().drop(MARKER), whole(), "left_over", id="its marker was removed"),
        pytest.param(
            whole().drop(MARKER), whole().drop(MARKER), "held_back", id="pruned, the squashfs is there a while"
        ),
        pytest.param(whole().drop(MARKER), whole().drop(MARKER, SQUASHFS), "held_back", id="an upload under way"),
        pytest.param(whole().drop(MARKER, SQUASHFS), whole(), "left_over", id="gone"),
        pytest.param(whole().drop(MARKER, SQUASHFS), whole().drop(MARKER), None, id="gone, the squashfs is there"),
    ],
)
def test_an_image_beside_its_source(source: Assets, site: Assets, state: str | None) -> None:
    found = of_site(source.inventory(), source.tree, site.tree, Rules(), now=0.0)
    image = found.images.get(SQUASHFS)
    assert (image.state if image else None) == state
    assert found.images[f"{OTHER}.squashfs"].state == "published"
    assert found.behind_images == (state in ("missing", "outdated"))
