# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cases that are tried with real clients, and which server must have given them what."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tests.lab.process import LabError
from tests.lab.tree import flip_byte

from . import debian, payload
from .client import PATIENCE, Client
from .lab import CACHE, CACHE_ADDRESS, IMAGE, NOON, SERVER, SERVER_ADDRESS, BootLab

ENDS = r"CLIENT (?:BOOTED (\S+)|(FETCH FAILED|MOUNT FAILED))\s|(\S+ login):|(Kernel panic)"
MENU = r"iPXE shell"
ENTER = b"\r"
DEBIAN = "prod/21-04-10-debian-master-b007ab1"


@dataclass(frozen=True)
class Seen:
    """How a boot ended: what the image says about itself, and which server gave kernel, initrd and squashfs."""

    end: str
    kernel: str
    initrd: str
    squashfs: str
    console: str = field(default="", compare=False)

    def __str__(self) -> str:
        return f"{self.end}; kernel {self.kernel}, initrd {self.initrd}, squashfs {self.squashfs}"


FROM_CACHE = Seen("newest", CACHE, CACHE, CACHE)
FROM_SERVER = Seen("newest", SERVER, SERVER, SERVER)


@dataclass(frozen=True)
class Case:
    """Something to try: *play* does it and returns what was seen, which must equal *expected*.

    ``dhcp`` is the DHCP server that sends clients to the boot menu, configured by the role's example for it.
    """

    name: str
    about: str
    play: Callable[[BootLab, Case, bool], Seen]
    expected: Seen
    dhcp: str = "dnsmasq"

    def run(self, lab: BootLab, *, uefi: bool) -> Seen:
        """Try it, with the trees and networks restored to what they were at the start."""
        lab.restore()
        if self.dhcp != "dnsmasq":
            lab.lead_to(SERVER_ADDRESS, by=self.dhcp)
        return self.play(lab, self, uefi)


def see(lab: BootLab, client: Client, *, patience: float = PATIENCE) -> Seen:
    """Wait for the end of a boot, and return how it went."""
    found = client.wait_for(ENDS, patience=patience)
    served = lab.served(client)
    kernel, initrd, squashfs = (served.get(what, "nobody") for what in ("vmlinuz", "initrd", ".squashfs"))
    return Seen(next(filter(None, found.groups())), kernel, initrd, squashfs, client.console)


def ordinary(arrange: Callable[[BootLab], object]) -> Callable[[BootLab, Case, bool], Seen]:
    """A client is switched on after *arrange*."""

    def play(lab: BootLab, case: Case, uefi: bool) -> Seen:
        arrange(lab)
        with lab.boot(case.name, uefi=uefi) as client:
            return see(lab, client)

    return play


def held(between: Callable[[BootLab], object]) -> Callable[[BootLab, Case, bool], Seen]:
    """*between* runs while the client has its initrd and has not fetched the squashfs yet."""

    def play(lab: BootLab, case: Case, uefi: bool) -> Seen:
        lab.write_inventory(netboot_boot_menu_site_arguments=["hold=http://198.51.100.10/hold"])
        lab.play("boot_menu.yml")
        with contextlib.ExitStack() as stack:
            hold = stack.enter_context(contextlib.ExitStack())
            hold.enter_context(lab.hold())
            client = stack.enter_context(lab.boot(case.name, uefi=uefi))
            client.wait_for("CLIENT holding")
            between(lab)
            hold.close()
            return see(lab, client)

    return play


def at_the_menu(between: Callable[[BootLab], object], *, again: bool = False) -> Callable[[BootLab, Case, bool], Seen]:
    """*between* runs while the menu is shown; with *again*, the client must come back to the menu once."""

    def play(lab: BootLab, case: Case, uefi: bool) -> Seen:
        lab.write_inventory(netboot_boot_menu_wait=0)
        lab.play("boot_menu.yml")
        with lab.boot(case.name, uefi=uefi) as client:
            client.wait_for(MENU)
            between(lab)
            client.press(ENTER)
            if again:
                told = client.wait_for("neither server has")
                client.wait_for(MENU, after=told.end())
                client.press(ENTER)
            return see(lab, client)

    return play


