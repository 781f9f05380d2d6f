# Copyright: (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a user says of one caching server: the options of the modules, and what a run makes of them."""

from __future__ import annotations

import math
import posixpath
import typing as t

from .assets.inventory import DEFAULT_POINTERS, Rules
from .assets.kernels import DEFAULT_KERNEL_FILES, read_kernel_files
from .assets.marker import DEFAULT_NAMES
from .assets.patterns import Selection
from .assets.uploads import SETTLE
from .limits.bandwidth import parse_limit, parse_rate

if t.TYPE_CHECKING:
    from .run.target import Target

ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "src": {"type": "path", "default": "/srv/netboot/assets"},
    "dest": {"type": "str", "default": "/srv/netboot/assets"},
    "host": {"type": "str"},
    "name": {"type": "str"},
    "port": {"type": "int"},
    "user": {"type": "str"},
    "private_key_file": {"type": "path", "no_log": False},
    "known_hosts_file": {"type": "path"},
    "host_key_checking": {"type": "str", "choices": ["true", "accept-new", "false"], "default": "true"},
    "include": {"type": "list", "elements": "str", "default": []},
    "exclude": {"type": "list", "elements": "str", "default": []},
    "unmarked_images": {"type": "list", "elements": "str", "default": []},
    "marker_names": {
        "type": "list",
        "elements": "str",
        "default": list(DEFAULT_NAMES),
    },
    "pointers": {"type": "list", "elements": "str", "default": list(DEFAULT_POINTERS)},
    "priority": {"type": "list", "elements": "str", "default": []},
    "kernel_files": {"type": "list", "elements": "raw", "default": list(DEFAULT_KERNEL_FILES)},
    "settle": {"type": "int", "default": SETTLE},
    "verify": {"type": "bool", "default": False},
    "delete": {"type": "bool", "default": False},
    "max_delete": {"type": "int", "default": 10},
    "grace": {"type": "int", "default": 300},
    "only": {"type": "list", "elements": "str", "default": []},
    "withdraw": {"type": "list", "elements": "str", "default": []},
    "bandwidth_limit": {"type": "raw"},
    "timezone": {"type": "str"},
    "uplink_limit": {"type": "str"},
    "transport": {"type": "str", "choices": ["auto", "rsync", "sftp"], "default": "auto"},
    "retries": {"type": "int", "default": 3},
    "retry_delay": {"type": "int", "default": 5},
    "stall_timeout": {"type": "int", "default": 60},
    "lock_timeout": {"type": "int", "default": 60},
    "progress": {"type": "int", "default": 10},
    "progress_file": {"type": "path"},
    "variables": {"type": "str"},
}

# The least and the most that a number may be
_RANGES: dict[str, tuple[int, float]] = {
    "port": (1, 65535),
    "max_delete": (0, math.inf),
    "grace": (0, math.inf),
    "retries": (0, math.inf),
    "retry_delay": (0, math.inf),
    "stall_timeout": (1, math.inf),
    "lock_timeout": (0, math.inf),
    "settle": (0, math.inf),
}


def read_site(parameters: t.Mapping[str, t.Any], *, check_mode: bool) -> Target:
    """Return what the parameters of :data:`ARGUMENTS` mean. Raises :class:`ValueError` for what makes no sense."""
    # The controller reads ARGUMENTS alone, in each run, and needs neither paramiko nor what is built on it.
    from .limits import site_time
    from .run.target import Options, Target
    from .ssh.settings import Address

    p = parameters
    if not p["host"]:
        raise ValueError("host: the address of the caching server is missing")
    if not p["dest"].startswith("/") or posixpath.normpath(p["dest"]).strip("/") == "":
        raise ValueError(f"dest: {p['dest']!r} is not the absolute path of a directory below /")
    for option, (least, most) in _RANGES.items():
        value = p[option]
        if value is not None and not least <= value <= most:
            reach = f"from {least} on" if most == math.inf else f"from {least} to {most}"
            raise ValueError(f"{option}: {value} makes no sense; it is a number {reach}")
    if p["timezone"]:
        site_time.named_zone(p["timezone"])  # refused now, not when the caching server is at hand
    rules = Rules(
        selection=Selection(include=p["include"], exclude=p["exclude"], only=p["only"]),
        unmarked_images=tuple(p["unmarked_images"]),
        marker_names=tuple(p["marker_names"]),
        pointers=tuple(p["pointers"]),
        priority=tuple(p["priority"]),
        kernel_files=read_kernel_files(p["kernel_files"]),
        settle=p["settle"],
    )
    options = Options(
        src=p["src"],
        dest=p["dest"],
        rules=rules,
        verify=p["verify"],
        delete=p["delete"],
        max_delete=p["max_delete"],
        grace=p["grace"],
        withdraw=tuple(p["withdraw"]),
        transport=p["transport"],
        limit=parse_limit(p["bandwidth_limit"]),
        timezone=p["timezone"] or None,
        uplink_limit=parse_rate(p["uplink_limit"], option="uplink_limit") if p["uplink_limit"] else 0,
        retries=p["retries"],
        retry_delay=p["retry_delay"],
        lock_timeout=p["lock_timeout"],
        check_mode=check_mode,
    )
    address = Address(
        host=p["host"],
        port=p["port"],
        user=p["user"],
        private_key_file=p["private_key_file"],
        known_hosts_file=p["known_hosts_file"],
        host_key_checking=p["host_key_checking"],
        stall_timeout=p["stall_timeout"],
    )
    return Target(p["name"] or p["host"], address, options)
