# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real Debian with live-boot, made once by debootstrap and kept below ``.cache/boot``."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable

from tests.bench.debian import Debian, NoDebian, archives
from tests.lab.fleet import CHECKOUT
from tests.lab.images import build_image
from tests.lab.tree import AssetsTree

from .payload import HOOK

__all__ = ["NoDebian", "add", "make"]

PLACE = CHECKOUT / ".cache" / "boot" / "debian"
PACKAGES = (("linux-image-cloud-amd64", "initramfs-tools", "zstd", "busybox"), ("live-boot", "systemd-sysv", "udev"))
NAME = "netboot-client"
MEMORY = 1536  # MB
PATIENCE = 2400.0  # seconds; iPXE needs half a minute of it, systemd without KVM the rest
ARGUMENTS = [
    "boot=live",
    "fetch={url}",
    "netboot_fallback={server_url}",
    "netboot_sha256={sha256}",
    "console=ttyS0",
    "panic=-1",
    "no_timer_check",  # see tests.boot.lab
]


def recipe() -> str:
    """A digest of everything that determines the Debian: an old one, with another hook in it, would prove nothing."""
    return hashlib.sha256(HOOK.read_bytes() + repr(PACKAGES).encode()).hexdigest()


def made() -> bool:
    """Return whether it exists, is complete, and was made by the present recipe."""
    stamp = PLACE / "recipe"
    return stamp.exists() and stamp.read_text() == recipe()


def make(say: Callable[[str], None]) -> None:
    """Make kernel, initrd and squashfs, unless they exist and are current. Raises NoDebian if that is impossible."""
    if made():
        return
    PLACE.mkdir(parents=True, exist_ok=True)
    for left in ("recipe", "root.squashfs"):
        (PLACE / left).unlink(missing_ok=True)
    base, newer = archives()
    work = PLACE / "work"
    try:
        say("making a Debian with live-boot: this takes some minutes, once")
        debian = Debian(work, base, newer)
        root = debian.install("root", PACKAGES, say)
        # as described in docs/clients.md
        shutil.copy(HOOK, root / "lib" / "live" / "boot" / HOOK.name)
        (root / "etc" / "hostname").write_text(NAME + "\n")
        debian._chroot(root, "update-initramfs", "-u", "-k", "all")
        (version,) = [file.name.removeprefix("vmlinuz-") for file in (root / "boot").glob("vmlinuz-*")]
        shutil.copy(root / "boot" / f"vmlinuz-{version}", PLACE / "vmlinuz")
        shutil.copy(root / "boot" / f"initrd.img-{version}", PLACE / "initrd")
        (PLACE / "version").write_text(f"{version}-live")
        for directory in ("var/cache/apt/archives", "var/lib/apt/lists", "boot"):
            shutil.rmtree(root / directory)
        build_image(PLACE / "root.squashfs", root)
        (PLACE / "recipe").write_text(recipe())
    finally:
        shutil.rmtree(work, ignore_errors=True)


def add(tree: AssetsTree, name: str, *, mtime: int) -> None:
    """Put it into a tree, together with its own kernel."""
    sha256 = hashlib.sha256((PLACE / "root.squashfs").read_bytes()).hexdigest()
    version = (PLACE / "version").read_text()
    kernel = tree.root / "kernels" / version
    kernel.mkdir()
    for part in ("vmlinuz", "initrd"):
        shutil.copy(PLACE / part, kernel / part)
    image = tree.image(name)
    shutil.copy(PLACE / "root.squashfs", image.squashfs)
    image.marker.write_text(json.dumps({"version": version, "sha256": sha256}) + "\n")
    for path in (image.squashfs, image.marker):
        os.utime(path, (mtime, mtime))
