# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One attempt to bring a caching server in line, over one session: read both sides, plan, carry out unit after unit."""

from __future__ import annotations

from .. import progress as phases
from .. import states
from ..assets.entries import DIRECTORY, FILE, Tree
from ..caching_server.protocol import CachingServer
from ..errors import SyncError
from ..planning.batches import Pace, in_batches
from ..planning.known_plans import KnownPlans
from ..planning.plan import Plan
from ..planning.steps import Gone, Send, Step, Unit, Withdraw
from ..progress import Progress
from ..source.tree import SourceTree
from .comparing import Comparing
from .executor import Executor, Foretelling
from .ledger import Account, Ledger
from .reading import Reading
from .target import Options
from .together import Together
from .visible import Visible


class Attempt:
    """One attempt. It is created from scratch each time, and what it learns about the trees ends with it.

    :param tries: the number of earlier attempts.
    :ivar failures: what failed, a line each.
    :ivar left_for_later: why, if the limit of the site did not let everything through.
    :ivar idle: whether there was nothing to do, in check mode.
    """

    def __init__(
        self,
        server: CachingServer,
        source: SourceTree,
        options: Options,
        ledger: Ledger,
        *,
        known: KnownPlans | None = None,
        tries: int = 0,
        progress: Progress,
    ) -> None:
        self._server = server
        self._pace = Pace(tries)
        self._source = source
        self._options = options
        self._ledger = ledger
        self._progress = progress
        self._comparing = Comparing(server, source, progress)
        self._reading = Reading(server, source, options, self._comparing, known=known, progress=progress)
        self._executor: Executor | Foretelling = Foretelling(server)
        if not options.check_mode:
            self._executor = Executor(server, source, self._comparing, read_back=options.verify, progress=progress)
        self._visible = Visible({})
        self.failures: list[str] = []
        self.left_for_later = ""
        self.idle = False

    @property
    def _there(self) -> Tree:
        """What the caching server held when the plan was made."""
        return self._reading.tree

    def run(self) -> None:
        """Do everything. Raises :class:`SyncError` if no more can be done in this session."""
        self._server.find_destination()
        # Withdrawing needs no lock: it must not wait for a long transfer, which checks before and after it publishes.
        if not self._options.withdraw:
            self._progress.enter(phases.LOCKING)
            self._executor.open(self._reading.likely())
        plan = self._reading.plan()
        if self._reading.there is not None:
            for path, reason in self._ledger.settle(self._reading.there):
                self._tell(path, states.WITHDRAWN, reason)
        self._note(plan)
        if plan.units:
            entries = [step.entry for unit in plan.units for step in unit.steps if isinstance(step, Send)]
            together = any(len(batch) > 1 for batch in in_batches(plan.units, self._pace))
            self._executor.begin(entries, together=together)
        unfinished: set[str] = set()
        for batch in in_batches(plan.units, self._pace):
            for unit in self._together(batch):
                unfinished.update(self._carry_out(unit))
        unfinished |= self._lacking()
        if self._options.withdraw:
            return
        self._executor.end(unfinished)
        if self._options.check_mode:
            quiet = not (self._ledger.actions or self.failures or self.left_for_later)
            self.idle = quiet and not self._server.has_leftovers(unfinished)

    def _lacking(self) -> set[str]:
        """Return the files that are not on the caching server as they are on the netboot server.

        Partial files of them help a later run, even if this one did not include them, or held them back.
        """
        return {
            path
            for path, entry in self._source.tree.items()
            if entry.kind == FILE and path not in self._visible.put and not entry.looks_like(self._there.get(path))
        }

    # What the plan says

    def _note(self, plan: Plan) -> None:
        """Report what will not be done, and why; and everything else as not reached yet."""
        ledger = self._ledger
        self._visible = Visible(plan.markers)
        ledger.learn(plan.images)
        for path in plan.unchanged:
            if ledger.is_open(path):
                self._tell(path, *ledger.delivered(path), verified=path in self._comparing.same)
        for path, reason in plan.only_there.items():
            if ledger.is_open(path):
                self._tell(path, states.UNCHANGED, reason)
        for path, reason in plan.held_back.items():
            self._tell(path, states.HELD_BACK, reason)
        for path, reason in plan.left_over.items():
            self._tell(path, states.LEFT_OVER, reason)
        for path, reason in plan.impossible.items():
            self._tell(path, states.FAILED, reason)
            self.failures.append(f"{path}: {reason}")
        if plan.refused:
            self.failures.append(plan.refused)
        for path in ledger.failed():
            # If it failed in an earlier attempt, and is on neither side any more, it is not a failure of the caching
            # server.
            if path not in self._source.tree and path not in self._there:
                self._tell(path, states.HELD_BACK, "it is no longer on the netboot server")
        for unit in plan.units:
            # It is overwritten when its turn comes. What an earlier attempt reported about it says more.
            if ledger.is_image(unit.path) and not ledger.is_failed(unit.path):
                self._tell(unit.path, states.FAILED, "not reached: the run ended before its turn")

    def _tell(self, path: str, state: str, reason: str = "", *, verified: bool = False) -> None:
        self._ledger.tell(path, state, reason, size=self._size(path), verified=verified)

    def _size(self, path: str) -> int:
        entry = self._source.tree.get(path) or self._there.get(path)
        return entry.size if entry is not None and entry.kind != DIRECTORY else 0

    # Units

    def _together(self, units: list[Unit]) -> list[Unit]:
        """Carry out what can be done together, and return the rest."""
        if len(units) == 1 or not self._executor.takes_many:
            return units
        if self.left_for_later or self._server.throttle.why_not():
            return units
        return Together(self._executor, self._ledger, self._visible, self._pace).carry_out(units, self._size)

    def _carry_out(self, unit: Unit) -> list[str]:
        """Carry out a unit, and return the paths whose partial files may still be useful."""
        account = self._ledger.open(unit)
        account.sizes(self._size)
        old = [marker for marker in unit.after if marker not in self._visible.put]
        if old:
            account.close(states.UNCHANGED, f"kept, since {old[0]} could not be renewed")
            return []
        # Once something was left, so is the rest, even if the window ends meanwhile: it may need what was left.
        not_now = self.left_for_later or self._server.throttle.why_not()
        if not_now and unit.kind != "withdrawal":
            # Before its first step: a marker that is to be replaced stays until that can be done.
            self.left_for_later = not_now
            account.close(states.HELD_BACK, not_now)
            return [step.path for step in unit.steps if isinstance(step, Send)]
        account.state(states.FAILED, "the run ended in the middle of it")
        before = len(self._ledger.actions)
        try:
            state, reason = self._do_steps(unit, account)
        except SyncError as error:
            state, reason = error.state, error.reason
            if error.retry:
                account.close(state, reason)
                raise
            if error.failure:
                self.failures.append(reason)
            if error.defers:
                self.left_for_later = reason
        if state == states.UNCHANGED:
            self._ledger.forget_looks(since=before)
        account.close(state, reason)
        put = self._visible.put
        return [step.path for step in unit.steps if isinstance(step, Send) and step.path not in put]

    def _do_steps(self, unit: Unit, account: Account) -> tuple[str, str]:
        """Do the steps of a unit, and return the resulting state, and the reason."""
        for step in unit.steps:
            if self._visible.is_over(step):
                continue
            self._do(step, unit, account)
            is_marker = self._ledger.is_image(unit.path) and step.puts_up and step.path != unit.path
            if is_marker and self._executor.went_meanwhile(step.path):
                reason = "it went from the netboot server while it was published"
                self._do(Withdraw(step.path, unit.path, reason, Gone(step.path)), unit, account)
                return states.WITHDRAWN, reason
        return unit.outcome, unit.reason

    def _do(self, step: Step, unit: Unit, account: Account) -> None:
        """Do one step, and report it."""
        self._ledger.begin(step, unit)
        try:
            effect = self._executor.do(step, unit)
        except SyncError as error:
            if step.visible and error.in_doubt:
                # It may have been done before the connection was lost, and then clients see it.
                self._ledger.doubt(step, unit, self._visible.markers)
            elif not self._executor.was_done(step, error):
                self._ledger.take_back(step)
            if isinstance(step, Send):
                account.sent(step.path, self._server.unfinished_bytes, None)
            raise
        if effect.sent is not None:
            account.sent(step.path, effect.sent.bytes, effect.sent.basis)
        if effect.verified is not None:
            account.verified(step.path, effect.verified)
        if not effect.happened:
            self._ledger.take_back(step)
        image = self._visible.note(step, unit)
        if image:
            # If the image is brought in line later in this run, that is its result.
            self._tell(image, states.WITHDRAWN, step.reason if isinstance(step, Withdraw) else "")
