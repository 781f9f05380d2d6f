# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The text of the iPXE scripts. What goes into it was checked by :mod:`.boot_menu`.

``boot.ipxe`` finds out the site and chains to the machine's own script or to the menu. Settings that one script leaves
for the next: ``server`` and ``cache`` (addresses; no ``cache`` where there is none), ``site``, ``site_arguments``.
"""

from __future__ import annotations

import dataclasses
import re
import typing as t

from .menu import ArgumentRule, Machine, Offer, Site, arguments_for, choose, in_menu_order

BOOT = "boot.ipxe"
MENU = "menu.ipxe"
_MACHINE = re.compile(r"MAC-[0-9a-f]{12}\.ipxe\Z")

WRITTEN_BY = "# written by netboot.syncer.boot_menu; what is changed here by hand is lost"
HEADER = f"#!ipxe\n{WRITTEN_BY}\n"

_CHECKED = re.compile(r"^# checked (\S+) (\d+) (\d+) ([0-9a-f]{64})$", re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class Settings:
    """Settings for all clients. Times are in milliseconds, except ``wait``: seconds until the default is booted.

    ``timeout`` bounds the wait for the marker, ``stall_timeout`` the time without progress of everything else.
    """

    server_url: str
    timeout: int = 2000
    stall_timeout: int = 10000
    wait: int = 10
    default: tuple[str, ...] = ("prod/**",)
    arguments: tuple[str, ...] = ()
    rules: tuple[ArgumentRule, ...] = ()
    shell: bool = True


@dataclasses.dataclass(frozen=True)
class Checked:
    """A squashfs whose hash is the one that its marker states: not hashed again while size and time are the same."""

    path: str
    size: int
    mtime: int
    sha256: str


def is_ours(content: bytes) -> bool:
    """Return whether a script was written here."""
    return content.startswith(HEADER.encode("ascii"))


def is_machine_script(name: str) -> bool:
    """Return whether a name is that of a machine's own script."""
    return _MACHINE.match(name) is not None


def read_checked(menu: str) -> set[Checked]:
    """Return the hashes in a menu that was written here."""
    return {Checked(path, int(size), int(mtime), digest) for path, size, mtime, digest in _CHECKED.findall(menu)}


def boot_script(settings: Settings, sites: t.Sequence[Site]) -> str:
    """Return the script that clients start with."""
    known = [site for site in sites if site.gateways]
    lines = [
        f"set server {settings.server_url}",
        "set site elsewhere",
        "clear cache",
        "clear site_arguments",
        "",
        "# A client belongs to the site whose gateway it has.",
    ]
    for number, site in enumerate(known):
        lines += [f"iseq ${{netX/gateway}} {gateway} && goto site{number} ||" for gateway in site.gateways]
    lines.append("goto found")
    for number, site in enumerate(known):
        lines += [f":site{number}", f"set site {site.name}", f"set cache {site.cache_url}"]
        if site.arguments:
            lines.append(f"set site_arguments {' '.join(site.arguments)}")
        lines.append("goto found")
    bound = f"--timeout {settings.stall_timeout}"
    lines += [
        "",
        ":found",
        "echo Netboot: site ${site}, caching server ${cache}, gateway ${netX/gateway}, ${platform}",
        f"chain {bound} --autofree ${{server}}/MAC-${{netX/mac:hexraw}}.ipxe && exit ||",
        f"chain {bound} --autofree ${{server}}/{MENU} && exit ||",
        "# The caching server has a copy, as it has of every file of the tree.",
        f"isset ${{cache}} && chain {bound} --autofree ${{cache}}/{MENU} && exit ||",
        "echo Netboot: there is no menu to be had; trying again in 10 seconds",
        "sleep 10",
        "goto found",
    ]
    return _script(lines)


def menu_script(
    settings: Settings, offers: t.Mapping[str, t.Sequence[Offer]], checked: t.Iterable[Checked] = ()
) -> str:
    """Return the menu. ``offers`` are the images for the clients of each site, and under "" for those of no site."""
    lists: dict[tuple[str, ...], int] = {}
    everywhere: dict[str, Offer] = {}
    for site in ["", *sorted(name for name in offers if name)]:
        lists.setdefault(tuple(sorted(offer.path for offer in offers[site])), len(lists))
        everywhere.update({offer.path: offer for offer in offers[site]})
    labels = {path: f"i{number}" for number, path in enumerate(sorted(everywhere))}
    lines = [_server_unless_set(settings), "", ":start"]
    for site in sorted(name for name in offers if name):
        number = lists[tuple(sorted(offer.path for offer in offers[site]))]
        if number:
            lines.append(f"iseq ${{site}} {site} && goto menu{number} ||")
    lines.append("goto menu0")
    for paths, number in lists.items():
        lines += ["", f":menu{number}", *_menu(settings, [everywhere[path] for path in paths], labels)]
    lines += ["", ":local", "exit", ""]
    if settings.shell:
        lines += [":shell", "shell", "goto start", ""]
    for path, label in labels.items():
        lines += _entry(settings, everywhere[path], label)
    lines += _common(settings)
    lines += [f"# checked {c.path} {c.size} {c.mtime} {c.sha256}" for c in sorted(checked, key=lambda one: one.path)]
    return _script(lines)


