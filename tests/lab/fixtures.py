# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fleets that most tests begin with, and file systems of a chosen size."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.lab.fleet import Fleet, SiteSpec
from tests.lab.process import find_program
from tests.lab.runs import IMAGE, SITE
from tests.lab.strange_disk import Quirks, StrangeDisk, missing


@pytest.fixture
def spec(request: pytest.FixtureRequest) -> SiteSpec:
    """The site of the fixture ``fleet``; a test orders another one by ``parametrize("spec", ..., indirect=True)``."""
    found = getattr(request, "param", SiteSpec(SITE))
    assert isinstance(found, SiteSpec)
    return found


@pytest.fixture
def fleet(tmp_path: Path, spec: SiteSpec) -> Iterator[Fleet]:
    """One caching server, and a netboot server with one kernel and one image."""
    with Fleet(tmp_path / "fleet", [spec]) as found:
        found.tree.add_kernel()
        found.tree.add_image(IMAGE)
        yield found


@pytest.fixture
def ssh_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Gives the netboot server's user an ssh_config; the one of who runs the tests is left alone, and plays no part."""
    file, program = tmp_path / "ssh_config", tmp_path / "bin" / "ssh"

    def do(text: str) -> None:
        file.write_text(text, encoding="utf-8")
        real = find_program("ssh", "openssh-client")
        program.parent.mkdir()
        program.write_text(f'#!/bin/sh\nexec {shlex.join([real, "-F", str(file)])} "$@"\n', encoding="utf-8")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")

    return do


@pytest.fixture
def mount() -> Iterator[Callable[[Path, str], None]]:
    """Mounts a tmpfs with the given options on a directory, until the end of the test."""
    mounted: list[Path] = []

    def do(path: Path, options: str) -> None:
        path.mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(path)], check=True)
        mounted.append(path)

    yield do
    for path in mounted:
        # lazily: the caching server may still be up, with an open directory in it
        subprocess.run(["umount", "--lazy", str(path)], check=True)


@pytest.fixture
def strange_disk() -> Iterator[Callable[[Path, Quirks], StrangeDisk]]:
    """Mounts a file system with quirks on a directory, until the end of the test. Root's tests alone can have it."""
    if lack := missing():
        pytest.skip(lack)
    with ExitStack() as mounted:
        yield lambda path, quirks: mounted.enter_context(StrangeDisk(path, quirks))
