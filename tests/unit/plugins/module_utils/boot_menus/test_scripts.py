# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The text of the iPXE scripts. ``tests/boot`` shows that iPXE understands it as intended."""

from __future__ import annotations

import re

from ansible_collections.netboot.syncer.plugins.module_utils.boot_menus import scripts as boot_scripts
from ansible_collections.netboot.syncer.plugins.module_utils.boot_menus.menu import Machine, Offer, Site
from ansible_collections.netboot.syncer.plugins.module_utils.boot_menus.scripts import Checked, Settings

SETTINGS = Settings("http://192.0.2.1", arguments=("fetch={url}",))
BERLIN = Site("berlin", "http://192.0.2.10", ("192.0.2.9",), ("console=ttyS0",))
BONN = Site("bonn", "http://192.0.2.20", ("192.0.2.17", "192.0.2.18"))


def offer(path: str, newest: int = 1) -> Offer:
    return Offer(f"{path}.squashfs", f"{path}.json", "kernels/5/vmlinuz", "kernels/5/initrd", "5", "", newest)


GNOME, OLD, KDE = offer("prod/2-gnome", 2), offer("prod/1-gnome"), offer("dev/3-kde", 3)


def sections(script: str) -> dict[str, list[str]]:
    """Return the commands of a script, by the label that they follow."""
    found: dict[str, list[str]] = {"": []}
    label = ""
    for line in script.splitlines():
        if line.startswith(":"):
            label = line[1:]
            assert label not in found, "a label twice"
            found[label] = []
        elif line and not line.startswith("#"):
            found[label].append(line)
    return found


def check_jumps(script: str) -> None:
    """Every jump has a target, and a section that must not run into the next one ends with a jump."""
    labels = sections(script)
    for target in re.findall(r"goto (\S+)", script):
        assert "${" in target or target in labels, target
    for label, lines in labels.items():
        if label not in ("", "start", "gone", "failed"):
            last = lines[-1] if lines else ""
            assert "goto" in last or last in ("exit", "set base ${cache}") or label in ("i0", "load", "again"), label


def test_a_client_learns_its_site_from_its_gateway() -> None:
    silent = Site("nowhere", "http://192.0.2.30")
    script = boot_scripts.boot_script(SETTINGS, [BERLIN, silent, BONN])
    assert script.startswith("#!ipxe\n")
    found = sections(script)
    assert found[""][-4:-1] == [
        "iseq ${netX/gateway} 192.0.2.9 && goto site0 ||",
        "iseq ${netX/gateway} 192.0.2.17 && goto site1 ||",
        "iseq ${netX/gateway} 192.0.2.18 && goto site1 ||",
    ]
    assert found[""][-1] == "goto found"
    assert found["site0"] == [
        "set site berlin",
        "set cache http://192.0.2.10",
        "set site_arguments console=ttyS0",
        "goto found",
    ]
    assert found["site1"] == ["set site bonn", "set cache http://192.0.2.20", "goto found"]
    assert "nowhere" not in script
    check_jumps(script)


def test_a_site_is_offered_what_it_holds() -> None:
    offers = {"": [GNOME, OLD], "berlin": [OLD, GNOME], "dev": [KDE, GNOME, OLD]}
    script = boot_scripts.menu_script(SETTINGS, offers)
    found = sections(script)
    assert found["start"] == ["iseq ${site} dev && goto menu1 ||", "goto menu0"]
    items = {
        menu: [line.split()[2] for line in found[menu] if re.match(r"item i\d", line)] for menu in ("menu0", "menu1")
    }
    assert items == {
        "menu0": ["prod/2-gnome", "prod/1-gnome"],
        "menu1": ["dev/3-kde", "prod/2-gnome", "prod/1-gnome"],
    }
    # dev/3-kde is newer, but the default is the newest of prod
    default = next(line.split()[1] for line in found["menu1"] if line.endswith(" prod/2-gnome"))
    for menu in items:
        assert found[menu][-1] == (
            f"choose --default {default} --timeout 10000 choice && goto ${{choice}} || goto {default}"
        )
    check_jumps(script)


def test_nothing_is_loaded_before_the_marker_was_asked_for() -> None:
    found = sections(boot_scripts.menu_script(SETTINGS, {"": [GNOME]}))
    assert found["i0"] == [
        "set image prod/2-gnome.squashfs",
        "set marker prod/2-gnome.json",
        "set load load-i0",
        "goto ask",
    ]
    assert found["load-i0"] == [
        "kernel --timeout 10000 ${base}/kernels/5/vmlinuz initrd=initrd fetch=${base}/prod/2-gnome.squashfs "
        "${site_arguments} || goto other",
        "initrd --timeout 10000 --name initrd ${base}/kernels/5/initrd || goto other",
        "boot || goto other",
    ]
    assert (
        "imgfetch --timeout 2000 --name marker ${cache}/${marker} && goto from-cache || goto ask-server" in found["ask"]
    )


def test_times_are_as_said() -> None:
    settings = Settings("http://a", timeout=1, stall_timeout=2, wait=0, shell=False)
    script = boot_scripts.menu_script(settings, {"": [GNOME]})
    assert "imgfetch --timeout 1 " in script
    assert set(re.findall(r"--timeout (\d+)", script)) == {"1", "2"}
    assert "choose --default i0 choice" in script
    assert "shell" not in script


def test_without_an_image_the_menu_waits_for_one() -> None:
    found = sections(boot_scripts.menu_script(SETTINGS, {"": [], "berlin": [GNOME]}))
    assert found["menu0"][-1] == "goto again"
    assert not any(line.startswith("choose") for line in found["menu0"])


def test_a_caching_server_that_boots_asks_no_caching_server() -> None:
    machine = Machine("525400000005", "x", ("one",), server_only=True)
    found = sections(boot_scripts.machine_script(SETTINGS, machine, GNOME))
    assert found[""][-1] == "clear cache"
    assert " fetch=${base}/prod/2-gnome.squashfs one " in found["load-i0"][0]
    ordinary = boot_scripts.machine_script(SETTINGS, Machine("525400000006", "x"), GNOME)
    assert "clear cache" not in ordinary
    check_jumps(ordinary)


def test_what_was_hashed_is_read_back() -> None:
    checked = Checked("prod/a.squashfs", 4096, 1617969600, "f" * 64)
    script = boot_scripts.menu_script(SETTINGS, {"": [GNOME]}, [checked])
    assert boot_scripts.read_checked(script) == {checked}
    assert boot_scripts.is_ours(script.encode())
    assert not boot_scripts.is_ours(b"#!ipxe\nshell\n")
