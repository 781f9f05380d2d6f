# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures the input of the simulation, and real runs of 50 sites that it is compared with. Needs root."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.bench.bench import BASE_NAME
from tests.bench.cost import TICKS, Cost
from tests.bench.lab import BenchLab, Site, Visible
from tests.bench.memory import random_image
from tests.bench.peers import Collection, Module
from tests.bench.places import MIB
from tests.lab.process import LabError

from .fleet import Costs, lines

FEW, MORE, MANY = 10, 25, 50
HELD = 4e6  # bit/s, for FEW sites together: sending LARGER then takes about half a minute
SMALL, LARGER, LARGE = 1 * MIB, 2 * MIB, 129 * MIB
LIMIT = 900.0  # seconds, for one run


@dataclass(frozen=True)
class Case:
    """A run of MANY sites, both real and simulated: bytes of the image, rates of the lines, and of the uplink."""

    name: str
    size: int
    shares: tuple[tuple[float, float], ...]
    uplink: float | None


FAST = 1e10  # bit/s: faster than any line of the lab; means no limit
CASES = (
    Case("lines without a limit", 4 * MIB, ((FAST, 1.0),), None),
    Case("mixed lines, 40 Mbit/s for all", 8 * MIB, ((2e6, 0.2), (10e6, 0.5), (50e6, 0.3)), 40e6),
)


@dataclass(frozen=True)
class Seen:
    """A run: its cost, the CPU seconds of Ansible's own process, and when each site had the image."""

    cost: Cost
    ansible: float
    at: list[float]


class _Ansible:
    """Samples the CPU time of the ansible-playbook process below another process, until :meth:`stop`."""

    def __init__(self, root: int) -> None:
        self.seconds = 0.0
        self._root = root
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="ansible", daemon=True)
        self._thread.start()

    def stop(self) -> float:
        self._over.set()
        self._thread.join()
        return self.seconds

    def _watch(self) -> None:
        pid = 0
        while not self._over.wait(0.1):
            with contextlib.suppress(OSError, IndexError):
                pid = pid or self._first(self._root)
                if pid:
                    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2]
                    self.seconds = sum(int(one) for one in fields.split()[11:13]) / TICKS  # its own, not its children's

    def _first(self, pid: int) -> int:
        """The topmost ansible-playbook process, from *pid* downwards; 0 if there is none."""
        if b"ansible-playbook" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0-i\0")[0]:
            children = self._children(pid)
            below = [one for one in children if b"ansible-playbook" in Path(f"/proc/{one}/cmdline").read_bytes()]
            # The arguments of the supervisor name ansible-playbook as well; the process below it is the right one.
            if b"supervise" not in Path(f"/proc/{pid}/cmdline").read_bytes():
                return pid
            return self._first(below[0]) if below else 0
        found = [self._first(one) for one in self._children(pid)]
        return next((one for one in found if one), 0)

    @staticmethod
    def _children(pid: int) -> list[int]:
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]


def run(lab: BenchLab, sites: Sequence[Site], size: int, *, uplink: float | None = None, memory: bool = False) -> Seen:
    """Bring one new image to sites that have nothing."""
    tree = lab.tree(f"simulation-{size}")
    image = random_image(tree, BASE_NAME, size)
    marker = image.marker.relative_to(tree.root)
    options: dict[str, Any] = {"survey_from": 1}
    if uplink is not None:
        options["uplink_limit"] = f"{uplink / 1e6:.0f}Mbit"
    with (
        Visible([site.assets / marker for site in sites]) as visible,
        Collection().start(lab, tree, sites, **options) as running,
    ):
        watch = _Ansible(running.pid)
        cost = running.wait(LIMIT, memory=memory)
        ansible = watch.stop()
    if cost.status != 0 or len(visible.at) != len(sites):
        raise LabError(f"the run for {len(sites)} sites failed: {' | '.join(cost.output.splitlines()[-8:])}")
    return Seen(cost, ansible, sorted(at - running.started for at in visible.at.values()))


