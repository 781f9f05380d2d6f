# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults of Ansible's own processes: a worker is killed, or a runner cancels the job."""

from __future__ import annotations

import os

from .fault import Fault, Scene
from .machine_faults import kill_one


class KillWorker(Fault):
    """The OOM killer kills the worker that waits for the module; the play must go on without this host, and end."""

    name = "kill-worker"
    about = "SIGKILL of one worker of ansible-playbook"
    runner = "playbook"
    must_be_quiet = True

    def strike(self, scene: Scene) -> bool:
        return kill_one(scene, lambda: _workers(scene))


def _workers(scene: Scene) -> list[int]:
    """The processes that ansible-playbook itself forked."""
    if scene.run is None:
        return []
    main = scene.run.process.pid
    found = scene.lane.processes(scene.lane.lab.controller, "ansible-playbook", "-i")
    return [pid for pid in found if _parent(pid) == main]


def _parent(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stat:
            return int(stat.read().rpartition(")")[2].split()[1])
    except OSError:
        return 0


class CancelByRunner(Fault):
    """What AWX's ansible-runner does without a container: SIGKILL to the process group of ansible-playbook.

    Its workers have process groups of their own.
    """

    name = "runner-cancel"
    about = "ansible-runner cancels the job, without a container"
    runner = "runner"
    must_be_quiet = True

    def strike(self, scene: Scene) -> bool:
        if scene.run is None or not scene.at_work:
            return False
        scene.lane.cancel_runner()
        os.sched_yield()
        return scene.at_work
