# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Paths on the hosts of the benchmark, and how many hosts there may be."""

from __future__ import annotations

MIB = 1024 * 1024
SERVER = "server"
DEST = "/srv/netboot/assets"
CODE = "/srv/netboot/code"  # the checkout's collection, as it was when the bench was started
KEY, KNOWN_HOSTS = "/srv/netboot/ssh/id_ed25519", "/srv/netboot/ssh/known_hosts"
MOST_SITES = 250
