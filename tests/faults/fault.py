# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a fault is, and the surroundings in which it strikes."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import ClassVar, Literal

from .lane import Lane
from .run import Run
from .uploads import Job, Uploader

PATIENCE = 5.0  # seconds to wait for the process that is to be killed
RUN_LIMIT = 180.0  # seconds


@dataclass
class Scene:
    """The surroundings in which a fault strikes."""

    lane: Lane
    uploader: Uploader
    numbers: random.Random
    job: Job
    run: Run | None = None

    @property
    def at_work(self) -> bool:
        """Whether the run has started and not ended."""
        return self.run is not None and self.run.running


class Fault:
    """One kind of fault. Each round makes a new object.

    :cvar name: for the table and ``--only``.
    :cvar about: a one-line description.
    :cvar runner: how the sync has to be run, if the fault needs a particular way: the module alone, a playbook, or a
        playbook that ansible-runner starts.
    :cvar at_once: whether to call :meth:`strike` as soon as the run is at work; it then waits for the right moment.
    :cvar must_be_quiet: whether nothing of the run may be left :data:`~.places.QUIET_WITHIN` seconds after it.
    :cvar resend: whether to check that bytes which arrived before the fault are not sent again.
    """

    name: ClassVar[str]
    about: ClassVar[str]
    runner: ClassVar[Literal["any", "module", "playbook", "runner"]] = "any"
    at_once: ClassVar[bool] = False
    must_be_quiet: ClassVar[bool] = False
    resend: ClassVar[bool] = True

    def prepare(self, scene: Scene) -> None:
        """Called before the run starts."""

    def strike(self, scene: Scene) -> bool:
        """Cause the fault. Returns whether a run was at work when it struck."""
        raise NotImplementedError

    def lifts_after(self, scene: Scene) -> float | None:  # noqa: ARG002
        """Seconds from the strike until the fault is lifted, run or no run; None: only once the run has ended."""
        return None

    def lift(self, scene: Scene) -> None:
        """Undo whatever a sync is not meant to repair; called once."""

    def clean_up(self, scene: Scene) -> None:
        """Called after the recovery run."""

    def problems(self, scene: Scene) -> list[str]:  # noqa: ARG002
        """Problems that neither the clients nor the witness see; called before the recovery run."""
        return []
