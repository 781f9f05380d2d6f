# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An image is withdrawn by name while it is being sent: from then on no client may see it."""

from __future__ import annotations

from .fault import RUN_LIMIT, Fault, Scene
from .run import Ended


class WithdrawByName(Fault):
    """What ``withdraw.yml`` does, for the image that the run is sending; it does not wait for the run."""

    name = "withdrawn"
    about = "the image is withdrawn by name in the middle of its transfer"
    resend = False

    def __init__(self) -> None:
        self._marker = ""
        self._ended: Ended | None = None

    def strike(self, scene: Scene) -> bool:
        lane, image = scene.lane, scene.job.image
        if not scene.at_work or not image.marker.exists():
            return False
        self._marker = str(image.marker.relative_to(lane.tree.root))
        with lane.withdraw("withdraw", f"{image.name}*") as run:
            at_work = scene.at_work
            self._ended = run.wait(RUN_LIMIT)
        lane.ledger.snapshot()
        # from now on it is a violation if a client or the kernel's report shows anything of it
        lane.withdrawn.add(self._marker)
        return at_work

    def problems(self, scene: Scene) -> list[str]:
        if self._ended is None:
            return []
        found = [] if self._ended.good else [f"to withdraw it: {self._ended.words}"]
        if (scene.lane.assets / self._marker).exists():
            found.append(f"{self._marker} is visible after it was withdrawn and the run has ended")
        return found

    def clean_up(self, scene: Scene) -> None:
        """Undo the withdrawal: the image is then like any other."""
        lane = scene.lane
        if not self._marker:
            return
        lane.withdrawn.discard(self._marker)
        marker = lane.tree.root / self._marker
        for record in marker.parent.glob(f".{marker.name}.withdrawn*"):
            record.rename(marker)
        lane.ledger.snapshot()
