# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is reported when Ansible cannot log in: OpenSSH's message becomes one line that helps."""

from __future__ import annotations

import pytest
from ansible_collections.netboot.syncer.plugins.filter.login_trouble import login_trouble

HEAD = "Task failed: Failed to connect to the host via ssh: "
CHANGED = """@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
IT IS POSSIBLE THAT SOMEONE IS DOING SOMETHING NASTY!
Host key for 192.0.2.10 has changed and you have requested strict checking.
Host key verification failed."""


@pytest.mark.parametrize(
    ("said", "variables", "helps"),
    [
        (CHANGED, {}, "ssh-keygen -R '192.0.2.10', and log in once"),
        (CHANGED, {"ansible_port": 2222}, "ssh-keygen -R '[192.0.2.10]:2222'"),
        (
            "No ED25519 host key is known for 192.0.2.10.\nHost key verification failed.",
            {},
            "is not known yet. Log in once with ssh",
        ),
        ("joe@192.0.2.10: Permission denied (publickey).", {"ansible_user": "joe"}, "by hand: ssh joe@192.0.2.10"),
        ("ssh: Could not resolve hostname berln: Name or service not known", {"ansible_host": ""}, "Set ansible_host"),
        ("ssh: connect to host 192.0.2.10 port 22: Connection refused", {}, "listens at 192.0.2.10 port 22"),
        ("ssh: connect to host 192.0.2.10 port 22: Connection timed out", {}, "Is it switched on"),
        ("ssh: connect to host 192.0.2.10 port 22: No route to host", {}, "Is it switched on"),
        ("kex_exchange_identification: read: Connection reset by peer", {}, "reset by peer. Try it by hand"),
        ("", {}, "it does not answer. Try it by hand, until it works: ssh 192.0.2.10"),
    ],
)
def test_what_helps(said: str, variables: dict[str, object], helps: str) -> None:
    found = login_trouble(HEAD + said, {"inventory_hostname": "berlin", "ansible_host": "192.0.2.10", **variables})
    assert helps in found
    assert "\n" not in found
