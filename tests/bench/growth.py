# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How cost grows: runs with nothing to do, for more and more caching servers, and for more and more images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.lab.tree import AssetsTree

from .bench import Bench
from .lab import Site
from .many_sites import idle_tree
from .peers import Collection, Seed

SITES, IMAGES = (1, 5, 20, 50, 100, 200), (10, 50, 200, 1000, 2000)
SITES_SHORT, IMAGES_SHORT = (1, 4), (10, 40)
IMAGES_OF_SITES, SITES_OF_IMAGES = 200, 10  # each stays fixed while the other one grows
LIMIT = 900.0  # seconds, for one run


def measure(bench: Bench) -> dict[str, Any]:
    """Measure both series, for this collection and for a parallel loop of ``rsync -n``.

    Returns for each series and each peer a list of points: ``count``, ``seconds``, ``cpu_seconds`` of both ends, and
    for the collection ``controller_bytes`` and ``server_bytes``, the peaks of memory, from a separate run.
    """
    lab = bench.lab
    site_counts, image_counts = (SITES_SHORT, IMAGES_SHORT) if bench.short else (SITES, IMAGES)
    few_images, few_sites = (20, 2) if bench.short else (IMAGES_OF_SITES, SITES_OF_IMAGES)
    found: dict[str, Any] = {"images_of_sites": few_images, "sites_of_images": few_sites}
    tree = idle_tree(lab, few_images)
    found["sites"] = _series(bench, site_counts, lambda count: (tree, _filled(bench, count, tree)), "caching servers")
    lab.release()

    def with_images(count: int) -> tuple[AssetsTree, list[Site]]:
        grown = idle_tree(lab, count)
        return grown, _filled(bench, few_sites, grown)

    found["images"] = _series(bench, image_counts, with_images, "images")
    lab.release()
    return found


def _filled(bench: Bench, count: int, tree: AssetsTree) -> list[Site]:
    sites = bench.lab.use(count)
    for site in sites:
        site.fill(tree)
    return sites


def _series(
    bench: Bench, counts: tuple[int, ...], make: Callable[[int], tuple[AssetsTree, list[Site]]], of_what: str
) -> dict[str, list[dict[str, float]]]:
    points: dict[str, list[dict[str, float]]] = {"collection": [], "rsync -n": []}
    for count in counts:
        bench.say(f"  {count} {of_what}")
        tree, sites = make(count)
        ours = Collection().run(bench.lab, tree, sites, timeout=LIMIT)
        theirs = Seed().run(bench.lab, tree, sites, timeout=LIMIT, dry=True)
        watched = Collection().run(bench.lab, tree, sites, timeout=LIMIT, memory=True)
        memory = {
            "controller_bytes": watched.memory.get("controller", 0),
            "server_bytes": watched.memory.get("server", 0),
        }
        points["collection"].append({"count": count, "seconds": ours.seconds, "cpu_seconds": ours.cpu, **memory})
        points["rsync -n"].append({"count": count, "seconds": theirs.seconds, "cpu_seconds": theirs.cpu})
    return points
