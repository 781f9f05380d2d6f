# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows about one caching server: first copies, differences, and interrupted transfers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tests.lab.process import LabError

from .bench import BASE_NAME, BUILD_WORDS, NEW, NEW_NAME, OLD, Bench, cpu, median, of_peer, seconds
from .cost import Cost
from .images import ImageSet
from .lab import Visible
from .many_sites import FLAVOURS
from .parts import Streams
from .peers import Collection, ExplicitBasis, Module, Patch, Peer, xdelta3, zstd
from .results import Result, in_bytes, in_seconds
from .stream import cuts, plain_stream

DAY, WEEK, REBUILD, CUT = 0.01, 1.15, 0.03, 1.03  # the targets in bytes


def first_copy_fast(bench: Bench) -> Iterator[Result]:
    """1: a first copy over an unlimited line, wall time and CPU: one image, and each further one in the same run."""
    lab = bench.lab
    size = bench.set.size("base")
    many = 2 if bench.short else 4
    trees = {1: lab.tree("first"), many: lab.tree("further")}
    for count, tree in trees.items():
        for flavour in FLAVOURS[:count]:
            # separate copies of unrelated flavours, so that nothing is saved by hashing or sending only one of them
            bench.place(tree, f"prod/21-04-09-{flavour}-master-f1d734e", bench.set.path("base"), when=OLD, copy=True)
    found: dict[str, dict[int, list[Cost]]] = {}
    for _turn in range(1 if bench.short else 3):
        for count, tree in trees.items():
            for peer in [*bench.peers(), Module(), Streams(hashed=True)]:
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
            one = median(costs[1], of)
            both.append((median(costs[many], of) - one) / (many - 1) if further else one)
        ours, theirs = both
        return Result(
            "1",
            f"first copy, {in_bytes(size)}, fast line, {how}, to {of_peer(other)}",
            ours / theirs,
            in_seconds(ours),
            in_seconds(theirs),
            target=1.0 if kept and not bench.short else None,
            figures=figures if kept else {},
        )

    for word, of in (("wall", seconds), ("CPU of both ends", cpu)):
        yield result(f"one image: {word}", "collection", "seed", of, further=False, kept=True)
        yield result(f"one image, the module without Ansible: {word}", "module", "seed", of, further=False, kept=False)
        yield result(f"each further image: {word}", "collection", "seed", of, further=True, kept=True)
        part = f"each further image, ssh with the bytes and openssl with a hash at both ends alone: {word}"
        yield result(part, Streams.name, "seed", of, further=True, kept=False)
        if lab.has_synchronize:
            yield result(f"one image: {word}", "collection", "synchronize", of, further=False, kept=False)
            yield result(f"each further image: {word}", "collection", "synchronize", of, further=True, kept=False)


def first_copy_slow(bench: Bench) -> Iterator[Result]:
    """2: a first copy over a slow line, until the marker is visible there, compared with one plain TCP stream."""
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


def new_builds(bench: Bench) -> Iterator[Result]:
    """3: the next builds under a new name: bytes on the line."""
    for images in bench.sets:
        for build in BUILD_WORDS:
            bench.say(f"  {BUILD_WORDS[build]}, {images.compression}")
            yield new_build(bench, images, build)


def new_build(bench: Bench, images: ImageSet, build: str) -> Result:
    """One build of one set: what each way of sending it costs."""
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
    """4: a connection that breaks halfway through the transfer; and five times, each halfway through the rest."""
    for build in ("base", "week"):
        bench.say(f"  {_of_build(build)}")
        cut = CutTransfer(bench, bench.set, build, seconds=4 if bench.short else 24)
        yield cut.once(trials=1 if bench.short else 3)
        if not bench.bytes_only:
            yield cut.again(times=5)


class CutTransfer:
    """A first copy (``base``) or a difference (another build): first without a cut, then with cuts.

    :arg seconds: roughly how long the transfer is meant to take; the line's rate follows from it.
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
        """Cut once, halfway; the worst of some trials counts."""
        costs = [self._run(1, []) for _trial in range(trials)]
        worst = max(costs, key=lambda cost: cost.line_bytes)
        return self._result(
            f"cut once at half, the worst of {trials}" if trials > 1 else "cut once at half", worst, costs
        )

    def again(self, *, times: int) -> Result:
        """Cut one transfer again and again, each time halfway through the rest."""
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
            # in the difference of a small image, the checksums that a retry sends again are too large a part
            target=CUT if self._build == "base" or not self._bench.short else None,
            figures={**figures, "rate": self._rate},
        )


def _of_build(build: str) -> str:
    return "first copy" if build == "base" else f"difference of the {BUILD_WORDS[build]}"
