# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A tree that cannot be read completely: what cannot be read is held back, with the reason."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ansible_collections.netboot.syncer.plugins.module_utils.assets.entries import (
    DIRECTORY,
    FILE,
    OTHER,
    SYMLINK,
    Entry,
)
from ansible_collections.netboot.syncer.plugins.module_utils.assets.inventory import Rules, assess
from ansible_collections.netboot.syncer.plugins.module_utils.errors import SourceChanged, SourceUnreadable, SyncError
from ansible_collections.netboot.syncer.plugins.module_utils.planning.planner import make_plan
from ansible_collections.netboot.syncer.plugins.module_utils.planning.promises import There
from ansible_collections.netboot.syncer.plugins.module_utils.source.shared_digest import SMALLEST
from ansible_collections.netboot.syncer.plugins.module_utils.source.tree import SourceTree

from tests.lab.tree import flip_byte

NOBODY = 65534
NO_LIST = "no permission to list it on the netboot server"
NO_LOOK = "no permission to look at it on the netboot server"
MARKER = "the marker a-kernel.json cannot be read: "
SWAP = """
import os
for _each in range(8_000):
    os.symlink("target", "new")
    os.rename("new", "name")
    os.link("target", "new")
    os.rename("new", "name")
    os.unlink("name")
    os.mkdir("name")
    os.rmdir("name")
    os.mkfifo("name")
"""


@contextlib.contextmanager
def nobody() -> Iterator[None]:
    """Act as a user to whom permissions apply; they do not apply to root."""
    if os.geteuid() != 0:
        yield
        return
    os.setresuid(NOBODY, NOBODY, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)


@pytest.fixture
def root() -> Iterator[Path]:
    """A tree of one image with its kernel, and a file. That user can reach it, unlike tmp_path."""
    above = Path(tempfile.mkdtemp(prefix="netboot-lab-"))
    above.chmod(0o755)
    found = above / "assets"
    for name in ("kernels/5.8/vmlinuz", "kernels/5.8/initrd", "prod/a.squashfs", "prod/a-kernel.json", "file"):
        path = found / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text('{"version": "5.8"}', encoding="utf-8")
    if os.geteuid() == 0:
        for path in (above, found, *found.rglob("*")):
            os.chown(path, NOBODY, NOBODY)
    yield found
    for directory, below, _unused in os.walk(above):  # from the top down, so that it can look below
        for name in below:
            Path(directory, name).chmod(0o755)
    shutil.rmtree(above)


@pytest.mark.parametrize(
    ("closed", "mode", "held_back", "image"),
    [
        pytest.param("prod", 0o444, {}, MARKER + NO_LOOK, id="image-not-looked-at"),
        pytest.param("prod", 0o000, {"prod": NO_LIST}, None, id="images-not-listed"),
        pytest.param(
            "kernels/5.8",
            0o444,
            {"kernels/5.8/vmlinuz": NO_LOOK, "kernels/5.8/initrd": NO_LOOK},
            None,
            id="kernel-not-looked-at",
        ),
        pytest.param("kernels/5.8", 0o000, {"kernels/5.8": NO_LIST}, None, id="kernel-not-listed"),
        pytest.param("kernels", 0o444, {"kernels/5.8": NO_LOOK}, None, id="kernels-not-looked-at"),
        pytest.param("file", 0o000, {"file": "no permission to read it on the netboot server"}, None, id="file"),
        pytest.param(
            "prod/a-kernel.json",
            0o000,
            {},
            MARKER + "no permission to read it on the netboot server",
            id="marker",
        ),
    ],
)
def test_what_cannot_be_read_is_held_back(
    root: Path, closed: str, mode: int, held_back: dict[str, str], image: str | None
) -> None:
    (root / closed).chmod(mode)
    with nobody():
        source = SourceTree(str(root))
        source.scan()
        inventory = assess(source.tree, source.evidence(Rules()), Rules())
    assert {path: inventory.held_back[path] for path in held_back} == held_back
    if image is not None:
        assert [one.reason for one in inventory.images] == [image]
    if closed != "file":
        assert [entry.path for entry in inventory.files] == ["file"]  # one problem never holds back the rest


@pytest.mark.parametrize(("closed", "mode"), [("prod", 0o000), ("prod", 0o444), ("kernels", 0o444)])
def test_nothing_is_removed_where_nobody_could_look(root: Path, closed: str, mode: int) -> None:
    (root / closed).chmod(mode)
    with nobody():
        source = SourceTree(str(root))
        source.scan()
        inventory = assess(source.tree, source.evidence(Rules()), Rules())
    there = {
        path: Entry(path, kind)
        for path, kind in {
            "gone": OTHER,
            f"{closed}": DIRECTORY,
            f"{closed}/5.8": DIRECTORY,
            f"{closed}/5.8/empty": DIRECTORY,
            f"{closed}/5.8/old": OTHER,
        }.items()
    }
    if mode == 0o444 and closed == "prod":
        # Its names could be listed, so anything under another name is gone.
        del there["prod/5.8"], there["prod/5.8/empty"], there["prod/5.8/old"]
    plan = make_plan(inventory, source.tree, There(there), Rules(), delete=True)
    assert [unit.path for unit in plan.units if unit.kind == "removal"] == ["gone"]


