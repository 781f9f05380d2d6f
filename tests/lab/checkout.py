# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection of this checkout, for the machines of a laboratory, which see nothing else."""

from __future__ import annotations

import shutil
from pathlib import Path

from .fleet import CHECKOUT


def install(into: Path) -> None:
    """Copy what a run needs to a new directory; ``ansible-playbook playbooks/sync.yml`` works there as here."""
    into.mkdir()
    for name in ("plugins", "roles", "playbooks", "meta"):
        shutil.copytree(CHECKOUT / name, into / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("galaxy.yml", "ansible.cfg"):
        shutil.copy(CHECKOUT / name, into)
    own = into / ".collections" / "ansible_collections" / "netboot"
    own.mkdir(parents=True)
    (own / "syncer").symlink_to("../../..")
