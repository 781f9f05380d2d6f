# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The boot scripts of a real tree: written whole, left alone if nothing changed, and never over another file."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.netboot.syncer.plugins.module_utils.assets.entries import Entry
from ansible_collections.netboot.syncer.plugins.module_utils.boot_menus.run import BootMenuRun
from ansible_collections.netboot.syncer.plugins.module_utils.errors import SyncError
from ansible_collections.netboot.syncer.plugins.module_utils.source.tree import SourceTree
from ansible_collections.netboot.syncer.plugins.modules import boot_menu as face

from tests.lab.tree import AssetsTree

IMAGE = "prod/21-04-09-gnome-master-f1d734e"
UNTESTED = "dev/21-04-10-kde-topic-0aa1b2c"
SITES = [
    {"name": "berlin", "cache_url": "http://192.0.2.10", "gateways": ["192.0.2.9"], "exclude": ["dev/**"]},
    {"name": "devel", "cache_url": "http://192.0.2.20", "gateways": ["192.0.2.17"]},
]


@pytest.fixture
def tree(tmp_path: Path) -> AssetsTree:
    tree = AssetsTree(tmp_path / "assets")
    tree.add_kernel()
    tree.add_image(IMAGE)
    tree.add_image(UNTESTED)
    return tree


def run(tree: AssetsTree, *, check_mode: bool = False, **options: Any) -> tuple[dict[str, Any], list[str]]:
    """The result of a call, and its warnings."""
    given = {"src": str(tree.root), "server_url": "http://192.0.2.1", "sites": SITES, **options}
    checked = ArgumentSpecValidator(face.ARGUMENTS).validate(given)
    assert not checked.error_messages
    found: BootMenuRun = face.read_run(checked.validated_parameters, check_mode=check_mode)
    found.run()
    return found.result(diff=True), found.warnings


def states(result: dict[str, Any]) -> dict[str, str]:
    return {one["path"]: one["state"] for one in result["files"]}


def test_check_do_check_do(tree: AssetsTree) -> None:
    planned, _unused = run(tree, check_mode=True)
    assert planned["changed"]
    assert not list(tree.root.glob("*.ipxe"))
    old = os.umask(0o077)
    try:
        done, _unused = run(tree)
    finally:
        os.umask(old)
    assert done == planned
    assert states(done) == {"boot.ipxe": "written", "menu.ipxe": "written"}
    before = {path: (path.stat().st_ino, path.read_text()) for path in tree.root.glob("*.ipxe")}
    assert [stat.S_IMODE(path.stat().st_mode) for path in before] == [0o644, 0o644]
    for check_mode in (True, False):
        again, _unused = run(tree, check_mode=check_mode)
        assert not again["changed"]
        assert again["diff"] == []
    assert {path: (path.stat().st_ino, path.read_text()) for path in tree.root.glob("*.ipxe")} == before
    assert not list(tree.root.glob(".*"))


def test_the_order_of_the_inventory_changes_nothing(tree: AssetsTree) -> None:
    run(tree)
    result, _unused = run(tree, sites=SITES[::-1])
    assert not result["changed"]


def test_each_site_is_offered_what_it_is_sent(tree: AssetsTree) -> None:
    result, _unused = run(tree)
    assert {one["path"]: one["sites"] for one in result["images"]} == {
        f"{IMAGE}.squashfs": ["berlin", "devel"],
        f"{UNTESTED}.squashfs": ["devel"],
    }


def test_a_withdrawn_image_is_offered_no_longer(tree: AssetsTree) -> None:
    run(tree)
    marker = tree.image(IMAGE).marker
    marker.rename(marker.with_name(f".{marker.name}.withdrawn"))
    result, _unused = run(tree)
    assert states(result) == {"boot.ipxe": "unchanged", "menu.ipxe": "written"}
    assert IMAGE not in (tree.root / "menu.ipxe").read_text()


def test_an_upload_under_way_is_not_offered(tree: AssetsTree) -> None:
    tree.truncate_image(UNTESTED)
    result, _unused = run(tree)
    assert [one["path"] for one in result["images"]] == [f"{IMAGE}.squashfs"]
    assert result["not_offered"] == [{"path": f"{UNTESTED}.squashfs", "reason": result["not_offered"][0]["reason"]}]
    assert "cut short" in result["not_offered"][0]["reason"]


