# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Paths, names and sizes in the fault laboratory."""

from __future__ import annotations

from tests.lab.strange_disk import Quirks

MIB = 1024 * 1024
SITE_DISK = 192 * MIB  # the module keeps 64 MiB of it free
SERVER, CONTROLLER = "server", "controller"
DEST = "/srv/netboot/assets"
WORK_AREA = ".netboot-sync"
STREAM = "came to $place"  # in the script that receives one, and so in the command line of each process involved
CODE = "/srv/netboot/code"  # the collection, as it was when the laboratory was started
MODULE = "ansible_collections.netboot.syncer.plugins.modules.sync_assets"
SET_ASIDE = "ansible_collections.netboot.syncer.plugins.modules.withdraw_assets"
EXCLUDE = ["local/**"]
# files of the caching server itself: next to the tree, and at places inside the tree that no run may touch
CANARIES = ("canary", "assets.old/canary", "assets-2/prod/canary.squashfs", "assets/local/canary", "assets/.canary")
STRANGE = Quirks(folds=True, time_step=2)  # the file system of the last lane
QUIET_WITHIN = 10.0  # seconds after a kill, by which nothing of the run may be left anywhere
