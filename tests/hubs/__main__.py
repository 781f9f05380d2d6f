# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m tests.hubs``: hubs and leaves on lines with rates, as ``./dev hubs`` starts it. Needs root."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from tests.lab.console import run_command, say
from tests.lab.fleet import CHECKOUT
from tests.lab.namespaces import isolate, own_directory
from tests.lab.runs import add_large_image, let_go_last

from .lab import HubLab, measure, report, troubles

FIRST, NEXT, LAST = "prod/21-04-09-gnome-master-f1d734e", "dev/21-04-10-kde-master-9c41d0b", "other/21-04-08-xfce-0a1"
LAST_SIZE = 40_000_000  # bytes: takes some minutes on the slow line


def main(arguments: list[str]) -> int:
    """Run it once. Returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="./dev hubs",
        description="Two hubs, one of them on a slow line, and three leaves behind each, in network namespaces: leaves"
        " of the quick hub are all through while the slow hub is at work, and those of the slow hub have its first"
        " image before it has its last. It is the order that is looked at, not the time.",
    )
    parser.add_argument("--json", metavar="FILE", type=Path, help="write what was seen to this file as well")
    options = parser.parse_args(arguments)
    if os.geteuid() != 0:
        say("./dev hubs needs root: it makes network namespaces, file systems and lines of its own.")
        return 2
    isolate("tests.hubs", arguments)
    kept = [CHECKOUT, Path(sys.prefix), Path(sys.executable).resolve(), Path.cwd()]
    lab = HubLab(own_directory(*kept, *([options.json.absolute()] if options.json else [])))
    try:
        lab.tree.add_kernel()
        images = [lab.tree.add_image(FIRST), lab.tree.add_image(NEXT)]
        large = add_large_image(lab.tree, LAST, size=LAST_SIZE)
        let_go_last(large, images)
        images.append(large)
        markers = [str(image.marker.relative_to(lab.tree.root)) for image in images]
        figures = measure(lab, markers)
    finally:
        lab.close()
    found = troubles(figures["order"], markers)
    for site, marker in figures["order"]:
        say(f"{site:<14}{marker}")
    if options.json:
        options.json.write_text(report({**figures, "troubles": found}), encoding="utf-8")
    for line in found:
        say(f"NOT AS PROMISED: {line}")
    say(f"{figures['seconds']:.0f} s")
    return 1 if found else 0


if __name__ == "__main__":
    run_command("hubs", main)
