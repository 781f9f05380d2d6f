# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The booting machine: polls caching servers over HTTP and checks them against what their markers promise."""

from __future__ import annotations

import concurrent.futures
import hashlib
import http.client
import threading
import time
import urllib.parse
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Literal

from . import images
from .ledger import PIECE, Ledger, MarkerError, closure_of, fingerprint, visible_files
from .web import AssetsWeb

HTTP_TIMEOUT = 20.0  # seconds
QUICK_LOOK = 0.25  # seconds between two checks of the parts of an image that is known to be complete

Kind = Literal["missing", "short", "different", "broken", "bad marker", "foreign", "in place", "withdrawn", "outside"]


@dataclass(frozen=True)
class Violation:
    """A caching server showed what it must never show.

    ``missing``, ``short``, ``different``: a marker was visible and that part of its closure was so; ``broken``: the
    squashfs is none, or shorter than its superblock says; ``bad marker``: it cannot be read; ``foreign``: a file
    under a final name whose content the netboot server never held there. Seen by others than this client: ``in place``
    (a file was written under its final name), ``withdrawn`` (without a reason), ``outside`` (of the tree).
    """

    site: str
    kind: Kind
    path: str
    detail: str

    def __str__(self) -> str:
        return f"{self.site}: {self.path} {self.detail} ({self.kind})"


@dataclass(frozen=True)
class Event:
    """An image became bootable at a site, or its marker went away there; ``at`` is in seconds of time.monotonic()."""

    what: Literal["bootable", "withdrawn"]
    site: str
    image: str
    at: float


@dataclass(frozen=True)
class _Part:
    """What came as answer for one path: digest None if it is not there."""

    etag: str = ""
    digest: str | None = None
    size: int = 0
    head: bytes = b""
    whole: bool = True


@dataclass
class _Known:
    """An image that was checked completely: which answers it had, and when."""

    marker_etag: str
    part_etags: dict[str, str]
    looked: float
    checked: float


@dataclass
class _Site:
    name: str
    web: AssetsWeb
    connection: http.client.HTTPConnection
    lock: threading.Lock = field(default_factory=threading.Lock)
    known: dict[str, _Known] = field(default_factory=dict)  # by marker
    bootable: set[str] = field(default_factory=set)
    seen: dict[str, tuple[int, ...]] = field(default_factory=dict)  # the tree: path to its state when last hashed
    scanned: float = 0.0


