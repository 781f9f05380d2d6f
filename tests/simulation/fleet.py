# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fleet, built from the costs of a run: which host sends an image, over which line, when a site has it. Pure."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from .events import Enter, Gate, Places, Process, Shared, Simulation, Until, Use, Wait


@dataclass(frozen=True)
class Costs:
    """The measured costs of a run; see ``measured.json``.

    :ivar begin: CPU seconds before the first site is begun, strictly sequential.
    :ivar dispatch: CPU seconds of Ansible's single process for each site, strictly sequential.
    :ivar near: CPU seconds for each site on the host that sends.
    :ivar far: CPU seconds for each site at the site.
    :ivar near_byte: CPU seconds for each byte on the host that sends; ``far_byte`` at the site.
    :ivar held: CPU seconds at both ends for each second that a transfer is held to a limit.
    :ivar answers: seconds for each site that are spent waiting for answers, without CPU.
    :ivar overhead: bytes on a line for each byte of an image.
    :ivar controller_memory: bytes for each site that is at work, where Ansible runs.
    :ivar source_memory: the same on the host that sends.
    """

    begin: float
    dispatch: float
    near: float
    far: float
    near_byte: float
    far_byte: float
    held: float
    answers: float
    overhead: float
    controller_memory: float
    source_memory: float


@dataclass(frozen=True)
class Machine:
    """A host: processors, bytes of memory, and bit/s of its uplink; *limited* if an option sets that rate."""

    cores: float
    memory: float
    uplink: float
    limited: bool = False


@dataclass
class Outcome:
    """The outcome of a simulation.

    :ivar seconds: when each site had the image, in order.
    :ivar uplink_bytes: bytes that left the netboot server.
    :ivar source_cpu: CPU seconds of the netboot server; ``controller_cpu``: of all other hosts that run Ansible.
    :ivar at_once: how many sites were at work at the same time, at most.
    """

    seconds: list[float] = field(default_factory=list)
    uplink_bytes: float = 0.0
    source_cpu: float = 0.0
    controller_cpu: float = 0.0
    at_once: int = 0


class _Source:
    """A host that sends. With *far*, the sites use its CPU as well, as when everything is on one machine."""

    def __init__(self, machine: Machine, places: int, *, far: bool = False) -> None:
        self.cpu = Shared(machine.cores)
        # Ansible's single process sleeps most of the time, so the scheduler gives it a processor at once.
        self.ansible = Shared(1.0)
        self.line = Shared(machine.uplink / 8)
        self.limited = machine.limited
        self.places = Places(places)
        self.far = self.cpu if far else None


@dataclass(frozen=True)
class _Site:
    """A site with a line of *rate* bit/s; it begins after one gate, and opens another when it has the image."""

    source: _Source
    rate: float
    after: Gate | None = None
    ready: Gate | None = None


@dataclass(frozen=True)
class _Hub:
    source: _Source
    ready: Gate  # open as soon as it has the image


def _sites_of(hubs: Sequence[_Hub], source: _Source) -> list[_Site]:
    """Return the hubs as sites of a host that sends to them; each receives at the rate of its own uplink."""
    return [_Site(source, one.source.line.capacity * 8, ready=one.ready) for one in hubs]


