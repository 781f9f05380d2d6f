# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a fault is, and what it finds when it strikes."""

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
    """What a fault finds when it strikes."""

    lane: Lane
    uploader: Uploader
    numbers: random.Random
    job: Job
    run: Run | None = None

    @property
    def at_work(self) -> bool:
        """Whether the run still goes on."""
        return self.run is not None and self.run.running


class Fault:
    """One kind of fault. A new object for each round.

    :cvar name: for the table and ``--only``.
    :cvar about: what it is, in a line.
    :cvar runner: what the run must be, where the fault is about just that: the module by itself, a playbook, or a
        playbook that ansible-runner starts.
    :cvar at_once: whether to strike as soon as the run is at work, and wait for the right moment then.
    :cvar must_be_quiet: whether nothing of the run may be left :data:`~.lab.QUIET_WITHIN` seconds after it.
    :cvar resend: whether the bytes that arrived before count: what arrived must not be sent again.
    """

    name: ClassVar[str]
    about: ClassVar[str]
    runner: ClassVar[Literal["any", "module", "playbook", "runner"]] = "any"
    at_once: ClassVar[bool] = False
    must_be_quiet: ClassVar[bool] = False
    resend: ClassVar[bool] = True

    def prepare(self, scene: Scene) -> None:
        """Before the run starts."""

    def strike(self, scene: Scene) -> bool:
        """Do it; returns whether it met a run at work."""
        raise NotImplementedError

    def lifts_after(self, scene: Scene) -> float | None:  # noqa: ARG002
        """Seconds after the strike to lift it, run or no run; None: when the run has ended."""
        return None

    def lift(self, scene: Scene) -> None:
        """Put right what is not the business of a sync; called once."""

    def clean_up(self, scene: Scene) -> None:
        """After the recovery run."""

    def problems(self, scene: Scene) -> list[str]:  # noqa: ARG002
        """What is wrong, besides what clients and the witness see; asked before the recovery run."""
        return []
