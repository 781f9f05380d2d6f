# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows about many caching servers: a fan-out, stalled sites, nothing to do."""

from __future__ import annotations

import os
import re
import struct
import time
from collections.abc import Iterator, Sequence
from typing import cast

from tests.lab import images as lab_images
from tests.lab.process import LabError
from tests.lab.tree import AssetsTree

from .bench import BASE_NAME, OLD, Bench, cpu, median, of_peer, seconds
from .cost import Cost
from .lab import BenchLab, Named, Site, Visible
from .memory import random_image
from .parts import Empty, Logins, Recap, Streams
from .peers import Collection, Peer, Seed, Synchronize
from .places import MIB
from .results import Result, in_bytes, in_seconds

FLAVOURS = ("gnome", "kde", "xfce", "lxde")
# The most that a run with nothing to do may cost, relative to a loop of rsync -n: (many caching servers?, unit)
IDLE = {(False, "wall"): 1.0, (True, "wall"): 0.8, (False, "CPU of both ends"): 0.6, (True, "CPU of both ends"): 0.5}
NAMES = 5  # names for each of the many caching servers, so that 200 of them count as a thousand
MOST_MEMORY = 250e6  # bytes
KERNELS = ("5.10.0-1", "5.10.0-2", "5.10.0-3", "5.10.0-4")


def fan_out(bench: Bench) -> Iterator[Result]:
    """5: one image to more and more caching servers: what each further one costs the netboot server."""
    lab = bench.lab
    counts = (1, 2) if bench.short else (1, 2, 4, 8)
    tree = lab.tree("fan-out")
    bench.place(tree, BASE_NAME, bench.set.path("base"), when=OLD)
    found: dict[str, dict[int, Cost]] = {}
    for count in counts:
        bench.say(f"  {count} caching servers")
        for peer in [*bench.peers(), Empty(), Streams()]:
            sites = lab.use(count)
            found.setdefault(peer.name, {})[count] = peer.run(lab, tree, sites, timeout=600)
    lab.release()
    first, last = counts[0], counts[-1]
    slopes = {name: (costs[last].near_cpu - costs[first].near_cpu) / (last - first) for name, costs in found.items()}
    figures = {name: {count: cost.figures() for count, cost in costs.items()} for name, costs in found.items()}
    for other in [peer.name for peer in bench.peers()[1:]]:
        yield Result(
            "5",
            f"{in_bytes(bench.set.size('base'))} to {first} to {last} caching servers: CPU of the netboot server for"
            f" each further one, to {of_peer(other)}",
            slopes["collection"] / slopes[other] if slopes[other] > 0 else None,
            in_seconds(slopes["collection"]),
            in_seconds(slopes[other]),
            target=1.2 if other == "seed" and not bench.short else None,
            figures=figures,
        )
    for what, name in (
        ("a task of Ansible that does nothing, alone", Empty.name),
        ("ssh that carries the same bytes, alone", Streams.name),
    ):
        yield Result(
            "5",
            f"{what}, for each further caching server: CPU of the netboot server, to the seed's rsync",
            slopes[name] / slopes["seed"] if slopes["seed"] > 0 else None,
            in_seconds(slopes[name]),
            in_seconds(slopes["seed"]),
        )


