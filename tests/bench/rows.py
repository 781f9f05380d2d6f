# Copyright: (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rows: each measures this collection and others on the same lines, one after the other, and tells a ratio."""

from __future__ import annotations

import os
import re
import shutil
import statistics
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.lab import images as lab_images
from tests.lab.process import LabError
from tests.lab.tree import AssetsTree, Image

from .images import ImageSet
from .lab import MIB, BenchLab, Cost, Visible, cuts, plain_stream
from .peers import Collection, ExplicitBasis, Module, Patch, Peer, Seed, Synchronize, xdelta3, zstd
from .results import Result, in_bytes, in_seconds

BASE_NAME = "prod/21-04-09-gnome-master-f1d734e"
NEW_NAME = "prod/21-04-16-gnome-master-9c41d0b"
BUILD_WORDS = {"day": "next-day build", "week": "next-week build", "rebuild": "complete rebuild"}
DAY, WEEK, REBUILD, CUT = 0.01, 1.15, 0.03, 1.03  # the targets in bytes
FLAVOURS = ("gnome", "kde", "xfce", "lxde")
KERNELS = ("5.10.0-1", "5.10.0-2", "5.10.0-3", "5.10.0-4")
OLD, NEW = 1_600_000_000, 1_600_600_000  # times of the files


@dataclass
class Bench:
    """What a row works with.

    :ivar short: smaller and fewer, for an automatic check of the bench itself: times mean nothing then.
    :ivar say: tells what goes on.
    :ivar bytes_only: for the tests: the module alone, no peers but the limit, and no more than bytes need.
    """

    lab: BenchLab
    sets: Sequence[ImageSet]
    work: Path
    short: bool
    say: Callable[[str], None]
    bytes_only: bool = False

    @property
    def set(self) -> ImageSet:
        """The images of the rows that need only one compression."""
        return self.sets[0]

    def place(self, tree: AssetsTree, name: str, file: Path, *, when: int, copy: bool = False) -> Image:
        """Put an image with its marker into a tree of the netboot server."""
        image = tree.image(name)
        image.squashfs.parent.mkdir(parents=True, exist_ok=True)
        if copy:
            shutil.copyfile(file, image.squashfs)
        else:
            # a link costs no memory; the time is that of the image itself, so one build has one time
            image.squashfs.hardlink_to(self._stored(file))
        os.utime(image.squashfs, (when, when))
        lab_images.write_marker(image.marker, version=None)
        os.utime(image.marker, (when, when))
        return image

    def _stored(self, file: Path) -> Path:
        """The one copy of an image on the netboot server's disk."""
        store = self.lab.server.disk / "store"
        store.mkdir(exist_ok=True)
        stored = store / f"{file.parent.name}-{file.name}"
        if not stored.exists():
            shutil.copyfile(file, stored)
        return stored

    @property
    def ours(self) -> Peer:
        """This collection, for one caching server."""
        return Module() if self.bytes_only else Collection()

    def peers(self) -> list[Peer]:
        """This collection first, then those that do the same whole job."""
        return [Collection(), Seed(), *([Synchronize()] if self.lab.has_synchronize else [])]


def _median(costs: Sequence[Cost], of: Callable[[Cost], float]) -> float:
    return statistics.median(of(cost) for cost in costs)


# -- 1 and 2: a first copy --------------------------------------------------------------------------------------------


