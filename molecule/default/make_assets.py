# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the assets tree of the scenario's netboot server in the directory that the command line names."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.lab import images
from tests.lab.tree import CACHING_SERVER_IMAGE, KERNEL, AssetsTree


def make(root: Path) -> None:
    """Two images that are ready, one for the development server, and some that must not be sent."""
    tree = AssetsTree(root)
    tree.add_kernel(KERNEL)
    (root / "kernels" / "latest").symlink_to(KERNEL)
    with tempfile.TemporaryDirectory(prefix="netboot-lab-") as work:
        rootfs = Path(work) / "root"
        images.write_rootfs(rootfs, size=3_000_000)
        first = tree.add_image(
            "prod/21-04-09-gnome-master-f1d734e", content=images.build_image(Path(work) / "first", rootfs)
        )
        images.upgrade_rootfs(rootfs, build=2)
        tree.add_image("prod/21-04-16-gnome-master-9c41d0b", content=images.build_image(Path(work) / "second", rootfs))
    tree.add_image("dev/21-04-10-gnome-feature-77ab012")
    # an upload whose marker has not arrived yet, and an interrupted one that got its marker anyway
    tree.add_image("prod/21-04-10-xfce-master-4d5e6f7", marker=False)
    tree.add_image("prod/21-04-10-lxde-master-8a9b0c1")
    tree.truncate_image("prod/21-04-10-lxde-master-8a9b0c1")
    # the one image that is sent without a marker
    tree.add_image(CACHING_SERVER_IMAGE, marker=False)
    # an upload may be made with any umask: what is published must be readable for the web server anyway
    first.squashfs.chmod(0o600)
    first.marker.chmod(0o640)
    (root / "kernels" / KERNEL).chmod(0o700)


if __name__ == "__main__":
    make(Path(sys.argv[1]))
