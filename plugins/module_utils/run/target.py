# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The settings of one caching server: how to reach it, and what it should hold; and how they are parsed."""

from __future__ import annotations

import dataclasses
import posixpath
import typing as t

from .. import options
from ..assets.inventory import Rules
from ..assets.kernels import read_kernel_files
from ..assets.patterns import Selection
from ..assets.withdrawal import read_records
from ..limits import site_time
from ..limits.bandwidth import NO_LIMIT, Limit, parse_limit, parse_rate
from ..ssh.settings import Address

Read = t.TypeVar("Read")


@dataclasses.dataclass(frozen=True)
class Options:
    """The settings of one caching server. Each field is the option of that name, parsed; times are in seconds.

    With ``withdraw``, patterns, a run takes these images from clients, and what was withdrawn by name on the netboot
    server, and does nothing else. ``withdrawn`` are markers that count as set aside in the tree, whatever is in it, and
    whether the squashfs of each is to be removed.

    ``uplink_limit`` is the cap in bytes per second that all transfers from this host share through
    ``uplink_directory``, 0 for none.
    """

    src: str
    dest: str
    rules: Rules
    verify: bool = options.default("verify")
    delete: bool = options.default("delete")
    max_delete: int = options.default("max_delete")
    grace: int = options.default("grace")
    withdraw: tuple[str, ...] = ()
    withdrawn: tuple[tuple[str, bool], ...] = ()
    transport: str = options.default("transport")
    bandwidth_limit: Limit = NO_LIMIT
    timezone: str | None = None
    uplink_limit: int = 0
    uplink_directory: str | None = None
    retries: int = options.default("retries")
    retry_delay: int = options.default("retry_delay")
    lock_timeout: int = options.default("lock_timeout")
    history: str = options.default("history")
    check_mode: bool = False


class Target(t.NamedTuple):
    """A caching server as a module knows it: its name in messages, how to reach it, and what it should hold."""

    name: str
    address: Address
    options: Options


def read_target(parameters: t.Mapping[str, t.Any], *, check_mode: bool) -> Target:
    """Return what the parameters of :data:`~.options.ARGUMENTS` mean.

    Raises :class:`ValueError` for invalid values.
    """
    options.check(parameters)
    if not parameters["host"]:
        raise ValueError("host: the address of the caching server is missing")
    if not parameters["dest"].startswith("/") or posixpath.normpath(parameters["dest"]).strip("/") == "":
        raise ValueError(f"dest: {parameters['dest']!r} is not the absolute path of a directory below /")
    if parameters["timezone"]:
        site_time.named_zone(parameters["timezone"])  # refuse it now, not once connected
    read = {name: tuple(value) if isinstance(value, list) else value for name, value in parameters.items()}
    read.update(
        kernel_files=read_kernel_files(parameters["kernel_files"]),
        bandwidth_limit=parse_limit(parameters["bandwidth_limit"]),
        timezone=parameters["timezone"] or None,
        uplink_limit=_read_uplink_limit(parameters["uplink_limit"]),
        withdrawn=tuple(sorted(read_records(parameters["withdrawn"] or {}).items())),
        check_mode=check_mode,
    )
    read["selection"] = _made_of(Selection, read)
    read["rules"] = _made_of(Rules, read)
    return Target(parameters["name"] or parameters["host"], _made_of(Address, read), _made_of(Options, read))


def _read_uplink_limit(text: str | None) -> int:
    return parse_rate(text, option="uplink_limit") if text else 0


def _made_of(kind: type[Read], read: t.Mapping[str, t.Any]) -> Read:
    """Make a dataclass whose fields are named like options, from those that are given."""
    names = [field.name for field in dataclasses.fields(kind)]  # type: ignore[arg-type]
    return kind(**{name: read[name] for name in names if name in read})
