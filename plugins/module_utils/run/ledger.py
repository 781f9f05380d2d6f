# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All that is reported of a run: the result of each path, what was done, what failed, and what is in doubt."""

from __future__ import annotations

import dataclasses
import time
import typing as t

from .. import states
from ..planning.promises import There
from ..planning.steps import KINDS, Confirm, Step, Unit, Withdraw

_OPEN = (states.FAILED, states.HELD_BACK)
_WAITING = (states.HELD_BACK, states.LEFT_OVER)


@dataclasses.dataclass
class Outcome:
    """The result of one path: ``seconds`` were spent on it, ``verified`` says that its content was compared."""

    state: str
    reason: str = ""
    size: int = 0
    sent_bytes: int = 0
    basis: str | None = None
    verified: bool = False
    seconds: float = 0.0


class _Doubt(t.NamedTuple):
    """A step that the caching server may or may not have done: the connection was lost before it could answer."""

    step: Step
    unit: Unit
    action: dict[str, t.Any]
    markers: t.Mapping[str, str]  # the image of each marker that was there when the plan was made


class Ledger:
    """What is reported of a run, over all its attempts."""

    def __init__(self) -> None:
        self.images: dict[str, Outcome] = {}
        self.files: dict[str, Outcome] = {}
        self.actions: list[dict[str, t.Any]] = []
        self.warnings: list[str] = []
        self._image_paths: frozenset[str] = frozenset()  # on either side
        self._delivered: dict[str, tuple[str, str]] = {}  # state and reason of what clients find since the run began
        self._doubts: list[_Doubt] = []

    @property
    def changed(self) -> bool:
        """Return whether anything in the tree of the caching server has changed, or would change."""
        return any(one["action"] in _CHANGES for one in self.actions)

    @property
    def sent_bytes(self) -> int:
        """All that crossed the line for files, in bytes."""
        return sum(outcome.sent_bytes for found in (self.images, self.files) for outcome in found.values())

    def warn(self, texts: t.Iterable[str]) -> None:
        """Record warnings, each once."""
        self.warnings += [text for text in texts if text not in self.warnings]

    # What a path came to

    def learn(self, image_paths: t.Iterable[str]) -> None:
        """Record which paths are images; an earlier attempt may not have known."""
        self._image_paths |= frozenset(image_paths)
        for path in self._image_paths & self.files.keys():
            self.images[path] = self.files.pop(path)

    def is_image(self, path: str) -> bool:
        """Return whether a path is an image, on either side."""
        return path in self._image_paths

    def tell(self, path: str, state: str, reason: str = "", *, size: int = 0, verified: bool = False) -> None:
        """Record the result of a path. What earlier attempts sent for it, and the time they took, stays."""
        outcome = self._results_of(path).setdefault(path, Outcome(state))
        outcome.state, outcome.reason = state, reason
        outcome.size = size or outcome.size  # nobody lists what an earlier attempt removed
        outcome.verified = outcome.verified or verified

    def begin_again(self) -> None:
        """Forget what waits for something else, since the next attempt reports it again; what was done, or failed,
        stays."""
        for found in (self.images, self.files):
            for path in [path for path, one in found.items() if one.state in _WAITING and not one.sent_bytes]:
                del found[path]

    def is_failed(self, path: str) -> bool:
        """Return whether an attempt failed with a path."""
        outcome = self._results_of(path).get(path)
        return outcome is not None and outcome.state == states.FAILED

    def is_open(self, path: str) -> bool:
        """Return whether nothing is known about a path, or only that an earlier attempt did not send it."""
        outcome = self._results_of(path).get(path)
        return outcome is None or outcome.state in _OPEN

    def delivered(self, path: str) -> tuple[str, str]:
        """Return the result of a path that is in line: that of an earlier attempt, or unchanged."""
        return self._delivered.get(path, (states.UNCHANGED, ""))

    def failed(self) -> list[str]:
        """Return all paths with which an attempt failed."""
        return [path for path in [*self.images, *self.files] if self.is_failed(path)]

    def _results_of(self, path: str) -> dict[str, Outcome]:
        return self.images if path in self._image_paths else self.files

    # What is done

    def open(self, unit: Unit) -> Account:
        """Begin the account of a unit: one result for its image, or one for each of its files."""
        found = self._results_of(unit.path)
        paths = [unit.path] if self.is_image(unit.path) or unit.kind != "kernel" else []
        if not paths:
            paths = [step.path for step in unit.steps if step.delivers]
        return Account({path: found.setdefault(path, Outcome(states.UNCHANGED)) for path in paths})

    def begin(self, step: Step, unit: Unit) -> None:
        """Record that a step begins."""
        self.actions.append(step.as_action())
        if step.delivers:
            path = unit.path if self.is_image(unit.path) else step.path
            self._delivered.setdefault(path, (unit.outcome, unit.reason))

    def take_back(self, step: Step) -> None:
        """Record that a step that was begun did not take place."""
        action = step.as_action()
        last = max(number for number, one in enumerate(self.actions) if one == action)
        del self.actions[last]
        if step.delivers:
            self._delivered.pop(step.path, None)

    def forget_looks(self, since: int) -> None:
        """Forget the actions since that number if all of them only checked: checking is not an action."""
        if all(one["action"] == Confirm.name for one in self.actions[since:]):
            del self.actions[since:]

    def doubt(self, step: Step, unit: Unit, markers: t.Mapping[str, str]) -> None:
        """Record that it is unknown whether a step that was begun took place.

        :param markers: the image of each marker that was there when the plan was made.
        """
        action = next(one for one in reversed(self.actions) if one == step.as_action())
        self._doubts.append(_Doubt(step, unit, action, markers))

    def settle(self, there: There) -> list[tuple[str, str]]:
        """Settle the steps in doubt of an earlier attempt, and return what was withdrawn, and why."""
        withdrawn: list[tuple[str, str]] = []
        for step, unit, action, markers in self._doubts:
            if step.is_done(there.tree.get(step.path)) and step.path not in there.damaged:
                still = {image for marker, image in markers.items() if marker in there.tree}
                if isinstance(step, Withdraw) and step.image not in still:
                    withdrawn.append((step.image, step.reason))
                if unit.outcome == states.WITHDRAWN and step == unit.steps[-1]:
                    withdrawn.append((unit.path, unit.reason))
            else:
                self.actions = [one for one in self.actions if one is not action]
                self._delivered.pop(step.path, None)
        self._doubts = []
        return withdrawn


