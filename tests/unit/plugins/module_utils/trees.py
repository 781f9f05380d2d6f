# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Trees written down as tables, and a caching server in memory that a plan can be carried out on."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ansible_collections.netboot.syncer.plugins.module_utils.assets import inventory as readiness
from ansible_collections.netboot.syncer.plugins.module_utils.assets.entries import (
    DIRECTORY,
    FILE,
    SYMLINK,
    Entry,
    Tree,
    parents,
)
from ansible_collections.netboot.syncer.plugins.module_utils.assets.evidence import Evidence
from ansible_collections.netboot.syncer.plugins.module_utils.assets.inventory import Inventory, Rules
from ansible_collections.netboot.syncer.plugins.module_utils.assets.squashfs import SUPERBLOCK_SIZE, begins
from ansible_collections.netboot.syncer.plugins.module_utils.planning import planner, promises, steps
from ansible_collections.netboot.syncer.plugins.module_utils.planning.plan import Plan

from tests.lab import images

KERNEL = "5.8.0-43-generic"
NOON = 1_617_969_600  # 2021-04-09 12:00 UTC, the default time
HOUR = 3600


def squashfs(text: str = "1") -> bytes:
    """Return a real image of one page. Another *text* makes a different one of the same size."""
    return _squashfs(text)


@functools.cache
def _squashfs(text: str) -> bytes:
    with tempfile.TemporaryDirectory(prefix="netboot-lab-") as directory:
        return images.tiny_image(Path(directory) / "image", text).read_bytes()


class Assets:
    """A tree: its listing, and the contents of its files. Each method that adds something returns the tree."""

    def __init__(self) -> None:
        self.tree: Tree = {}
        self.content: dict[str, bytes] = {}
        self.ages: dict[str, float] = {}  # of large files: the seconds since they changed

    def __repr__(self) -> str:
        return repr({path: self.content.get(path, entry.target)[:30] for path, entry in self.tree.items()})

    def copy(self) -> Assets:
        same = Assets()
        same.tree, same.content, same.ages = dict(self.tree), dict(self.content), dict(self.ages)
        return same

    def put(self, entry: Entry) -> Assets:
        for above in parents(entry.path):
            self.tree.setdefault(above, Entry(above, DIRECTORY))
        self.tree[entry.path] = entry
        return self

    def file(self, path: str, content: bytes = b"content", *, mtime: int = NOON) -> Assets:
        self.content[path] = content
        return self.put(Entry(path, FILE, len(content), mtime))

    def link(self, path: str, target: str) -> Assets:
        return self.put(Entry(path, SYMLINK, len(target), NOON, target))

    def mode(self, mode: int, *paths: str) -> Assets:
        """Give files these permission bits, as the listing of a caching server shows them."""
        for path in paths:
            self.tree[path] = dataclasses.replace(self.tree[path], mode=mode)
        return self

    def kernel(self, version: str = KERNEL, build: str = "1", *, mtime: int = NOON) -> Assets:
        for name in ("vmlinuz", "initrd"):
            self.file(f"kernels/{version}/{name}", f"{name} {version} {build}".encode(), mtime=mtime)
        return self

    def latest(self, version: str = KERNEL, *, mtime: int = NOON) -> Assets:
        return self.file("kernels/latest-kernel-version.json", json.dumps({"version": version}).encode(), mtime=mtime)

    def marker(self, path: str, states: Mapping[str, Any] | bytes, *, mtime: int = NOON) -> Assets:
        return self.file(path, states if isinstance(states, bytes) else json.dumps(states).encode(), mtime=mtime)

    def image(
        self,
        name: str,
        version: str | None = KERNEL,
        *,
        text: str = "1",
        suffix: str = "-kernel.json",
        mtime: int = NOON,
        **states: Any,
    ) -> Assets:
        """Add the image *name*, given without ``.squashfs``; its marker states *version* and *states*."""
        self.file(f"{name}.squashfs", squashfs(text), mtime=mtime)
        stated = {"version": version, **states} if version else states
        return self.marker(f"{name}{suffix}", stated, mtime=mtime)

    def drop(self, *paths: str) -> Assets:
        """Remove paths, with everything below them."""
        for path in paths:
            for gone in [name for name in self.tree if name == path or name.startswith(f"{path}/")]:
                del self.tree[gone]
                self.content.pop(gone, None)
        return self

    def evidence(self, rules: Rules | None = None, *, unreadable: Mapping[str, str] | None = None) -> Evidence:
        """Return what is read from the files; from those in *unreadable*, nothing is."""
        hidden = dict(unreadable or {})
        seen = {path: content for path, content in self.content.items() if path not in hidden}
        wanted = readiness.wanted_contents(self.tree, rules or Rules())
        images = [path for path, content in seen.items() if begins(content)]
        return Evidence(
            contents={path: seen[path] for path in wanted if path in seen},
            superblocks={path: seen[path][:SUPERBLOCK_SIZE] for path in images},
            digests={path: hashlib.sha256(seen[path]).hexdigest() for path in images},
            unreadable=hidden,
            ages=self.ages,
        )

    def inventory(self, rules: Rules | None = None, *, unreadable: Mapping[str, str] | None = None) -> Inventory:
        return readiness.assess(self.tree, self.evidence(rules, unreadable=unreadable), rules or Rules())