def stalled_sites(bench: Bench) -> Iterator[Result]:
    """6: some lines stall in the middle; the other sites must finish as if the stalled ones were not there."""
    lab = bench.lab
    count, stalled, size = (6, 2, 4 * MIB) if bench.short else (20, 5, 150 * MIB)
    rate = 20_000_000
    tree = lab.tree("stalled")
    image = random_image(tree, BASE_NAME, size)
    marker = image.marker.relative_to(tree.root)

    def others(
        forks: int, *, peer: Peer, limit: float, beside: bool = True, stall: bool = True
    ) -> tuple[float | None, int]:
        """Seconds until every other site has the image (None: they never did); and how many have it.

        Others than those that are to stall, *beside* which they are or not, and which do *stall* or not.
        """
        sites = lab.use(count, rate=rate)
        bad, good = sites[:stalled], sites[stalled:]
        try:
            base = {site.index: site.line.carried() for site in bad}
            with (
                Visible([site.assets / marker for site in good]) as visible,
                peer.start(lab, tree, sites if beside else good, forks=forks) as running,
            ):
                waiting = list(bad) if stall else []
                while waiting and time.monotonic() < running.started + limit and running.running:
                    for site in [one for one in waiting if one.line.carried() - base[one.index] > size / 8]:
                        site.line.stall()
                        waiting.remove(site)
                    time.sleep(0.01)
                if not visible.wait(running, limit):
                    return None, len(visible.at)
                return max(visible.at.values()) - running.started, len(visible.at)
        finally:
            for site in bad:
                site.line.restore()

    limit = 120 + 10 * size * 8 / rate
    alone, _all = others(count, peer=Collection(), beside=False, stall=False, limit=limit)
    beside, arrived = others(count, peer=Collection(), limit=limit)
    if alone is None:
        raise LabError("the image did not reach all caching servers although no line was stalled")
    good = count - stalled
    figures: dict[str, object] = {"alone_seconds": alone, "beside_stalled_seconds": beside, "arrived": arrived}
    yield Result(
        "6",
        f"{in_bytes(size)} to {count} caching servers, {stalled} of them stalled: time of the other {good}, to them"
        " alone",
        beside / alone if beside is not None else None,
        in_seconds(beside) if beside is not None else f"{arrived} of {good} had it",
        in_seconds(alone),
        target=None if bench.short else 1.03,
        figures=figures,
    )
    if not bench.short:
        healthy, _all = others(count, peer=Collection(), stall=False, limit=limit)
        yield Result(
            "6",
            f"the same, to a run in which none of the {count} is stalled",
            beside / healthy if beside is not None and healthy is not None else None,
            in_seconds(beside) if beside is not None else f"{arrived} of {good} had it",
            in_seconds(healthy) if healthy is not None else "not all arrived",
        )
    few = 2 if bench.short else 5
    sites = lab.use(count)
    with Collection().start(lab, tree, sites, forks=few) as running:
        refused = running.wait(120)
    said = re.search(r"\d+ forks are fewer[^\n]*(?:\n[^\n]+)*?\.", refused.output)
    words = " ".join(said.group(0).split()) if said else "it did not refuse"
    yield Result(
        "6",
        f"the same with {few} forks",
        None,
        "refused before anything is sent" if refused.status and said else "not refused",
        note=words,
        figures={"status": refused.status, "line_bytes": refused.line_bytes},
    )
    if lab.has_synchronize:
        patience = min(1.5 * alone, limit)
        took, arrived = others(few, peer=Synchronize(), limit=patience)
        yield Result(
            "6",
            f"the same by synchronize, strategy free, {few} forks: time of the other {good}, to the collection alone",
            took / alone if took is not None else None,
            in_seconds(alone),
            in_seconds(took) if took is not None else f"after {in_seconds(patience)}, {arrived} of {good} had it",
            note="the stalled ones hold the forks",
        )


def idle_tree(lab: BenchLab, count: int) -> AssetsTree:
    """A tree of *count* small, real images, each with its marker, and four kernels."""
    tree = lab.tree(f"idle-{count}")
    for version in KERNELS:
        tree.add_kernel(version)
    first = tree.add_image("prod/21-01-01-gnome-master-0000000", kernel=KERNELS[0], content="idle")
    content = bytearray(first.squashfs.read_bytes())
    for number in range(1, count):
        # another mkfs_time in the superblock (offset 8) makes it a different image
        content[8:12] = struct.pack("<I", OLD + number)
        day = f"{21 + number // 336:02}-{number // 28 % 12 + 1:02}-{number % 28 + 1:02}"
        image = tree.image(f"prod/{day}-gnome-master-{number:07x}")
        image.squashfs.write_bytes(content)
        lab_images.write_marker(image.marker, version=KERNELS[number % len(KERNELS)])
    for path in tree.root.rglob("*"):
        if path.is_file():
            os.utime(path, (OLD, OLD))
    return tree


