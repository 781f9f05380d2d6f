# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs that advance one step at a time. What they do is the code that users run: planner, run, source."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

from ansible_collections.netboot.syncer.plugins.module_utils.assets.entries import FILE, Entry, follow, image_name
from ansible_collections.netboot.syncer.plugins.module_utils.caching_server.protocol import CachingServer
from ansible_collections.netboot.syncer.plugins.module_utils.errors import SyncError
from ansible_collections.netboot.syncer.plugins.module_utils.run.ledger import Outcome
from ansible_collections.netboot.syncer.plugins.module_utils.run.sync_run import SyncRun
from ansible_collections.netboot.syncer.plugins.module_utils.run.target import Options
from ansible_collections.netboot.syncer.plugins.module_utils.source.tree import SourceTree
from ansible_collections.netboot.syncer.plugins.module_utils.ssh.settings import Address

from .pace import Crashed, Pace
from .server import Site, SteppedServer


class SteppedRun:
    """A run as users have it, except for the session: it advances one point at a time, in a thread."""

    def __init__(self, site: Site, name: str, options: Options, *, hashes: bool = True) -> None:
        self._options = options
        self._site = site
        self._name = name
        self._hashes = hashes
        self._source = SourceTree(options.src)
        self._run = SyncRun(Address(host="model"), options, self._source, connect=self._connect)
        self._pace = Pace()
        self._error: BaseException | None = None
        self.alive = True  # whether it waits at a point
        self._thread = threading.Thread(target=self._live, name=name, daemon=True)

    @property
    def failures(self) -> list[str]:
        """Return what failed, a line each."""
        return self._run.failures

    @property
    def images(self) -> dict[str, Outcome]:
        """Return the outcome of each image."""
        return self._run.images

    @contextlib.contextmanager
    def _connect(self) -> Iterator[CachingServer]:
        server = SteppedServer(self._site, self._source, self._pace, self._name, hashes=self._hashes)
        try:
            yield server
        finally:
            server.close()

    def _live(self) -> None:
        try:
            self._run.run()
        except (Crashed, SyncError):
            pass
        except BaseException as error:  # noqa: BLE001  # raised again in the thread of the test
            self._error = error
        finally:
            self.alive = False
            self._pace.end()

    def begin(self) -> None:
        """Start, and go to the first point."""
        self._thread.start()
        self._pace.wait()
        self._look()

    def step(self) -> None:
        """Go on to the next point."""
        self._pace.step()
        self._look()

    def kill(self) -> None:
        """Kill the run where it is."""
        if self.alive:
            self._pace.step(kill=True)
            self._look()

    def finish(self) -> None:
        """Go on to the end."""
        while self.alive:
            self.step()

    def ready(self) -> set[str]:
        """Return the images ready on the netboot server when the run began; an alias only if its target was, too."""
        inventory = self._source.inventory(self._options.rules, lambda _image: False)
        found = {image.path: image for image in inventory.images if image.ready}
        led_to = {path: [name for entry in one.entries for name in self._trail(entry)] for path, one in found.items()}
        return {path for path in found if found.keys() >= {name for name in led_to[path] if image_name(name)}}

    def _trail(self, entry: Entry) -> tuple[str, ...]:
        return follow(entry.path, self._source.tree).names

    def lacking(self) -> set[str]:
        """Return the netboot server's files, ready or not, that are not on the disk as they were when the run began."""
        found = {path: (len(file.content), file.mtime) for path, file in self._site.disk.names.items()}
        files = [entry for entry in self._source.tree.values() if entry.kind == FILE]
        return {entry.path for entry in files if found.get(entry.path) != (entry.size, entry.mtime)}

    def about(self, path: str) -> bool:
        """Return whether a path is chosen."""
        return self._options.rules.selection.has(path)

    def _look(self) -> None:
        if self._error is not None:
            raise self._error