def test_a_tree_that_cannot_be_listed_is_a_failure(root: Path) -> None:
    root.chmod(0o000)
    with nobody(), pytest.raises(SyncError) as caught:
        SourceTree(str(root)).scan()
    assert caught.value.line(host="cache") == (
        f"netboot server: {root}: no permission to list it on the netboot server."
        " Let the user that the module runs as read it."
    )


def test_a_tree_in_which_nothing_can_be_read_is_a_failure(root: Path) -> None:
    root.chmod(0o444)
    with nobody(), pytest.raises(SyncError, match="nothing in it can be read") as caught:
        SourceTree(str(root)).scan()
    assert caught.value.host == "netboot server"


def test_no_tree(tmp_path: Path) -> None:
    with pytest.raises(SyncError, match="the assets tree is not there"):
        SourceTree(str(tmp_path / "nothing")).scan()


def test_a_file_that_another_run_hashed_before_it_changed(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two runs listed it before the change, and one of them hashed it; the other must still notice the change."""
    monkeypatch.setenv("TMPDIR", str(tmp_path / "shared"))
    monkeypatch.setattr(tempfile, "tempdir", None)
    (tmp_path / "shared").mkdir()
    (root / "file").write_bytes(b"x" * SMALLEST)
    first, second = SourceTree(str(root)), SourceTree(str(root))
    entries = [source.scan()["file"] for source in (first, second)]
    first.digest(entries[0])
    with (root / "file").open("ab") as file:
        file.write(b"more")
    with pytest.raises(SourceChanged):
        second.digest(entries[1])


def unreadable(source: SourceTree, entry: Entry) -> list[Callable[[], object]]:
    return [
        lambda: source.read(entry, 10),
        lambda: list(source.blocks(entry)),
        lambda: source.digest(entry),
        lambda: source.require_readable(entry),
    ]


def test_a_file_that_is_closed_meanwhile(root: Path) -> None:
    (root / "file").chmod(0o644)
    with nobody():
        source = SourceTree(str(root))
        source.scan()
    (root / "file").chmod(0o000)
    with nobody():
        entry = source.look("file")
        assert entry is not None
        for attempt in unreadable(source, entry):
            with pytest.raises(SourceUnreadable) as caught:
                attempt()
            assert caught.value.line(host="cache") == (
                f"netboot server: {root}/file: no permission to read it on the netboot server."
                " Let the user that the module runs as read it."
            )


def test_a_directory_that_is_closed_meanwhile(root: Path) -> None:
    with nobody():
        source = SourceTree(str(root))
        entry = source.scan()["prod/a.squashfs"]
    (root / "prod").chmod(0o444)
    with nobody(), pytest.raises(SourceUnreadable, match=r"prod/a\.squashfs: no permission to look at it"):
        source.confirm(entry)


def test_a_disk_that_does_not_give_what_is_on_it() -> None:
    """/proc/self/mem fails with an I/O error at its beginning, like a file on a broken disk."""
    source = SourceTree("/proc/self")
    entry = source.look("mem")
    assert entry is not None
    for attempt in unreadable(source, entry):
        with pytest.raises(SourceUnreadable) as caught:
            attempt()
        assert caught.value.line() == (
            "netboot server: /proc/self/mem: the netboot server cannot read it (Input/output error)."
            " Look at the disk or the mount that it is on."
        )


def test_a_name_that_is_another_thing_at_each_moment(tmp_path: Path) -> None:
    """Another process keeps swapping it: it is always one of these kinds, and reading it never fails unexpectedly."""
    (tmp_path / "target").write_text("x", encoding="utf-8")
    source = SourceTree(str(tmp_path))
    # A separate process, so that it also strikes between two system calls.
    with subprocess.Popen([sys.executable, "-c", SWAP], cwd=tmp_path) as swapper:
        kinds = set()
        while swapper.poll() is None:
            entry = source.look("name")
            kinds.add(entry.kind if entry else None)
            if entry is not None and entry.kind == FILE:
                with contextlib.suppress(SourceChanged):
                    assert source.read(entry, 10) in (b"x", b"")
    assert {FILE, SYMLINK, DIRECTORY, OTHER} <= kinds


def test_an_overwrite_with_its_time_restored_is_a_change(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"before")
    source = SourceTree(str(tmp_path))
    entry = source.scan()["file"]
    source.confirm(entry)
    flip_byte(file)
    assert (file.stat().st_size, file.stat().st_mtime_ns) == (entry.size, entry.identity[3])
    with pytest.raises(SourceChanged, match="it changed on the netboot server"):
        source.confirm(entry)


class _Swapping(SourceTree):
    """Puts a symlink in the place of a file after the check, before it is opened."""

    def confirm(self, entry: Entry) -> None:
        super().confirm(entry)
        path = Path(self.absolute(entry.path))
        path.unlink()
        path.symlink_to("/etc/passwd")


def test_a_symlink_that_comes_after_the_look_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    source = _Swapping(str(tmp_path))
    entry = source.scan()["file"]
    with pytest.raises(SourceChanged):
        source.read(entry, 10)


def test_an_empty_tree_is_no_tree(tmp_path: Path) -> None:
    (tmp_path / "prod").mkdir()
    with pytest.raises(SyncError, match="the assets tree is empty"):
        SourceTree(str(tmp_path)).scan()
