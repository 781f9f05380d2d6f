# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every transport guarantees: each against a real OpenSSH server, over a line that can break."""

from __future__ import annotations

import contextlib
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ansible_collections.netboot.syncer.plugins.module_utils.assets.entries import Entry
from ansible_collections.netboot.syncer.plugins.module_utils.errors import (
    ConnectionTrouble,
    LeftForLater,
    SourceChanged,
)
from ansible_collections.netboot.syncer.plugins.module_utils.limits.bandwidth import NO_LIMIT, Limit, parse_limit
from ansible_collections.netboot.syncer.plugins.module_utils.limits.throttle import Throttle
from ansible_collections.netboot.syncer.plugins.module_utils.progress import Progress
from ansible_collections.netboot.syncer.plugins.module_utils.source.tree import SourceTree
from ansible_collections.netboot.syncer.plugins.module_utils.ssh.session import Session
from ansible_collections.netboot.syncer.plugins.module_utils.transports.mounts import Mounts
from ansible_collections.netboot.syncer.plugins.module_utils.transports.protocol import Transport
from ansible_collections.netboot.syncer.plugins.module_utils.transports.rsync import RsyncTransport
from ansible_collections.netboot.syncer.plugins.module_utils.transports.sftp import SEGMENT, SftpTransport
from ansible_collections.netboot.syncer.plugins.module_utils.transports.stream import Stream
from ansible_collections.netboot.syncer.plugins.module_utils.transports.work_area import WorkArea

from tests.lab.fleet import Fleet, SiteSpec
from tests.lab.line import Line
from tests.lab.runs import SITE, address_of

SIZE = 3 * SEGMENT  # bytes; an interrupted upload resumes at a segment's boundary


class Stage:
    """A source tree with one file, and a transport to one caching server for each session."""

    def __init__(self, fleet: Fleet, name: str) -> None:
        self._fleet = fleet
        self._name = name
        self.dest = fleet.sites[SITE].server.assets
        self.file = fleet.tree.root / "a.squashfs"
        self.file.write_bytes(random.Random(1).randbytes(SIZE))
        self.source = SourceTree(str(fleet.tree.root))
        self.area: WorkArea | None = None

    @property
    def entry(self) -> Entry:
        return self.source.scan()["a.squashfs"]

    @property
    def line(self) -> Line:
        found = self._fleet.sites[SITE].line
        assert found is not None
        return found

    @contextlib.contextmanager
    def transport(self, limit: Limit = NO_LIMIT) -> Iterator[Transport]:
        with Session(address_of(self._fleet), remember=False) as session, Progress() as progress:
            sftp = session.sftp()
            area = WorkArea(sftp, str(self.dest), "run", mounts=Mounts(sftp, str(self.dest)), warn=pytest.fail)
            area.open_root(area.root)
            self.area = area
            throttle = Throttle(limit)
            if self._name == "sftp":
                yield SftpTransport(session, sftp, area, self.source, throttle=throttle, progress=progress)
                return
            stream = Stream(session, area, self.source, throttle=throttle, progress=progress)
            yield RsyncTransport(
                session,
                sftp,
                area,
                self.source,
                dest=str(self.dest),
                can_join=True,
                stream=stream if self._name == "stream" else None,
                throttle=throttle,
                progress=progress,
            )

    def arrived(self, entry: Entry) -> bytes | None:
        """Return the content under the hidden name; None if there is none."""
        assert self.area is not None
        file = Path(self.area.incoming(entry.path))
        return file.read_bytes() if file.exists() else None

    def published(self) -> list[str]:
        return [name for name in os.listdir(self.dest) if not name.startswith(".netboot-sync")]


@pytest.fixture(params=["rsync", "stream", "sftp"])
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stage]:
    with Fleet(tmp_path / "fleet", [SiteSpec(SITE, line=True)]) as fleet:
        yield Stage(fleet, request.param)


def test_a_file_arrives_whole_under_its_hidden_name(stage: Stage) -> None:
    entry = stage.entry
    with stage.transport() as transport:
        sent = transport.send(entry, None, None)
        assert transport.name in ("rsync", "sftp")
    assert stage.arrived(entry) == stage.file.read_bytes()
    assert stage.published() == []
    assert SIZE <= sent.bytes < 1.02 * SIZE
    assert sent.basis is None


def test_a_basis_that_is_not_there_is_done_without(stage: Stage) -> None:
    entry = stage.entry
    with stage.transport() as transport:
        assert transport.send(entry, "yesterday.squashfs", None).basis is None
    assert stage.arrived(entry) == stage.file.read_bytes()


def test_after_a_break_it_goes_on_where_it_ended(stage: Stage) -> None:
    entry = stage.entry
    stage.line.set_rate(40e6)  # slow enough that only a small part is in flight when it breaks
    stage.line.cut_after(SIZE * 2 // 3)
    with stage.transport() as transport:
        with pytest.raises(ConnectionTrouble):
            transport.send(entry, None, None)
        assert 0 < transport.sent <= SIZE
    assert stage.arrived(entry) != stage.file.read_bytes()
    assert stage.published() == []
    stage.line.set_rate(None)
    stage.line.restore()
    with stage.transport() as transport:
        sent = transport.send(entry, None, None)
    assert stage.arrived(entry) == stage.file.read_bytes()
    assert sent.bytes < SIZE * 3 // 4


def overwrite(file: Path) -> None:
    file.write_bytes(b"another build")


@pytest.mark.parametrize("change", [overwrite, Path.unlink])
def test_a_file_that_is_another_one_by_now_is_not_sent(stage: Stage, change: Callable[[Path], None]) -> None:
    entry = stage.entry
    change(stage.file)
    with pytest.raises(SourceChanged), stage.transport() as transport:
        transport.send(entry, None, None)
    assert stage.arrived(entry) is None


def test_outside_its_hours_nothing_is_sent(stage: Stage) -> None:
    entry = stage.entry
    with pytest.raises(LeftForLater), stage.transport(parse_limit("0")) as transport:
        transport.send(entry, None, None)
    assert stage.arrived(entry) is None
