# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A day of a fleet without waiting for the hours to pass: status.yml and the other playbooks with a shifted clock.

Ansible and all the Python that it starts on the netboot server have their clock moved. The netboot server's tree is on
a file system that knows one time of a file alone, which can be set: so an image was uploaded when the test says it was.
"""

from __future__ import annotations

import dataclasses
import datetime
import json
import os
import re
import subprocess
import time
from pathlib import Path
from typing import Any

from tests.lab.fleet import Fleet, PlaybookRun
from tests.lab.process import Supervised
from tests.lab.runs import add_large_image
from tests.lab.tree import Image

START = datetime.datetime(2027, 3, 1, tzinfo=datetime.UTC)  # its midnight


def at(hour: float) -> float:
    """An hour of that day, in seconds since the epoch."""
    return START.timestamp() + hour * 3600


def clock(hour: float) -> dict[str, str]:
    """The environment of programs whose clock starts at that hour."""
    return {"PYTHONPATH": str(Path(__file__).with_name("clock")), "NETBOOT_LAB_CLOCK": f"{at(hour) - time.time():.3f}"}


@dataclasses.dataclass(frozen=True)
class Look:
    """What status.yml wrote at an hour: the document, the page, the metrics by their names and labels."""

    hour: float
    status: dict[str, Any]
    page: str
    text: str

    @property
    def states(self) -> dict[str, str]:
        """The state of each site."""
        return {name: site["state"] for name, site in self.status["sites"].items()}

    @property
    def behind(self) -> dict[str, float]:
        """For how many hours each site that is behind has been behind."""
        sites = self.status["sites"].items()
        return {name: round(site["behind_seconds"] / 3600, 1) for name, site in sites if site["behind_images"]}

    @property
    def metrics(self) -> dict[str, float]:
        """Each metric with its labels, as text, and its value."""
        lines = [line.rpartition(" ") for line in self.text.splitlines() if not line.startswith("#")]
        return {name: float(value) for name, _space, value in lines}

    def image(self, site: str, image: Image) -> str:
        """The state of an image at a site."""
        return str(self.status["sites"][site]["images"].get(image.path, {}).get("state", ""))

    def having(self, image: Image) -> dict[str, str]:
        """The state of an image at each site that knows of it."""
        found = {name: self.image(name, image) for name in self.status["sites"]}
        return {name: state for name, state in found.items() if state}


class Day:
    """A fleet, and its netboot server's current hour."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.hour = 0.0
        self.directory = fleet.directory / "status"
        self.looks: list[Look] = []

    def dated(self, *paths: Path) -> None:
        """Give files that have just arrived at the netboot server this hour's time."""
        for path in paths:
            os.utime(path, (at(self.hour), at(self.hour)))

    def upload(self, name: str, hour: float, *, size: int = 0) -> Image:
        """Have an image arrive at an hour."""
        self.hour = hour
        image = add_large_image(self.fleet.tree, name, size=size) if size else self.fleet.tree.add_image(name)
        self.dated(image.squashfs, image.marker)
        return image

    def run(self, playbook: str, *args: str, without: str = "") -> PlaybookRun:
        """Run a playbook at this hour. It comes through at all sites, but ``without`` one that cannot be reached."""
        found = self.fleet.run_playbook(playbook, *args, env=clock(self.hour))
        assert found.status == (2 if without else 0), found.output
        assert {name for name, result in found.results.items() if result.get("failed")} <= {without}, found.output
        return found

    def start(self, playbook: str, *args: str) -> Supervised:
        """Start a playbook at this hour."""
        return self.fleet.start_playbook(playbook, *args, output=subprocess.DEVNULL, env=clock(self.hour))

    def look(self, hour: float) -> Look:
        """Set the hour, and run status.yml."""
        self.hour = hour
        self.run("status.yml", "-e", f"netboot_status_directory={self.directory}")
        status, page, text = (
            (self.directory / name).read_text(encoding="utf-8")
            for name in ("status.json", "index.html", "netboot.prom")
        )
        found = Look(hour, json.loads(status), page, text)
        self.looks.append(found)
        return found


def embedded(page: str) -> Any:
    """The document that a page holds."""
    found = re.search(r'<script[^>]*type="application/json"[^>]*>(.*?)</script>', page, re.DOTALL)
    assert found
    return json.loads(found[1])
