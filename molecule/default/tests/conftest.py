# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The trees of the netboot server and the caching servers, read on those servers."""

from __future__ import annotations

import json
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import testinfra
from testinfra.host import Host

Variables = dict[str, Any]


@dataclass(frozen=True)
class Entry:
    """One name in a tree: ``content`` is the SHA-256 of a file, or the target of a symlink."""

    mode: str  # with the type, as ls shows it: -rw-r--r--
    content: str


Tree = dict[str, Entry]


def read_tree(host: Host, directory: str) -> Tree:
    """Everything below a directory, hidden names included, by relative path; uses the host's find and sha256sum."""
    there = f"cd {shlex.quote(directory)} && find . -mindepth 1"
    digests = {}
    for line in host.check_output(f"{there} -type f -exec sha256sum -z {{}} +").split("\0")[:-1]:
        digest, path = line.split("  ./", maxsplit=1)
        digests[path] = digest
    fields = iter(host.check_output(rf"{there} -printf '%P\0%M\0%l\0'").split("\0")[:-1])
    return {path: Entry(mode, digests.get(path, link)) for path, mode, link in zip(fields, fields, fields, strict=True)}


def read_tree_by_sftp(netboot: Host, variables: Variables) -> Tree:
    """The same for a caching server without a shell, as the netboot server sees it."""
    command = [
        sys.executable,
        str(Path(__file__).with_name("read_by_sftp.py")),
        variables["ansible_host"],
        str(variables["ansible_port"]),
        variables["ansible_user"],
        variables["netboot_sync_private_key_file"],
        variables["netboot_sync_known_hosts_file"],
        variables["netboot_sync_dest"],
    ]
    found = json.loads(netboot.check_output(shlex.join(command)))
    return {path: Entry(mode, content) for path, mode, content in found}


@pytest.fixture(scope="module")
def netboot(request: pytest.FixtureRequest) -> Host:
    """The netboot server."""
    return testinfra.get_host("ansible://netboot", ansible_inventory=request.config.getoption("ansible_inventory"))


@pytest.fixture(scope="module")
def source(netboot: Host) -> Tree:
    """The netboot server's assets tree."""
    return read_tree(netboot, netboot.ansible.get_variables()["netboot_sync_src"])


@pytest.fixture(scope="module")
def variables(host: Host) -> Variables:
    """A caching server's variables in the inventory."""
    return dict(host.ansible.get_variables())


@pytest.fixture(scope="module")
def tree(host: Host, netboot: Host, variables: Variables) -> Tree:
    """A caching server's assets tree."""
    if "sftp_only" in variables["group_names"]:
        return read_tree_by_sftp(netboot, variables)
    return read_tree(host, variables["netboot_sync_dest"])
