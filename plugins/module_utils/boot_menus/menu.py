# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What clients are offered: which images, in which order, with which kernel and arguments; and which client is at which
site.

All of it ends up in an iPXE script. iPXE expands ``${...}``, splits at blanks, has no quotes, and treats ``||``, ``&&``
and a word that begins with ``#`` as syntax. So nothing gets in here that it could mistake for any of these.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import posixpath
import re
import typing as t

from ..assets.entries import kernel_directory, stem_of
from ..assets.inventory import Image, Inventory
from ..assets.kernels import KernelFiles
from ..assets.patterns import Selection, check_patterns, matches
from ..errors import printable
from ..planning.basis import parse_name

PLACEHOLDERS = ("url", "server_url", "base", "server", "path", "name", "version", "sha256")

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+~-]*\Z")
_URL = re.compile(r"https?://(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]+)?(/[A-Za-z0-9._+~/-]*)?\Z")
_MAC = re.compile(r"[0-9a-f]{12}\Z")
_PLACEHOLDER = re.compile(r"(?<!\$)\{([A-Za-z0-9_]*)\}")
_SMALLEST_PREFIX = 24  # iPXE cannot tell whether an address is in a network, so each address of one gets a line


class NotOffered(Exception):
    """An image cannot be offered; the text says why."""


@dataclasses.dataclass(frozen=True)
class Offer:
    """An image as a client boots it; all paths are relative to the tree. ``marker`` is empty if it has none."""

    path: str
    marker: str
    kernel: str
    initrd: str
    version: str
    sha256: str = ""
    newest: int = 0

    @property
    def label(self) -> str:
        """What the menu calls it."""
        return stem_of(self.path)

    @property
    def flavour(self) -> tuple[str, str]:
        """Images of one directory and flavour are listed together; the newest of them is offered first."""
        return posixpath.dirname(self.path), parse_name(self.path).flavour

    @property
    def age(self) -> tuple[int, str, str]:
        """What sorts the newest last: the time of its marker, as for a sync; then the date in its name."""
        return self.newest, parse_name(self.path).date, self.path


@dataclasses.dataclass(frozen=True)
class Site:
    """A site: where its clients ask for images, how they are recognised, and which part of the tree the site holds."""

    name: str
    cache_url: str
    gateways: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    selection: Selection = dataclasses.field(default_factory=Selection)


@dataclasses.dataclass(frozen=True)
class Machine:
    """One machine that boots without a menu. ``image`` is a pattern; the newest image that matches it is booted.

    ``server_only`` is for a machine that must not ask the caching server of its site, such as that server itself.
    """

    mac: str
    image: str
    arguments: tuple[str, ...] = ()
    server_only: bool = False

    @property
    def script(self) -> str:
        """The name of its script."""
        return f"MAC-{self.mac}.ipxe"


@dataclasses.dataclass(frozen=True)
class ArgumentRule:
    """Kernel arguments for the images that match one of the patterns."""

    images: tuple[str, ...]
    arguments: tuple[str, ...]


def read_site(given: t.Mapping[str, t.Any]) -> Site:
    """Check the settings of a site. Raises :class:`ValueError`, which names it."""
    name = str(given["name"])
    if not _NAME.match(name):
        raise ValueError(f"the site '{printable(name)}' has a name that iPXE could take for syntax")
    try:
        return Site(
            name=name,
            cache_url=read_url(str(given.get("cache_url") or ""), "cache_url"),
            gateways=read_gateways(given.get("gateways") or ()),
            arguments=read_arguments(given.get("arguments") or (), placeholders=()),
            selection=Selection(include=given.get("include") or (), exclude=given.get("exclude") or ()),
        )
    except ValueError as error:
        raise ValueError(f"the site {name}: {error}") from error


def read_machine(given: t.Mapping[str, t.Any]) -> Machine:
    """Check the settings of a machine. Raises :class:`ValueError`, which names it."""
    mac = re.sub(r"[:.-]", "", str(given["mac"])).lower()
    if not _MAC.match(mac):
        raise ValueError(f"the machine '{printable(str(given['mac']))}': this is not a MAC address")
    image = str(given["image"])
    try:
        check_patterns([image])
        arguments = read_arguments(given.get("arguments") or ())
    except ValueError as error:
        raise ValueError(f"the machine {given['mac']}: {error}") from error
    return Machine(mac, image, arguments, bool(given.get("server_only")))


def read_url(url: str, option: str) -> str:
    """Return a URL without its last slash. Raises :class:`ValueError`."""
    if not _URL.match(url):
        raise ValueError(f"{option}: '{printable(url)}' is not the http:// address of a directory")
    return url.rstrip("/")


def read_gateways(given: t.Iterable[str]) -> tuple[str, ...]:
    """Return the possible addresses of the clients' gateway; for a network, all of them. Raises :class:`ValueError`."""
    found: list[str] = []
    for one in given:
        try:
            network = ipaddress.IPv4Network(str(one), strict=False)
        except ValueError as error:
            raise ValueError(f"gateways: '{printable(str(one))}' is not an IPv4 address or network") from error
        if network.prefixlen < _SMALLEST_PREFIX:
            raise ValueError(
                f"gateways: {network} is too large. Name the gateways in it, or networks from /{_SMALLEST_PREFIX} on"
            )
        found += map(str, network.hosts() if network.prefixlen < 31 else network)
    return tuple(dict.fromkeys(found))


