# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Parts that no sync with Ansible can leave out, each done by the usual tool alone."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

from tests.lab.tree import AssetsTree

from .lab import BenchLab, Site
from .peers import Peer, Playbook, in_background
from .places import DEST, KEY

EMPTY = """---
- name: A module that does nothing, on the netboot server, for each caching server
  hosts: caching_servers
  strategy: free
  gather_facts: false
  tasks:
    - name: Do nothing
      ansible.builtin.ping:
      delegate_to: localhost
"""

RECAP = """---
- name: One task without a module for each caching server, so that the recap names it
  hosts: caching_servers
  strategy: free
  gather_facts: false
  tasks:
    - name: Do nothing
      ansible.builtin.assert:
        that: true
        quiet: true
"""


class Empty(Playbook):
    """What Ansible itself needs for one task on each caching server, before the module does anything."""

    name = "empty module"
    text = EMPTY


class Recap(Playbook):
    """What Ansible itself needs to list each caching server in its recap."""

    name = "empty recap"
    text = RECAP


class Logins(Peer):
    """One login to each caching server, in the background, which does nothing there."""

    name = "logins"

    def words(
        self,
        lab: BenchLab,
        tree: AssetsTree,  # noqa: ARG002
        sites: Sequence[Site],
        **options: Any,  # noqa: ARG002
    ) -> tuple[list[str], dict[str, str]]:
        """See Peer."""
        return in_background(lab, self.name, [f"ssh -i {KEY} root@{site.address} true" for site in sites])


class Streams(Peer):
    """Each image as a plain stream over one login, one after the other; with *hashed*, both ends also hash it.

    This is what remains of a first copy if only the content has to be right: no lock, no flush, no marker.
    """

    name = "plain streams"

    def __init__(self, *, hashed: bool = False) -> None:
        self._hashed = hashed

    def words(
        self,
        lab: BenchLab,
        tree: AssetsTree,
        sites: Sequence[Site],
        **options: Any,  # noqa: ARG002
    ) -> tuple[list[str], dict[str, str]]:
        """See Peer. Uses the faster one of two ciphers, as a sync does."""
        digest = "openssl dgst -sha256"  # several times as fast as sha256sum
        there, here = (f"; {digest} {{there}}", f"{digest} {{here}} & ") if self._hashed else ("", "")
        loops = []
        for number, site in enumerate(sites):
            socket = lab.within(lab.server.disk / "peer" / f"streams-{number}")
            ssh = f"ssh -i {KEY} -c aes128-gcm@openssh.com -S {socket} root@{site.address}"
            parts = ["set -e", f"{ssh} -MNf", f"trap '{ssh} -O exit' EXIT"]
            for count, image in enumerate(sorted(tree.root.rglob("*.squashfs"))):
                names = {"here": shlex.quote(lab.within(image)), "there": f"{DEST}/stream-{count}"}
                remote = shlex.quote(("cat >{there}" + there).format(**names))
                parts.append(f"{here.format(**names)}{ssh} {remote} <{names['here']}{'; wait $!' if here else ''}")
            loops.append(f"( {'; '.join(parts)} )")
        return in_background(lab, self.name, loops)