def nothing_to_do(bench: Bench) -> Iterator[Result]:
    """7: everything is in line already: the playbook as a user runs it, compared with a loop of ``rsync -n``."""
    lab = bench.lab
    few, many, count = (8, 16, 40) if bench.short else (50, 200, 200)
    tree = idle_tree(lab, count)
    walls: dict[int, float] = {}
    found: dict[str, dict[str, object]] = {}
    for sites_count in (few, many):
        bench.say(f"  {sites_count} caching servers")
        sites = lab.use(sites_count)
        for site in sites:
            site.fill(tree)
        ours, theirs = [], []
        for _turn in range(3 if sites_count == few and not bench.short else 1):
            ours.append(Collection().run(lab, tree, sites, timeout=600))
            theirs.append(Seed().run(lab, tree, sites, timeout=600, dry=True))
        walls[sites_count] = median(ours, seconds) / sites_count
        found[f"{sites_count} sites"] = {
            "collection": [cost.figures() for cost in ours],
            "rsync -n": [cost.figures() for cost in theirs],
        }
        for what, of in (("wall", seconds), ("CPU of both ends", cpu)):
            yield Result(
                "7",
                f"nothing to do, {sites_count} caching servers, {count} images: {what}, to a parallel loop of rsync -n",
                median(ours, of) / median(theirs, of),
                in_seconds(median(ours, of)),
                in_seconds(median(theirs, of)),
                target=None if bench.short else IDLE[sites_count == many, what],
                figures=found[f"{sites_count} sites"],
            )
        parts = [peer.run(lab, tree, sites, timeout=600) for peer in (Recap(), Logins())]
        for what, of in (("wall", seconds), ("CPU of both ends", cpu)):
            yield Result(
                "7",
                f"{sites_count} caching servers, Ansible that names each in its recap, and one login to each by ssh,"
                f" alone: {what}, to that loop",
                sum(of(cost) for cost in parts) / median(theirs, of),
                " + ".join(in_seconds(of(cost)) for cost in parts),
                in_seconds(median(theirs, of)),
                figures={peer: cost.figures() for peer, cost in zip(("recap", "logins"), parts, strict=True)},
            )
    yield Result(
        "7",
        f"nothing to do: wall for each of {many} caching servers, to each of {few}",
        walls[many] / walls[few],
        f"{walls[many] * 1000:.0f} ms",
        f"{walls[few] * 1000:.0f} ms",
        target=None if bench.short else 1.2,
        figures=found,
    )
    yield from _thousand(bench, tree, sites, each_of_few=walls[few], few=few, count=count)
    lab.release()


def _thousand(
    bench: Bench, tree: AssetsTree, sites: Sequence[Site], *, each_of_few: float, few: int, count: int
) -> Iterator[Result]:
    """More caching servers than one machine can hold: each under several names, as nothing has to be written."""
    names = [Named(f"{site.name}-{name}", site.address) for name in range(NAMES) for site in sites]
    named = cast("list[Site]", names)  # the inventory uses only their names and addresses
    bench.say(f"  {len(named)} caching servers")
    ours = Collection().run(bench.lab, tree, named, timeout=900)
    memory = Collection().run(bench.lab, tree, named, timeout=900, memory=True).memory
    figures = {"collection": ours.figures(), "peak_pss_bytes": dict(memory)}
    what = f"nothing to do, {len(named)} caching servers ({len(sites)}, each under {NAMES} names), {count} images"
    yield Result(
        "7",
        f"{what}: wall for each, to each of {few}",
        ours.seconds / len(named) / each_of_few,
        f"{ours.seconds / len(named) * 1000:.0f} ms",
        f"{each_of_few * 1000:.0f} ms",
        target=None if bench.short else 1.0,
        figures=figures,
    )
    for who, kind in (
        ("the one process that looks at all of them", "server"),
        ("Ansible with its workers", "controller"),
    ):
        yield Result(
            "7",
            f"{what}: peak memory of {who}, to 250 MB",
            memory[kind] / MOST_MEMORY,
            in_bytes(memory[kind]),
            in_bytes(MOST_MEMORY),
            target=1.0 if kind == "server" and not bench.short else None,
        )
