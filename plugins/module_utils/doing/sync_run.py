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

from ..deciding import planner
from ..deciding.assets import DIRECTORY, FILE, SYMLINK, Entry, Tree, follow
from ..deciding.bandwidth import NO_LIMIT, Limit
from ..deciding.promises import There, wanted_markers
from ..deciding.readiness import Image, Inventory, Rules
from ..deciding.steps import Check, Confirm, Flush, Link, Permit, Publish, Remove, Send, Step, Unit, Withdraw, step_path
from ..errors import ConnectionTrouble, Kept, LeftForLater, LockHeld, SourceChanged, SyncError
from . import progress as phases
from .caching_server import CachingServer
from .progress import Progress
from .session import Session
from .source_tree import SourceTree
from .ssh_settings import Address
from .uplink import Uplink


@dataclasses.dataclass(frozen=True)
class Options:
    """What a user chose for one caching server. Times are in seconds.

    ``uplink_limit`` is the cap in bytes per second that all share who send from this host, 0 for none; those meet in
    ``uplink_directory``.
    """

    src: str
    dest: str
    rules: Rules
    verify: bool = False
    delete: bool = False
    max_delete: int = 10
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


class SyncRun:
    """Brings one caching server in line. The results stay readable when :meth:`run` raises.

    ``source`` is given where many runs share one tree, which was listed already; ``progress`` is told what is done.
    """

    def __init__(
        self,
        address: Address,
        options: Options,
        source: SourceTree | None = None,
        *,
        progress: Progress | None = None,
    ) -> None:
        self._address = address
        self._options = options
        self._source = source or SourceTree(options.src)
        self._progress = progress or Progress()
        self.images: dict[str, Outcome] = {}
        self.files: dict[str, Outcome] = {}
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

    @property
    def changed(self) -> bool:
        """Tell whether a client can see, or would see, a difference."""
        return any(action["action"] in ("withdraw", "publish", "permit", "link", "remove") for action in self.actions)

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
        self.transport = server.transport
        self.warnings = [w for w in self.warnings if w not in server.warnings] + server.warnings
        server.find_destination()
        if not self._options.check_mode:
            self._progress.enter(phases.LOCKING)
            server.open_for_writing()
        inventory, plan = self._plan(server)
        self._note_plan(inventory, plan)
        unfinished = [path for unit in plan.units for path in self._carry_out(server, unit)]
        if not self._options.check_mode:
            server.clean(unfinished)
        else:
            self.idle = not (self.actions or self.failures or self.left_for_later or server.has_leftovers())

    # Planning

    def _plan(self, server: CachingServer) -> tuple[Inventory, planner.Plan]:
        options = self._options
        self._progress.enter(phases.READING)
        tree = server.tree()
        inventory = self._source.inventory(options.rules, lambda image: options.verify or self._is_new(image, tree))
        # Where a caching server cannot hash, to compare is to read all of it over the line.
        compare = options.verify and (server.hashes or not server.throttle.why_not())
        damaged = self._compare(server, inventory, tree) if compare else frozenset()
        contents = {
            path: server.read_marker(tree[path])
            for path in wanted_markers(inventory, self._source.tree, tree, options.rules)
        }
        there = There(tree, contents, damaged)
        plan = planner.make_plan(
            inventory, self._source.tree, there, options.rules, delete=options.delete, max_delete=options.max_delete
        )
        return inventory, plan

    def _is_new(self, image: Image, there: Tree) -> bool:
        """Tell whether anything of an image is not there yet. What is there was hashed when it was sent."""
        names = {name for entry in image.entries for name in follow(entry.path, self._source.tree).names}
        return not all(self._source.tree[name].looks_like(there.get(name)) for name in names)

    def _compare(self, server: CachingServer, inventory: Inventory, tree: dict[str, Entry]) -> frozenset[str]:
        """Compare the content of all that looks the same, and return what differs."""
        ready = {entry.path for image in inventory.images if image.ready for entry in image.entries}
        ours = ready | {e.path for e in inventory.files + inventory.pointers}
        ours |= {e.path for entries in inventory.kernels.values() for e in entries}
        alike = [
            entry
            for path, entry in sorted(self._source.tree.items())
            if path in ours and entry.kind == FILE and entry.looks_like(tree.get(path))
        ]
        self._progress.enter(phases.COMPARING, size=sum(entry.size for entry in alike))
        there = server.digests(alike)
        damaged = set()
        for entry in alike:
            try:
                if there[entry.path] != self._source.digest(entry):
                    damaged.add(entry.path)
                else:
                    self._compared.add(entry.path)
            except (SourceChanged, OSError):
                continue  # the source moved on: the steps look at it again
        return frozenset(damaged)

    def _note_plan(self, inventory: Inventory, plan: planner.Plan) -> None:
        sizes = {image.path: image.squashfs.size if image.squashfs else 0 for image in inventory.images}
        for path in plan.unchanged:
            found = self.images if path in sizes else self.files
            entry = self._source.tree.get(path)
            outcome = Outcome(planner.UNCHANGED, size=entry.size if entry else 0, verified=path in self._compared)
            found.setdefault(path, outcome)
        for path in plan.only_there:
            found = self.images if path.endswith(".squashfs") else self.files
            found.setdefault(path, Outcome(planner.UNCHANGED, "only on the caching server"))
        for path, reason in plan.held_back.items():
            found = self.images if path in sizes else self.files
            found[path] = Outcome(planner.HELD_BACK, reason, size=sizes.get(path, 0))
        for path, reason in plan.impossible.items():
            found = self.images if path in sizes else self.files
            found[path] = Outcome(planner.FAILED, reason)
            self.failures.append(f"{path}: {reason}")
        if plan.refused:
            self.failures.append(plan.refused)
        for marker, image in plan.markers.items():
            self._visible.setdefault(image, set()).add(marker)

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
        not_now = server.throttle.why_not()
        if not_now and unit.kind != "withdrawal":
            # Before its first step: a marker that is to be replaced stays until that can be done.
            self.left_for_later = not_now
            self._finish(outcomes, planner.HELD_BACK, not_now, started)
            return unfinished
        try:
            for step in unit.steps:
                if isinstance(step, Withdraw) and (step.path in self._gone or step.path in self._put):
                    continue
                self._note(step)
                if not self._options.check_mode:
                    self._try(server, step, unit, outcomes)
                if isinstance(step, Publish):
                    unfinished.remove(step.entry.path)
                self._remember(step, unit)
            state, reason = unit.outcome, unit.reason
        except Kept as error:
            self.actions.pop()
            state, reason = planner.UNCHANGED, error.what
        except SyncError as error:
            self.actions.pop()
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
        self._finish(outcomes, state, reason, started)
        return unfinished

    def _remember(self, step: Step, unit: Unit) -> None:
        """Keep account of what a client can see; an image is withdrawn with its last marker."""
        if isinstance(step, Withdraw):
            self._gone.add(step.path)
            visible = self._visible.get(step.image, set())
            visible.discard(step.path)
            if not visible:
                # Where the image is put in line later in this run, that is what it came to.
                outcome = self.images.setdefault(step.image, Outcome(planner.WITHDRAWN))
                outcome.state, outcome.reason = planner.WITHDRAWN, step.reason
        elif isinstance(step, (Publish, Link)):
            self._put.add(step.entry.path)
            if step.entry.path != unit.path:
                self._visible.setdefault(unit.path, set()).add(step.entry.path)

    def _outcomes(self, unit: Unit) -> dict[str, Outcome]:
        """Return the results that a unit writes to: one of its image, or one for each of its files."""
        image = unit.path.endswith(".squashfs")
        found = self.images if image else self.files
        paths = [unit.path] if image or unit.kind != "kernel" else []
        if not paths:
            paths = [step_path(step) for step in unit.steps if isinstance(step, (Publish, Permit, Link))]
        for path in paths:
            entry = self._source.tree.get(path)
            found.setdefault(path, Outcome(planner.UNCHANGED)).size = entry.size if entry else 0
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
        elif isinstance(step, Permit):
            server.permit(step.entry)
        elif isinstance(step, Confirm):
            self._confirm(server, step)
            if unit.path in outcomes:
                files = [entry for entry in step.entries if entry.kind == FILE]
                outcomes[unit.path].verified = all(entry.path in self._compared for entry in files)
        elif isinstance(step, Withdraw):
            server.remove(step.path)
        elif isinstance(step, Link):
            self._source.confirm(step.entry)
            server.link(step.entry)
        elif isinstance(step, Remove):
            if step.directory:
                server.remove_directory(step.path)
                if server.look(step.path) is not None:
                    raise Kept("there are hidden files in it on the caching server", path=step.path)
            else:
                server.remove(step.path)

    def _confirm(self, server: CachingServer, step: Confirm) -> None:
        """Look at all that a name promises: unchanged on the source, there and the same on the caching server."""
        for entry in step.entries:
            self._source.confirm(entry)
            found = server.look(entry.path)
            same = found is not None and (
                found.kind in (DIRECTORY, SYMLINK) if entry.kind == DIRECTORY else entry.looks_like(found)
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


PHASES: dict[type, str] = {
    Send: phases.SENDING,
    Check: phases.CHECKING,
    Confirm: phases.CHECKING,
    Flush: phases.FLUSHING,
    Publish: phases.PUBLISHING,
    Permit: phases.PUBLISHING,
    Link: phases.PUBLISHING,
    Withdraw: phases.REMOVING,
    Remove: phases.REMOVING,
}


def describe(found: dict[str, Outcome]) -> list[dict[str, t.Any]]:
    """Return the results in the form of the module's documentation."""
    return [dict({"path": path}, **dataclasses.asdict(outcome)) for path, outcome in sorted(found.items())]