def test_a_name_that_ipxe_could_take_for_syntax_is_told(tree: AssetsTree) -> None:
    tree.add_image("prod/${net0}")
    result, _unused = run(tree)
    assert [one["path"] for one in result["not_offered"]] == ["prod/${net0}.squashfs"]
    assert "net0" not in (tree.root / "menu.ipxe").read_text()


def test_a_hash_is_worked_out_once(tree: AssetsTree, monkeypatch: pytest.MonkeyPatch) -> None:
    image = tree.image(IMAGE)
    digest = hashlib.sha256(image.squashfs.read_bytes()).hexdigest()
    image.marker.write_text(json.dumps({"version": "5.8.0-43-generic", "sha256": digest}))
    hashed: list[str] = []
    begin = SourceTree.begin_digest

    def count(self: SourceTree, entry: Entry) -> None:
        """The real one does the work; this only counts."""
        hashed.append(entry.path)
        begin(self, entry)

    monkeypatch.setattr(SourceTree, "begin_digest", count)
    run(tree)
    assert set(hashed) == {image.path}
    hashed.clear()
    result, _unused = run(tree)
    assert (hashed, result["changed"]) == ([], False)
    data = bytearray(image.squashfs.read_bytes())
    data[len(data) // 2] ^= 1
    image.squashfs.write_bytes(data)
    os.utime(image.squashfs, (1, 1))
    result, _unused = run(tree)
    assert hashed
    assert "sha256" in result["not_offered"][0]["reason"]


def test_a_machine_has_its_own_script_until_it_is_gone(tree: AssetsTree) -> None:
    tree.add_image("caching-server/netboot-caching-server", marker=False)
    options: dict[str, Any] = {
        "unmarked_images": ["caching-server/**"],
        "machines": [
            {"mac": "52:54:00:00:00:05", "image": "caching-server/**", "server_only": True},
            {"mac": "52:54:00:00:00:06", "image": "nothing"},
        ],
    }
    result, warnings = run(tree, **options)
    assert states(result)["MAC-525400000005.ipxe"] == "written"
    assert warnings == ["the machine 525400000006: no image that is ready matches nothing"]
    assert "caching-server" not in (tree.root / "menu.ipxe").read_text()
    foreign = tree.root / "MAC-525400000007.ipxe"
    foreign.write_text("#!ipxe\nshell\n")
    result, _unused = run(tree)
    assert states(result)["MAC-525400000005.ipxe"] == "removed"
    assert sorted(path.name for path in tree.root.glob("MAC-*")) == [foreign.name]


def test_another_ones_script_is_left_alone(tree: AssetsTree) -> None:
    (tree.root / "menu.ipxe").write_text("#!ipxe\nshell\n")
    with pytest.raises(SyncError, match=r"menu\.ipxe: somebody else wrote this script\. Move it away"):
        run(tree)
    assert not (tree.root / "boot.ipxe").exists()
    assert (tree.root / "menu.ipxe").read_text() == "#!ipxe\nshell\n"
    run(tree, replace=True)
    assert IMAGE in (tree.root / "menu.ipxe").read_text()


def test_a_symlink_is_not_followed(tree: AssetsTree, tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("outside")
    (tree.root / "boot.ipxe").symlink_to("../outside")
    with pytest.raises(SyncError, match=r"boot\.ipxe: the boot script cannot be read"):
        run(tree)
    assert (tmp_path / "outside").read_text() == "outside"


def test_a_site_without_gateways_is_named(tree: AssetsTree) -> None:
    _unused, warnings = run(tree, sites=[{"name": "bonn", "cache_url": "http://192.0.2.30"}])
    assert [warning.startswith("the site bonn names no gateways") for warning in warnings] == [True]


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        pytest.param({"timeout": 0}, "timeout: 0", id="timeout"),
        pytest.param({"server_url": "192.0.2.1"}, "server_url: '192.0.2.1'", id="no-url"),
        pytest.param({"default": ["../x"]}, "not a pattern", id="pattern"),
        pytest.param(
            {"machines": [{"mac": mac, "image": "x"} for mac in ("52:54:00:00:00:05", "525400000005")]},
            "named twice",
            id="machine-twice",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(tree: AssetsTree, options: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        run(tree, **options)