class Account:
    """The results that one unit writes to, and the time that it takes."""

    def __init__(self, outcomes: dict[str, Outcome]) -> None:
        self._outcomes = outcomes
        self._started = time.monotonic()

    def sizes(self, size_of: t.Callable[[str], int]) -> None:
        """Record the sizes of the files, in bytes."""
        for path, outcome in self._outcomes.items():
            outcome.size = size_of(path)

    def state(self, state: str, reason: str) -> None:
        """Record the unit's result if the run ended here."""
        for outcome in self._outcomes.values():
            outcome.state, outcome.reason = state, reason

    def sent(self, path: str, count: int, basis: str | None) -> None:
        """Add the cost of a transfer; what has no result of its own counts for the first one."""
        outcome = self._outcomes.get(path) or next(iter(self._outcomes.values()))
        outcome.sent_bytes += count
        if path in self._outcomes:
            outcome.basis = basis

    def verified(self, path: str, verified: bool) -> None:
        """Record whether the content of a path was compared, if it has its own result."""
        if path in self._outcomes:
            self._outcomes[path].verified = verified

    def close(self, state: str, reason: str) -> None:
        """Record the unit's result."""
        self.state(state, reason)
        for outcome in self._outcomes.values():
            outcome.seconds += round(time.monotonic() - self._started, 3)


def describe(found: t.Mapping[str, Outcome]) -> list[dict[str, t.Any]]:
    """Return the results in the form of the module's documentation."""
    # dataclasses.asdict copies deeply, which takes a fifth of a second for 10,000 files.
    return [{"path": path, **vars(outcome)} for path, outcome in sorted(found.items())]


_CHANGES = frozenset(kind.name for kind in KINDS if kind.changes)
