# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever a caching server sends, and however long it goes on: the run ends with one line and uses little memory."""

from __future__ import annotations

import itertools
import json
import re
import stat
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab import hostile
from tests.lab.fleet import CHECKOUT
from tests.lab.hostile import Answer, Channel, HostileServer
from tests.lab.tree import AssetsTree

BOUND = 100_000_000  # bytes of memory, beyond what a run uses before it connects
PATIENCE = 500  # seconds: one of the bounds is 100,000 answers, which take their time on a busy machine
FILE, LINK = stat.S_IFREG | 0o644, stat.S_IFLNK | 0o777
pytestmark = pytest.mark.timeout(PATIENCE + 100)

# The run has its own process, so that the memory of the server does not count.
DRIVER = """
import json, sys
from ansible_collections.netboot.syncer.plugins.module_utils.assets.inventory import Rules
from ansible_collections.netboot.syncer.plugins.module_utils.ssh.settings import Address
from ansible_collections.netboot.syncer.plugins.module_utils.run.sync_run import SyncRun
from ansible_collections.netboot.syncer.plugins.module_utils.run.target import Options
from ansible_collections.netboot.syncer.plugins.module_utils.errors import SyncError

def peak():
    # not ru_maxrss, which begins with what the parent had
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmHWM")) * 1024

given = json.loads(sys.argv[1])
run = SyncRun(Address(**given["address"]), Options(rules=Rules(), **given["options"]))
before, lines = peak(), []
try:
    run.run()
    lines = run.failures
except SyncError as error:
    lines = [error.line(host="cache")]
print(json.dumps({"grown": peak() - before, "lines": lines, "attempts": run.attempts}))
"""

NUMBERS = hostile.numbers()


def endless_names(
    _channel: Channel, _number: int, _payload: bytes, *, ever: Iterator[bytes] = NUMBERS
) -> Answer:  # the default is shared by all calls
    return hostile.names([(b"a" * 150 + next(ever), FILE, 1) for _index in range(100)])


def huge_names(_channel: Channel, _number: int, _payload: bytes) -> Answer:
    return hostile.names([(b"a" * 200_000, FILE, 1)])


def nothing_for_ever(_channel: Channel, _number: int, _payload: bytes) -> Answer:
    return hostile.NAME, struct.pack(">I", 0)


def dots_for_ever(_channel: Channel, _number: int, _payload: bytes) -> Answer:
    return hostile.names([(b".", FILE, 1)] * 100)


def more_than_there_is(_channel: Channel, _number: int, _payload: bytes) -> Answer:
    return hostile.NAME, struct.pack(">I", 0xFFFFFFFF)


def deeper_and_deeper(_channel: Channel, _number: int, _payload: bytes) -> Answer | None:
    return hostile.names([(b"d", stat.S_IFDIR | 0o755, 0)])


def endless_links(_channel: Channel, _number: int, _payload: bytes, *, ever: Iterator[bytes] = NUMBERS) -> Answer:
    return hostile.names([(next(ever), LINK, 1) for _index in range(100)])


def long_target(_channel: Channel, _number: int, _payload: bytes) -> Answer:
    return hostile.names([(b"t" * 4000, LINK, 0)])


def answers_to_no_question(channel: Channel, _number: int, _payload: bytes) -> None:
    for number in itertools.count(1_000_000):
        channel.packet(hostile.STATUS, struct.pack(">II", number, 0) + hostile.string(b"x" * 30_000) * 2)


def packet_of_15_mb(channel: Channel, _number: int, _payload: bytes) -> None:
    channel.send(struct.pack(">IB", 15_000_000, hostile.NAME))
    while True:
        channel.send(bytes(30_000))


def yes(channel: Channel, _command: str) -> None:
    while True:
        channel.send(b"y" * 30_000)


def yes_lines(channel: Channel, _command: str) -> None:
    while True:
        channel.send(b"yes\n" * 8_000)


def our_own_mark(channel: Channel, command: str) -> None:
    found = re.search(r"netboot-sync-[0-9a-f]{32}", command)
    assert found is not None
    while True:
        channel.send((found[0] + " has rsync\n").encode() * 500)


def beyond_the_window(channel: Channel, _command: str) -> None:
    channel.flood(b"y" * 30_000)


def standard_error(channel: Channel, _command: str) -> None:
    channel.flood(b"e" * 30_000, errors=True)


