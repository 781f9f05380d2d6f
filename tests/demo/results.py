# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The results of the demo's runs of ansible-playbook, checked and shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.filesize import decimal as size
from rich.table import Table

from tests.lab.client import BootClient
from tests.lab.fleet import Fleet
from tests.lab.tree import CACHING_SERVER_IMAGE

from . import stage

Results = dict[str, dict[str, Any]]  # inventory name to what sync_assets returned

DELTA_LIMIT = 0.2  # share of its size that the second build may cost; a few percent are usual


@dataclass(frozen=True)
class Run:
    """One run of sync.yml: its title, its exit status, what it reported and how long it took."""

    title: str
    status: int
    results: Results
    started: float  # time.monotonic()
    seconds: float

    def image(self, site: str, name: str) -> Mapping[str, Any]:
        """What the run did with one image at one site."""
        for image in self.results.get(site, {}).get("images", []):
            if image["path"] == f"{name}.squashfs":
                return dict(image)
        return {}


def problems(fleet: Fleet, runs: Iterable[Run], client: BootClient) -> list[str]:
    """Everything that is not as it should be, one line each."""
    first, second, third = runs
    found = [f"seen by the client: {violation}" for violation in client.violations]
    found += [f"{run.title}: ansible-playbook ended with {run.status}" for run in (first, second, third) if run.status]
    if client.polls == 0:
        found.append("the client never polled")
    for site in fleet.sites:
        found += [f"{run.title}: no result of {site}" for run in (first, second, third) if site not in run.results]
        bootable = client.bootable(site)
        if bootable != (expected := stage.expected_images(site, second=True)):
            found.append(f"{site}: can boot {sorted(bootable)}, expected {sorted(expected)}")
        for name in (stage.UPLOADING, stage.TRUNCATED):
            image = second.image(site, name)
            if image.get("state") != "held_back" or not image.get("reason"):
                found.append(f"{site}: {name} is not held back with a reason: {image.get('state')}")
            if (fleet.sites[site].assets / f"{name}.squashfs").exists():
                found.append(f"{site}: {name} was sent")
        delta = second.image(site, stage.SECOND_BUILD)
        if not 0 < delta.get("sent_bytes", 0) < DELTA_LIMIT * delta.get("size", 0):
            found.append(f"{site}: the second build cost {delta.get('sent_bytes')} of {delta.get('size')} bytes")
        if delta.get("basis") != f"{stage.FIRST_BUILD}.squashfs":
            found.append(f"{site}: the basis of the second build was {delta.get('basis')}")
        if third.results.get(site, {}).get("changed") is not False:
            found.append(f"{site}: the third run changed something")
        image_without_json = fleet.sites[site].assets / f"{CACHING_SERVER_IMAGE}.squashfs"
        if not image_without_json.exists():
            found.append(f"{site}: {CACHING_SERVER_IMAGE}.squashfs is not there")
    return found


def site_table(fleet: Fleet, runs: Iterable[Run], client: BootClient) -> Table:
    """Per site: what it serves now, since when, and what each image cost."""
    runs = list(runs)
    table = Table(title="What each site serves now", title_justify="left", show_lines=False)
    for column in ("site", "image", "size", "sent", "share", "basis", "bootable after"):
        numeric = column in ("size", "sent", "share", "bootable after")
        table.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for site in fleet.sites:
        for path in sorted(client.bootable(site)):
            name = path.removesuffix(".squashfs")
            run = next((run for run in runs if run.image(site, name).get("state") == "published"), None)
            image = run.image(site, name) if run is not None else {}
            total, sent = image.get("size", 0), image.get("sent_bytes", 0)
            at = next((each.at for each in client.events if (each.site, each.image) == (site, path)), None)
            after = f"{at - run.started:.1f} s, {run.title}" if at is not None and run is not None else ""
            share = f"{sent / total:.1%}" if total else ""
            basis = Path(image.get("basis") or "").stem
            table.add_row(site, name, size(total), size(sent), share, basis or "-", after)
        table.add_section()
    return table


def held_back_table(fleet: Fleet, run: Run) -> Table:
    """Per image that was held back: why, and at which sites."""
    table = Table(title="Held back on the netboot server", title_justify="left")
    for column in ("image", "reason", "sites"):
        table.add_column(column, overflow="fold")
    held: dict[tuple[str, str], list[str]] = {}
    for site in fleet.sites:
        for image in run.results.get(site, {}).get("images", []):
            if image["state"] == "held_back":
                held.setdefault((image["path"], str(image.get("reason"))), []).append(site)
    for (path, reason), sites in sorted(held.items()):
        table.add_row(
            path.removesuffix(".squashfs"), reason, "all" if len(sites) == len(fleet.sites) else ", ".join(sites)
        )
    return table
