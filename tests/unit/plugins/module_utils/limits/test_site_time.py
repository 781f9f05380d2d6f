# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which time zone a site is in."""

from __future__ import annotations

import datetime

import pytest
from ansible_collections.netboot.syncer.plugins.module_utils.limits.site_time import named_zone, own_zone, site_zone
from ansible_collections.netboot.syncer.plugins.module_utils.ssh.remote_commands import parse_utc_offset

SUMMER = datetime.datetime(2026, 7, 1, 12)


@pytest.mark.parametrize(
    ("answer", "hours"),
    [
        pytest.param("zone +0000", 0, id="utc"),
        pytest.param("has cat\nzone +0200\nrsync  version 3.2.7", 2, id="east"),
        pytest.param("zone -0330", -3.5, id="west-and-a-half"),
        pytest.param("zone +1400", 14, id="the-farthest"),
        pytest.param("zone ", None, id="no-date-program"),
        pytest.param("zone %z", None, id="a-date-that-does-not-know-it"),
        pytest.param("zone +9999", None, id="nonsense"),
        pytest.param("", None, id="no-shell"),
    ],
)
def test_what_the_caching_server_tells(answer: str, hours: float | None) -> None:
    offset = parse_utc_offset(answer)
    assert offset == (None if hours is None else hours * 3600)
    zone = site_zone(None, offset)
    assert (zone and zone.utcoffset(SUMMER)) == (None if hours is None else datetime.timedelta(hours=hours))


def test_a_name_goes_before_what_the_caching_server_tells() -> None:
    zone = site_zone("Europe/Berlin", 0)
    assert zone is not None
    assert zone.utcoffset(SUMMER) == datetime.timedelta(hours=2)
    assert zone.utcoffset(SUMMER.replace(month=1)) == datetime.timedelta(hours=1)


@pytest.mark.parametrize("name", ["Europe/Berln", "Europe", "../../etc/passwd", "/etc/localtime", "\0", "x" * 300])
def test_a_name_that_the_database_lacks_is_refused_in_one_line(name: str) -> None:
    with pytest.raises(ValueError, match=r"^timezone: .* is not in the time zone database") as told:
        named_zone(name)
    assert "\n" not in str(told.value)


def test_this_host_has_a_zone() -> None:
    assert own_zone().utcoffset(SUMMER) is not None
