# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Carrying out the units of small files together, step by step: send all of them, then publish all of them.

A file that fails stops no others: it gets its own turn afterwards, which says why.
"""

from __future__ import annotations

import time
import typing as t

from .. import states
from ..assets.entries import Entry
from ..errors import SyncError
from ..planning.batches import Pace
from ..planning.steps import Publish, Send, Unit
from .executor import Executor, Foretelling
from .ledger import Account, Ledger
from .visible import Visible


class Together:
    """The units of small files of one attempt."""

    def __init__(self, executor: Executor | Foretelling, ledger: Ledger, visible: Visible, pace: Pace) -> None:
        self._executor = executor
        self._ledger = ledger
        self._visible = visible
        self._pace = pace

    def carry_out(self, units: t.Sequence[Unit], size_of: t.Callable[[str], int]) -> list[Unit]:
        """Carry out units, and return those that have to go individually. Raises :class:`SyncError` for a retry."""
        accounts = {unit.path: self._open(unit, size_of) for unit in units}
        ready = self._send(units, accounts)
        put = self._publish([unit for unit in units if unit.path in ready], accounts)
        return [unit for unit in units if unit.path not in put]

    def _open(self, unit: Unit, size_of: t.Callable[[str], int]) -> Account:
        account = self._ledger.open(unit)
        account.sizes(size_of)
        account.state(states.FAILED, "the run ended in the middle of it")
        return account

    def _send(self, units: t.Sequence[Unit], accounts: t.Mapping[str, Account]) -> dict[str, int]:
        entries = [_entry(unit) for unit in units]
        began = time.monotonic()
        try:
            ready = self._executor.send_together(entries)
        except SyncError as error:
            if error.retry:
                self._give_up(units, accounts, error)
                raise
            return {}
        self._pace.note(sum(entry.size for entry in entries), time.monotonic() - began)
        going = [unit for unit in units if unit.path in ready]
        for number in range(len(going[0].steps) - 1 if going else 0):
            for unit in going:
                self._ledger.begin(unit.steps[number], unit)
        for unit in going:
            accounts[unit.path].sent(unit.path, ready[unit.path], None)
            accounts[unit.path].verified(unit.path, verified=True)
        return ready

    def _publish(self, units: t.Sequence[Unit], accounts: t.Mapping[str, Account]) -> set[str]:
        if not units:
            return set()
        for unit in units:
            self._ledger.begin(_last(unit), unit)
        try:
            put = self._executor.publish_together([_entry(unit) for unit in units])
        except SyncError as error:
            if error.retry:
                for unit in units:
                    if error.in_doubt:
                        self._ledger.doubt(_last(unit), unit, self._visible.markers)
                    else:
                        self._ledger.take_back(_last(unit))
                self._give_up(units, accounts, error)
                raise
            # Some may be in place but not on disk: their own turn does it again, or reports the problem.
            for unit in units:
                if not self._executor.was_done(_last(unit), error):
                    self._ledger.take_back(_last(unit))
            return set()
        for unit in units:
            if unit.path in put:
                self._visible.note(_last(unit), unit)
                accounts[unit.path].close(unit.outcome, unit.reason)
            else:
                self._ledger.take_back(_last(unit))
        return put

    def _give_up(self, units: t.Sequence[Unit], accounts: t.Mapping[str, Account], error: SyncError) -> None:
        for unit in units:
            accounts[unit.path].close(error.state, error.reason)


def _entry(unit: Unit) -> Entry:
    return t.cast(Send, unit.steps[0]).entry


def _last(unit: Unit) -> Publish:
    return t.cast(Publish, unit.steps[-1])
