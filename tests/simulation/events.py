# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A simulation of events: processes that work, wait and queue, and what they share in equal parts. Pure.

A process is a generator that yields what it does next. What is shared, a processor or a line, gives each of its users
as much as any other, and what one cannot use to the rest (max-min fair), as the kernel's scheduler and TCP roughly
do. A library such as simpy has queues and clocks, but nothing that is shared like this; the rest is a heap.
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
    """An amount of something shared, such as seconds of a processor or bytes of a line, at so much a second at most."""

    of: Shared
    amount: float
    at_most: float


@dataclass(frozen=True)
class Wait:
    """Nothing, for so many seconds."""

    seconds: float


@dataclass(frozen=True)
class Enter:
    """A place in a queue of places, kept until the process ends."""

    places: Places


@dataclass(frozen=True)
class Until:
    """Nothing, until a gate is open."""

    gate: Gate


Process = Generator[Use | Wait | Enter | Until, None, None]


class Shared:
    """Something of which *capacity* can be used in a second by all together; *used* is what was, so far."""

    def __init__(self, capacity: float) -> None:
        self.capacity = capacity
        self.used = 0.0
        self._groups: dict[float, _Group] = {}  # of users that can use the same at most, and so get the same
        self._at = 0.0
        self.version = 0  # of what is known of the next end

    def add(self, process: Process, use: Use, now: float, number: int) -> None:
        """Let a process use some of it from now on."""
        self._advance(now)
        group = self._groups.setdefault(use.at_most, _Group(use.at_most))
        heapq.heappush(group.users, (group.given + use.amount, number, process))
        self._share()

    def ended(self, now: float) -> list[Process]:
        """Return the processes that have had what they wanted by now."""
        self._advance(now)
        found = []
        for group in self._groups.values():
            while group.users and group.users[0][0] <= group.given + _NEARLY * max(group.given, 1.0):
                found.append(heapq.heappop(group.users)[2])
        if found:
            self._share()
        return found

    def next_end(self) -> float | None:
        """Return when the next of its users has had what it wanted."""
        ends = [(group.users[0][0] - group.given) / group.rate for group in self._groups.values() if group.users]
        return self._at + max(min(ends), 0.0) if ends else None

    def _advance(self, now: float) -> None:
        for group in self._groups.values():
            group.given += group.rate * (now - self._at)
            self.used += group.rate * (now - self._at) * len(group.users)
        self._at = now

    def _share(self) -> None:
        """Work out what each gets; those that can use the least have all that they can use first."""
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
        self.given = 0.0  # what each of them would have had, had it been here from the beginning
        self.users: list[tuple[float, int, Process]] = []


class Places:
    """So many places; who comes when all are taken waits in turn."""

    def __init__(self, count: int) -> None:
        self.free = count
        self.waiting: deque[Process] = deque()


class Gate:
    """Something that has happened or not; who waits for it goes on as soon as it has."""

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
        """Let all who wait for it go on, now and from now on."""
        gate.open = True
        for process in gate.waiting:
            self._events_push(self.now, process)
        gate.waiting.clear()

    def run(self) -> None:
        """Let time pass until nothing happens any more."""
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
