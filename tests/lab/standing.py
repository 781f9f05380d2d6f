# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fleet that stays up in its own process, for users that can only run commands: the molecule scenarios.

``python -m tests.lab.standing up DIRECTORY ...`` returns when all servers are up, ``... down DIRECTORY`` when they have
ended. The netboot server is a host with an OpenSSH server as well, and ``DIRECTORY/hosts.yml`` is the inventory for all
of them.

The fleet's process holds a lock on a file in the directory for its whole life. The process id in that file is trusted
only while the lock is held, so ``down`` never ends a process that is not the fleet's.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

import yaml

from .fleet import CHECKOUT, Fleet, SiteSpec
from .process import LabError
from .sshd import CachingServer

LOCK = "fleet.lock"
LOG = "fleet.log"
PATIENCE = 30.0  # seconds to wait for a fleet to come up, or to end
LONGEST = 8 * 3600  # maximum seconds that a fleet stays up if nobody ends it


def up(directory: Path, *, netboot_server: str, caching_servers: Sequence[str], sftp_only: Sequence[str] = ()) -> None:
    """Bring up a fleet in a new *directory*, and return when it is up. Raises LabError if that fails; then nothing is
    running.

    :arg netboot_server: its inventory name; *caching_servers*: theirs; *sftp_only*: those that offer nothing else.
    """
    try:
        directory.mkdir(parents=True)
    except FileExistsError as exc:
        raise LabError(f"{directory} is there already: end the fleet in it with 'down', then remove it") from exc
    log = directory / LOG
    names = ["--netboot-server", netboot_server, "--caching-servers", *caching_servers, "--sftp-only", *sftp_only]
    with (directory / LOCK).open("w", encoding="utf-8") as lock, log.open("wb") as output:
        fcntl.flock(lock, fcntl.LOCK_EX)
        keeper = subprocess.Popen(
            [sys.executable, "-m", "tests.lab.standing", "keep", str(directory), *names],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=CHECKOUT,
            start_new_session=True,
            pass_fds=[lock.fileno()],  # the lock is the keeper's from now on, and stays when this process ends
        )
        try:
            lock.write(str(keeper.pid))
            lock.flush()
            deadline = time.monotonic() + PATIENCE
            while "up" not in (said := log.read_text(encoding="utf-8", errors="replace")).splitlines():
                if keeper.poll() is not None or time.monotonic() > deadline:
                    raise LabError(f"the fleet in {directory} did not come up: {said.strip()}")
                time.sleep(0.05)
        except BaseException:
            keeper.terminate()
            keeper.wait(PATIENCE)
            raise


def down(directory: Path) -> None:
    """End the fleet in *directory*, if there is one; the files stay. Raises LabError if it does not end."""
    try:
        lock = (directory / LOCK).open(encoding="utf-8")
    except FileNotFoundError:
        return
    with lock:
        if _is_free(lock):
            return
        pid = lock.read()
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGTERM)
        deadline = time.monotonic() + PATIENCE
        while not _is_free(lock):
            if time.monotonic() > deadline:
                raise LabError(f"the fleet in {directory} (process {pid}) does not end: end it with: kill -9 {pid}")
            time.sleep(0.05)


def _is_free(lock: IO[str]) -> bool:
    """Whether nobody else holds the lock; it is then held by the caller."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def keep(directory: Path, *, netboot_server: str, caching_servers: Sequence[str], sftp_only: Sequence[str]) -> None:
    """Hold a fleet until a signal, or until its files are gone, for LONGEST seconds at most."""
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    with _servers(directory, netboot_server, [SiteSpec(name, sftp_only=name in sftp_only) for name in caching_servers]):
        sys.stdout.write("up\n")  # what up() waits for
        sys.stdout.flush()
        deadline = time.monotonic() + LONGEST
        while not ended.wait(0.5) and time.monotonic() < deadline and (directory / LOCK).exists():
            pass


@contextlib.contextmanager
def _servers(directory: Path, name: str, specs: Sequence[SiteSpec]) -> Iterator[None]:
    """All servers up, and the inventory written; the netboot server has the inventory name *name*."""
    fleet = Fleet(directory, specs)
    # where the fleet has the tree already, and the key that the netboot server logs in with
    netboot = CachingServer(fleet.tree.root.parent, authorized=[fleet.key.public])
    with fleet, netboot:
        with fleet.known_hosts.open("a", encoding="utf-8") as known_hosts:
            known_hosts.write(netboot.known_hosts_line())
        inventory = yaml.safe_load(fleet.inventory_text())
        groups = inventory["all"]["children"]
        shared = groups["caching_servers"]["vars"]
        groups["netboot_server"] = {
            "hosts": {
                name: {
                    "ansible_host": netboot.address,
                    "ansible_port": netboot.port,
                    "ansible_user": netboot.user,
                    **{key: shared[key] for key in shared if key.startswith("ansible_")},
                    "netboot_sync_src": shared["netboot_sync_src"],
                }
            }
        }
        fleet.inventory.write_text(yaml.safe_dump(inventory, sort_keys=False, width=1000), encoding="utf-8")
        yield


def main() -> int:
    """Read the command line and act. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.lab.standing", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, does in (("up", up), ("keep", keep)):
        command = commands.add_parser(name)
        command.set_defaults(does=does)
        command.add_argument("directory", type=Path)
        command.add_argument("--netboot-server", required=True, metavar="NAME", help="its name in the inventory")
        command.add_argument("--caching-servers", nargs="+", required=True, metavar="NAME")
        command.add_argument("--sftp-only", nargs="*", default=[], metavar="NAME", help="those that offer nothing else")
    command = commands.add_parser("down")
    command.set_defaults(does=down)
    command.add_argument("directory", type=Path)
    options = vars(parser.parse_args())
    del options["command"]
    does = options.pop("does")
    try:
        does(options.pop("directory").absolute(), **options)
    except LabError as exc:
        sys.stderr.write(f"fleet: {exc}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