def no_line_break() -> Iterator[bytes]:
    return itertools.repeat(b"SSH" * 10_000)


def huge_packet() -> Iterator[bytes]:
    yield b"SSH-2.0-OpenSSH_9.9\r\n"
    yield struct.pack(">IB", 0x7FFFFFF0, 4)
    yield from itertools.repeat(bytes(60_000))


CASES: list[Any] = [
    *(
        pytest.param({"sftp": {hostile.READDIR: answer}}, id=answer.__name__)
        for answer in (
            endless_names,
            huge_names,
            nothing_for_ever,
            dots_for_ever,
            more_than_there_is,
            deeper_and_deeper,
        )
    ),
    pytest.param({"sftp": {hostile.READDIR: endless_links, hostile.READLINK: long_target}}, id="endless_links"),
    pytest.param({"sftp": {hostile.READDIR: answers_to_no_question}}, id="answers_to_no_question"),
    pytest.param({"sftp": {hostile.READDIR: packet_of_15_mb}}, id="packet_of_15_mb"),
    pytest.param({"sftp": {hostile.INIT + 6: answers_to_no_question}}, id="lstat"),
    *(
        pytest.param({"shell": shell}, id=shell.__name__)
        for shell in (yes, yes_lines, our_own_mark, beyond_the_window, standard_error)
    ),
    pytest.param({"greeting": no_line_break()}, id="no_line_break"),
    pytest.param({"greeting": huge_packet()}, id="huge_packet"),
]


def run_against(server: HostileServer, tree: AssetsTree, **options: object) -> dict[str, Any]:
    """Run the sync in its own process; return what it reported, and by how many bytes its memory grew."""
    address = {"host": "127.0.0.1", "port": server.port, "user": "anybody", "stall_timeout": 10}
    address.update(private_key_file=str(server.key.private), known_hosts_file=str(server.known_hosts))
    given = {
        "address": address,
        "options": {"src": str(tree.root), "dest": "/srv", "retries": 0, "lock_timeout": 0, **options},
    }
    answer = subprocess.run(
        [sys.executable, "-c", DRIVER, json.dumps(given)],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
        env={
            "PYTHONPATH": str(CHECKOUT / ".collections"),
            "PATH": "/usr/bin:/bin:/usr/sbin",
            "HOME": str(tree.root.parent),
        },
    )
    assert answer.returncode == 0, answer.stderr
    found: dict[str, Any] = json.loads(answer.stdout)
    return found


@pytest.fixture
def tree(tmp_path: Path) -> AssetsTree:
    tree = AssetsTree(tmp_path / "assets")
    tree.add_kernel()
    tree.add_image("prod/a")
    return tree


@pytest.mark.parametrize("behaviour", CASES)
def test_memory_stays_small_and_the_run_ends(tmp_path: Path, tree: AssetsTree, behaviour: dict[str, Any]) -> None:
    with HostileServer(tmp_path, **behaviour) as server:
        found = run_against(server, tree, check_mode=True)
    assert found["grown"] < BOUND
    assert len(found["lines"]) == 1 or "deeper" in str(behaviour)
    assert "Traceback" not in str(found["lines"])


def grows(_channel: Channel, _number: int, _payload: bytes) -> Answer:
    return hostile.DATA, hostile.string(bytes(32_768))


def as_file(_channel: Channel, _number: int, payload: bytes) -> Answer:
    is_file = payload[4:].endswith((b".json", b".squashfs", b"lock"))
    return hostile.ATTRS, hostile.attributes(FILE if is_file else stat.S_IFDIR | 0o755, 4000 if is_file else 0)


def a_marker(_channel: Channel, number: int, _payload: bytes) -> Answer:
    if number % 2:
        return hostile.status(hostile.EOF)
    return hostile.names([(b"b-kernel.json", FILE, 4000), (b"b.squashfs", FILE, 4000)])


@pytest.mark.parametrize("check_mode", [True, False])
def test_files_that_never_end(tmp_path: Path, tree: AssetsTree, *, check_mode: bool) -> None:
    """The files are markers, another run's lock, and whatever is read back."""
    sftp = {hostile.READ: grows, hostile.LSTAT: as_file, hostile.READDIR: a_marker}
    with HostileServer(tmp_path, sftp=sftp) as server:
        found = run_against(server, tree, check_mode=check_mode, verify=True, delete=True)
    assert found["grown"] < BOUND
