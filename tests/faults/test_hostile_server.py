# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A compromised caching server: whatever it lists, the netboot server stays intact and the error is one line.

OpenSSH lists only what exists, so this server is paramiko's: it speaks the real protocol and can send anything.
"""

from __future__ import annotations

import os
import socket
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import paramiko
import pytest
from ansible_collections.netboot.syncer.plugins.module_utils.assets.inventory import Rules
from ansible_collections.netboot.syncer.plugins.module_utils.errors import SyncError
from ansible_collections.netboot.syncer.plugins.module_utils.run.sync_run import SyncRun
from ansible_collections.netboot.syncer.plugins.module_utils.run.target import Options
from ansible_collections.netboot.syncer.plugins.module_utils.ssh.settings import Address
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from paramiko.sftp import SFTP_NO_SUCH_FILE

from tests.lab import runs
from tests.lab.hostile import OpenDoor
from tests.lab.sshd import ClientKey
from tests.lab.tree import AssetsTree

NAMES = st.sampled_from(
    ["..", "../..", "/etc", "../../etc/passwd", "prod/x", "", "prod", "kernels", "a.squashfs", "a-kernel.json", "\n"]
) | st.text(min_size=1, max_size=30)
NUMBERS = st.sampled_from([0, 1, 2**31, 2**32 - 1, 2**63, 2**64 - 1])
KINDS = st.sampled_from([stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK, stat.S_IFIFO, 0, 0o177777])
LISTINGS = st.lists(st.tuples(NAMES, KINDS, NUMBERS, NUMBERS), max_size=12)

Listing = list[tuple[str, int, int, int]]


class Liar(paramiko.SFTPServerInterface):
    """Answers every request from the current listing."""

    listing: ClassVar[Listing] = []

    def list_folder(self, path: str) -> list[paramiko.SFTPAttributes] | int:
        # of limited depth, or a directory that lists itself would go on for ever
        return [self._attributes(one) for one in self.listing] if path.count("/") < 3 else []

    def stat(self, path: str) -> paramiko.SFTPAttributes | int:
        named = [one for one in self.listing if one[0] == os.path.basename(path)]
        return self._attributes(named[0] if named else ("", stat.S_IFDIR, 0, 0))

    lstat = stat

    def readlink(self, path: str) -> str | int:
        return "../" * 20 + "etc/passwd" if "a" in path else SFTP_NO_SUCH_FILE

    @staticmethod
    def _attributes(one: tuple[str, int, int, int]) -> paramiko.SFTPAttributes:
        found = paramiko.SFTPAttributes()
        found.filename, found.st_mode, found.st_size = one[0], one[1] | 0o644, one[2]
        found.st_atime = found.st_mtime = min(one[3], 2**32 - 1)
        found.st_uid = found.st_gid = 0
        return found


@pytest.fixture(scope="module")
def liar(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Address, Path]]:
    directory = tmp_path_factory.mktemp("liar")
    host_key = ClientKey.create(directory / "host_key")
    ended = threading.Event()
    transports: list[paramiko.Transport] = []
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.2)

    def serve() -> None:
        key = paramiko.Ed25519Key.from_private_key_file(str(host_key.private))
        while not ended.is_set():
            try:
                connection, _peer = listener.accept()
            except TimeoutError:
                continue
            transport = paramiko.Transport(connection)
            transports.append(transport)
            transport.add_server_key(key)
            transport.set_subsystem_handler("sftp", paramiko.SFTPServer, Liar)
            transport.start_server(server=OpenDoor())

    server = threading.Thread(target=serve)
    server.start()
    port = listener.getsockname()[1]
    known_hosts = directory / "known_hosts"
    known_hosts.write_text(f"[127.0.0.1]:{port} {host_key.public}\n", encoding="ascii")
    yield (
        Address(
            host="127.0.0.1",
            port=port,
            user="anybody",
            private_key_file=str(ClientKey.create(directory / "key").private),
            known_hosts_file=str(known_hosts),
            stall_timeout=5,
        ),
        directory,
    )
    ended.set()
    server.join()
    for transport in transports:
        transport.close()
    listener.close()


@pytest.mark.timeout(300)
@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(listing=LISTINGS, check_mode=st.booleans(), delete=st.booleans())
def test_any_listing_ends_in_a_result_or_in_one_line(
    liar: tuple[Address, Path], listing: Listing, check_mode: bool, delete: bool
) -> None:
    address, directory = liar
    tree = AssetsTree(directory / "assets")
    if not (tree.root / "kernels").exists():
        tree.add_kernel()
        tree.add_image("a")
    before = runs.listing(tree.root)
    Liar.listing = listing
    options = Options(
        src=str(tree.root), dest="/srv", rules=Rules(), retries=0, lock_timeout=0, check_mode=check_mode, delete=delete
    )
    run = SyncRun(address, options)
    said = ""
    try:
        run.run()
    except SyncError as error:
        said = error.line(host="liar")
    assert "\n" not in said
    assert runs.listing(tree.root) == before
