# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A row about many small files over a line with a high latency: what counts is the number of round trips."""

from __future__ import annotations

import os
import shlex
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.lab.fleet import Fleet, SiteSpec
from tests.lab.process import LabError
from tests.lab.runs import SITE, run_module

from .bench import Bench
from .results import Result, in_seconds

SIZE = 3000  # bytes of a file
IN_A_DIRECTORY = 100
LATENCY = 0.02  # seconds in each direction
TIMEOUT = 300.0


def small_files(bench: Bench) -> Iterator[Result]:
    """9: small files over a line with 40 ms round trips, by the module without Ansible, compared with rsync -a."""
    counts = (50,) if bench.short else (300, 10_000)
    for count in counts:
        idle: dict[str, list[float]] = {"module": [], "rsync": [], "login": []}
        found: dict[str, list[float]] = {"module": [], "rsync": []}
        for _turn in range(1 if bench.short else 3):
            with tempfile.TemporaryDirectory(dir=bench.work) as directory:
                _measure(Path(directory), count, idle, found)
        ours, theirs = statistics.median(found["module"]), statistics.median(found["rsync"])
        without, login = statistics.median(idle["module"]), statistics.median(idle["login"])
        figures = {"idle": idle, "with_files": found}
        what = f"{count} files of {SIZE} bytes over {2000 * LATENCY:.0f} ms"
        yield Result(
            "9",
            f"{what}: what they add to a run of the module, to rsync -a",
            (ours - without) / theirs,
            in_seconds(ours - without),
            in_seconds(theirs),
            figures=figures,
        )
        yield Result(
            "9",
            f"{what}: the whole run of the module, to rsync -a",
            ours / theirs,
            in_seconds(ours),
            in_seconds(theirs),
            target=None if bench.short else 2.0 if count < 1000 else 3.0,
        )
        for part, ours in (("the module with nothing to do", without), ("one login by ssh, and nothing else", login)):
            yield Result(
                "9", f"{what}: {part}, to rsync -a with the files", ours / theirs, in_seconds(ours), in_seconds(theirs)
            )


def _measure(directory: Path, count: int, idle: dict[str, list[float]], found: dict[str, list[float]]) -> None:
    with Fleet(directory / "fleet", [SiteSpec(SITE, latency=LATENCY)]) as fleet:
        other = directory / "other"
        other.mkdir()
        fleet.tree.add_image("prod/a")
        ways: dict[str, Callable[[], None]] = {"module": lambda: _module(fleet), "rsync": lambda: _rsync(fleet, other)}
        for run in ways.values():
            run()
        for name, run in ways.items():
            idle[name].append(_seconds(run))
        idle["login"].append(_seconds(lambda: _login(fleet)))
        for number in range(count):
            file = fleet.tree.root / "boot" / f"{number // IN_A_DIRECTORY:03}" / f"{number:05}.cfg"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(os.urandom(SIZE))
        for name, run in ways.items():
            found[name].append(_seconds(run))
        there = fleet.sites[SITE].assets / "boot"
        if sum(len(files) for _above, _below, files in os.walk(there)) != count:
            raise LabError(f"not all of {count} files arrived")
        shutil.rmtree(other)


def _seconds(run: Callable[[], None]) -> float:
    os.sync()  # what was written before, on both ends, would be waited for where files are flushed
    begin = time.monotonic()
    run()
    return time.monotonic() - begin


def _module(fleet: Fleet) -> None:
    module = run_module(fleet)
    try:
        status = module.wait(TIMEOUT)
    finally:
        module.stop()
    if status != 0:
        raise LabError((fleet.directory / "module.log").read_text(encoding="utf-8")[-500:])


def _rsync(fleet: Fleet, into: Path) -> None:
    at = fleet.sites[SITE]
    to = f"{at.server.user}@{at.ssh.address}:{into}/"
    _run("rsync", ["rsync", "-a", "--exclude=.*", "-e", shlex.join(_ssh(fleet)), f"{fleet.tree.root}/", to])


def _login(fleet: Fleet) -> None:
    at = fleet.sites[SITE]
    _run("ssh", [*_ssh(fleet), f"{at.server.user}@{at.ssh.address}", "true"])


def _ssh(fleet: Fleet) -> list[str]:
    ssh = ["ssh", "-Fnone", "-i", str(fleet.key.private), "-o", f"UserKnownHostsFile={fleet.known_hosts}"]
    return [*ssh, "-p", str(fleet.sites[SITE].ssh.port)]


def _run(name: str, command: list[str]) -> None:
    done = subprocess.run(command, timeout=TIMEOUT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise LabError(f"{name} failed: {done.stderr[-500:]}")
