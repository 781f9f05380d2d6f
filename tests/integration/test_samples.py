# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The documented samples of results are what a real run returns, except for times, sizes and hashes."""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.lab.fleet import Fleet, SiteSpec
from tests.lab.runs import IMAGE, NEXT

# Values that differ from run to run; samples must have the same type there.
CHANGING = {"seconds", "sent_bytes", "saved_bytes", "size", "bytes", "since", "age", "sha256", "disk_free", "summary"}
CHANGING |= {"freed_bytes", "utc_offset", "rsync", "lines"}
PLAY = """
- name: Each module once
  hosts: caching_servers
  gather_facts: false
  tasks:
    - {name: sync_preflight, netboot.syncer.sync_preflight: {variables: netboot_sync_}, register: sync_preflight}
    - ansible.builtin.import_role: {name: netboot.syncer.netboot_sync}
    - {name: sync_survey, netboot.syncer.sync_survey: {variables: netboot_sync_}, register: sync_survey,
       delegate_to: localhost}
    - {name: sync_summary, netboot.syncer.sync_summary: , register: sync_summary}
    - {name: assets_info, netboot.syncer.assets_info: {variables: netboot_sync_, hash: true}, register: assets_info,
       delegate_to: localhost}
    - name: boot_menu
      netboot.syncer.boot_menu:
        src: "{{ netboot_sync_src }}"
        server_url: http://192.0.2.1
        sites: [{name: berlin, cache_url: "http://203.0.113.5", gateways: [203.0.113.1]}]
      register: boot_menu
      delegate_to: localhost
    - {name: prune_assets, netboot.syncer.prune_assets: {src: "{{ netboot_sync_src }}", keep_last: 1, grace: 0},
       register: prune_assets, delegate_to: localhost}
    - {name: withdraw_assets, netboot.syncer.withdraw_assets: {src: "{{ netboot_sync_src }}", patterns: [NEXT*]},
       register: withdraw_assets, delegate_to: localhost}
    - name: Keep what they returned
      ansible.builtin.copy:
        content: >-
          {{ {'sync_preflight': sync_preflight, 'sync_assets': netboot_sync_result, 'sync_survey': sync_survey,
              'sync_summary': sync_summary, 'assets_info': assets_info, 'boot_menu': boot_menu,
              'prune_assets': prune_assets, 'withdraw_assets': withdraw_assets} | to_json }}
        dest: RESULTS
        mode: "0600"
      delegate_to: localhost
"""
MODULES = ["sync_preflight", "sync_assets", "sync_survey", "sync_summary"]
MODULES += ["assets_info", "boot_menu", "prune_assets", "withdraw_assets"]


@pytest.fixture(scope="module")
def returned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Return what each module returned, by its name."""
    directory = tmp_path_factory.mktemp("samples")
    results = directory / "results.json"
    with Fleet(directory / "fleet", [SiteSpec("berlin")]) as fleet:
        fleet.tree.add_kernel()
        older = fleet.tree.add_image(IMAGE)
        for path in (older.marker, older.squashfs):
            os.utime(path, (1_600_000_000, 1_600_000_000))
        fleet.tree.add_image("prod/half")
        fleet.tree.truncate_image("prod/half")
        fleet.tree.add_image(NEXT)
        play = directory / "play.yml"
        play.write_text(PLAY.replace("NEXT", NEXT).replace("RESULTS", str(results)), encoding="utf-8")
        run = fleet.run_playbook(str(play))
        assert run.status == 0, run.output
        text = results.read_text(encoding="utf-8").replace(str(fleet.tree.root), "/srv/netboot/assets")
        if place := os.environ.get("NETBOOT_SAMPLES"):  # to look at when writing a sample
            Path(place).write_text(text, encoding="utf-8")
        yield json.loads(text)


def documented(module: str) -> dict[str, Any]:
    found = importlib.import_module(f"ansible_collections.netboot.syncer.plugins.modules.{module}")
    parsed: dict[str, Any] = yaml.safe_load(found.RETURN)
    return parsed


def differences(sample: Any, actual: Any, place: str) -> Iterator[str]:
    """Yield how a sample differs from what was returned; for a list, the sample may be just the beginning."""
    if type(sample) is not type(actual):
        yield f"{place}: {sample!r} is documented, {actual!r} was returned"
    elif isinstance(sample, dict):
        for key in sample.keys() ^ actual.keys():
            yield f"{place}.{key}: {'documented' if key in sample else 'returned'} alone"
        for key in sample.keys() & actual.keys():
            if key in CHANGING:
                if type(sample[key]) is not type(actual[key]):
                    yield f"{place}.{key}: {sample[key]!r} is documented, {actual[key]!r} was returned"
            else:
                yield from differences(sample[key], actual[key], f"{place}.{key}")
    elif isinstance(sample, list):
        if len(sample) > len(actual):
            yield f"{place}: {len(sample)} are documented, {len(actual)} were returned"
        for number, (one, other) in enumerate(zip(sample, actual, strict=False)):
            yield from differences(one, other, f"{place}[{number}]")
    elif sample != actual:
        yield f"{place}: {sample!r} is documented, {actual!r} was returned"


@pytest.mark.parametrize("module", MODULES)
def test_samples_are_of_a_real_run(returned: dict[str, Any], module: str) -> None:
    values = documented(module)
    actual = returned[module]
    samples = {key: value["sample"] for key, value in values.items() if "sample" in value}
    assert samples
    sampled = {key: actual.get(key) for key in samples}
    assert list(differences(samples, sampled, module)) == []


@pytest.mark.parametrize("module", MODULES)
def test_all_that_is_returned_is_documented(returned: dict[str, Any], module: str) -> None:
    told = documented(module).keys()
    common = {
        "changed",
        "failed",
        "failed_when_result",
        "ansible_stats",
        "invocation",
        "msg",
        "warnings",
        "deprecations",
        "diff",
        "exception",
    }
    assert returned[module].keys() - told - common == set()
