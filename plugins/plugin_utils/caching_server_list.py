# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of caching servers as the netboot stack keeps it: JSON in, hosts of an inventory out. Pure.

The list has the form ``{"cachingServers": [{"cachingServerIP", "site", "macAddress", "gatewayIP"}]}``.
"""

from __future__ import annotations

import collections
import ipaddress
import json
import re
import typing as t

MAX_SIZE = 4 * 1024 * 1024  # bytes; ten thousand caching servers take about 1.5 MB

_HOST_NAME = re.compile(
    r"(?=.{1,253}\Z)[A-Za-z0-9]([A-Za-z0-9_-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9_-]*[A-Za-z0-9])?)*"
)
_MAC = re.compile(r"([0-9A-Fa-f]{2}[:-]?){5}[0-9A-Fa-f]{2}")
_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9._-]+")


class Server(t.NamedTuple):
    """A caching server: its name in the inventory, and its entry in the list. What the entry lacks is empty."""

    name: str
    address: str
    site: str
    mac_address: str
    gateway: str


class Listed(t.NamedTuple):
    """The content of a list: the caching servers, and a line for each entry that was left out."""

    servers: tuple[Server, ...]
    troubles: tuple[str, ...]


def parse(text: str | bytes) -> Listed:
    """Read a list. Raises :class:`ValueError` if it is not valid; a single bad entry is left out, and reported."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"it is not JSON ({error})") from error
    entries = found.get("cachingServers") if isinstance(found, dict) else None
    if not isinstance(entries, list):
        raise ValueError('it is not a list of caching servers: it has no {"cachingServers": [...]}')
    read: list[Server] = []
    troubles: list[str] = []
    for number, entry in enumerate(entries, 1):
        try:
            server = _read(entry)
            twin = next((one for one in read if one.address == server.address), None)
            if twin is not None:
                raise ValueError(f"its address {server.address} is that of {twin.site or 'an entry before it'} as well")
        except ValueError as error:
            troubles.append(f"entry {number} is left out: {error}")
        else:
            read.append(server)
    if entries and not read:
        raise ValueError(f"not one of its {len(entries)} entries makes sense; {troubles[0]}")
    return Listed(_named(read), tuple(troubles))


def _read(entry: t.Any) -> Server:
    if not isinstance(entry, dict):
        raise ValueError("it is not a JSON object")
    address = _text(entry, "cachingServerIP")
    if not address:
        raise ValueError("cachingServerIP is missing")
    if not _is_address(address) and not _HOST_NAME.fullmatch(address):
        raise ValueError(f"cachingServerIP {address!r} is not an address")
    gateway = _text(entry, "gatewayIP")
    if gateway and not _is_address(gateway):
        raise ValueError(f"gatewayIP {gateway!r} is not an address")
    mac = _text(entry, "macAddress")
    if mac and not _MAC.fullmatch(mac):
        raise ValueError(f"macAddress {mac!r} is not a MAC address")
    return Server("", address, _text(entry, "site"), mac, gateway)


def _text(entry: dict[str, t.Any], key: str) -> str:
    value = entry.get(key)
    if value is None:
        return ""
    if not isinstance(value, (str, int)) or isinstance(value, bool):
        raise ValueError(f"{key} is not a string")
    return str(value).strip()


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _named(servers: t.Sequence[Server]) -> tuple[Server, ...]:
    """Give each a name that does not depend on the order: the site, plus the address if a site has two."""
    bases = [_NOT_IN_A_NAME.sub("-", one.site).strip("-.") or one.address for one in servers]
    # Names that differ only in case would be the same directory of host_vars on some disks.
    count = collections.Counter(base.lower() for base in bases)
    addresses = {one.address.lower() for one in servers}
    named = []
    for base, one in zip(bases, servers, strict=True):
        shared = count[base.lower()] > 1 or (base.lower() in addresses and base != one.address)
        named.append(one._replace(name=f"{base}-{one.address}" if shared else base))
    return tuple(named)


def age_in_words(seconds: float) -> str:
    """Return an age as a person would say it."""
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{int(seconds // length)} {unit}"
    return f"{max(int(seconds), 0)} seconds"
