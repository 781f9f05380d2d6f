# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ledger of what the netboot server has held, which decides what a client may see."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.lab.ledger import Ledger, fingerprint
from tests.lab.strange_disk import folded
from tests.lab.tree import KERNEL, AssetsTree

NAME = "prod/21-04-09-gnome-master-f1d734e"
CLOSURE = [f"{NAME}.squashfs", f"kernels/{KERNEL}/vmlinuz", f"kernels/{KERNEL}/initrd"]


@pytest.mark.parametrize(("name", "same"), [(folded, True), (str, False)])
def test_another_spelling_is_the_same_image_where_names_are_folded(
    tmp_path: Path, name: Callable[[str], str], *, same: bool
) -> None:
    """A caching server that folds names still answers to the old spelling, with all that the new one promises."""
    tree = AssetsTree(tmp_path)
    tree.add_kernel()
    tree.add_image(NAME)
    ledger = Ledger(tree.root, name=name)
    ledger.snapshot()
    old, new = tree.image(NAME), tree.image(NAME.swapcase())
    new.squashfs.parent.mkdir(parents=True)
    old.squashfs.rename(new.squashfs)
    old.marker.rename(new.marker)
    kernel = tree.root / CLOSURE[1]
    kernel.write_bytes(kernel.read_bytes()[::-1])
    ledger.snapshot()
    digests = [fingerprint(path) for path in (new.squashfs, kernel, tree.root / CLOSURE[2])]
    parts = dict(zip(CLOSURE, map(str, digests), strict=True))
    marker = str(old.marker.relative_to(tree.root))
    assert ledger.promised(marker, str(fingerprint(new.marker)), parts) is same
    assert ledger.promised(str(new.marker.relative_to(tree.root)), str(fingerprint(new.marker)), parts) is same
