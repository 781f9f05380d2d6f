# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A tree with one image that is ready, for tests to change one thing at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from ansible_collections.netboot.syncer.plugins.module_utils.assets.inventory import (
    Image,
    Rules,
)
from ansible_collections.netboot.syncer.plugins.module_utils.assets.patterns import Selection

from tests.lab.images import bytes_used
from tests.unit.plugins.module_utils.trees import KERNEL, Assets, squashfs

NO_MARKER = "no marker yet: the upload is not finished, or the image needs none and unmarked_images does not say so"
VMLINUZ = f"kernels/{KERNEL}/vmlinuz"
INITRD = f"kernels/{KERNEL}/initrd"
MARKER = "prod/a-kernel.json"
IMAGE = "prod/a.squashfs"

Change = Callable[[Assets], Assets]


def sha256() -> str:
    return hashlib.sha256(squashfs()).hexdigest()


def used() -> int:
    """Return how many bytes of the image count; the rest is the padding of its last page."""
    return bytes_used(squashfs())


def usual() -> Assets:
    """An image with its kernel, ready."""
    return Assets().kernel().image("prod/a")


def image_of(assets: Assets, rules: Rules | None = None, path: str = IMAGE) -> Image:
    (found,) = [image for image in assets.inventory(rules).images if image.path == path]
    return found


def choosing(*, include: tuple[str, ...] = (), exclude: tuple[str, ...] = ()) -> Rules:
    return Rules(selection=Selection(include=include, exclude=exclude))
