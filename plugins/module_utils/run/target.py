# Copyright: (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a user chose for one caching server: how it is reached, and what it is to hold."""

from __future__ import annotations

import dataclasses
import typing as t

from ..assets.inventory import Rules
from ..limits.bandwidth import NO_LIMIT, Limit
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


class Target(t.NamedTuple):
    """A caching server as a module knows it: its name in messages, how it is reached, and what it is to hold."""

    name: str
    address: Address
    options: Options
