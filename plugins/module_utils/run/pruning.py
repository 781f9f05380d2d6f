# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Retention on the netboot server: what was set aside before, and carrying out the decisions."""

from __future__ import annotations

import errno
import getpass
import json
import os
import typing as t

from ..assets import withdrawal
from ..assets.entries import DIRECTORY, FILE, Entry, Tree
from ..assets.inventory import Inventory, Rules, find_images
from ..assets.marker import MAX_SIZE, parse, squashfs_paths
from ..assets.patterns import matches
from ..errors import SourceChanged, SyncError
from ..planning import retention
from ..source.tree import SourceTree


def find_records(source: SourceTree, inventory: Inventory, rules: Rules) -> list[retention.Record]:
    """Return the markers that earlier runs of retention set aside."""
    found: dict[str, tuple[str | None, float]] = {}
    for directory in ["", *(path for path, entry in source.tree.items() if entry.kind == DIRECTORY)]:
        for name in _names(source.absolute(directory)):
            path = f"{directory}/{name}" if directory else name
            marker = retention.read_record(path)
            if marker:
                found[marker] = (_version(source.absolute(path)), _since(source.absolute(path)))
    as_before: Tree = {**source.tree, **{path: Entry(path, FILE) for path in found}}
    pairs = find_images(as_before, rules, inventory.image_paths).pairs
    records = []
    for marker, (version, since) in sorted(found.items()):
        guesses = squashfs_paths(marker, rules.marker_names)
        image = pairs.get(marker) or (guesses[0] if guesses else "")
        if image:
            records.append(retention.Record(marker, image, version, since))
    return records


def withdrawn_versions(source: SourceTree) -> list[str | None]:
    """Return the kernels stated by markers that were withdrawn by name: they may be put back."""
    return [
        _version(source.absolute(withdrawal.record_path(marker, purge=purge)))
        for marker, purge in source.records.items()
    ]


def texts_of_pointers(source: SourceTree, rules: Rules) -> set[str]:
    """Return all strings in JSON pointers."""
    found: set[str] = set()
    for path, entry in source.tree.items():
        if entry.kind == FILE and matches(path, rules.pointers):
            try:
                _collect(json.loads(source.read(entry, MAX_SIZE)), found)
            except (ValueError, RecursionError, SourceChanged):
                continue  # nobody can tell what it names; no run sends it either
    return found


def _collect(value: t.Any, found: set[str]) -> None:
    if isinstance(value, str):
        found.add(value.strip("/"))
    elif isinstance(value, dict):
        for one in value.values():
            _collect(one, found)
    elif isinstance(value, list):
        for one in value:
            _collect(one, found)


def _names(directory: str) -> list[str]:
    try:
        return sorted(os.listdir(directory))
    except OSError:
        return []


def _version(full: str) -> str | None:
    try:
        descriptor = os.open(full, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with open(descriptor, "rb") as file:
            content = file.read(MAX_SIZE + 1)
        return parse(content).version if content else ""  # an empty one records an image that is only elsewhere
    except (OSError, ValueError):
        return None


def _since(full: str) -> float:
    try:
        return os.lstat(full).st_ctime
    except OSError:
        return float("inf")


def carry_out(source: SourceTree, steps: t.Iterable[retention.Step]) -> list[retention.Step]:
    """Carry it out step by step, each on disk before the next, and return what was done.

    Anything that changed since the decision is left alone, with all further steps for the same image. Raises
    :class:`SyncError`.
    """
    done: list[retention.Step] = []
    spared: set[str] = set()
    for step in steps:
        full = source.absolute(step.old)
        if retention.read_record(step.old) in spared:
            continue
        try:
            if step.unless and os.path.lexists(source.absolute(step.unless)):
                raise SourceChanged("its marker is there again", path=step.old, host="netboot server")
            if step.entry is not None:
                source.confirm(step.entry)
            if step.new:
                os.rename(full, source.absolute(step.new))
            elif step.entry is not None and step.entry.kind == DIRECTORY:
                os.rmdir(full)
            else:
                os.unlink(full)
            _flush(os.path.dirname(full))
        except SourceChanged:
            if step.unless:
                spared.add(step.unless)
            continue
        except FileNotFoundError:
            continue
        except OSError as error:
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST) and not step.new:
                continue  # something new is in it
            raise _trouble(error, full) from error
        done.append(step)
    return done


def _flush(directory: str) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _trouble(error: OSError, path: str) -> SyncError:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    remedy = "Look at the disk or the mount that it is on."
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        remedy = f"Let {user} write to its directory, or run prune.yml with become."
    return SyncError(
        f"it cannot be removed ({error.strerror or error})", path=path, host="netboot server", remedy=remedy
    )