def first_copy_fast(bench: Bench) -> Iterator[Result]:
    """1: a first copy over an unlimited line, wall and CPU: of one image, and of each further one in the same run."""
    lab = bench.lab
    size = bench.set.size("base")
    many = 2 if bench.short else 4
    trees = {1: lab.tree("first"), many: lab.tree("further")}
    for count, tree in trees.items():
        for flavour in FLAVOURS[:count]:
            # copies of their own, and of no family: nothing is saved by hashing or sending one of them only
            bench.place(tree, f"prod/21-04-09-{flavour}-master-f1d734e", bench.set.path("base"), when=OLD, copy=True)
    found: dict[str, dict[int, list[Cost]]] = {}
    for _turn in range(1 if bench.short else 3):
        for count, tree in trees.items():
            for peer in [*bench.peers(), Module()]:
                sites = lab.use(1)
                costs = found.setdefault(peer.name, {}).setdefault(count, [])
                costs.append(peer.run(lab, tree, sites, timeout=300))
    figures = {
        name: {count: [cost.figures() for cost in costs] for count, costs in by_count.items()}
        for name, by_count in found.items()
    }

    def result(how: str, name: str, other: str, of: Callable[[Cost], float], *, further: bool, kept: bool) -> Result:
        """The ratio of *name* to *other*."""
        both = []
        for costs in (found[name], found[other]):
            one = _median(costs[1], of)
            both.append((_median(costs[many], of) - one) / (many - 1) if further else one)
        ours, theirs = both
        return Result(
            "1",
            f"first copy, {in_bytes(size)}, fast line, {how}, to {_of_peer(other)}",
            ours / theirs,
            in_seconds(ours),
            in_seconds(theirs),
            target=1.0 if kept and not bench.short else None,
            figures=figures if kept else {},
        )

    for word, of in (("wall", _seconds), ("CPU of both ends", _cpu)):
        yield result(f"one image: {word}", "collection", "seed", of, further=False, kept=True)
        yield result(f"one image, the module without Ansible: {word}", "module", "seed", of, further=False, kept=False)
        yield result(f"each further image: {word}", "collection", "seed", of, further=True, kept=True)
        if lab.has_synchronize:
            yield result(f"one image: {word}", "collection", "synchronize", of, further=False, kept=False)
            yield result(f"each further image: {word}", "collection", "synchronize", of, further=True, kept=False)


def first_copy_slow(bench: Bench) -> Iterator[Result]:
    """2: a first copy over a slow line, until the marker is visible there; beside one plain TCP stream."""
    lab = bench.lab
    rate = 20_000_000
    size = bench.set.size("base")
    limit = 60 + 3 * size * 8 / rate
    tree = lab.tree("slow")
    image = bench.place(tree, BASE_NAME, bench.set.path("base"), when=OLD)
    (site,) = lab.use(1, rate=rate)
    plain = plain_stream(site, image.squashfs, timeout=limit)
    with Visible([site.assets / image.marker.relative_to(tree.root)]) as visible:
        with Collection().start(lab, tree, [site]) as running:
            if not visible.wait(running, limit):
                raise LabError(f"the marker did not appear: {running.output()[-500:]}")
            cost = running.wait(limit)
        ours = max(visible.at.values()) - running.started
    yield Result(
        "2",
        f"first copy, {in_bytes(size)} over {rate // 1_000_000} Mbit/s, start to visible marker: rate, to a plain TCP"
        " stream",
        plain / ours,
        in_seconds(ours),
        in_seconds(plain),
        target=None if bench.short else 0.97,
        sense="at least",
        percent=True,
        figures={"plain_seconds": plain, "visible_seconds": ours, "collection": cost.figures()},
    )


# -- 3 and 4: differences ---------------------------------------------------------------------------------------------


def new_builds(bench: Bench) -> Iterator[Result]:
    """3: the next builds under a new name: bytes on the line."""
    for images in bench.sets:
        for build in BUILD_WORDS:
            bench.say(f"  {BUILD_WORDS[build]}, {images.compression}")
            yield new_build(bench, images, build)


