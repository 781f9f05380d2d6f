# Copyright: (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What happens to the machines, step by step, and what must be so after each."""

from __future__ import annotations

from pathlib import Path

from .fleet import Fleet
from .packages import Base

NEWEST = "prod/21-04-10-gnome-master-9c41d0b"


class Story:
    def __init__(self, base: Base, directory: Path, *, short: bool) -> None:
        self.fleet = Fleet(base, directory, {"cache-berlin": 0, "cache-hamburg": 0})

    def tell(self) -> None:
        fleet = self.fleet
        fleet.up()
        fleet.tree.add_kernel()
        fleet.tree.add_image(NEWEST)
        for args in (["--check", "--diff"], [], []):
            run = fleet.play("onboard.yml", *args)
            print(run.output, run.seconds)

    def end(self) -> None:
        self.fleet.down()
