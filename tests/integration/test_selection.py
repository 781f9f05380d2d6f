# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which part of the tree a caching server gets."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lab.fleet import Fleet, SiteSpec
from tests.lab.runs import IMAGE, SITE, is_delivered, sync
from tests.lab.tree import CACHING_SERVER_IMAGE


def visible(fleet: Fleet, site: str = SITE) -> set[str]:
    """Return the squashfs files at a site, by their names without suffix."""
    assets = fleet.sites[site].assets
    return {str(path.relative_to(assets).with_suffix("")) for path in assets.rglob("*.squashfs")}


def test_dev_goes_to_one_of_two_sites(tmp_path: Path) -> None:
    with Fleet(tmp_path, [SiteSpec("with-dev"), SiteSpec("without-dev")]) as fleet:
        fleet.tree.add_kernel()
        kernel = fleet.tree.add_kernel("6.1.0-dev", latest=False)
        fleet.tree.add_image(IMAGE)
        dev = fleet.tree.add_image("dev/nightly", kernel=kernel.name)
        sync(fleet, "with-dev")
        sync(fleet, "without-dev", exclude=["dev/**", "kernels/6.1.0-dev"])
        assert visible(fleet, "with-dev") == {IMAGE, "dev/nightly"}
        assert visible(fleet, "without-dev") == {IMAGE}
        assert is_delivered(fleet, dev, "with-dev")
        assert not (fleet.sites["without-dev"].assets / "dev").exists()
        assert not (fleet.sites["without-dev"].assets / "kernels" / kernel.name).exists()


@pytest.mark.parametrize(
    ("include", "exclude", "found"),
    [
        pytest.param(["prod/**"], [], {IMAGE, "prod/kde"}, id="include"),
        pytest.param(["prod/**"], ["*kde*"], {IMAGE}, id="include-and-exclude"),
        pytest.param(["dev"], [], {"dev/nightly"}, id="directory"),
        pytest.param([], ["*.squashfs"], set(), id="no-squashfs-at-all"),
    ],
)
def test_patterns(fleet: Fleet, include: list[str], exclude: list[str], found: set[str]) -> None:
    fleet.tree.add_image("prod/kde")
    fleet.tree.add_image("dev/nightly")
    run = sync(fleet, include=include, exclude=exclude)
    assert visible(fleet) == found
    assert set(run.images) == {f"{name}.squashfs" for name in found}
    # an image brings its kernel along, chosen or not
    assert (fleet.sites[SITE].assets / "kernels").exists() is bool(found) or not include
    assert not any(path.suffix == ".json" for path in fleet.sites[SITE].assets.glob("*/*.json")) or found or not include


def test_image_whose_kernel_is_excluded_is_held_back(fleet: Fleet) -> None:
    run = sync(fleet, exclude=["kernels/**"])
    assert run.images[f"{IMAGE}.squashfs"].state == "held_back"
    assert "which the exclude patterns leave out" in run.images[f"{IMAGE}.squashfs"].reason
    assert visible(fleet) == set()


def test_unmarked_image(fleet: Fleet) -> None:
    """One image is meant to have no marker; another one is still being uploaded."""
    image = fleet.tree.add_image(CACHING_SERVER_IMAGE, marker=False)
    uploading = fleet.tree.add_image("prod/uploading", marker=False)
    run = sync(fleet, unmarked_images=("caching-server/*.squashfs",))
    assert run.images[image.path].state == "published"
    assert run.images[uploading.path].state == "held_back"
    assert visible(fleet) == {IMAGE, CACHING_SERVER_IMAGE}


def test_hidden_files_are_never_sent(fleet: Fleet) -> None:
    for path in (".hidden", "prod/.upload.squashfs", ".git/config"):
        (fleet.tree.root / path).parent.mkdir(exist_ok=True)
        (fleet.tree.root / path).write_text("hidden", encoding="utf-8")
    sync(fleet, include=["**", ".hidden", ".git/**"])
    found = [path for path in fleet.sites[SITE].assets.rglob(".*") if path.name != ".netboot-sync"]
    assert found == []
