# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A discrete-event simulation: processes that work, wait and queue, and resources that they share equally. Pure.

A process is a generator that yields what it does next. A shared resource, such as a processor or a line, gives all its
users the same, and what one cannot use to the others (max-min fair), roughly as the kernel's scheduler and TCP do. A
library such as simpy has queues and clocks, but no resource that is shared like this; the rest is a heap.
"""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from collections.abc import Generator
from dataclasses import dataclass

_NEARLY = 1e-9


@dataclass(frozen=True)
class Use:
    """Use an amount of a shared resource, such as seconds of a processor or bytes of a line, at a limited rate."""

    of: Shared
    amount: float
    at_most: float


@dataclass(frozen=True)
class Wait:
    """Do nothing for so many seconds."""

    seconds: float


@dataclass(frozen=True)
class Enter:
    """Queue for a place, which is kept until the process ends."""

    places: Places


@dataclass(frozen=True)
class Until:
    """Do nothing until a gate is open."""

    gate: Gate


Process = Generator[Use | Wait | Enter | Until, None, None]


class Shared:
    """A resource of which all users together can use *capacity* per second; *used* is the total so far."""

    def __init__(self, capacity: float) -> None:
        self.capacity = capacity
        self.used = 0.0
        self._groups: dict[float, _Group] = {}  # of users with the same maximum rate, which therefore get the same
        self._at = 0.0
        self.version = 0  # of the prediction of the next end

    def add(self, process: Process, use: Use, now: float, number: int) -> None:
        """Let a process begin to use it."""
        self._advance(now)
        group = self._groups.setdefault(use.at_most, _Group(use.at_most))
        heapq.heappush(group.users, (group.given + use.amount, number, process))
        self._share()

    def ended(self, now: float) -> list[Process]:
        """Return the processes that have received all that they wanted by now."""
        self._advance(now)
        found = []
        for group in self._groups.values():
            while group.users and group.users[0][0] <= group.given + _NEARLY * max(group.given, 1.0):
                found.append(heapq.heappop(group.users)[2])
        if found:
            self._share()
        return found

    def next_end(self) -> float | None:
        """Return when the next of its users will have received all that it wanted."""
        ends = [(group.users[0][0] - group.given) / group.rate for group in self._groups.values() if group.users]
        return self._at + max(min(ends), 0.0) if ends else None

    def _advance(self, now: float) -> None:
        for group in self._groups.values():
            group.given += group.rate * (now - self._at)
            self.used += group.rate * (now - self._at) * len(group.users)
        self._at = now

    def _share(self) -> None:
        """Compute the rate of each user; those with the lowest maximum are served first."""
        left, users = self.capacity, sum(len(group.users) for group in self._groups.values())
        for group in sorted(self._groups.values(), key=lambda one: one.at_most):
            group.rate = min(group.at_most, left / users) if users else 0.0
            left -= group.rate * len(group.users)
            users -= len(group.users)
        self.version += 1


class _Group:
    def __init__(self, at_most: float) -> None:
        self.at_most = at_most
        self.rate = 0.0
        self.given = 0.0  # what each user would have received, had it been here from the beginning
        self.users: list[tuple[float, int, Process]] = []


class Places:
    """A number of places; a process that finds all of them taken waits for its turn."""

    def __init__(self, count: int) -> None:
        self.free = count
        self.waiting: deque[Process] = deque()


class Gate:
    """Something that has happened or not; processes that wait for it continue as soon as it has."""

    def __init__(self) -> None:
        self.open = False
        self.waiting: list[Process] = []


class Simulation:
    """Runs processes until the last has ended; *now* is in seconds."""

    def __init__(self) -> None:
        self.now = 0.0
        self._events: list[tuple[float, int, Process | Shared, int]] = []
        self._numbers = itertools.count()
        self._held: dict[int, list[Places]] = {}

    def start(self, process: Process) -> None:
        """Let a process begin."""
        self._events_push(self.now, process)

    def open(self, gate: Gate) -> None:
        """Let all processes through, those that wait now and those that come later."""
        gate.open = True
        for process in gate.waiting:
            self._events_push(self.now, process)
        gate.waiting.clear()

    def run(self) -> None:
        """Let time pass until no events are left."""
        while self._events:
            self.now, _number, what, version = heapq.heappop(self._events)
            if not isinstance(what, Shared):
                self._go_on(what)
            elif version == what.version:
                for process in what.ended(self.now):
                    self._go_on(process)
                self._expect(what)

    def _go_on(self, process: Process) -> None:
        try:
            wanted = next(process)
        except StopIteration:
            for places in self._held.pop(id(process), ()):
                if places.waiting:
                    self._admit(places.waiting.popleft(), places)
                else:
                    places.free += 1
            return
        if isinstance(wanted, Wait):
            self._events_push(self.now + wanted.seconds, process)
        elif isinstance(wanted, Use):
            wanted.of.add(process, wanted, self.now, next(self._numbers))
            self._expect(wanted.of)
        elif isinstance(wanted, Until):
            if wanted.gate.open:
                self._events_push(self.now, process)
            else:
                wanted.gate.waiting.append(process)
        elif wanted.places.free:
            wanted.places.free -= 1
            self._admit(process, wanted.places)
        else:
            wanted.places.waiting.append(process)

    def _admit(self, process: Process, places: Places) -> None:
        self._held.setdefault(id(process), []).append(places)
        self._events_push(self.now, process)

    def _expect(self, shared: Shared) -> None:
        end = shared.next_end()
        if end is not None:
            heapq.heappush(self._events, (end, next(self._numbers), shared, shared.version))

    def _events_push(self, when: float, process: Process) -> None:
        heapq.heappush(self._events, (when, next(self._numbers), process, 0))
