# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks caching servers: what each holds, since when, what is in transit, and how much space is free. Read-only."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import os
import queue
import re
import threading
import time
import typing as t

from ..assets.entries import FILE, WORK_DIRECTORY, Entry, Tree
from ..assets.inventory import Rules, find_images
from ..assets.marker import MAX_SIZE
from ..caching_server.listing import list_tree
from ..errors import AccessRefused, ConnectionTrouble, SyncError
from ..limits.site_time import named_zone, own_zone
from ..run.target import Target
from ..source.tree import SourceTree
from ..ssh import remote_commands
from ..ssh.alike import Alike
from ..ssh.base import BaseSession
from ..ssh.in_process import InProcessSession, agrees
from ..ssh.pipelined import Pipelined
from ..ssh.session import Session
from ..ssh.settings import Address, Effective, resolve
from ..ssh.sftp import Sftp
from ..ssh.sftp_names import Budget
from ..transports.work_area import BASIS, transfer_id
from . import image_states

THREADS = 32
BETWEEN = 1.5  # seconds, at least, between two checks of what is in transit
PATIENCE = 45.0  # seconds for all checks together, per hundred caching servers or part thereof

IN_LINE = "in_line"
BEHIND = "behind"
LEFT_FOR_LATER = "left_for_later"
UNREACHABLE = "unreachable"
FAILED = "failed"

Resolve = t.Callable[[Address], Effective]

_SECONDS = re.compile(r"[0-9]{1,12}\Z")

# Names arrive on standard input, so that none is part of a shell command.
_TIMES = r"""
cd -- "$1" 2>/dev/null || exit 0
xargs -0 stat -c '%Z %n' -- 2>/dev/null | while IFS= read -r line; do say "$line"; done
"""


class Remote:
    """The tree of a caching server over one session."""

    def __init__(self, session: BaseSession, dest: str) -> None:
        self._session = session
        self._sftp: Sftp = session.sftp()
        self._dest = dest.rstrip("/")
        self.warnings: list[str] = []

    def tree(self) -> Tree:
        """List it. Raises :class:`SyncError` if there is none, or it cannot be read."""
        if self._sftp.look(self._dest + "/.") is None:
            raise SyncError(
                "the assets tree is not there", path=self._dest, remedy="Mount it, or set netboot_sync_dest."
            )
        return list_tree(self._dest, self._entries, self.warnings.append).tree

    def _entries(self, directories: t.Sequence[str], budget: Budget) -> list[list[Entry]]:
        found: list[list[Entry]] = []
        for answer in Pipelined(self._sftp).listings(directories, budget):
            if isinstance(answer, OSError) and not isinstance(answer, FileNotFoundError):
                raise answer
            found.append([] if isinstance(answer, OSError) else answer)
        return found

    def disk_free(self) -> int | None:
        """Return the free space in bytes, or None if unknown."""
        space = self._sftp.space(self._dest)
        return space.available if space is not None else None

    def contents(self, entries: t.Iterable[Entry]) -> dict[str, bytes]:
        """Return the contents of markers."""
        small = [entry for entry in entries if entry.kind == FILE and entry.size <= MAX_SIZE]
        return {entry.path: self._sftp.read(f"{self._dest}/{entry.path}", entry.size) for entry in small}

    def changed(self, paths: t.Sequence[str]) -> dict[str, float]:
        """Return when each file got its name; empty if there is no shell to tell."""
        plain = [path for path in paths if "\n" not in path]
        if not plain:
            return {}
        names = b"".join(os.fsencode(path) + b"\0" for path in plain)
        found: dict[str, float] = {}
        for line in self._session.run(_TIMES, self._dest, stdin=names).lines:
            seconds, _unused, path = line.partition(" ")
            if _SECONDS.match(seconds) and path in plain:
                found[path] = float(seconds)
        return found

    def arrived(self, paths: t.Iterable[str]) -> dict[str, int]:
        """Return how many bytes of each file in transit are in the work area."""
        root = f"{self._dest}/{WORK_DIRECTORY}"
        wanted = {transfer_id(path): path for path in paths}
        budget = Budget()
        there = [one.path for one in self._entries([root], budget)[0] if one.path in wanted] if wanted else []
        found = {}
        for name, pieces in zip(there, self._entries([f"{root}/{name}" for name in there], budget)):
            sizes = [one.size for one in pieces if one.kind == FILE and one.path != BASIS]
            found[wanted[name]] = max(sizes, default=0)
        return found

    def digests(self, entries: t.Sequence[Entry]) -> list[str]:
        """Return the SHA-256 of files, computed there; empty if that is not possible."""
        files = [(f"{self._dest}/{entry.path}", entry.size) for entry in entries]
        if not files or not remote_commands.probe(self._session, self._dest).hashes:
            return [""] * len(files)
        return remote_commands.hash_files(self._session, files)


@contextlib.contextmanager
def _session(address: Address, settings: Effective) -> t.Iterator[BaseSession]:
    """Open a session the cheapest way; a refusal means nothing, and OpenSSH is asked next."""
    if agrees(address, settings):
        session = InProcessSession(address, settings)
        with contextlib.suppress(ConnectionTrouble):
            session.connect()
        if session.alive():
            try:
                yield session
            finally:
                session.close()
            return
    with Session(address, remember=False) as other:
        yield other


@contextlib.contextmanager
def opened(target: Target, resolved: Resolve = resolve) -> t.Iterator[Remote]:
    """Open a session to a caching server, to check it. Raises :class:`SyncError`."""
    with _session(target.address, resolved(target.address)) as session:
        try:
            yield Remote(session, target.options.dest)
        except Exception as error:
            trouble = session.in_words(error, target.options.dest)
            if trouble is None or trouble is error:
                raise
            raise trouble from error