def new_build(bench: Bench, images: ImageSet, build: str) -> Result:
    """One build of one set: what each way to send it costs."""
    lab = bench.lab
    all_peers = not bench.bytes_only
    tree = lab.tree("builds")
    base = bench.place(tree, BASE_NAME, images.path("base"), when=OLD)
    new = bench.place(tree, NEW_NAME, images.path(build), when=NEW)
    size = images.size(build)
    figures: dict[str, object] = {"image_bytes": size, "compression": images.compression, "build": build}
    sent: dict[str, int] = {}
    runs: list[tuple[str, Peer, dict[str, Any]]] = [("collection", bench.ours, {})]
    if all_peers:
        runs += [(peer.name, peer, {}) for peer in bench.peers()[1:]]
        named = {"new": new.path, "basis": base.path}
        runs.append(("rsync with basis", ExplicitBasis(), named))
        runs.append(("rsync with basis, 8 KiB blocks", ExplicitBasis(), {**named, "block": 8192}))
    for name, peer, options in runs:
        (site,) = lab.use(1)
        site.fill(tree, only=lambda path: path.startswith(BASE_NAME))
        cost = peer.run(lab, tree, [site], timeout=300, **options)
        if not (site.assets / new.path).exists():
            raise LabError(f"{name} did not bring {new.path}")
        sent[name] = cost.line_bytes
        figures[name] = cost.figures()
    patches: dict[str, Patch] = {"xdelta3": xdelta3(images.path("base"), images.path(build), bench.work)}
    if all_peers:
        patches["zstd --patch-from"] = zstd(images.path("base"), images.path(build), bench.work)
    figures.update({name: patch.figures() for name, patch in patches.items()})
    shares = {name: count / size for name, count in sent.items()}
    shares.update({name: patch.size / size for name, patch in patches.items()})
    figures["shares"] = shares
    note = "; ".join(f"{name} {share:.2%}" for name, share in shares.items() if name != "collection")
    what = f"{BUILD_WORDS[build]}, {images.compression}, {in_bytes(size)}: bytes on the line, to "
    ours, limit = sent["collection"], patches["xdelta3"].size
    if build == "week":
        return Result(
            "3",
            what + "xdelta3",
            ours / limit,
            in_bytes(ours),
            in_bytes(limit),
            target=WEEK,
            note=note,
            figures=figures,
        )
    return Result(
        "3",
        what + "the image",
        ours / size,
        in_bytes(ours),
        in_bytes(size),
        target=DAY if build == "day" else REBUILD,
        percent=True,
        note=note,
        figures=figures,
    )


def cut_transfers(bench: Bench) -> Iterator[Result]:
    """4: a connection that breaks when half of the transfer has gone over; and five times, at half of what is left."""
    for build in ("base", "week"):
        bench.say(f"  {_of_build(build)}")
        cut = CutTransfer(bench, bench.set, build, seconds=4 if bench.short else 24)
        yield cut.once(trials=1 if bench.short else 3)
        if not bench.bytes_only:
            yield cut.again(times=5)


class CutTransfer:
    """A first copy (``base``) or a difference (another build), uncut and then cut.

    :arg seconds: about how long the line is to need for it.
    """

    def __init__(self, bench: Bench, images: ImageSet, build: str, *, seconds: float) -> None:
        self._bench = bench
        self._images = images
        self._build = build
        # a difference is about a tenth of the image
        share = 1.0 if build == "base" else 0.1
        self._rate = int(images.size("base") * share * 8 / seconds)
        self._tree = bench.lab.tree("cut")
        bench.place(self._tree, BASE_NAME, images.path("base"), when=OLD)
        self._target = self._tree.image(BASE_NAME)
        if build != "base":
            self._target = bench.place(self._tree, NEW_NAME, images.path(build), when=NEW)
        self.uncut = self._run(0, [])

    def _run(self, times: int, done: list[int]) -> Cost:
        (site,) = self._bench.lab.use(1, rate=self._rate)
        if self._build != "base":
            site.fill(self._tree, only=lambda path: path.startswith(BASE_NAME))
        total = self.uncut.line_bytes if times else 0
        options = {"retries": times + 3, "retry_delay": 1}
        with (
            self._bench.ours.start(self._bench.lab, self._tree, [site], **options) as running,
            cuts(site, total, times, running) as cut_at,
        ):
            cost = running.wait(300)
        done += cut_at
        arrived = site.assets / self._target.path
        if cost.status != 0 or arrived.stat().st_size != self._target.squashfs.stat().st_size:
            raise LabError(f"it did not arrive: {cost.output[-500:]}")
        if len(done) != times:
            raise LabError(f"it was cut only {len(done)} times, at {done} bytes: the transfer was over too soon")
        return cost

    def once(self, *, trials: int) -> Result:
        """Cut once, at half; the worst of some trials counts."""
        costs = [self._run(1, []) for _trial in range(trials)]
        worst = max(costs, key=lambda cost: cost.line_bytes)
        return self._result(
            f"cut once at half, the worst of {trials}" if trials > 1 else "cut once at half", worst, costs
        )

    def again(self, *, times: int) -> Result:
        """One transfer that is cut again and again, each time when half of what was left has gone over."""
        done: list[int] = []
        cost = self._run(times, done)
        return self._result(f"cut {times} times, each at half of the rest", cost, [cost], done)

    def _result(self, how: str, cost: Cost, costs: Sequence[Cost], done: Sequence[int] = ()) -> Result:
        figures = {"uncut": self.uncut.figures(), "cut": [one.figures() for one in costs], "cut_at_bytes": list(done)}
        return Result(
            "4",
            f"{_of_build(self._build)}, {in_bytes(self._images.size(self._build))}, {how}: bytes on the line, to uncut",
            cost.line_bytes / self.uncut.line_bytes,
            in_bytes(cost.line_bytes),
            in_bytes(self.uncut.line_bytes),
            # of a small image's difference, the checksums that a second try sends up are too large a part
            target=CUT if self._build == "base" or not self._bench.short else None,
            figures={**figures, "rate": self._rate},
        )


