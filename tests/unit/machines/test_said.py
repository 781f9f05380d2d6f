# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading from a playbook's output what changed where, and comparing what check mode predicted with what was done."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.lab.fleet import CHECKOUT
from tests.machines.mistakes import messages
from tests.machines.said import Change, Diff, differences, said

CHECK = [
    {
        "task": "Write",
        "host": "berlin -> netboot(192.0.2.1)",
        "item": "",
        "diff": "--- before\n+++ after: /tmp/ansible-local-1/a/nginx.conf.j2\n@@ -0,0 +1 @@\n+listen 80;\n\n",
    },
    {
        "task": "Write",
        "host": "hamburg",
        "item": "",
        "diff": "--- before\n+++ after: /tmp/ansible-local-1/b/nginx.conf.j2\n@@ -0,0 +1 @@\n+listen 81;\n\n",
    },
    {
        "task": "Make",
        "host": "berlin",
        "item": "/srv/a",
        "diff": "--- before\n+++ after\n@@ -1 +1 @@\n     path: /srv/a\n-    state: absent\n+    state: directory\n\n",
    },
    {"task": "Say", "host": "hamburg", "item": "", "diff": ""},
]


def other(old: str, new: str) -> list[dict[str, str]]:
    """Return ``CHECK`` with a text replaced."""
    return [{name: value.replace(old, new) for name, value in one.items()} for one in CHECK]


def test_what_changed_and_what_was_shown() -> None:
    found = said(CHECK)
    assert found.changes == {
        Change("Write", "berlin -> netboot(192.0.2.1)"),
        Change("Write", "hamburg"),
        Change("Make", "berlin", "/srv/a"),
        Change("Say", "hamburg"),
    }
    assert found.diffs == {
        Diff("Write", "berlin -> netboot(192.0.2.1)", "@@ -0,0 +1 @@\n+listen 80;"),
        Diff("Write", "hamburg", "@@ -0,0 +1 @@\n+listen 81;"),
        Diff("Make", "berlin", "/srv/a"),
    }
    assert found.of({"netboot"}).changes == {Change("Write", "berlin -> netboot(192.0.2.1)")}
    assert not found.without({"Write", "Make", "Say"}).changes


def test_each_way_to_say_something_else_is_found() -> None:
    assert differences(said(CHECK), said(other("ansible-local-1", "ansible-local-2"))) == []
    for done in (
        CHECK[:-1],
        [*CHECK, {"task": "Make", "host": "berlin", "item": "/srv/b", "diff": ""}],
        other("listen 81", "listen 82"),
    ):
        assert differences(said(CHECK), said(done))
    assert differences(said(CHECK), said(other("listen 81", "listen 82")), diffs_of=("Write",)) == []


PLAY = """
- hosts: [berlin, hamburg]
  gather_facts: false
  tasks:
    - name: Make
      ansible.builtin.file: {path: "{{ place }}/{{ item }}", state: directory, mode: "0755"}
      loop: [a, b]
    - name: Write
      ansible.builtin.copy: {content: "{{ inventory_hostname }}\\n", dest: "{{ place }}/file", mode: "0644"}
    - name: Elsewhere
      ansible.builtin.copy: {content: "x\\n", dest: "{{ place }}/b/there", mode: "0644"}
      delegate_to: hamburg
      when: inventory_hostname == "berlin"
"""


@pytest.mark.parametrize("how", ["yaml", "json"])
def test_a_real_run_tells_whose_each_change_is(tmp_path: Path, how: str) -> None:
    """Two hosts at once, each with a loop: the console does not show which host a diff belongs to."""
    hosts = {}
    for name in ("berlin", "hamburg"):
        (tmp_path / name).mkdir()
        hosts[name] = {"place": str(tmp_path / name), "ansible_connection": "local"}
    variables = {"ansible_python_interpreter": sys.executable}
    inventory = {"all": {"hosts": hosts, "vars": variables}}
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump(inventory), "utf-8")
    (tmp_path / "play.yml").write_text(PLAY, "utf-8")
    changes = tmp_path / "changes"
    environment = {
        **os.environ,
        "ANSIBLE_CALLBACK_PLUGINS": str(CHECKOUT / "tests" / "lab" / "callback_plugins"),
        "ANSIBLE_CALLBACKS_ENABLED": "lab_changes",
        "ANSIBLE_CALLBACK_RESULT_FORMAT": how,
        "NETBOOT_LAB_CHANGES": str(changes),
    }
    program = str(Path(sys.executable).with_name("ansible-playbook"))
    words = [program, str(tmp_path / "play.yml"), "-i", str(tmp_path / "hosts.yml"), "--diff"]
    subprocess.run(words, check=True, capture_output=True, env=environment)
    found = said(json.loads(line) for line in changes.read_text("utf-8").splitlines())
    at = {name: str(tmp_path / name) for name in hosts}
    assert found.changes == {
        *(Change("Make", name, item) for name in hosts for item in ("a", "b")),
        *(Change("Write", name) for name in hosts),
        Change("Elsewhere", "berlin -> hamburg"),
    }
    assert found.diffs == {
        *(Diff("Make", name, f"{at[name]}/{item}") for name in hosts for item in ("a", "b")),
        *(Diff("Write", name, f"@@ -0,0 +1 @@\n+{name}") for name in hosts),
        Diff("Elsewhere", "berlin -> hamburg", "@@ -0,0 +1 @@\n+x"),
    }


def test_what_a_failed_task_says() -> None:
    text = 'fatal: [berlin]: FAILED! =>\x20\n    changed: false\n    msg: "berlin: no.\\n  Do it."\n\nPLAY RECAP ***\n'
    assert messages(text) == ["berlin: no.\n  Do it."]
    assert "rc: 1" in messages(text.replace("changed: false", "rc: 1"))[0]