def nothing(_lab: BootLab) -> None:
    """Everything is as it should be."""


def slow(lab: BootLab) -> None:
    """The caching server is so slow that the kernel takes longer than a client waits for one that stalls."""
    lab.write_inventory(netboot_boot_menu_stall_timeout=3000)
    lab.play("boot_menu.yml")
    lab.start_web(rate="2m")


def stop_server(lab: BootLab) -> None:
    """The netboot server's web server is down, and DHCP leads to the copy of the scripts at the site."""
    lab.server.stop("nginx")
    lab.lead_to(CACHE_ADDRESS)


def remove_initrd(lab: BootLab) -> None:
    """The marker is there, but what it promises is not."""
    (lab.assets / "kernels" / lab.version / "initrd").unlink()


def remove_image(lab: BootLab) -> None:
    """The marker is gone, and after the grace its squashfs as well."""
    lab.hide_marker()
    (lab.assets / f"{IMAGE}.squashfs").unlink()


def damage(lab: BootLab) -> None:
    """One byte of the squashfs is flipped."""
    flip_byte(lab.assets / f"{IMAGE}.squashfs")


def cut_short(lab: BootLab) -> None:
    """The squashfs is truncated."""
    path = lab.assets / f"{IMAGE}.squashfs"
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)


def withdraw_everywhere(lab: BootLab) -> None:
    """The newest image is withdrawn by name, and the menu renewed."""
    lab.hide_marker(everywhere=True)
    lab.play("boot_menu.yml")


def replace(lab: BootLab, text: str, *, mtime: int) -> None:
    """Replace the newest image by another one, and sync it; then compare every byte again, with resync.yml."""
    payload.add_image(lab.tree, IMAGE, text, version=lab.version, mtime=mtime, stated=False)
    lab.play("sync.yml")
    lab.play("resync.yml")


def replaced(lab: BootLab, case: Case, uefi: bool) -> Seen:
    """The image is replaced under its name, as in :func:`held`, while the client is between initrd and squashfs."""
    # without a stated hash: a client that knows the hash refuses the successor, and starts over
    payload.add_image(lab.tree, IMAGE, "predecessor", version=lab.version, mtime=NOON + 60, stated=False)
    lab.play("sync.yml")
    return held(lambda lab: replace(lab, "newest", mtime=NOON + 120))(lab, case, uefi)


def all_through(lab: BootLab, case: Case, uefi: bool) -> Seen:
    """The image is replaced again and again while a client boots."""
    payload.add_image(lab.tree, IMAGE, "newest", version=lab.version, mtime=NOON + 60, stated=False)
    lab.play("sync.yml")
    lab.play("boot_menu.yml")
    ended = threading.Event()
    troubles: list[str] = []
    count = 0

    def work() -> None:
        nonlocal count
        while not ended.is_set():
            count += 1
            try:
                replace(lab, "newest", mtime=NOON + 60 + count)
            except LabError as error:
                troubles.append(str(error))
                return

    worker = threading.Thread(target=work, name="replacing")
    worker.start()
    try:
        with lab.boot(case.name, uefi=uefi) as client:
            seen = see(lab, client)
    finally:
        ended.set()
        worker.join()
    if troubles or count < 1:
        raise LabError(f"the syncs meanwhile failed: {troubles}")
    # which server gave what depends on the moment: what counts is that it booted
    return Seen(seen.end, "any", "any", "any", console=seen.console)


def real_debian(arrange: Callable[[BootLab], object]) -> Callable[[BootLab, Case, bool], Seen]:
    """A client boots a Debian with live-boot to its login."""

    def play(lab: BootLab, case: Case, uefi: bool) -> Seen:
        debian.add(lab.tree, DEBIAN, mtime=NOON + 120)
        lab.write_inventory(netboot_boot_menu_kernel_arguments=debian.ARGUMENTS)
        lab.play("boot_menu.yml")
        lab.play("sync.yml")
        arrange(lab)
        with lab.boot(case.name, uefi=uefi, memory=debian.MEMORY) as client:
            return see(lab, client, patience=debian.PATIENCE)

    return play