def _of_build(build: str) -> str:
    return "first copy" if build == "base" else f"difference of the {BUILD_WORDS[build]}"


# -- 5 and 6: many caching servers ------------------------------------------------------------------------------------


def fan_out(bench: Bench) -> Iterator[Result]:
    """5: one image to more and more caching servers: what each further one costs the netboot server."""
    lab = bench.lab
    counts = (1, 2) if bench.short else (1, 2, 4, 8)
    tree = lab.tree("fan-out")
    bench.place(tree, BASE_NAME, bench.set.path("base"), when=OLD)
    found: dict[str, dict[int, Cost]] = {}
    for count in counts:
        bench.say(f"  {count} caching servers")
        for peer in bench.peers():
            sites = lab.use(count)
            found.setdefault(peer.name, {})[count] = peer.run(lab, tree, sites, timeout=600)
    lab.release()
    first, last = counts[0], counts[-1]
    slopes = {name: (costs[last].near_cpu - costs[first].near_cpu) / (last - first) for name, costs in found.items()}
    figures = {name: {count: cost.figures() for count, cost in costs.items()} for name, costs in found.items()}
    for other in list(found)[1:]:
        yield Result(
            "5",
            f"{in_bytes(bench.set.size('base'))} to {first} to {last} caching servers: CPU of the netboot server for"
            f" each further one, to {_of_peer(other)}",
            slopes["collection"] / slopes[other] if slopes[other] > 0 else None,
            in_seconds(slopes["collection"]),
            in_seconds(slopes[other]),
            figures=figures,
        )


