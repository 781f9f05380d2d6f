# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a run connects to its caching server: a session over SSH, closed at the end, with its errors in words."""

from __future__ import annotations

import contextlib
import typing as t

from ..caching_server.protocol import CachingServer
from ..caching_server.server import SshCachingServer
from ..errors import LockHeld
from ..limits.uplink import Uplink
from ..progress import Progress
from ..source.tree import SourceTree
from ..ssh.base import BaseSession
from ..ssh.session import Session
from ..ssh.settings import Address
from .target import Options

# Opens a session, and yields its caching server for the ``with`` block. Raises only SyncError.
Connect = t.Callable[[], t.ContextManager[CachingServer]]


def over_ssh(
    address: Address, options: Options, source: SourceTree, progress: Progress, *, session: BaseSession | None = None
) -> Connect:
    """Return a function that opens sessions to a caching server over SSH; or the given one, which is for a look."""
    uplink = Uplink(options.uplink_limit, directory=options.uplink_directory) if options.uplink_limit else None

    @contextlib.contextmanager
    def connect() -> t.Iterator[CachingServer]:
        with session or Session(address, remember=not options.check_mode) as opened:
            try:
                server = SshCachingServer(
                    opened,
                    source,
                    options.dest,
                    transport=options.transport,
                    limit=options.bandwidth_limit,
                    timezone=options.timezone,
                    uplink=uplink,
                    lock_timeout=options.lock_timeout,
                    progress=progress,
                    # Where rsync is a must, it is an error if it is not there, whether anything is to be sent or not.
                    look=session is not None and options.transport != "rsync",
                )
                try:
                    yield server
                finally:
                    if opened.alive():
                        server.close()
            except LockHeld:
                raise
            except Exception as error:
                # paramiko raises many kinds when a connection is lost
                trouble = opened.in_words(error, options.dest)
                if trouble is None or trouble is error:
                    raise
                raise trouble from error

    return connect