class BootClient:
    """Polls all sites for all images that the netboot server ever had, each site in its own thread.

    Where a marker answers, kernel, initrd and squashfs are fetched and hashed whole: when it appears, when one of the
    answers changes (ETag), and every *full_every* seconds; in between, only the headers are checked. A mismatch counts
    only if the same marker was visible before and after: a caching server may withdraw one at any time. The tree behind
    each server is scanned as well, for files that no marker mentions.

    :arg sites: the web servers of the sites, by name.
    :arg ledger: what they are checked against.
    :arg interval: seconds between two polls of a site.
    :arg on_event: called from the site's thread at each event.
    """

    def __init__(
        self,
        sites: Mapping[str, AssetsWeb],
        ledger: Ledger,
        *,
        interval: float = 0.05,
        full_every: float = 30.0,
        on_event: Callable[[Event], None] | None = None,
    ) -> None:
        self.ledger = ledger
        self.interval = interval
        self.full_every = full_every
        self.on_event = on_event
        self.polls = 0  # how often a marker was asked for
        self.unanswered = 0  # polls that met no server
        self.checks = 0  # how often a whole closure was fetched and hashed
        self.violations: list[Violation] = []
        self.events: list[Event] = []
        self._count = threading.Lock()
        self._sites = [
            _Site(name, web, http.client.HTTPConnection(web.address, web.port, timeout=HTTP_TIMEOUT))
            for name, web in sites.items()
        ]
        self._stopping = threading.Event()
        self._pool: concurrent.futures.ThreadPoolExecutor | None = None
        self._watches: list[concurrent.futures.Future[None]] = []

    def start(self) -> None:
        """Start to poll."""
        self._stopping.clear()
        self._pool = concurrent.futures.ThreadPoolExecutor(len(self._sites), thread_name_prefix="boot client")
        self._watches = [self._pool.submit(self._watch, site) for site in self._sites]

    def stop(self) -> None:
        """Stop polling; errors during polling are raised here."""
        self._stopping.set()
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None
        for site in self._sites:
            site.connection.close()
        for watch in self._watches:
            watch.result()

    def __enter__(self) -> BootClient:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def check_now(self) -> None:
        """Check everything once, completely, in the calling thread: for the end of a test, or without start()."""
        for site in self._sites:
            self._round(site, whole=True)

    def bootable(self, site: str) -> set[str]:
        """The images (paths of the squashfs) that can be booted from *site* now."""
        return next(set(each.bootable) for each in self._sites if each.name == site)

    def _watch(self, site: _Site) -> None:
        while not self._stopping.wait(self.interval):
            self._round(site, whole=False)

    def _round(self, site: _Site, *, whole: bool) -> None:
        with site.lock:
            for marker, squashfs in self.ledger.markers().items():
                if self._stopping.is_set() and not whole:
                    return
                with self._count:
                    self.polls += 1
                try:
                    self._look(site, marker, squashfs, whole=whole)
                except (OSError, http.client.HTTPException):
                    # no answer says nothing about what is there
                    site.connection.close()
                    with self._count:
                        self.unanswered += 1
            if whole or time.monotonic() - site.scanned > QUICK_LOOK:
                self._scan(site)
                site.scanned = time.monotonic()

    def _look(self, site: _Site, marker: str, squashfs: str, *, whole: bool) -> None:
        answer = self._ask(site, "GET", marker, keep=True)
        if answer.digest is None:
            site.known.pop(marker, None)
            if squashfs in site.bootable:
                site.bootable.remove(squashfs)
                self._tell(Event("withdrawn", site.name, squashfs, time.monotonic()))
            return
        now = time.monotonic()
        known = site.known.get(marker)
        if known is not None and known.marker_etag == answer.etag and not whole:
            if now - known.looked < QUICK_LOOK:
                return
            if now - known.checked < self.full_every:
                etags = {path: self._ask(site, "HEAD", path).etag for path in known.part_etags}
                if etags == known.part_etags:
                    known.looked = now
                    return
        self._check(site, marker, squashfs, answer)

    def _check(self, site: _Site, marker: str, squashfs: str, answer: _Part) -> None:
        """Fetch all that a visible marker promises, and judge it."""
        with self._count:
            self.checks += 1
        try:
            closure = closure_of(answer.head, squashfs)
            problem: str | None = None
        except MarkerError as exc:
            closure, problem = [], str(exc)
        parts = {path: self._ask(site, "GET", path) for path in closure}
        if self._ask(site, "GET", marker).etag != answer.etag:
            return  # withdrawn or replaced meanwhile: nothing can be said
        now = time.monotonic()
        site.known[marker] = _Known(answer.etag, {path: part.etag for path, part in parts.items()}, now, now)
        if problem is not None:
            self._blame(Violation(site.name, "bad marker", marker, problem))
            return
        found = [violation for path, part in parts.items() if (violation := self._wrong(site, path, part))]
        digests = {path: str(part.digest) for path, part in parts.items()}
        if not found and not self._promised(marker, str(answer.digest), digests):
            found = [Violation(site.name, "different", marker, "was never held together with what is there")]
        for violation in found:
            self._blame(violation)
        if not found and squashfs not in site.bootable:
            site.bootable.add(squashfs)
            self._tell(Event("bootable", site.name, squashfs, now))

    def _wrong(self, site: _Site, path: str, part: _Part) -> Violation | None:
        """What is wrong with one part by itself."""
        if part.digest is None:
            return Violation(site.name, "missing", path, "is not there, but its marker is")
        if not part.whole or part.size < self.ledger.smallest(path):
            return Violation(site.name, "short", path, f"ends after {part.size} bytes")
        if path.endswith(".squashfs") and not part.size >= images.bytes_used(part.head) > 0:
            return Violation(site.name, "broken", path, "is not a whole squashfs")
        if not self._held(path, part.digest):
            return Violation(site.name, "different", path, "differs from all that the netboot server held")
        return None

    def _scan(self, site: _Site) -> None:
        """Scan the tree itself for contents that the netboot server never held."""
        found: dict[str, tuple[int, ...]] = {}
        for path, status in visible_files(site.web.root):
            found[path] = (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
            if site.seen.get(path) != found[path]:
                digest = fingerprint(Path(site.web.root, path))
                if digest is not None and not self._held(path, digest):
                    self._blame(Violation(site.name, "foreign", path, "is nothing that the netboot server held there"))
        site.seen = found

    def _held(self, path: str, digest: str) -> bool:
        if not self.ledger.held(path, digest):
            self.ledger.snapshot()  # it may just have arrived at the netboot server
        return self.ledger.held(path, digest)

    def _promised(self, marker: str, digest: str, parts: Mapping[str, str]) -> bool:
        if not self.ledger.promised(marker, digest, parts):
            self.ledger.snapshot()
        return self.ledger.promised(marker, digest, parts)

    def _blame(self, violation: Violation) -> None:
        with self._count:
            if violation not in self.violations:
                self.violations.append(violation)

    def _tell(self, event: Event) -> None:
        with self._count:
            self.events.append(event)
        if self.on_event is not None:
            self.on_event(event)

    def _ask(self, site: _Site, method: Literal["GET", "HEAD"], path: str, *, keep: bool = False) -> _Part:
        """One request. The first 48 bytes of the body are kept, or all of it with *keep*."""
        url = "/" + urllib.parse.quote(path, errors="surrogateescape")
        site.connection.request(method, url)
        answer = site.connection.getresponse()
        if answer.status == http.client.NOT_FOUND:
            answer.read()
            return _Part()
        if answer.status != http.client.OK:
            answer.read()
            raise http.client.HTTPException(f"{site.web.url}{url}: {answer.status}")
        etag = str(answer.getheader("ETag"))
        if method == "HEAD":
            answer.read()
            return _Part(etag=etag)
        total = int(str(answer.getheader("Content-Length")))
        digest, size, head = hashlib.sha256(), 0, b""
        try:
            while piece := answer.read(PIECE):
                digest.update(piece)
                size += len(piece)
                if keep or len(head) < 48:
                    head += piece if keep else piece[:48]
        except (OSError, http.client.HTTPException):
            # interrupted: a file that got shorter while it was sent, or a server that went down
            site.connection.close()
        return _Part(etag=etag, digest=digest.hexdigest(), size=size, head=head, whole=size == total)
