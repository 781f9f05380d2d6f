# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A row about many small files over a line with a high latency: what counts is the number of round trips."""

from __future__ import annotations

import collections
import contextlib
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.lab.fleet import CHECKOUT, Fleet, SiteSpec
from tests.lab.process import LabError
from tests.lab.runs import SITE, run_module, write_arguments

from . import warm
from .bench import Bench
from .results import Result, in_seconds

SIZE = 3000  # bytes of a file
IN_A_DIRECTORY = 100
LATENCY = 0.02  # seconds in each direction
TIMEOUT = 300.0


Run = Callable[[], None]


def small_files(bench: Bench) -> Iterator[Result]:
    """9: small files over a line with 40 ms round trips, by the module without Ansible, compared with rsync -a."""
    counts = (50,) if bench.short else (300, 10_000)
    for count in counts:
        idle: dict[str, list[float]] = collections.defaultdict(list)
        found: dict[str, list[float]] = collections.defaultdict(list)
        for _turn in range(1 if bench.short else 3):
            with tempfile.TemporaryDirectory(dir=bench.work) as directory:
                _measure(Path(directory), count, idle, found)
        theirs = statistics.median(found["rsync"])
        what = f"{count} files of {SIZE} bytes over {2000 * LATENCY:.0f} ms"
        target = None if bench.short else 2.0 if count < 1000 else 3.0
        ours: list[tuple[str, float, float | None]] = []
        for name, words in (
            ("fork", "the module in a fork of Ansible's worker, as on the control node"),
            ("module", "the module in a Python of its own, as elsewhere"),
        ):
            whole, without = statistics.median(found[name]), statistics.median(idle[name])
            ours += [
                (f"{words}: the whole run", whole, target),
                (f"{words}: what the files add", whole - without, None),
                (f"{words}: with nothing to do", without, None),
            ]
        ours.append(("rsync -a, and the flush of the file system (sync -f)", statistics.median(found["flushed"]), None))
        ours.append(("one login by ssh, and nothing else", statistics.median(idle["login"]), None))
        figures: dict[str, object] = {"idle": dict(idle), "with_files": dict(found)}
        for part, seconds, its_target in ours:
            yield Result(
                "9",
                f"{what}: {part}, to rsync -a with the files",
                seconds / theirs,
                in_seconds(seconds),
                in_seconds(theirs),
                target=its_target,
                figures=figures,
            )
            figures = {}


def _measure(directory: Path, count: int, idle: dict[str, list[float]], found: dict[str, list[float]]) -> None:
    with Fleet(directory / "fleet", [SiteSpec(SITE, latency=LATENCY)]) as fleet:
        fleet.tree.add_image("prod/a")
        places = {name: directory / name for name in ("fork", "module", "rsync", "flushed")}
        for place in places.values():
            place.mkdir()
        # each prepares what is then timed
        ways: dict[str, Callable[[], contextlib.AbstractContextManager[Run]]] = {
            "fork": lambda: _in_a_fork(fleet, places["fork"]),
            "module": lambda: contextlib.nullcontext(lambda: _module(fleet, places["module"])),
            "rsync": lambda: contextlib.nullcontext(lambda: _rsync(fleet, places["rsync"])),
            "flushed": lambda: contextlib.nullcontext(lambda: _rsync(fleet, places["flushed"], "sync", "-f")),
        }
        for prepared in ways.values():
            with prepared() as run:
                run()
        for name, prepared in ways.items():
            with prepared() as run:
                idle[name].append(_seconds(run))
        idle["login"].append(_seconds(lambda: _login(fleet, "true")))
        for number in range(count):
            file = fleet.tree.root / "boot" / f"{number // IN_A_DIRECTORY:03}" / f"{number:05}.cfg"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(os.urandom(SIZE))
        for name, prepared in ways.items():
            with prepared() as run:
                found[name].append(_seconds(run))
        for name, place in places.items():
            if sum(len(files) for _above, _below, files in os.walk(place / "boot")) != count:
                raise LabError(f"not all of {count} files arrived by {name}")


def _seconds(run: Callable[[], None]) -> float:
    os.sync()  # what was written before, on both ends, would be waited for where files are flushed
    begin = time.monotonic()
    run()
    return time.monotonic() - begin


def _module(fleet: Fleet, into: Path) -> None:
    module = run_module(fleet, dest=str(into))
    try:
        status = module.wait(TIMEOUT)
    finally:
        module.stop()
    if status != 0:
        raise LabError((fleet.directory / "module.log").read_text(encoding="utf-8")[-500:])


@contextlib.contextmanager
def _in_a_fork(fleet: Fleet, into: Path) -> Iterator[Run]:
    arguments = write_arguments(fleet, dest=str(into))
    environment = {**os.environ, "PYTHONPATH": f"{CHECKOUT / '.collections'}:{CHECKOUT}"}
    command = [sys.executable, "-m", warm.__name__, str(arguments)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        process.stdout.readline()  # it is ready

        def run() -> None:
            process.communicate(b"\n", TIMEOUT)
            if process.returncode != 0:
                raise LabError(arguments.with_suffix(".result").read_text(encoding="utf-8")[-500:])

        try:
            yield run
        finally:
            process.kill()


def _rsync(fleet: Fleet, into: Path, *flush: str) -> None:
    at = fleet.sites[SITE]
    to = f"{at.server.user}@{at.ssh.address}:{into}/"
    _run("rsync", ["rsync", "-a", "--exclude=.*", "-e", shlex.join(_ssh(fleet)), f"{fleet.tree.root}/", to])
    if flush:
        _login(fleet, shlex.join([*flush, str(into)]))


def _login(fleet: Fleet, command: str) -> None:
    at = fleet.sites[SITE]
    _run("ssh", [*_ssh(fleet), f"{at.server.user}@{at.ssh.address}", command])


def _ssh(fleet: Fleet) -> list[str]:
    ssh = ["ssh", "-Fnone", "-i", str(fleet.key.private), "-o", f"UserKnownHostsFile={fleet.known_hosts}"]
    return [*ssh, "-p", str(fleet.sites[SITE].ssh.port)]


def _run(name: str, command: list[str]) -> None:
    done = subprocess.run(command, timeout=TIMEOUT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise LabError(f"{name} failed: {done.stderr[-500:]}")
