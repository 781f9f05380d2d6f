# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of caching servers: what is read, what is left out, what is refused."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from ansible_collections.netboot.syncer.plugins.plugin_utils.caching_server_list import Listed, age_in_words, parse


def listed(*entries: Any) -> Listed:
    return parse(json.dumps({"cachingServers": entries}))


def entry(address: str, site: str = "", **more: Any) -> dict[str, Any]:
    return {"cachingServerIP": address, "site": site, **more}


def test_all_that_an_entry_says() -> None:
    found = listed(entry("192.0.2.7", "Zürich Nord", macAddress="52:54:00:12:34:56", gatewayIP="192.0.2.1"))
    assert found.troubles == ()
    (server,) = found.servers
    assert server == ("Z-rich-Nord", "192.0.2.7", "Zürich Nord", "52:54:00:12:34:56", "192.0.2.1")


def test_names_do_not_depend_on_the_order() -> None:
    entries = [entry("192.0.2.1", "basel"), entry("192.0.2.2", "Basel"), entry("192.0.2.3", "bern"), entry("192.0.2.4")]
    wanted = {
        "192.0.2.1": "basel-192.0.2.1",
        "192.0.2.2": "Basel-192.0.2.2",
        "192.0.2.3": "bern",
        "192.0.2.4": "192.0.2.4",
    }
    for seed in range(6):
        random.Random(seed).shuffle(entries)
        assert {one.address: one.name for one in listed(*entries).servers} == wanted


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        pytest.param("192.0.2.9", "not a JSON object", id="no-object"),
        pytest.param({"site": "bern"}, "cachingServerIP is missing", id="no-address"),
        pytest.param(entry("-oProxyCommand=x"), "not an address", id="an-option"),
        pytest.param(entry("a b"), "not an address", id="with-a-space"),
        pytest.param(entry("192.0.2.9", gatewayIP="gw"), "gatewayIP 'gw' is not an address", id="gateway"),
        pytest.param(entry("192.0.2.9", macAddress="xyz"), "macAddress 'xyz' is not a MAC address", id="mac"),
        pytest.param({"cachingServerIP": ["192.0.2.9"]}, "cachingServerIP is not a string", id="a-list"),
        pytest.param(entry("192.0.2.1", "twin"), "that of good as well", id="twin"),
    ],
)
def test_a_bad_entry_costs_the_others_nothing(bad: Any, told: str) -> None:
    found = listed(entry("192.0.2.1", "good"), bad, entry("192.0.2.3", "last"))
    assert [one.name for one in found.servers] == ["good", "last"]
    (trouble,) = found.troubles
    assert trouble.startswith("entry 2 is left out")
    assert told in trouble


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param("<html>", "not JSON", id="a-page"),
        pytest.param("[" * 100_000, "not JSON", id="deep"),
        pytest.param("[]", "not a list of caching servers", id="another-list"),
        pytest.param('{"cachingServers": {}}', "not a list of caching servers", id="no-list"),
        pytest.param('{"cachingServers": [1, 2]}', "not one of its 2 entries", id="nothing-good"),
    ],
)
def test_what_is_no_list_is_refused(text: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        parse(text)


def test_ages() -> None:
    assert [age_in_words(one) for one in (-3, 59, 7200, 200_000)] == ["0 seconds", "59 seconds", "2 hours", "2 days"]
