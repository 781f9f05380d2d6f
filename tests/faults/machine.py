# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The machines that boot at a site: a client that polls one caching server's nginx, inside the site's network.

What counts as a violation, and what does not:

- The client fetches a marker, then all that it promises, then the marker again. Only if the marker is the same file
  before and after (the same ETag, and the same inode and times of the file behind it, since nginx's ETag is only size
  and whole seconds) was it visible all the time, and only then is anything reported. A marker may be withdrawn at any
  moment; that breaks no promise.
- Each part must be what the netboot server held under that name at some time, and all parts together what it held at
  one time with this very marker. A part that is replaced by a rename while it is fetched arrives as the old one or as
  the new one; both have to fit.
- Before content is called foreign, the ledger looks at the netboot server once more: it may have been added just now.
- Damage that the laboratory did itself is known by its digest, and only that exact damage is excused. A disk that folds
  names shows it under the image's new spelling as well, as soon as the netboot server uses that spelling.
"""

from __future__ import annotations

import dataclasses
import http.client
import itertools
import os
from collections.abc import Mapping, Set
from typing import Literal

from tests.lab.client import HTTP_TIMEOUT, BootClient, Violation, _Part, _Site
from tests.lab.ledger import Ledger
from tests.lab.namespaces import assert_in_network, enter_network
from tests.lab.web import AssetsWeb

INTERVAL = 0.25  # seconds between two polls
FULL_EVERY = 30.0  # seconds after which everything is fetched and hashed again, even if it seems unchanged


class BootingMachine(BootClient):
    """Polls one site.

    :arg network: the site's network namespace; the client's thread runs in it.
    :arg address: the client's own address.
    :arg damaged: files that the laboratory has damaged: path to the digest of the present content.
    :arg withdrawn: markers of images that were withdrawn by name, which no client may see any more.
    :arg own: files of the caching server itself inside the tree, never touched by a sync: path to digest.
    """

    def __init__(
        self,
        name: str,
        web: AssetsWeb,
        ledger: Ledger,
        *,
        network: str,
        address: str,
        damaged: Mapping[str, str],
        own: Mapping[str, str],
        withdrawn: Set[str],
    ) -> None:
        super().__init__({name: web}, ledger, interval=INTERVAL, full_every=FULL_EVERY)
        self.network = network
        self.damaged = damaged
        self.own = own
        self.withdrawn = withdrawn
        self.visible = 0  # how many of the polls found the marker
        self._moving = itertools.count()
        site = self._sites[0]
        site.connection = http.client.HTTPConnection(
            web.address, web.port, timeout=HTTP_TIMEOUT, source_address=(address, 0)
        )

    def _watch(self, site: _Site) -> None:
        enter_network(self.network)
        super()._watch(site)

    def _ask(self, site: _Site, method: Literal["GET", "HEAD"], path: str, *, keep: bool = False) -> _Part:
        if site.connection.sock is None:
            assert_in_network(self.network)
        full = os.path.join(site.web.root, path)
        before = _identity(full)
        withdrawn = frozenset(self.withdrawn)  # as it is before the request
        part = super()._ask(site, method, path, keep=keep)
        after = _identity(full)
        if keep and part.digest is not None:
            self.visible += 1
            if path in withdrawn:
                self._blame(Violation(site.name, "withdrawn", path, "was seen after it had been withdrawn by name"))
        # a file that was replaced in the meantime must not compare equal to anything seen before or after
        identity = before if before == after else f"moving {next(self._moving)}"
        return dataclasses.replace(part, etag=f"{part.etag} {identity}")

    def _held(self, path: str, digest: str) -> bool:
        return digest in (self._damage(path), self.own.get(path)) or super()._held(path, digest)

    def _promised(self, marker: str, digest: str, parts: Mapping[str, str]) -> bool:
        # with a damaged part, no state fits as a whole; each part has been checked on its own
        excused = any(parts[path] == self._damage(path) for path in parts)
        return excused or super()._promised(marker, digest, parts)

    def _damage(self, path: str) -> str | None:
        """The digest of a file that the laboratory damaged, whatever the spelling of its path."""
        known = {spelling.casefold(): digest for spelling, digest in list(self.damaged.items())}
        return known.get(path.casefold())


def _identity(path: str) -> str:
    try:
        found = os.lstat(path)
    except OSError:
        return "nothing"
    return f"{found.st_ino:x}-{found.st_size:x}-{found.st_mtime_ns:x}-{found.st_ctime_ns:x}"