def machine_script(settings: Settings, machine: Machine, offer: Offer) -> str:
    """Return the script of one machine, which boots without a menu."""
    own = dataclasses.replace(settings, arguments=settings.arguments + machine.arguments)
    lines = [_server_unless_set(settings)]
    if machine.server_only:
        lines.append("clear cache")
    return _script([*lines, "", ":start", *_entry(own, offer, "i0"), *_common(settings)])


def _script(lines: t.Iterable[str]) -> str:
    return HEADER + "\n".join(lines) + "\n"


def _server_unless_set(settings: Settings) -> str:
    return f"isset ${{server}} || set server {settings.server_url}"


def _menu(settings: Settings, offers: t.Sequence[Offer], labels: t.Mapping[str, str]) -> list[str]:
    newest, older = in_menu_order(offers)
    default = choose(offers, settings.default)
    if default is None:
        return ["echo Netboot: no image is ready for ${site}; trying again in 30 seconds", "sleep 30", "goto again"]
    lines = ["menu Network boot: ${site}"]
    for title, some in (("The newest of each flavour", newest), ("Older ones", older)):
        if some:
            lines.append(f"item --gap {title}")
            lines += [f"item {labels[offer.path]} {offer.label}" for offer in some]
    lines += ["item --gap", "item local This machine's own disk"]
    if settings.shell:
        lines.append("item shell iPXE shell")
    bound = f"--timeout {settings.wait * 1000} " if settings.wait else ""
    label = labels[default.path]
    lines.append(f"choose --default {label} {bound}choice && goto ${{choice}} || goto {label}")
    return lines


def _entry(settings: Settings, offer: Offer, label: str) -> list[str]:
    """Return the part for one image: the common part finds out who has it, and comes back to load it."""
    bound = f"--timeout {settings.stall_timeout}"
    words = ["initrd=initrd", *arguments_for(offer, settings.arguments, settings.rules), "${site_arguments}"]
    return [
        f":{label}",
        f"set image {offer.path}",
        f"set marker {offer.marker}" if offer.marker else "clear marker",
        f"set load load-{label}",
        "goto ask",
        f":load-{label}",
        f"kernel {bound} ${{base}}/{offer.kernel} {' '.join(words)} || goto other",
        f"initrd {bound} --name initrd ${{base}}/{offer.initrd} || goto other",
        "boot || goto other",
        "",
    ]


def _common(settings: Settings) -> list[str]:
    bound = f"--timeout {settings.stall_timeout}"
    return f"""\
# The site's caching server is asked for the marker: it is there only while squashfs, kernel and initrd are whole.
:ask
set base ${{server}}
imgfree
isset ${{marker}} || goto load
isset ${{cache}} || goto ask-server
imgfetch --timeout {settings.timeout} --name marker ${{cache}}/${{marker}} && goto from-cache || goto ask-server
:from-cache
set base ${{cache}}
goto load

# Without a marker at the netboot server, too, the image was withdrawn after this menu was made.
:ask-server
imgfree
imgfetch {bound} --name marker ${{server}}/${{marker}} || goto gone

:load
imgfree
echo Netboot: ${{image}} from ${{base}}
goto ${{load}}

# What the caching server began and did not end is taken whole from the netboot server, never half of each.
:other
imgfree
iseq ${{base}} ${{server}} && goto failed ||
echo Netboot: the caching server failed, going on with the netboot server
set base ${{server}}
isset ${{marker}} && goto ask-server || goto load

:gone
echo Netboot: neither server has ${{image}} to give now
:failed
echo Netboot: trying again in 10 seconds
sleep 10
:again
chain {bound} --replace --autofree ${{server}}/{BOOT} ||
isset ${{cache}} && chain {bound} --replace --autofree ${{cache}}/{BOOT} ||
goto start
""".splitlines()