class Fleet:
    """Simulates runs for sites whose lines have these rates, in bit/s."""

    def __init__(self, costs: Costs, lines: Sequence[float], size: float) -> None:
        self.costs = costs
        self.lines = list(lines)
        self.size = size
        self.outcome = Outcome()
        self._busy = 0

    def flat(self, machine: Machine, *, one_machine: bool = False) -> Outcome:
        """One machine runs Ansible and sends; with *one_machine*, the sites are on it as well."""
        c = self.costs
        places = int(machine.memory / (c.controller_memory + c.source_memory))
        source = _Source(machine, places, far=one_machine)
        simulation = Simulation()
        self._run(simulation, [_Site(source, rate) for rate in self.lines], controlled=source)
        simulation.run()
        return self._done([source], source)

    def slices(self, machine: Machine, controllers: Sequence[Machine]) -> Outcome:
        """A sliced job: Ansible runs on several machines, and one netboot server sends."""
        source = _Source(machine, int(machine.memory / self.costs.source_memory))
        simulation = Simulation()
        cpus = []
        for number, controller in enumerate(controllers):
            own = _Source(controller, int(controller.memory / self.costs.controller_memory))
            cpus.append(own)
            self._run(
                simulation,
                [_Site(source, rate) for rate in self.lines[number :: len(controllers)]],
                controlled=own,
            )
        simulation.run()
        return self._done(cpus, source)

    def hubs(self, machine: Machine, hubs: Sequence[Machine]) -> Outcome:
        """One run, in which each hub feeds its share of the sites as soon as it has the image itself."""
        c = self.costs
        # Only Ansible's memory limits the places: few sites are hubs, so sending to them needs little of it.
        source = _Source(machine, int(machine.memory / c.controller_memory))
        simulation = Simulation()
        fed = self._fed(hubs)
        self._run(simulation, [*_sites_of(fed, source), *self._leaves(fed)], controlled=source)
        simulation.run()
        return self._done([source], source)

    def hubs_and_slices(self, machine: Machine, controllers: Sequence[Machine], hubs: Sequence[Machine]) -> Outcome:
        """A run for the hubs, then one for the sites, in slices that know nothing of the hubs in other slices."""
        source = _Source(machine, int(machine.memory / self.costs.source_memory))
        simulation = Simulation()
        own = [_Source(one, int(one.memory / self.costs.controller_memory)) for one in controllers]
        fed = self._fed(hubs)
        self._run(simulation, _sites_of(fed, source), controlled=own[0])
        simulation.run()
        leaves = self._leaves(fed)
        for number, one in enumerate(own):
            self._run(simulation, leaves[number :: len(own)], controlled=one)
        simulation.run()
        return self._done(own, source)

    def _fed(self, hubs: Sequence[Machine]) -> list[_Hub]:
        return [_Hub(_Source(one, int(one.memory / self.costs.source_memory)), Gate()) for one in hubs]

    def _leaves(self, hubs: Sequence[_Hub]) -> list[_Site]:
        """Return the sites that are not hubs, each fed by a hub."""
        turns = itertools.cycle(hubs)
        return [
            _Site(hub.source, rate, after=hub.ready) for rate, hub in zip(self.lines[len(hubs) :], turns, strict=False)
        ]

    def _run(self, simulation: Simulation, sites: Sequence[_Site], *, controlled: _Source) -> None:
        """Start a run of Ansible: its single process begins one site after the other."""
        c = self.costs

        def ansible() -> Process:
            yield Use(controlled.ansible, c.begin, 1.0)
            for site in sites:
                yield Use(controlled.ansible, c.dispatch, 1.0)
                simulation.start(self._site(simulation, site, controlled))

        simulation.start(ansible())

    def _site(self, simulation: Simulation, site: _Site, controlled: _Source) -> Process:
        c, source = self.costs, site.source
        yield Enter(controlled.places)
        if source is not controlled:
            yield Enter(source.places)
        self._busy += 1
        self.outcome.at_once = max(self.outcome.at_once, self._busy)
        if site.after is not None:
            yield Until(site.after)
        yield Use(source.cpu, c.near + c.near_byte * self.size, 1.0)
        if source.far is not None:
            yield Use(source.far, c.far + c.far_byte * self.size, 1.0)
        else:
            yield Wait(c.far + c.far_byte * self.size)
        yield Wait(c.answers)
        began = simulation.now
        yield Use(source.line, self.size * c.overhead, site.rate / 8)
        if source.limited:  # counted, but not simulated as load: it is so little at a time that it delays nothing
            source.cpu.used += c.held * (simulation.now - began)
        self.outcome.seconds.append(simulation.now)
        self._busy -= 1
        if site.ready is not None:
            simulation.open(site.ready)

    def _done(self, controllers: Sequence[_Source], source: _Source) -> Outcome:
        found = self.outcome
        found.seconds.sort()
        found.uplink_bytes = source.line.used
        found.source_cpu = source.cpu.used + source.ansible.used
        found.controller_cpu = sum(one.ansible.used for one in controllers if one is not source)
        return found


def lines(count: int, shares: Sequence[tuple[float, float]]) -> list[float]:
    """Return the rates of *count* sites, always the same for the same count; *shares* are rates with their shares."""
    found: list[float] = []
    for rate, share in shares:
        found += [rate] * round(count * share)
    random.Random(count).shuffle(found)
    return found[:count] + [shares[-1][0]] * (count - len(found))
