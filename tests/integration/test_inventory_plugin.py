# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventory plugin caching_servers, read by ansible-inventory, from a file and from a web server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab.fleet import CHECKOUT
from tests.lab.sshd import next_address
from tests.lab.web import AssetsWeb

SERVERS = [
    {"cachingServerIP": "192.0.2.10", "site": "Bern", "macAddress": "525400123456", "gatewayIP": "192.0.2.1"},
    {
        "cachingServerIP": "198.51.100.10",
        "site": "Chur",
        "macAddress": "52:54:00:12:34:57",
        "gatewayIP": "198.51.100.1",
    },
]


class Stack:
    """The list as the stack serves it, and an inventory that reads it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.list = directory / "www" / "caching-servers.json"
        self.list.parent.mkdir()
        self.web = AssetsWeb(self.list.parent, address=next_address())
        self.kept = directory / "kept" / "last.json"
        self.options: dict[str, Any] = {"last_good": str(self.kept)}

    def serve(self, *servers: Any) -> None:
        self.list.write_text(json.dumps({"cachingServers": servers}), encoding="utf-8")

    def read(self, **options: Any) -> subprocess.CompletedProcess[str]:
        source = f"{self.web.url}/{self.list.name}"
        settings = {"plugin": "netboot.syncer.caching_servers", "source": source, **self.options, **options}
        inventory = self.directory / "caching_servers.yml"
        inventory.write_text(json.dumps(settings), encoding="utf-8")
        return subprocess.run(
            [str(Path(sys.executable).parent / "ansible-inventory"), "-i", str(inventory), "--list"],
            cwd=CHECKOUT,
            env={**os.environ, "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "true", "COLUMNS": "1000"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def hosts(self, **options: Any) -> dict[str, Any]:
        run = self.read(**options)
        assert run.returncode == 0, run.stderr
        found: dict[str, Any] = json.loads(run.stdout, object_hook=_without_marks)
        return found


def _without_marks(one: dict[str, Any]) -> Any:
    """Return the text itself where ansible-inventory marks it as not a template."""
    return one["__ansible_unsafe"] if list(one) == ["__ansible_unsafe"] else one


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    found = Stack(tmp_path)
    with found.web:
        yield found


def test_hosts_groups_and_variables(stack: Stack) -> None:
    stack.serve(*SERVERS)
    found = stack.hosts(
        compose={"ansible_user": "'netboot'"},
        groups={"alpine": "netboot_site == 'Chur'"},
        keyed_groups=[{"key": "netboot_boot_menu_gateways[0].split('.')[0]", "prefix": "net"}],
    )
    assert sorted(found["caching_servers"]["hosts"]) == ["Bern", "Chur"]
    assert found["site_Bern"]["hosts"] == ["Bern"]
    assert found["alpine"]["hosts"] == ["Chur"]
    assert found["net_198"]["hosts"] == ["Chur"]
    assert found["_meta"]["hostvars"]["Bern"] == {
        "ansible_host": "192.0.2.10",
        "ansible_user": "netboot",
        "netboot_site": "Bern",
        "netboot_mac_address": "525400123456",
        "netboot_boot_menu_gateways": ["192.0.2.1"],
    }


def test_from_a_file_beside_it(stack: Stack) -> None:
    stack.serve(*SERVERS)
    assert set(stack.hosts(source="www/caching-servers.json")["_meta"]["hostvars"]) == {"Bern", "Chur"}


@pytest.mark.parametrize("trouble", ["gone", "empty", "broken"])
def test_the_last_good_answer_stands_in(stack: Stack, trouble: str) -> None:
    stack.serve(*SERVERS)
    good = stack.hosts()
    if trouble == "gone":
        stack.web.stop()
    elif trouble == "empty":
        stack.serve()
    else:
        stack.list.write_text("<html>Bad gateway</html>", encoding="utf-8")
    age = 3 * 3600 + 5
    written = stack.kept.stat().st_mtime - age
    os.utime(stack.kept, (written, written))
    run = stack.read()
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout, object_hook=_without_marks) == good
    assert "3 hours old" in run.stderr
    run = stack.read(last_good_max_age=3600)
    assert run.returncode != 0
    assert "3 hours old" in run.stderr
    assert "Traceback" not in run.stderr
    if trouble == "gone":
        stack.web.start()
    stack.serve(SERVERS[0])
    assert set(stack.hosts()["_meta"]["hostvars"]) == {"Bern"}
    assert len(json.loads(stack.kept.read_text(encoding="utf-8"))["cachingServers"]) == 1


def test_no_answer_and_none_before(stack: Stack) -> None:
    run = stack.read()
    assert run.returncode != 0
    assert "There is no earlier answer" in run.stderr
    assert "404" in run.stderr


def test_what_is_cached_is_not_asked_for_again(stack: Stack) -> None:
    cache = {
        "cache": True,
        "cache_plugin": "ansible.builtin.jsonfile",
        "cache_connection": str(stack.directory / "cache"),
        "last_good": False,
    }
    stack.serve(*SERVERS)
    good = stack.hosts(**cache)
    stack.web.stop()
    assert stack.hosts(**cache) == good
    assert not stack.kept.exists()
    stack.web.start()


def test_names_from_outside_are_no_templates(stack: Stack) -> None:
    stack.serve({"cachingServerIP": "192.0.2.10", "site": "{{ lookup('pipe', 'id') }}"}, SERVERS[1])
    run = stack.read()
    found = json.loads(run.stdout)["_meta"]["hostvars"]
    assert found["lookup-pipe-id"]["netboot_site"] == {"__ansible_unsafe": "{{ lookup('pipe', 'id') }}"}
