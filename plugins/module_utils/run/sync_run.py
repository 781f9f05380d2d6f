# Copyright: (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One run for one caching server: list both trees, plan, carry out the steps, and report.

After a line that broke, a run connects again and plans anew from the two trees; nothing is believed from before.
"""

from __future__ import annotations

import dataclasses
import time
import typing as t

from .. import progress as phases
from ..assets.entries import DIRECTORY, FILE, SYMLINK, Entry, Tree, follow
from ..assets.inventory import Image, Inventory, Rules
from ..caching_server.server import CachingServer
from ..errors import ConnectionTrouble, Kept, LeftForLater, LockHeld, LockLost, SourceChanged, SyncError
from ..limits.bandwidth import NO_LIMIT, Limit
from ..limits.uplink import Uplink
from ..planning import planner
from ..planning.known_plans import Plans
from ..planning.promises import There, wanted_markers
from ..planning.steps import (
    Adopt,
    Check,
    Confirm,
    Flush,
    Gone,
    Link,
    Permit,
    Publish,
    Remove,
    Send,
    SetAside,
    Step,
    Unit,
    Withdraw,
    step_path,
)
from ..progress import Progress
from ..source.tree import SourceTree
from ..ssh.session import Session
from ..ssh.settings import Address


@dataclasses.dataclass(frozen=True)
class Options:
    """What a user chose for one caching server. Times are in seconds.

    With ``withdraw``, patterns, a run takes these images from clients, and what was withdrawn by name on the netboot
    server, and does nothing else.

    ``uplink_limit`` is the cap in bytes per second that all share who send from this host, 0 for none; those meet in
    ``uplink_directory``.
    """

    src: str
    dest: str
    rules: Rules
    verify: bool = False
    delete: bool = False
    max_delete: int = 10
    grace: int = 300
    withdraw: tuple[str, ...] = ()
    transport: str = "auto"
    limit: Limit = NO_LIMIT
    timezone: str | None = None
    uplink_limit: int = 0
    uplink_directory: str | None = None
    retries: int = 3
    retry_delay: int = 5
    lock_timeout: int = 60
    check_mode: bool = False


class Site(t.NamedTuple):
    """A caching server as a module knows it: its name in messages, how it is reached, and what it is to hold."""

    name: str
    address: Address
    options: Options


@dataclasses.dataclass
class Outcome:
    """What became of one path: ``seconds`` were spent on it, ``verified`` says that its content was compared."""

    state: str
    reason: str = ""
    size: int = 0
    sent_bytes: int = 0
    basis: str | None = None
    verified: bool = False
    seconds: float = 0.0


class _Doubt(t.NamedTuple):
    """A step that the caching server may have done or not: the line broke before it could tell."""

    step: Step
    unit: Unit
    action: dict[str, t.Any]


class SyncRun:
    """Brings one caching server in line. The results stay readable when :meth:`run` raises.

    ``source`` and ``plans`` are given where many runs share one tree, which was listed already; ``progress`` is told
    what is done.
    """

    def __init__(
        self,
        address: Address,
        options: Options,
        source: SourceTree | None = None,
        *,
        plans: Plans | None = None,
        progress: Progress | None = None,
    ) -> None:
        self._address = address
        self._options = options
        self._source = source or SourceTree(options.src)
        self._plans = plans
        self._progress = progress or Progress()
        self.images: dict[str, Outcome] = {}
        self.files: dict[str, Outcome] = {}
        self._image_paths: frozenset[str] = frozenset()  # on either side, of all attempts
        self.actions: list[dict[str, t.Any]] = []
        self.warnings: list[str] = []
        self.failures: list[str] = []
        self.transport = ""
        self.attempts = 0
        self.idle = False
        self.left_for_later = ""  # why, where the limit of the site let not everything through
        self._uplink = (
            Uplink(options.uplink_limit, directory=options.uplink_directory) if options.uplink_limit else None
        )
        self._compared: set[str] = set()
        self._gone: set[str] = set()  # the markers withdrawn so far
        self._put: set[str] = set()  # the final names that were put up so far
        self._visible: dict[str, set[str]] = {}  # the markers that are visible now, by image
        self._there: Tree = {}  # what the caching server held when the plan was made
        self._begun: dict[str, tuple[str, str]] = {}  # state and reason of what clients may see since this run began
        self._doubts: list[_Doubt] = []
        self._markers: t.Mapping[str, str] = {}  # the image of each marker that was there when the plan was made

    @property
    def changed(self) -> bool:
        """Tell whether anything in the tree of the caching server is, or would be, another one than before."""
        return any(action["action"] in {kind.name for kind in (*VISIBLE, Adopt)} for action in self.actions)

    @property
    def sent_bytes(self) -> int:
        """All that crossed the line for files, in bytes."""
        return sum(outcome.sent_bytes for found in (self.images, self.files) for outcome in found.values())

    def run(self) -> None:
        """Run to the end. Raises :class:`SyncError` where nothing more can be done for this caching server."""
        while True:
            self.attempts += 1
            try:
                self._attempt()
                return
            except ConnectionTrouble:
                if self.attempts > self._options.retries:
                    raise
                self._progress.enter(phases.RETRYING)
                time.sleep(self._options.retry_delay * 2 ** min(self.attempts - 1, 4))

    def look(self) -> None:
        """Find out what a run would do, with one try, and whether that is nothing at all: ``idle``.

        For options of check mode, and a source that was listed. Raises :class:`SyncError`.
        """
        self.attempts = 1
        self._in_session()

    def _attempt(self) -> None:
        self._progress.enter(phases.READING)
        self._source.scan()
        self._in_session()

    def _in_session(self) -> None:
        with Session(self._address, remember=not self._options.check_mode) as session:
            try:
                self._with(session)
            except LockHeld:
                raise
            except Exception as error:
                # paramiko raises many kinds when a line breaks
                trouble = session.in_words(error, self._options.dest)
                if trouble is None or trouble is error:
                    raise
                raise trouble from error

    def _with(self, session: Session) -> None:
        options = self._options
        server = CachingServer(
            session,
            self._source,
            options.dest,
            transport=options.transport,
            limit=options.limit,
            timezone=options.timezone,
            uplink=self._uplink,
            lock_timeout=options.lock_timeout,
            progress=self._progress,
        )
        try:
            self._serve(server)
        finally:
            if session.alive():
                server.close()

    def _serve(self, server: CachingServer) -> None:
        """Do all that is to be done for a caching server that is at hand."""
        self.failures = []
        self.left_for_later = ""
        self._compared = set()
        self._gone = set()
        self._put = set()
        self._visible = {}
        try:
            self._open(server)
            self._do_all(server)
        finally:
            self.transport = server.transport
            self.warnings += [text for text in server.warnings if text not in self.warnings]

    def _open(self, server: CachingServer) -> None:
        server.find_destination()
        # To withdraw needs no lock: it must not wait for a long transfer, and that looks before and after it publishes.
        if not (self._options.check_mode or self._options.withdraw):
            self._progress.enter(phases.LOCKING)
            server.open_for_writing()

    def _do_all(self, server: CachingServer) -> None:
        plan = self._plan(server)
        self._note_plan(plan)
        server.wanted = {step.entry.path for unit in plan.units for step in unit.steps if isinstance(step, Send)}
        if self._options.check_mode and plan.units:
            server.would_open()
        unfinished = {path for unit in plan.units for path in self._carry_out(server, unit)} | self._lacking()
        if self._options.withdraw:
            return
        if not self._options.check_mode:
            server.clean(unfinished)
        else:
            self.idle = not (self.actions or self.failures or self.left_for_later or server.has_leftovers(unfinished))

    def _lacking(self) -> set[str]:
        """Return the files that are not on the caching server as they are on the netboot server.

        Pieces of them are of use to a later run, even where this one was not about them, or held them back.
        """
        return {
            path
            for path, entry in self._source.tree.items()
            if entry.kind == FILE and path not in self._put and not entry.looks_like(self._there.get(path))
        }

    # Planning

    def _plan(self, server: CachingServer) -> planner.Plan:
        options = self._options
        self._progress.enter(phases.READING)
        self._there = tree = server.tree(self._source.tree)
        if options.withdraw:
            inventory = self._source.inventory(options.rules, lambda _image: False)
            return planner.plan_withdrawal(inventory, There(tree), options.rules, options.withdraw)
        if self._plans is not None and not options.verify:
            choice = (options.rules, options.delete, options.max_delete)
            known = self._plans.get(choice, tree, lambda: self._plan_by_listing(tree))
            if known is not None:
                return known
        inventory = self._source.inventory(options.rules, lambda image: options.verify or self._is_new(image, tree))
        adoptable: frozenset[str] = frozenset()
        damaged: frozenset[str] = frozenset()
        # Where a caching server cannot hash, to compare is to read all of it over the line.
        if server.hashes or not server.throttle.why_not():
            if self._plans is None:  # a look at many has no time for that
                adoptable = self._adoptable(server, inventory, tree)
                for path in adoptable:
                    tree[path] = dataclasses.replace(tree[path], mtime=self._source.tree[path].mtime)
            damaged = self._compare(server, inventory, tree, but=adoptable) if options.verify else damaged
        contents = {
            path: server.read_marker(tree[path])
            for path in wanted_markers(inventory, self._source.tree, tree, options.rules)
        }
        there = There(tree, contents, damaged, adoptable, server.fresh(options.grace), server.clashes)
        self._settle(there)
        return self._make_plan(inventory, there)

    def _plan_by_listing(self, tree: Tree) -> planner.Plan | None:
        """Return the plan where it follows from the two listings alone; None where something there has to be read."""
        inventory = self._source.inventory(self._options.rules, lambda image: self._is_new(image, tree))
        if wanted_markers(inventory, self._source.tree, tree, self._options.rules):
            return None
        return self._make_plan(inventory, There(tree))

    def _make_plan(self, inventory: Inventory, there: There) -> planner.Plan:
        options = self._options
        return planner.make_plan(
            inventory,
            self._source.tree,
            there,
            options.rules,
            delete=options.delete,
            max_delete=options.max_delete,
            grace=options.grace,
        )

    def _is_new(self, image: Image, there: Tree) -> bool:
        """Tell whether anything of an image is not there yet. What is there was hashed when it was sent."""
        names = {name for entry in image.entries for name in follow(entry.path, self._source.tree).names}
        return not all(self._source.tree[name].looks_like(there.get(name)) for name in names)

    def _adoptable(self, server: CachingServer, inventory: Inventory, tree: Tree) -> frozenset[str]:
        """Return what is there under another time but has the same content, such as a tree that was copied there."""
        same, _different = self._compare_all(server, server.suspects(self._ours(inventory), tree))
        return same

    def _compare(
        self, server: CachingServer, inventory: Inventory, tree: Tree, *, but: frozenset[str]
    ) -> frozenset[str]:
        """Compare the content of all that looks the same, and return what differs."""
        alike = [e for e in self._ours(inventory) if e.path not in but and e.looks_like(tree.get(e.path))]
        _same, different = self._compare_all(server, alike)
        return different

    def _ours(self, inventory: Inventory) -> list[Entry]:
        """Return the files that the run is about."""
        ours = [entry for image in inventory.images if image.ready for entry in image.entries]
        ours += [*inventory.files, *inventory.pointers]
        ours += [entry for entries in inventory.kernels.values() for entry in entries]
        return sorted({entry.path: entry for entry in ours if entry.kind == FILE}.values(), key=lambda one: one.path)

    def _compare_all(self, server: CachingServer, entries: t.Sequence[Entry]) -> tuple[frozenset[str], frozenset[str]]:
        """Compare the content of files on both sides, and return the paths of those that are the same, and differ."""
        if not entries:
            return frozenset(), frozenset()
        self._progress.enter(phases.COMPARING, size=sum(entry.size for entry in entries))
        there = server.digests(entries)
        same: set[str] = set()
        different: set[str] = set()
        for entry in entries:
            try:
                (same if there[entry.path] == self._source.digest(entry) else different).add(entry.path)
            except SourceChanged:
                continue  # the source moved on: the steps look at it again
        self._compared |= same
        return frozenset(same), frozenset(different)

    def _settle(self, there: There) -> None:
        """See what became of the steps of an earlier attempt that ended with the line."""
        for step, unit, action in self._doubts:
            path = step_path(step)
            if _shows(step, there.tree.get(path)) and path not in there.damaged:
                if isinstance(step, Withdraw) and step.image not in {
                    image for marker, image in self._markers.items() if marker in there.tree
                }:
                    self._tell(step.image, planner.WITHDRAWN, step.reason)
                if unit.outcome == planner.WITHDRAWN and step == unit.steps[-1]:
                    self._tell(unit.path, planner.WITHDRAWN, unit.reason)
            else:
                self.actions = [one for one in self.actions if one is not action]
                self._begun.pop(path, None)
        self._doubts = []

    def _note_plan(self, plan: planner.Plan) -> None:
        self._markers = plan.markers
        self._image_paths |= plan.images
        for path in self._image_paths & self.files.keys():
            self.images[path] = self.files.pop(path)  # an earlier attempt did not know what it is
        for path in plan.unchanged:
            if self._is_open(path):
                self._tell(path, *self._begun.get(path, (planner.UNCHANGED, "")), verified=path in self._compared)
        for path, reason in plan.only_there.items():
            if self._is_open(path):
                self._tell(path, planner.UNCHANGED, reason)
        for path, reason in plan.held_back.items():
            self._tell(path, planner.HELD_BACK, reason)
        for path, reason in plan.left_over.items():
            self._tell(path, planner.LEFT_OVER, reason)
        for path, reason in plan.impossible.items():
            self._tell(path, planner.FAILED, reason)
            self.failures.append(f"{path}: {reason}")
        if plan.refused:
            self.failures.append(plan.refused)
        self._note_lost()
        for unit in plan.units:
            # It is overwritten when its turn comes. What an earlier attempt says of it tells more.
            if unit.path in self._image_paths and not self._failed(unit.path):
                self._tell(unit.path, planner.FAILED, "not reached: the run ended before its turn")
        for marker, image in plan.markers.items():
            self._visible.setdefault(image, set()).add(marker)

    def _note_lost(self) -> None:
        """What failed in an earlier attempt, and is on neither side any more, is no failure of the caching server."""
        for path in [*self.images, *self.files]:
            if self._failed(path) and path not in self._source.tree and path not in self._there:
                self._tell(path, planner.HELD_BACK, "it is no longer on the netboot server")

    def _results_of(self, path: str) -> dict[str, Outcome]:
        return self.images if path in self._image_paths else self.files

    def _failed(self, path: str) -> bool:
        outcome = self._results_of(path).get(path)
        return outcome is not None and outcome.state == planner.FAILED

    def _is_open(self, path: str) -> bool:
        """Tell whether nothing is known of a path, or only that an earlier attempt did not bring it."""
        outcome = self._results_of(path).get(path)
        return outcome is None or outcome.state in (planner.FAILED, planner.HELD_BACK)

    def _tell(self, path: str, state: str, reason: str = "", *, verified: bool = False) -> None:
        """Note what a path came to. What earlier attempts sent for it, and the time they took, stays."""
        outcome = self._results_of(path).setdefault(path, Outcome(state))
        outcome.state, outcome.reason = state, reason
        outcome.size = self._size(path) or outcome.size  # nobody lists what an earlier attempt removed
        outcome.verified = outcome.verified or verified

    def _size(self, path: str) -> int:
        entry = self._source.tree.get(path) or self._there.get(path)
        return entry.size if entry is not None and entry.kind != DIRECTORY else 0

    # Doing

    def _carry_out(self, server: CachingServer, unit: Unit) -> list[str]:
        """Carry out a unit, and return the paths of which pieces may still be of use."""
        started = time.monotonic()
        outcomes = self._outcomes(unit)
        old = [marker for marker in unit.after if marker not in self._put]
        if old:
            self._finish(outcomes, planner.UNCHANGED, f"kept, since {old[0]} could not be renewed", started)
            return []
        unfinished = [step.entry.path for step in unit.steps if isinstance(step, Send)]
        # Once something was left, the rest is as well, even where the window ends meanwhile: it may need what was left.
        not_now = self.left_for_later or server.throttle.why_not()
        if not_now and unit.kind != "withdrawal":
            # Before its first step: a marker that is to be replaced stays until that can be done.
            self.left_for_later = not_now
            self._finish(outcomes, planner.HELD_BACK, not_now, started)
            return unfinished
        for outcome in outcomes.values():
            outcome.state, outcome.reason = planner.FAILED, "the run ended in the middle of it"
        before = len(self.actions)
        try:
            state, reason = unit.outcome, unit.reason
            for step in unit.steps:
                if isinstance(step, Withdraw) and (step.path in self._gone or step.path in self._put):
                    continue
                self._note(step)
                if isinstance(step, (Publish, Permit, Link)):
                    path = unit.path if unit.path in self._image_paths else step_path(step)
                    self._begun.setdefault(path, (unit.outcome, unit.reason))
                if not self._options.check_mode:
                    self._try(server, step, unit, outcomes)
                elif isinstance(step, Send):
                    server.would_send(step.entry)
                if isinstance(step, Publish):
                    unfinished.remove(step.entry.path)
                self._remember(step, unit)
                if self._went_meanwhile(step, unit):
                    reason = "it went from the netboot server while it was published"
                    step = Withdraw(step_path(step), unit.path, reason, Gone(step_path(step)))
                    self._note(step)
                    self._try(server, step, unit, outcomes)
                    self._remember(step, unit)
                    state = planner.WITHDRAWN
                    break
        except Kept as error:
            self.actions.pop()
            state, reason = planner.UNCHANGED, error.what
        except SyncError as error:
            if isinstance(step, VISIBLE) and isinstance(error, ConnectionTrouble) and not isinstance(error, LockLost):
                # It may have been done before the line broke, and then clients see it.
                self._doubts.append(_Doubt(step, unit, self.actions[-1]))
            elif not self._was_done(server, step, error):
                self.actions.pop()
                if isinstance(step, VISIBLE):
                    self._begun.pop(step_path(step), None)
            if isinstance(step, Send):
                self._add_bytes(outcomes, step, server.unfinished_bytes, None)
            state, reason = planner.FAILED, error.line()
            if isinstance(error, ConnectionTrouble):
                self._finish(outcomes, state, reason, started)
                raise
            if isinstance(error, LeftForLater):
                state, reason = planner.HELD_BACK, error.what
                self.left_for_later = reason
            elif isinstance(error, SourceChanged):
                state = planner.HELD_BACK
            else:
                self.failures.append(reason)
        if state == planner.UNCHANGED and all(one["action"] == Confirm.name for one in self.actions[before:]):
            del self.actions[before:]  # to look is to do nothing
        self._finish(outcomes, state, reason, started)
        return unfinished

    def _went_meanwhile(self, step: Step, unit: Unit) -> bool:
        """Tell whether a marker that was put up just now is no longer on the netboot server.

        Whoever withdraws an image takes its marker from the netboot server first, and then from the caching servers,
        without waiting for us. So either we see here that it is gone, or they find what we have put up.
        """
        path = step_path(step)
        is_marker = unit.path in self._image_paths and isinstance(step, (Publish, Link)) and path != unit.path
        return is_marker and not self._options.check_mode and self._source.still_lacks(path)

    @staticmethod
    def _was_done(server: CachingServer, step: Step, error: SyncError) -> bool:
        """Tell whether clients see what a failed step was about: it may have failed after that, at the flush."""
        if not isinstance(step, VISIBLE) or isinstance(error, (SourceChanged, LockHeld, LockLost)):
            return False
        try:
            return _shows(step, server.look(step_path(step)))
        except Exception:  # noqa: BLE001  # nobody can tell; better to report a change too much
            return True

    def _remember(self, step: Step, unit: Unit) -> None:
        """Keep account of what a client can see; an image is withdrawn with its last marker."""
        if isinstance(step, Withdraw):
            self._gone.add(step.path)
            visible = self._visible.get(step.image, set())
            visible.discard(step.path)
            if not visible:
                # Where the image is put in line later in this run, that is what it came to.
                self._tell(step.image, planner.WITHDRAWN, step.reason)
        elif isinstance(step, (Publish, Link)):
            self._put.add(step.entry.path)
            if step.entry.path != unit.path:
                self._visible.setdefault(unit.path, set()).add(step.entry.path)

    def _outcomes(self, unit: Unit) -> dict[str, Outcome]:
        """Return the results that a unit writes to: one of its image, or one for each of its files."""
        image = unit.path in self._image_paths
        found = self._results_of(unit.path)
        paths = [unit.path] if image or unit.kind != "kernel" else []
        if not paths:
            paths = [step_path(step) for step in unit.steps if isinstance(step, (Publish, Permit, Link))]
        for path in paths:
            found.setdefault(path, Outcome(planner.UNCHANGED)).size = self._size(path)
        return {path: found[path] for path in paths}

    def _finish(self, outcomes: dict[str, Outcome], state: str, reason: str, started: float) -> None:
        for outcome in outcomes.values():
            outcome.state, outcome.reason = state, reason
            outcome.seconds += round(time.monotonic() - started, 3)

    def _add_bytes(self, outcomes: dict[str, Outcome], step: Step, sent: int, basis: str | None) -> None:
        path = step_path(step)
        outcome = outcomes.get(path) or next(iter(outcomes.values()))
        outcome.sent_bytes += sent
        if path in outcomes:
            outcome.basis = basis

    def _note(self, step: Step) -> None:
        action: dict[str, t.Any] = {"action": step.name, "path": step_path(step)}
        if isinstance(step, Send):
            action.update(bytes=step.entry.size, basis=step.basis)
        elif isinstance(step, Withdraw):
            action["reason"] = step.reason
        elif isinstance(step, Link):
            action["target"] = step.entry.target
        self.actions.append(action)

    def _try(self, server: CachingServer, step: Step, unit: Unit, outcomes: dict[str, Outcome]) -> None:
        """Do one step; an error of the session is told in words."""
        size = step.entry.size if isinstance(step, Send) else 0
        self._progress.enter(PHASES[type(step)], step_path(step), size)
        try:
            self._do(server, step, unit, outcomes)
        except SyncError:
            raise
        except Exception as error:
            trouble = server.in_words(error, step_path(step))
            if trouble is None:
                raise
            raise trouble from error

    def _do(self, server: CachingServer, step: Step, unit: Unit, outcomes: dict[str, Outcome]) -> None:
        """Do one step of the protocol."""
        if isinstance(step, Send):
            sent = server.send(step.entry, step.basis)
            self._add_bytes(outcomes, step, sent.bytes, sent.basis)
        elif isinstance(step, Check):
            compared = server.check(step.entry, read_back=self._options.verify)
            if compared:
                self._compared.add(step.entry.path)
            if step.entry.path in outcomes:
                outcomes[step.entry.path].verified = compared
        elif isinstance(step, Flush):
            server.flush(step.entry)
        elif isinstance(step, Publish):
            self._source.confirm(step.entry)
            server.publish(step.entry)
        elif isinstance(step, Adopt):
            self._source.confirm(step.entry)
            if not server.adopt(step.entry):
                self.actions.pop()  # that file system does not keep it, so nothing has changed
        elif isinstance(step, Permit):
            server.permit(step.entry)
        elif isinstance(step, Confirm):
            self._confirm(server, step)
            if unit.path in outcomes:
                files = [entry for entry in step.entries if entry.kind == FILE]
                outcomes[unit.path].verified = all(entry.path in self._compared for entry in files)
        elif isinstance(step, Withdraw):
            self._look_before(step, unit)
            server.remove(step.path)
        elif isinstance(step, Link):
            self._source.confirm(step.entry)
            server.link(step.entry)
        elif isinstance(step, Remove):
            self._look_before(step, unit)
            if step.directory:
                server.remove_directory(step.path)
                if server.look(step.path) is not None:
                    raise Kept("there are hidden files in it on the caching server", path=step.path)
            else:
                server.remove(step.path)

    def _look_before(self, step: Withdraw | Remove, unit: Unit) -> None:
        """Look at the netboot server again, right before something goes. Raises :class:`Kept` where it is to stay."""
        premise = step.premise
        if isinstance(premise, Gone) and not self._source.still_lacks(premise.path):
            raise Kept("it is on the netboot server again, or cannot be looked for there", path=step.path)
        if isinstance(premise, SetAside) and not any(map(self._source.still_withdrawn, premise.markers)):
            raise Kept("it was put back on the netboot server", path=step.path)
        for one in unit.steps:
            # A marker that goes since something takes its image's place goes only if that can still be done.
            if premise is None and isinstance(one, (Publish, Link)):
                self._source.confirm(one.entry)

    def _confirm(self, server: CachingServer, step: Confirm) -> None:
        """Look at all that a name promises: unchanged on the source, there and the same on the caching server."""
        for entry in step.entries:
            self._source.confirm(entry)
            found = server.look(entry.path)
            same = found is not None and (
                found.kind in (DIRECTORY, SYMLINK) if entry.kind == DIRECTORY else server.shows(entry, found)
            )
            if not same:
                raise SyncError(
                    f"it promises {entry.path}, which is not whole on the caching server",
                    path=step.path,
                    remedy="See what became of that file, and run the sync again.",
                )
        fresh = [e for e in step.entries if e.kind == FILE and e.path not in self._compared]
        if fresh and (server.hashes or self._options.verify):
            there = server.digests(fresh)
            for entry in fresh:
                if there[entry.path] != self._source.digest(entry):
                    raise SyncError(
                        f"it promises {entry.path}, whose content on the caching server is another",
                        path=step.path,
                        remedy="Run resync.yml: it repairs what is damaged.",
                    )
                self._compared.add(entry.path)


# The steps that change what a client sees.
VISIBLE = (Withdraw, Publish, Permit, Link, Remove)

PHASES: dict[type, str] = {
    Send: phases.SENDING,
    Check: phases.CHECKING,
    Confirm: phases.CHECKING,
    Flush: phases.FLUSHING,
    Publish: phases.PUBLISHING,
    Adopt: phases.PUBLISHING,
    Permit: phases.PUBLISHING,
    Link: phases.PUBLISHING,
    Withdraw: phases.REMOVING,
    Remove: phases.REMOVING,
}


def _shows(step: Step, found: Entry | None) -> bool:
    """Tell whether a path of the caching server looks as it does after a step."""
    if isinstance(step, (Withdraw, Remove)):
        return found is None
    if isinstance(step, Permit):
        return found is not None and not found.closed
    return isinstance(step, (Publish, Link)) and step.entry.looks_like(found)


def describe(found: dict[str, Outcome]) -> list[dict[str, t.Any]]:
    """Return the results in the form of the module's documentation."""
    return [dict({"path": path}, **dataclasses.asdict(outcome)) for path, outcome in sorted(found.items())]
