# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the options of a caching server mean, and which make no sense."""

from __future__ import annotations

import re
from typing import Any

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.netboot.syncer.plugins.module_utils.assets.inventory import DEFAULT_POINTERS
from ansible_collections.netboot.syncer.plugins.module_utils.assets.marker import DEFAULT_NAMES
from ansible_collections.netboot.syncer.plugins.module_utils.options import ARGUMENTS
from ansible_collections.netboot.syncer.plugins.module_utils.run.target import Target, read_target


def site(**given: Any) -> Target:
    """Return what a task's options mean, with defaults for the others."""
    checked = ArgumentSpecValidator(ARGUMENTS).validate({"host": "192.0.2.1", **given})
    assert not checked.error_messages
    return read_target(checked.validated_parameters, check_mode=False)


def test_the_defaults() -> None:
    found = site()
    assert found.name == "192.0.2.1"
    assert found.options.rules.marker_names == DEFAULT_NAMES
    assert found.options.rules.pointers == DEFAULT_POINTERS
    assert found.options.bandwidth_limit.never_limits


@pytest.mark.parametrize(
    ("option", "value", "reach"),
    [
        pytest.param("port", 0, "from 1 to 65535", id="no-port"),
        pytest.param("port", -1, "from 1 to 65535", id="negative-port"),
        pytest.param("port", 65536, "from 1 to 65535", id="port-too-large"),
        pytest.param("max_delete", -1, "from 0 on", id="max-delete"),
        pytest.param("retries", -1, "from 0 on", id="retries"),
        pytest.param("retry_delay", -5, "from 0 on", id="retry-delay"),
        pytest.param("stall_timeout", 0, "from 1 on", id="no-stall-timeout"),
        pytest.param("stall_timeout", -1, "from 1 on", id="negative-stall-timeout"),
        pytest.param("lock_timeout", -1, "from 0 on", id="lock-timeout"),
    ],
)
def test_a_number_that_makes_no_sense(option: str, value: int, reach: str) -> None:
    with pytest.raises(ValueError, match=f"^{option}: {value} makes no sense; it must be a number {reach}$"):
        site(**{option: value})


@pytest.mark.parametrize(
    ("option", "value"),
    [("port", 1), ("port", 65535), ("port", None), ("stall_timeout", 1)]
    + [(option, 0) for option in ("max_delete", "retries", "retry_delay", "lock_timeout")],
)
def test_the_ends_of_a_range_are_in_it(option: str, value: int | None) -> None:
    site(**{option: value})


@pytest.mark.parametrize("dest", ["", "assets", "/", "//", "///", "/.", "/srv/..", "/srv/../", "/../..", "/srv/./../."])
def test_dest_has_to_be_below_the_root(dest: str) -> None:
    with pytest.raises(ValueError, match=f"^dest: {re.escape(repr(dest))} is not the absolute path of a directory"):
        site(dest=dest)


@pytest.mark.parametrize("dest", ["/srv", "/srv/", "//srv", "/srv/../var/assets"])
def test_dest_below_the_root(dest: str) -> None:
    assert site(dest=dest).options.dest == dest


@pytest.mark.parametrize("limit", ["0", "0Mbit"])
def test_no_uplink_at_all_is_refused(limit: str) -> None:
    with pytest.raises(ValueError, match=f"^uplink_limit: nothing could be sent at '{limit}'; leave it out for no"):
        site(uplink_limit=limit)