def make_plan(
    source: Assets,
    there: Assets,
    rules: Rules | None = None,
    *,
    damaged: frozenset[str] = frozenset(),
    fresh: frozenset[str] = frozenset(),
    clashes: Mapping[str, str] | None = None,
    delete: bool = False,
    max_delete: int = 10,
    grace: int = 0,
) -> Plan:
    """Plan as a run does: of the caching server's markers, only those that look different are read.

    Files with the same size and a different time there are compared, as in a run.
    """
    rules = rules or Rules()
    inventory = source.inventory(rules)
    adoptable = adoptable_paths(source, there)
    tree = {**there.tree}
    tree.update({path: dataclasses.replace(tree[path], mtime=source.tree[path].mtime) for path in adoptable})
    wanted = promises.wanted_markers(inventory, source.tree, tree, rules)
    known = promises.There(
        tree,
        {path: there.content[path] for path in wanted},
        damaged,
        adoptable=frozenset(adoptable),
        fresh=fresh,
        clashes=dict(clashes or {}),
    )
    return planner.make_plan(inventory, source.tree, known, rules, delete=delete, max_delete=max_delete, grace=grace)


def adoptable_paths(source: Assets, there: Assets) -> set[str]:
    """Return the files that differ only in their time."""
    return {
        path
        for path, entry in source.tree.items()
        if path in there.content
        and entry.kind == FILE
        and entry.mtime != there.tree[path].mtime
        and source.content[path] == there.content[path]
    }


class StepFailed(Exception):
    """A step failed that would end its unit in a run."""


class Server:
    """A caching server that holds *assets*: does one step of a plan at a time, and insists on the protocol."""

    def __init__(self, assets: Assets, source: Assets) -> None:
        self.assets = assets
        self._source = source
        self._staged: dict[str, list[str]] = {}

    def carry_out(self, plan: Plan, *, failing: str = "") -> Iterator[tuple[steps.Unit, steps.Step]]:
        """Carry out the plan; yield after each step. If a step fails, its unit is abandoned and the next one tried.

        *failing* is a path that cannot be published.
        """
        put: set[str] = set()
        for unit in plan.units:
            if not put.issuperset(unit.after):
                continue
            for step in unit.steps:
                if isinstance(step, steps.Withdraw) and step.path in put:
                    continue
                try:
                    if isinstance(step, (steps.Publish, steps.Link)) and step.entry.path == failing:
                        raise StepFailed(failing)
                    self.do(step)
                except StepFailed:
                    break
                if isinstance(step, (steps.Publish, steps.Link)):
                    put.add(step.entry.path)
                yield unit, step

    def do(self, step: steps.Step) -> None:
        assets = self.assets
        if isinstance(step, (steps.Withdraw, steps.Remove)):
            if not any(name.startswith(f"{step.path}/") for name in assets.tree):  # like rmdir
                assets.drop(step.path)
        elif isinstance(step, steps.Send):
            self.send(step)
            self._staged[step.entry.path] = ["send"]
        elif isinstance(step, (steps.Check, steps.Flush)):
            self._staged[step.entry.path].append(step.name)
        elif isinstance(step, steps.Publish):
            assert self._staged.pop(step.entry.path) == ["send", "check", "flush"]
            assets.file(step.entry.path, self._source.content[step.entry.path], mtime=step.entry.mtime)
        elif isinstance(step, steps.Adopt):
            same = assets.content[step.entry.path] == self._source.content[step.entry.path]
            assert same, f"{step.entry.path} has another content"
            assets.file(step.entry.path, assets.content[step.entry.path], mtime=step.entry.mtime)
        elif isinstance(step, steps.Permit):
            assert step.entry.looks_like(assets.tree[step.entry.path])
            assets.mode(0o644, step.entry.path)
        elif isinstance(step, steps.Link):
            assets.link(step.entry.path, step.entry.target)
        elif isinstance(step, steps.Confirm):
            for entry in step.entries:
                same = entry.kind == DIRECTORY or (
                    entry.looks_like(assets.tree.get(entry.path))
                    and assets.content.get(entry.path) == self._source.content.get(entry.path)
                )
                if not same:
                    raise StepFailed(entry.path)

    def send(self, step: steps.Send) -> None:
        marker = step.entry.path.endswith(".json")  # small enough to be sent whole
        assert marker or step.basis is None or self.assets.tree[step.basis].kind == FILE