def measure(lab: BenchLab, say: Callable[[str], None]) -> dict[str, Any]:
    """Return the costs, and the real runs."""
    say("  one site")
    (alone,) = sites = lab.use(1)
    one = run(lab, sites, SMALL)
    lab.use(1)
    tree = lab.tree("module")
    random_image(tree, BASE_NAME, SMALL)
    module = Module().run(lab, tree, [alone], timeout=LIMIT)
    say(f"  {FEW} sites, three times")
    few = run(lab, lab.use(FEW), SMALL)
    large = run(lab, lab.use(FEW), LARGE)
    held = run(lab, lab.use(FEW), LARGER, uplink=HELD)
    say(f"  {MORE} sites")
    more_sites = run(lab, lab.use(MORE), SMALL)
    say("  once more, for the memory")
    first = run(lab, lab.use(1), SMALL, memory=True).cost.memory
    more = run(lab, lab.use(FEW), SMALL, memory=True).cost.memory
    costs = costs_of(one, few, more_sites, large, held, module, first, more)
    real = []
    for case in CASES:
        say(f"  {MANY} sites: {case.name}")
        sites = lab.use(MANY)
        for site, rate in zip(sites, rates(case), strict=True):
            site.line.set_rate(None if rate == FAST else int(rate))
        seen = run(lab, sites, case.size, uplink=case.uplink)
        real.append(
            {
                "name": case.name,
                "seconds": [round(at, 2) for at in seen.at],
                "near_cpu": round(seen.cost.near_cpu, 2),
                "far_cpu": round(seen.cost.far_cpu, 2),
                "line_bytes": seen.cost.line_bytes,
            }
        )
    return {"costs": asdict(costs), "cores": os.cpu_count(), "real": real}


def rates(case: Case) -> list[float]:
    """The rates of the lines of a case, in the order of the sites."""
    return lines(MANY, case.shares)


def costs_of(
    one: Seen,
    few: Seen,
    many: Seen,
    large: Seen,
    held: Seen,
    module: Cost,
    first: Mapping[str, int],
    more: Mapping[str, int],
) -> Costs:
    """Compute what each further site costs, and each further byte; the rest of a run for one site is its start.

    The cost of a further site is the difference between MORE and FEW sites: all processors are busy with either. A
    single site has them to itself, and takes less CPU time for the same work.
    """
    others, size = MORE - FEW, (LARGE - SMALL) * FEW
    dispatch = (many.ansible - few.ansible) / others
    near_byte = (large.cost.near_cpu - few.cost.near_cpu) / size
    far_byte = (large.cost.far_cpu - few.cost.far_cpu) / size
    near = (many.cost.near_cpu - few.cost.near_cpu) / others - dispatch - near_byte * SMALL
    far = (many.cost.far_cpu - few.cost.far_cpu) / others - far_byte * SMALL
    answers = max(module.seconds - module.near_cpu - module.far_cpu, 0.0)
    found = Costs(
        begin=one.at[0] - near - far - dispatch - answers - (near_byte + far_byte) * SMALL,
        dispatch=dispatch,
        near=near,
        far=far,
        near_byte=near_byte,
        far_byte=far_byte,
        held=(held.cost.near_cpu + held.cost.far_cpu - few.cost.near_cpu - few.cost.far_cpu)
        / (FEW * (held.at[-1] - few.at[-1])),
        answers=answers,
        overhead=(large.cost.line_bytes - few.cost.line_bytes) / size,
        controller_memory=(more["controller"] - first["controller"]) / (FEW - 1),
        source_memory=(more["server"] - first["server"]) / (FEW - 1),
    )
    wrong = [name for name, value in asdict(found).items() if value < 0]
    if wrong:
        raise LabError(
            f"{', '.join(wrong)} came out below nothing: the machine does too much else. Try when it is quiet."
        )
    return found
