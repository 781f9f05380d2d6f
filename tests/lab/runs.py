# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs of sync_assets for one site of a fleet: in the test's own process, or as the module in a separate one."""

from __future__ import annotations

import dataclasses
import json
import os
import stat
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ansible_collections.netboot.syncer.plugins.module_utils.assets.inventory import Rules
from ansible_collections.netboot.syncer.plugins.module_utils.assets.patterns import Selection
from ansible_collections.netboot.syncer.plugins.module_utils.errors import SyncError
from ansible_collections.netboot.syncer.plugins.module_utils.run.sync_run import SyncRun
from ansible_collections.netboot.syncer.plugins.module_utils.run.target import Options
from ansible_collections.netboot.syncer.plugins.module_utils.ssh.settings import Address

from .fleet import CHECKOUT, Fleet
from .process import LabError, Supervised
from .tree import AssetsTree, Image

SITE = "cache"
IMAGE = "prod/21-04-09-gnome-master-f1d734e"
NEXT = "prod/21-04-10-gnome-master-9c41d0b"
MODULE = "ansible_collections.netboot.syncer.plugins.modules.sync_assets"

_ADDRESS_FIELDS = {field.name for field in dataclasses.fields(Address)}
_SELECTION_FIELDS = {"include", "exclude", "only"}
_RULES_FIELDS = {field.name for field in dataclasses.fields(Rules)}


def address_of(fleet: Fleet, site: str = SITE, **changes: Any) -> Address:
    """How the netboot server reaches a site; *changes* are fields of Address."""
    at = fleet.sites[site]
    address = Address(
        host=at.ssh.address,
        port=at.ssh.port,
        user=at.server.user,
        private_key_file=str(fleet.key.private),
        known_hosts_file=str(fleet.known_hosts),
    )
    return dataclasses.replace(address, **changes)


def prepare(fleet: Fleet, site: str = SITE, **changes: Any) -> SyncRun:
    """A run to be started; *changes* are fields of Address, Selection, Rules, Options; ``source``, ``progress``."""
    progress, source = changes.pop("progress", None), changes.pop("source", None)
    address = {name: changes.pop(name) for name in _ADDRESS_FIELDS & changes.keys()}
    selection = Selection(**{name: changes.pop(name) for name in _SELECTION_FIELDS & changes.keys()})
    rules = Rules(selection=selection, **{name: changes.pop(name) for name in _RULES_FIELDS & changes.keys()})
    options = {
        "src": str(fleet.tree.root),
        "dest": str(fleet.sites[site].assets),
        "grace": 0,  # or removals would be left to a later run
        "retries": 0,
        "retry_delay": 1,
        "lock_timeout": 10,  # a run that has just ended releases its lock a moment later
        **changes,
    }
    return SyncRun(address_of(fleet, site, **address), Options(rules=rules, **options), source, progress=progress)


def sync(fleet: Fleet, site: str = SITE, **changes: Any) -> SyncRun:
    """Run to the end, and return the run with its results. Raises SyncError."""
    run = prepare(fleet, site, **changes)
    run.run()
    return run


def complaint(run: SyncRun, host: str) -> str:
    """Start a run that should fail, and return the one line that a user reads. Raises LabError if there is none."""
    try:
        run.run()
        lines = [f"{host}: {line}" for line in run.failures]
    except SyncError as error:
        lines = [error.line(host=host)]
    if len(lines) != 1 or "\n" in lines[0]:
        raise LabError(f"one line was to tell what failed for {host}, not {lines}")
    return lines[0]


def write_arguments(fleet: Fleet, site: str = SITE, **parameters: Any) -> Path:
    """Write the file that Ansible gives to the module, and return its path."""
    address = dataclasses.asdict(address_of(fleet, site))
    address.pop("connect_timeout")
    arguments = {"src": str(fleet.tree.root), "dest": str(fleet.sites[site].assets), **address, **parameters}
    file = fleet.directory / "arguments.json"
    file.write_text(json.dumps({"ANSIBLE_MODULE_ARGS": arguments}), encoding="utf-8")
    return file


def run_module(
    fleet: Fleet, site: str = SITE, *, output: int | None = None, under: Sequence[str] = (), **parameters: Any
) -> Supervised:
    """Start the module in its own process, as Ansible does; *parameters* are its options.

    *under* is the command before the command, such as strace with its options. It writes to the descriptor *output*, or
    else to ``module.log`` in the fleet's directory.
    """
    file = write_arguments(fleet, site, **parameters)
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT / ".collections")}
    with (fleet.directory / "module.log").open("wb") as log:
        command = [*under, sys.executable, "-m", MODULE, str(file)]
        return Supervised(command, stdout=log if output is None else output, stderr=log, env=environment)


def actions(run: SyncRun) -> list[tuple[str, str]]:
    """What was done, in order: the name of each action and its path."""
    return [(one["action"], one["path"]) for one in run.actions]


def is_delivered(fleet: Fleet, image: Image, site: str = SITE) -> bool:
    """Whether an image is at a site as the netboot server holds it, with its marker."""
    for ours in (image.squashfs, image.marker):
        there = fleet.sites[site].assets / ours.relative_to(fleet.tree.root)
        if not there.is_file() or there.read_bytes() != ours.read_bytes():
            return False
    return True


def let_go_last(image: Image, others: Sequence[Image]) -> None:
    """Give images times that fix their order: newer ones go first, and a second may pass between two."""
    now = int(time.time())
    for one, when in [(image, now - 3600), *((other, now) for other in others)]:
        for path in (one.squashfs, one.marker):
            os.utime(path, (when, when))


def listing(root: Path) -> dict[str, tuple[int, ...]]:
    """All below a directory, hidden or not, itself included: kind and permissions, inode, size, times in ns."""
    found: dict[str, tuple[int, ...]] = {}
    for path in [root, *root.rglob("*")]:
        seen = path.lstat()
        found[str(path.relative_to(root))] = (
            stat.S_IFMT(seen.st_mode) | stat.S_IMODE(seen.st_mode),
            seen.st_ino,
            seen.st_size,
            seen.st_mtime_ns,
            seen.st_ctime_ns,
        )
    return found


def add_large_image(tree: AssetsTree, name: str, *, size: int) -> Image:
    """Add an image of slightly more than *size* bytes that no transport can compress."""
    image = tree.add_image(name, content="large")
    with image.squashfs.open("ab") as file:
        file.write(os.urandom(size))
    return image