def stalled_sites(bench: Bench) -> Iterator[Result]:
    """6: some lines fall silent in the middle; the others are to be through as if those were not there."""
    lab = bench.lab
    count, stalled, size = (6, 2, 4 * MIB) if bench.short else (20, 5, 150 * MIB)
    rate = 20_000_000
    tree = lab.tree("stalled")
    image = _random_image(tree, BASE_NAME, size)
    marker = image.marker.relative_to(tree.root)

    def others(forks: int, *, peer: Peer, stall: bool, limit: float) -> tuple[float | None, int]:
        """Seconds until all that are not stalled have the image, if it comes to that; and how many have it."""
        sites = lab.use(count, rate=rate)
        bad, good = sites[:stalled], sites[stalled:]
        try:
            base = {site.index: site.line.carried() for site in bad}
            with (
                Visible([site.assets / marker for site in good]) as visible,
                peer.start(lab, tree, sites if stall else good, forks=forks) as running,
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
    alone, _all = others(count, peer=Collection(), stall=False, limit=limit)
    beside, arrived = others(count, peer=Collection(), stall=True, limit=limit)
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
        target=None if bench.short else 1.05,
        figures=figures,
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
        took, arrived = others(few, peer=Synchronize(), stall=True, limit=patience)
        yield Result(
            "6",
            f"the same by synchronize, strategy free, {few} forks: time of the other {good}, to the collection alone",
            took / alone if took is not None else None,
            in_seconds(alone),
            in_seconds(took) if took is not None else f"after {in_seconds(patience)}, {arrived} of {good} had it",
            note="the stalled ones hold the forks",
        )


# -- 7: nothing to do -------------------------------------------------------------------------------------------------


def idle_tree(lab: BenchLab, count: int) -> AssetsTree:
    """A tree of *count* small, real images, each with its marker; four kernels."""
    tree = lab.tree(f"idle-{count}")
    for version in KERNELS:
        tree.add_kernel(version)
    first = tree.add_image("prod/21-01-01-gnome-master-0000000", kernel=KERNELS[0], content="idle")
    content = bytearray(first.squashfs.read_bytes())
    for number in range(1, count):
        # mkfs_time in the superblock (offset 8) makes another image of it
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
    """7: all is in line already: as a user runs it, beside a loop of ``rsync -n``."""
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
        walls[sites_count] = _median(ours, _seconds) / sites_count
        found[f"{sites_count} sites"] = {
            "collection": [cost.figures() for cost in ours],
            "rsync -n": [cost.figures() for cost in theirs],
        }
        for what, of in (("wall", _seconds), ("CPU of both ends", _cpu)):
            yield Result(
                "7",
                f"nothing to do, {sites_count} caching servers, {count} images: {what}, to a parallel loop of rsync -n",
                _median(ours, of) / _median(theirs, of),
                in_seconds(_median(ours, of)),
                in_seconds(_median(theirs, of)),
                target=1.0 if what == "wall" and sites_count == few and not bench.short else None,
                figures=found[f"{sites_count} sites"],
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
    lab.release()


# -- 8: memory --------------------------------------------------------------------------------------------------------


def memory(bench: Bench) -> Iterator[Result]:
    """8: peak memory for one caching server, of a small and of a very large image."""
    lab = bench.lab
    small, large = (16 * MIB, 256 * MIB) if bench.short else (64 * MIB, 4096 * MIB)
    found: dict[str, dict[int, Cost]] = {"first copy": {}, "difference": {}}
    for size in (small, large):
        bench.say(f"  {in_bytes(size)}")
        tree = lab.tree("memory")
        _sparse_image(tree, BASE_NAME, size, changed=b"1")
        (site,) = lab.use(1, disk=5 * 4096 * MIB // 2)
        found["first copy"][size] = Collection().run(lab, tree, [site], timeout=600, memory=True)
        _sparse_image(tree, NEW_NAME, size, changed=b"2")
        found["difference"][size] = Collection().run(lab, tree, [site], timeout=600, memory=True)
        lab.release()
    for what, costs in found.items():
        for who, kind in (("netboot server: module, rsync and ssh", "server"), ("controller", "controller")):
            ours, theirs = costs[large].memory.get(kind, 0), costs[small].memory.get(kind, 0)
            yield Result(
                "8",
                f"{what}, peak memory of the {who}: for {in_bytes(large)}, to {in_bytes(small)}",
                ours / theirs if theirs else None,
                in_bytes(ours),
                in_bytes(theirs),
                target=1.25 if kind == "server" else None,
                figures={str(size): cost.figures() for size, cost in costs.items()},
            )


def _sparse_image(tree: AssetsTree, name: str, size: int, *, changed: bytes) -> Image:
    """A file that is a squashfs as far as its superblock goes, of *size* bytes, nearly all of them a hole."""
    image = tree.add_image(name, kernel=None)
    with image.squashfs.open("r+b") as file:
        file.seek(40)
        file.write(struct.pack("<Q", size))
        file.truncate(size)
        for place in range(MIB, size, max(size // 16, MIB)):
            file.seek(place)
            file.write(changed * 8192)
    return image


def _random_image(tree: AssetsTree, name: str, size: int) -> Image:
    """An image that no compression makes smaller."""
    image = tree.add_image(name, kernel=None)
    with image.squashfs.open("ab") as file:
        file.write(os.urandom(size))
    return image


def _seconds(cost: Cost) -> float:
    return cost.seconds


def _cpu(cost: Cost) -> float:
    return cost.cpu


def _of_peer(name: str) -> str:
    return {"seed": "the seed's rsync", "synchronize": "ansible.posix.synchronize"}[name]


ROWS: dict[str, Callable[[Bench], Iterator[Result]]] = {
    "1": first_copy_fast,
    "2": first_copy_slow,
    "3": new_builds,
    "4": cut_transfers,
    "5": fan_out,
    "6": stalled_sites,
    "7": nothing_to_do,
    "8": memory,
}