def remove_debian(lab: BootLab) -> None:
    """Its squashfs is gone at the site, while the marker is still there."""
    (lab.assets / f"{DEBIAN}.squashfs").unlink()


CASES: Mapping[str, Case] = {
    case.name: case
    for case in (
        Case("published", "all is there", ordinary(nothing), FROM_CACHE),
        Case("no-marker", "only the squashfs is there", ordinary(BootLab.hide_marker), FROM_SERVER),
        Case("web-down", "the caching server refuses connections", ordinary(BootLab.stop_web), FROM_SERVER),
        Case("gone", "nobody answers for its address", ordinary(BootLab.vanish), FROM_SERVER),
        Case("silent", "it takes connections and says nothing", ordinary(BootLab.fall_silent), FROM_SERVER),
        Case("server-down", "the netboot server refuses connections", ordinary(stop_server), FROM_CACHE),
        Case("isc-dhcp", "ISC dhcpd leads it there, in place of dnsmasq", ordinary(nothing), FROM_CACHE, "dhcpd"),
        Case("kea", "Kea leads it there, in place of dnsmasq", ordinary(nothing), FROM_CACHE, "kea-dhcp4"),
        Case("slow", "it needs longer for a file than a client waits for one that stalls", ordinary(slow), FROM_CACHE),
        Case(
            "initrd-gone",
            "the marker is there, but no initrd: all is taken anew, the kernel as well",
            ordinary(remove_initrd),
            Seen("newest", f"{CACHE}+{SERVER}", SERVER, SERVER),
        ),
        Case(
            "withdrawn-at-the-menu",
            "the marker goes away between menu and choice",
            at_the_menu(BootLab.hide_marker),
            FROM_SERVER,
        ),
        Case(
            "withdrawn-by-name",
            "the image is withdrawn on the netboot server, too, between menu and choice",
            at_the_menu(withdraw_everywhere, again=True),
            Seen("older", CACHE, CACHE, CACHE),
        ),
        Case(
            "within-the-grace",
            "the marker goes away before the squashfs is fetched, which stays",
            held(BootLab.hide_marker),
            FROM_CACHE,
        ),
        Case(
            "after-the-grace",
            "marker and squashfs go away before the squashfs is fetched",
            held(remove_image),
            Seen("newest", CACHE, CACHE, SERVER),
        ),
        Case(
            "web-down-later",
            "the caching server goes down before the squashfs is fetched",
            held(BootLab.stop_web),
            Seen("newest", CACHE, CACHE, SERVER),
        ),
        Case(
            "silent-later",
            "it falls silent before the squashfs is fetched",
            held(BootLab.fall_silent),
            Seen("newest", CACHE, CACHE, SERVER),
        ),
        Case("damaged", "one byte of the squashfs is another", ordinary(damage), Seen("newest", CACHE, CACHE, SERVER)),
        Case("cut-short", "the squashfs ends early", ordinary(cut_short), Seen("newest", CACHE, CACHE, SERVER)),
        Case(
            "replaced",
            "replaced under its name, synced and compared byte for byte before the squashfs is fetched",
            replaced,
            FROM_CACHE,
        ),
        Case(
            "all-through",
            "replaced under its name, synced and compared again and again meanwhile",
            all_through,
            Seen("newest", "any", "any", "any"),
        ),
    )
}
# They take minutes, and a Debian has to be made first, so they are played only on request.
REAL: Mapping[str, Case] = {
    case.name: case
    for case in (
        Case(
            "debian",
            "a real Debian with live-boot and the hook, to its login",
            real_debian(nothing),
            Seen(f"{debian.NAME} login", CACHE, CACHE, CACHE),
        ),
        Case(
            "debian-without-squashfs",
            "the same, with its squashfs gone at the site",
            real_debian(remove_debian),
            Seen(f"{debian.NAME} login", CACHE, CACHE, SERVER),
        ),
    )
}
SHORT = ("published", "no-marker")
UEFI = ("published", "no-marker", "after-the-grace", "isc-dhcp", "kea")
