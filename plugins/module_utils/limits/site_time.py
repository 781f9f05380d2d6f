# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The local time of a site: by a name that the user gives, or else by what the caching server reports.

The clock is always the netboot server's; only the zone is the site's. So a caching server whose clock is wrong does not
move its windows.
"""

from __future__ import annotations

import datetime
import zoneinfo


def named_zone(name: str) -> datetime.tzinfo:
    """Return the time zone of this name from the system's database. Raises :class:`ValueError`."""
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(
            f"timezone: {name!r} is not in the time zone database of the netboot server; write a name such as"
            " Europe/Berlin, and install the package tzdata there if it is missing"
        ) from error


def site_zone(name: str | None, offset: int | None) -> datetime.tzinfo | None:
    """Return the time zone of a site, or None if nothing tells it; ``offset`` is in seconds east of UTC."""
    if name:
        return named_zone(name)
    return None if offset is None else datetime.timezone(datetime.timedelta(seconds=offset))


def own_zone() -> datetime.tzinfo:
    """Return the time zone of this host, as it is now."""
    return datetime.datetime.now().astimezone().tzinfo or datetime.timezone.utc