def read_arguments(given: t.Iterable[str], *, placeholders: t.Sequence[str] = PLACEHOLDERS) -> tuple[str, ...]:
    """Return kernel arguments as single words. Raises :class:`ValueError` for what iPXE would not pass on as it is."""
    words = tuple(word for one in given for word in _plain(str(one)).split(" ") if word)
    for word in words:
        if "${" in word or word in ("||", "&&") or word.startswith("#") or word.endswith("\\"):
            raise ValueError(f"arguments: iPXE takes {word!r} for syntax")
        for name in _PLACEHOLDER.findall(word):
            if name not in placeholders:
                known = ", ".join(f"{{{one}}}" for one in placeholders) or "none"
                raise ValueError(f"arguments: {word!r} has an unknown {{{name}}}; known here: {known}")
    return words


def _plain(text: str) -> str:
    if not text.isascii() or not text.isprintable():
        raise ValueError(f"arguments: '{printable(text)}' holds what is not printable ASCII")
    return text


def read_rules(given: t.Iterable[t.Mapping[str, t.Any]]) -> tuple[ArgumentRule, ...]:
    """Check arguments that are for some images only. Raises :class:`ValueError`."""
    rules = []
    for one in given:
        images = one["images"]
        patterns = (images,) if isinstance(images, str) else tuple(map(str, images))
        check_patterns(patterns)
        rules.append(ArgumentRule(patterns, read_arguments(one["arguments"])))
    return tuple(rules)


def check_sites(sites: t.Iterable[Site]) -> None:
    """Raise :class:`ValueError` if a client could belong to two sites."""
    owners: dict[str, str] = {}
    names: set[str] = set()
    for site in sites:
        if site.name in names:
            raise ValueError(f"the site {site.name} is named twice")
        names.add(site.name)
        for gateway in site.gateways:
            if gateway in owners:
                raise ValueError(
                    f"the gateway {gateway} is named by {owners[gateway]} and by {site.name}. "
                    "Clients behind it could belong to either; let one site name it"
                )
            owners[gateway] = site.name


def make_offer(image: Image, inventory: Inventory, kernel_files: KernelFiles) -> Offer:
    """Return an image as a client boots it. Raises :class:`NotOffered`.

    Of ``kernel_files``, the first entry is the kernel and the second the initrd. Without a version in its marker, or
    without a marker, the kernel is the one that a JSON pointer names.
    """
    if not image.ready:
        raise NotOffered(image.reason)
    if len(image.versions) > 1:
        raise NotOffered(f"its markers name several kernels: {', '.join(image.versions)}")
    pointed = sorted({version for version in inventory.pointed.values() if version})
    if not image.versions and len(pointed) != 1:
        raise NotOffered("it names no kernel, and no pointer names the one to boot")
    version = (image.versions or tuple(pointed))[0]
    entries = image.requires or inventory.kernels.get(version, ())
    kernel, initrd = _kernel(version, {entry.path for entry in entries}, kernel_files)
    offer = Offer(
        path=image.path,
        marker=image.markers[0].path if image.markers else "",
        kernel=kernel,
        initrd=initrd,
        version=version,
        sha256=image.sha256,
        newest=image.newest,
    )
    for path in (offer.path, offer.marker, offer.kernel, offer.initrd):
        check_path(path)
    return offer


def _kernel(version: str, there: set[str], kernel_files: KernelFiles) -> tuple[str, str]:
    if len(kernel_files) < 2:
        raise NotOffered("kernel_files names no initrd; the first entry is the kernel, the second the initrd")
    directory = kernel_directory(version)
    found = []
    for names in kernel_files[:2]:
        paths = [f"{directory}/{name.replace('{version}', version)}" for name in names]
        present = [path for path in paths if path in there]
        if not present:
            raise NotOffered(f"there is no {posixpath.basename(paths[0])} in {directory}")
        found.append(present[0])
    return found[0], found[1]


def check_path(path: str) -> None:
    """Raise :class:`NotOffered` for a path with a name in it that iPXE could take for syntax."""
    for name in path.split("/") if path else ():
        if not _NAME.match(name):
            bad = next((char for char in name if not re.match(r"[A-Za-z0-9._+~-]", char)), name[0])
            raise NotOffered(
                f"iPXE could take '{printable(bad)}' in the name '{printable(name)}' for syntax. Rename it"
            )


def in_menu_order(offers: t.Iterable[Offer]) -> tuple[list[Offer], list[Offer]]:
    """Return the newest image of each flavour, and all others; of both the newest first."""
    newest: list[Offer] = []
    older: list[Offer] = []
    seen: set[tuple[str, str]] = set()
    for offer in sorted(offers, key=lambda one: one.age, reverse=True):
        (older if offer.flavour in seen else newest).append(offer)
        seen.add(offer.flavour)
    return newest, older


def choose(offers: t.Iterable[Offer], patterns: t.Sequence[str]) -> Offer | None:
    """Return the newest match of the first pattern that matches any image; without one, the newest image of all."""
    found = sorted(offers, key=lambda one: one.age, reverse=True)
    for pattern in patterns:
        for offer in found:
            if matches(offer.path, [pattern]):
                return offer
    return found[0] if found else None


def arguments_for(offer: Offer, everywhere: t.Sequence[str], rules: t.Iterable[ArgumentRule]) -> list[str]:
    """Return the kernel arguments of an image for iPXE; one that needs a hash that is not stated is left out."""
    words = list(everywhere)
    for rule in rules:
        if matches(offer.path, rule.images):
            words += rule.arguments
    values = {
        "url": f"${{base}}/{offer.path}",
        "server_url": f"${{server}}/{offer.path}",
        "base": "${base}",
        "server": "${server}",
        "path": offer.path,
        "name": posixpath.basename(offer.label),
        "version": offer.version,
        "sha256": offer.sha256,
    }
    return [
        _PLACEHOLDER.sub(lambda found: values[found.group(1)], word)
        for word in words
        if offer.sha256 or "{sha256}" not in word
    ]
