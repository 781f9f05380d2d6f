# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How little a survey asks of a caching server that has nothing to do, and what it leaves to a run."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from ansible_collections.netboot.syncer.plugins.module_utils.run.survey import Survey
from ansible_collections.netboot.syncer.plugins.module_utils.run.sync_run import SyncRun
from ansible_collections.netboot.syncer.plugins.module_utils.run.target import Target

from tests.lab.fleet import Fleet, SiteSpec
from tests.lab.runs import SITE, address_of, prepare, sync

# Programs that a run asks about, or by. Each leaves a line that it was started.
ASKED = {
    name: f'#!/bin/sh\necho {name} >>"${{0%/*}}/../asked"\nexec /usr/bin/{name} "$@"\n'
    for name in ("rsync", "flock", "timeout", "date", "grep", "head", "sed")
}


def survey(fleet: Fleet, **changes: Any) -> dict[str, SyncRun]:
    """Look at the one site; return its run if there is nothing to do."""
    options = dataclasses.replace(prepare(fleet, **changes).options, check_mode=True)
    return Survey([Target(SITE, address_of(fleet), options)], keep=lambda run: run).run()


@pytest.mark.parametrize("spec", [SiteSpec(SITE, scripts=ASKED)], indirect=True, ids=[""])
def test_it_is_not_asked_what_only_a_transfer_needs(fleet: Fleet) -> None:
    asked = fleet.sites[SITE].server.directory / "asked"
    assert survey(fleet) == {}
    assert not asked.exists()
    sync(fleet)
    assert set(asked.read_text("ascii").split()) >= ASKED.keys() - {"sed"}
    asked.unlink()
    found = survey(fleet)
    assert found.keys() == {SITE}
    assert (found[SITE].transport, found[SITE].offers) == ("", {})
    assert not asked.exists()


@pytest.mark.parametrize("spec", [SiteSpec(SITE, hide=("rsync",))], indirect=True, ids=[""])
def test_where_rsync_is_a_must_a_run_says_that_it_is_missing(fleet: Fleet) -> None:
    sync(fleet)
    assert survey(fleet).keys() == {SITE}
    assert survey(fleet, transport="rsync") == {}


def test_what_an_interrupted_run_left_is_seen(fleet: Fleet) -> None:
    sync(fleet)
    (fleet.sites[SITE].assets / ".netboot-sync" / "piece").touch()
    assert survey(fleet) == {}
    sync(fleet)
    assert survey(fleet).keys() == {SITE}
