# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading from a playbook's output what changed where, and comparing what was foretold with what was done."""

from __future__ import annotations

from tests.machines.mistakes import messages
from tests.machines.said import Change, Diff, differences, said

CHECK = """
PLAY [Prepare] *****************************************************************

TASK [Write] *******************************************************************
--- before
+++ after: /tmp/ansible-local-1/a/nginx.conf.j2
@@ -0,0 +1 @@
+listen 80;

changed: [berlin -> netboot(192.0.2.1)]
--- before
+++ after: /tmp/ansible-local-1/b/nginx.conf.j2
@@ -0,0 +1 @@
+listen 81;

changed: [hamburg]

TASK [Make] ********************************************************************
changed: [berlin] => (item=/srv/a)
ok: [berlin] => (item=/srv/b)
--- before
+++ after
@@ -1,3 +1,3 @@
     path: /srv/a
-    state: absent
+    state: directory


TASK [Say] *********************************************************************
changed: [hamburg] =>\x20
    msg: would start it

PLAY RECAP *********************************************************************
berlin : ok=1 changed=3
"""


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


def test_results_as_json_are_read_as_well() -> None:
    assert said('TASK [Say] ****\nchanged: [berlin] => {\n    "msg": "x"\n}\n').changes == {Change("Say", "berlin")}


def test_each_way_to_say_something_else_is_found() -> None:
    assert differences(said(CHECK), said(CHECK.replace("ansible-local-1", "ansible-local-2"))) == []
    for done in (
        CHECK.replace("changed: [hamburg] =>", "ok: [hamburg] =>"),
        CHECK.replace("ok: [berlin] => (item=/srv/b)", "changed: [berlin] => (item=/srv/b)"),
        CHECK.replace("listen 81", "listen 82"),
    ):
        assert differences(said(CHECK), said(done))
    assert differences(said(CHECK), said(CHECK.replace("listen 81", "listen 82")), diffs_of=("Write",)) == []


def test_what_a_failed_task_says() -> None:
    text = 'fatal: [berlin]: FAILED! =>\x20\n    changed: false\n    msg: "berlin: no.\\n  Do it."\n\nPLAY RECAP ***\n'
    assert messages(text) == ["berlin: no.\n  Do it."]
    assert "rc: 1" in messages(text.replace("changed: false", "rc: 1"))[0]