def markers_of(tree: Tree, rules: Rules) -> list[Entry]:
    """Return the markers of a tree."""
    return [tree[path] for path in find_images(tree, rules).pairs]


@dataclasses.dataclass
class Found:
    """What was found at a site; times are seconds since the epoch.

    :ivar withdrawn: for one that could not be checked, the images that are withdrawn by name.
    """

    state: str
    reason: str = ""
    images: dict[str, image_states.ImageState] = dataclasses.field(default_factory=dict)
    behind_images: int = 0
    behind_seconds: int = 0
    disk_free: int | None = None
    withdrawn: t.Collection[str] = ()


def look(target: Target, source: SourceTree, resolved: Resolve, *, now: float) -> Found:
    """Check one caching server. A problem is a finding as well."""
    options = target.options
    try:
        inventory = source.inventory(options.rules, lambda _image: False)
        with opened(target, resolved) as remote:
            there = remote.tree()
            begun = time.monotonic()
            waiting = [image.path for image in inventory.images if image.ready and image.path not in there]
            found = image_states.of_site(
                inventory, source.tree, there, options.rules, now=now, arrived=remote.arrived(waiting)
            )
            shown = {one.marker: one for one in found.images.values() if one.marker in there}
            for path, since in remote.changed(sorted(shown)).items():
                shown[path].since = since
            free = remote.disk_free()
            _measure(found, remote, begun)
    except (ConnectionTrouble, AccessRefused) as error:
        return Found(UNREACHABLE, error.line())
    except SyncError as error:
        return Found(FAILED, error.line())
    state, reason = _verdict(target, found, now)
    return Found(state, reason, found.images, found.behind_images, found.behind_seconds, free)


def _measure(found: image_states.SiteState, remote: Remote, begun: float) -> None:
    """Check a second time what is in transit, for its rate."""
    moving = {path: one for path, one in found.images.items() if one.arrived is not None}
    if not moving:
        return
    time.sleep(max(BETWEEN - (time.monotonic() - begun), 0.0))
    for path, arrived in remote.arrived(moving).items():
        moving[path].rate = max(arrived - (moving[path].arrived or 0), 0) / (time.monotonic() - begun)


def _verdict(target: Target, found: image_states.SiteState, now: float) -> tuple[str, str]:
    stale = sum(one.state == image_states.WITHDRAWN for one in found.images.values())
    if stale:
        images = (
            "1 image that was withdrawn by name is" if stale == 1 else f"{stale} images that were withdrawn by name are"
        )
        return BEHIND, f"{images} still there"
    if not found.behind_images:
        return IN_LINE, ""
    limit, zone = target.options.bandwidth_limit, target.options.timezone
    moment = datetime.datetime.fromtimestamp(now, named_zone(zone) if zone else own_zone())
    if limit.rate_at(moment) == 0:
        return LEFT_FOR_LATER, limit.why_not(moment)
    images = "1 image is" if found.behind_images == 1 else f"{found.behind_images} images are"
    return BEHIND, f"{images} not there yet"


def look_at_all(targets: t.Sequence[Target], *, now: float) -> dict[str, Found]:
    """Check many, a number of them at a time; one that hangs is given up, and holds up no others."""
    sources: dict[str, SourceTree] = {}
    troubles: dict[str, str] = {}
    for src in {one.options.src for one in targets}:
        source = SourceTree(src)
        try:
            source.scan()
            sources[src] = source
        except SyncError as error:
            troubles[src] = error.line()
    for rules, src in {(one.options.rules, one.options.src) for one in targets}:
        if src in sources:
            sources[src].inventory(rules, lambda _image: False)  # once, before many threads need it
    found = {one.name: Found(FAILED, troubles[one.options.src]) for one in targets if one.options.src in troubles}
    waiting: queue.SimpleQueue[Target] = queue.SimpleQueue()
    asked = [one for one in targets if one.options.src in sources]
    for one in asked:
        waiting.put(one)
    done: queue.Queue[tuple[str, Found]] = queue.Queue()
    alike = Alike()

    def work() -> None:
        while True:
            try:
                one = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                result = look(one, sources[one.options.src], alike.resolve, now=now)
            except Exception as error:  # noqa: BLE001  # whatever it is, it is this site's, and no other's
                result = Found(FAILED, f"the look at it failed ({type(error).__name__}: {error})")
            done.put((one.name, result))

    for number in range(min(THREADS, len(asked))):
        threading.Thread(target=work, name=f"look {number}", daemon=True).start()
    end = time.monotonic() + PATIENCE * (1 + len(asked) / 100)
    for _number in asked:
        try:
            name, result = done.get(timeout=max(end - time.monotonic(), 0.001))
        except queue.Empty:
            break
        found[name] = result
    for one in asked:
        result = found.setdefault(one.name, Found(UNREACHABLE, "it does not answer in time"))
        if result.state in (UNREACHABLE, FAILED):
            result.withdrawn = sources[one.options.src].inventory(one.options.rules, lambda _image: False).withdrawn
    return {one.name: found[one.name] for one in targets}


def inventory_of(src: str, rules: Rules) -> tuple[SourceTree, dict[str, image_states.ImageState]]:
    """Return the tree of this host, and its images. Raises :class:`SyncError`."""
    source = SourceTree(src)
    source.scan()
    return source, image_states.of_source(source.inventory(rules, lambda _image: False), source.tree)
