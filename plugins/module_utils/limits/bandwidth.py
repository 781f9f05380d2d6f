# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How fast a caching server may be sent to at what time; and how concurrent transfers share one uplink.

A rate is a number of bytes per second; 0 is "not now", None is "no limit". A prefix is a power of ten, as for lines:
``20Mbit`` is 2,500,000 bytes per second, and so is ``2.5MB``.
"""

from __future__ import annotations

import dataclasses
import datetime
import re
import typing as t

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
UNLIMITED = "unlimited"
FASTEST = 1e15  # bits or bytes per second; anything larger is a typo
WHOLE_DAY = 24 * 3600  # seconds

IS_0 = "the limit of this site is 0"

_RATE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([kMG]?)(bit|B)(?:/s)?\Z")
_NOTHING = re.compile(r"0+(?:\.0+)?\s*(?:[kMG]?(?:bit|B)(?:/s)?)?\Z")
_TIME = r"[0-9]{1,2}:[0-9]{2}(?::[0-9]{2})?"
_WINDOW = re.compile(rf"({_TIME})\s*-\s*({_TIME})(?:\s+([A-Za-z][A-Za-z,\s-]*?))?\s*:(?:\s+(.*)|\s*)\Z", re.DOTALL)
_MULTIPLES = {"": 1, "k": 1e3, "M": 1e6, "G": 1e9}


def parse_rate(text: str, *, option: str = "bandwidth_limit") -> int:
    """Return a rate above zero, in bytes per second. Raises :class:`ValueError`."""
    if _NOTHING.match(text.strip()):
        raise ValueError(f"{option}: nothing could be sent at {_shown(text)}; leave it out for no limit")
    found = _RATE.match(text.strip())
    if not found:
        raise ValueError(f"{option}: {_shown(text)} is not a rate; write 20Mbit (bits) or 2.5MB (bytes) per second")
    number = float(found.group(1)) * _MULTIPLES[found.group(2)]
    if number > FASTEST:
        raise ValueError(f"{option}: no line is as fast as {_shown(text)}; leave it out for no limit")
    return max(int(number / 8 if found.group(3) == "bit" else number), 1)


@dataclasses.dataclass(frozen=True)
class Window:
    """A part of the day in which a rate applies: from ``begin`` up to ``end``, in seconds after midnight, local time.

    It begins on the ``days`` (0 is Monday), and ends on the next day if ``end`` is not after ``begin``.
    """

    begin: int
    end: int
    days: frozenset[int]
    rate: int | None

    def holds(self, moment: datetime.datetime) -> bool:
        """Return whether a local time is within the window."""
        second = moment.hour * 3600 + moment.minute * 60 + moment.second
        today = moment.weekday()
        if self.begin < self.end:
            return today in self.days and self.begin <= second < self.end
        yesterday = (today - 1) % 7
        return (today in self.days and second >= self.begin) or (yesterday in self.days and second < self.end)


@dataclasses.dataclass(frozen=True)
class Limit:
    """The limit of one caching server: the rate of the first matching window, or ``otherwise``."""

    windows: tuple[Window, ...] = ()
    otherwise: int | None = None

    @property
    def never_limits(self) -> bool:
        """Return whether nothing is ever limited."""
        return self.slowest is None and not self.ever_closed

    @property
    def ever_closed(self) -> bool:
        """Return whether there is a time at which nothing may be sent."""
        return 0 in self._rates

    @property
    def slowest(self) -> int | None:
        """The lowest rate above zero, or None."""
        return min((rate for rate in self._rates if rate), default=None)

    @property
    def _rates(self) -> tuple[int | None, ...]:
        return (*(window.rate for window in self.windows), self.otherwise)

    def rate_at(self, moment: datetime.datetime) -> int | None:
        """Return the rate at a local time, in bytes per second; 0 for "not now", None for no limit."""
        for window in self.windows:
            if window.holds(moment):
                return window.rate
        return self.otherwise

    def next_change(self, moment: datetime.datetime) -> datetime.datetime | None:
        """Return the next local time at which the rate changes, or None if it never does."""
        now = self.rate_at(moment)
        midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
        edges = sorted({edge for window in self.windows for edge in (window.begin, window.end)})
        for day in range(9):  # a week, and the rest of today
            for edge in edges:
                then = midnight + datetime.timedelta(days=day, seconds=edge)
                if then > moment and self.rate_at(then) != now:
                    return then
        return None

    def why_not(self, moment: datetime.datetime) -> str:
        """Return why nothing may be sent at a local time, in words, or an empty string."""
        if self.rate_at(moment) != 0:
            return ""
        change = self.next_change(moment)
        if change is None:
            return IS_0
        clock = change.strftime("%H:%M:%S" if change.second else "%H:%M")
        day = "" if change - moment < datetime.timedelta(days=1) else f"{DAYS[change.weekday()]} "
        return f"until {day}{clock} {IS_0}"


NO_LIMIT = Limit()


def parse_limit(value: t.Any) -> Limit:
    """Parse the limit of one caching server as a user wrote it. Raises :class:`ValueError`.

    It is a rate, a window (``08:00-18:00 Mon-Fri: 5Mbit``) or several of them: a list, or one string separated by ``;``
    or line breaks. A rate without times applies at all other times. What YAML makes of an unquoted window, a mapping of
    its times to its rate, is accepted as well.
    """
    windows: list[Window] = []
    others: list[int | None] = []
    for text in _parts(value):
        found = _WINDOW.match(text)
        if found is None and re.match(r"[0-9]{1,2}:[0-9]", text):
            raise ValueError(
                f"bandwidth_limit: {_shown(text)} is not a window; write '08:00-18:00 Mon-Fri: 5Mbit', rate included"
            )
        if found is None:
            others.append(_rate_of_window(text))
            continue
        begin, end = _seconds(found.group(1), text), _seconds(found.group(2), text)
        if begin in (end, WHOLE_DAY):
            raise ValueError(
                f"bandwidth_limit: the window {_shown(text)} has no length; a whole day is written 00:00-24:00"
            )
        days = _days(found.group(3) or "Mon-Sun", text)
        if end == 0:
            end = WHOLE_DAY
        windows.append(Window(begin, end, days, _rate_of_window(found.group(4) or "")))
    if len(others) > 1:
        raise ValueError("bandwidth_limit: there are two rates without times; at most one can be for all other times")
    return Limit(tuple(windows), others[0] if others else None)


def _parts(value: t.Any) -> list[str]:
    """Split it into windows and rates."""
    if value is None:
        return []
    if isinstance(value, dict):
        return [f"{times}: {rate}" for times, rate in value.items()]
    if isinstance(value, (list, tuple)):
        return [part for one in value for part in _parts(one)]
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise ValueError(f"bandwidth_limit: {_shown(value)} is neither a rate nor a list of windows")
    return [part.strip() for part in re.split(r"[;\n]", str(value)) if part.strip()]


def _rate_of_window(text: str) -> int | None:
    text = text.strip()
    if text.lower() == UNLIMITED:
        return None
    return 0 if _NOTHING.match(text) else parse_rate(text)


def _seconds(clock: str, window: str) -> int:
    hours, minutes, seconds = (int(part) for part in f"{clock}:0".split(":")[:3])
    total = hours * 3600 + minutes * 60 + seconds
    if minutes > 59 or seconds > 59 or total > WHOLE_DAY:
        raise ValueError(f"bandwidth_limit: {clock} in {_shown(window)} is not a time of day; 00:00 to 24:00 are")
    return total


def _days(text: str, window: str) -> frozenset[int]:
    found: set[int] = set()
    for part in re.sub(r"\s*([,-])\s*", r"\1", text.strip()).replace(" ", ",").split(","):
        names = part.split("-")
        numbers = [_day(name) for name in names]
        if len(names) > 2 or None in numbers:
            raise ValueError(
                f"bandwidth_limit: {part!r} in {_shown(window)} is not a day of the week; write Mon-Fri, or Sat,Sun"
            )
        first, last = numbers[0] or 0, numbers[-1] or 0
        found.update((first + step) % 7 for step in range((last - first) % 7 + 1))
    return frozenset(found)


def _day(name: str) -> int | None:
    full = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
    lower = name.lower()
    return next((number for number, day in enumerate(full) if lower in (day, day[:3])), None)


def _shown(value: t.Any) -> str:
    text = str(value)
    shown = text if len(text) < 60 else f"{text[:20]}...{text[-10:]}"
    return repr(shown) if isinstance(value, str) else shown


def fair_shares(cap: float, demands: t.Mapping[str, float | None]) -> dict[str, float]:
    """Divide a cap among the senders, each with what it can use (None: all that it gets).

    None gets more than it can use, and what one leaves goes to the others in equal parts (max-min fairness).
    """
    shares: dict[str, float] = {}
    left = cap
    waiting = sorted(demands, key=lambda name: (demands[name] is None, demands[name] or 0.0, name))
    for index, name in enumerate(waiting):
        equal = left / (len(waiting) - index)
        demand = demands[name]
        shares[name] = equal if demand is None else min(max(demand, 0.0), equal)
        left -= shares[name]
    return shares
