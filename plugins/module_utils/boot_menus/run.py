# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One call of the module boot_menu: reads the tree, generates the scripts, and writes those that differ."""

from __future__ import annotations

import dataclasses
import typing as t

from ..assets.entries import follow
from ..assets.inventory import Image, Inventory, Rules
from ..assets.patterns import Selection, matches
from ..errors import SyncError, printable
from ..source.tree import SourceTree
from . import scripts as boot_scripts
from .menu import Machine, NotOffered, Offer, Site, choose, in_menu_order, make_offer
from .script_files import ScriptFiles
from .scripts import BOOT, MENU, Checked, Settings, is_ours


@dataclasses.dataclass(frozen=True)
class Change:
    """What is done to one script: ``after`` is None if it is removed."""

    name: str
    before: bytes | None
    after: bytes | None
    state: str


class BootMenuRun:
    """Generates the scripts of one tree. Raises :class:`SyncError`; what was done until then stays.

    ``rules`` says how to read the tree; its selection is what clients of no site are offered.
    """

    def __init__(
        self,
        *,
        src: str,
        settings: Settings,
        sites: t.Sequence[Site],
        machines: t.Sequence[Machine],
        rules: Rules,
        replace: bool = False,
        check_mode: bool = False,
    ) -> None:
        self.settings = settings
        # by name, so that the order of the inventory does not change the script
        self.sites = sorted((site for site in sites if site.gateways), key=lambda site: site.name)
        self.machines = machines
        self.rules = rules
        self.replace = replace
        self.check_mode = check_mode
        self.changes: list[Change] = []
        self.offers: dict[str, list[Offer]] = {}
        self.not_offered: dict[str, str] = {}
        self.warnings = [
            f"the site {site.name} names no gateways, so its clients cannot be told from others, "
            "and take everything from the netboot server"
            for site in sites
            if not site.gateways
        ]
        self._source = SourceTree(src)
        self._files = ScriptFiles(src)
        self._checked: set[Checked] = set()

    def run(self) -> None:
        """Write what differs."""
        self._source.scan()
        menu = self._files.read(MENU) or b""
        known = boot_scripts.read_checked(menu.decode("ascii", "replace")) if is_ours(menu) else set()
        for site in self.sites:
            self.offers[site.name] = self._offers(site.selection, known, with_marker=True)
        self.offers[""] = self._offers(self.rules.selection, known, with_marker=True)
        scripts = {
            BOOT: boot_scripts.boot_script(self.settings, self.sites),
            MENU: boot_scripts.menu_script(self.settings, self.offers, self._checked),
        }
        scripts.update(self._machine_scripts(known))
        self._plan({name: text.encode("ascii") for name, text in scripts.items()})
        for change in self.changes:
            if self.check_mode or change.state == "unchanged":
                continue
            if change.after is None:
                self._files.remove(change.name)
            else:
                self._files.write(change.name, change.after)

    def _offers(self, selection: Selection, known: set[Checked], *, with_marker: bool) -> list[Offer]:
        """Return what clients can boot from a part of the tree, and remember why others are left out."""
        rules = dataclasses.replace(self.rules, selection=selection)
        inventory = self._source.inventory(rules, lambda image: self._must_hash(image, known))
        found = []
        for image in inventory.images:
            if with_marker and not image.markers and image.ready:
                continue  # it has no marker, so it is for single machines
            try:
                found.append(self._offer(image, inventory))
            except NotOffered as error:
                self.not_offered[image.path] = str(error)
        return found

    def _offer(self, image: Image, inventory: Inventory) -> Offer:
        offer = make_offer(image, inventory, self.rules.kernel_files)
        checked = self._as_checked(image)
        if checked is not None:
            self._checked.add(checked)
        return offer

    def _must_hash(self, image: Image, known: set[Checked]) -> bool:
        return self._as_checked(image) not in known

    def _as_checked(self, image: Image) -> Checked | None:
        """Return what a menu says about the hash of an image that states one."""
        entry = follow(image.path, self._source.tree).entry
        if entry is None or not image.sha256:
            return None
        return Checked(image.path, entry.size, entry.mtime, image.sha256)

    def _machine_scripts(self, known: set[Checked]) -> dict[str, str]:
        if not self.machines:
            return {}
        everything = self._offers(Selection(), known, with_marker=False)
        found = {}
        for machine in self.machines:
            offer = choose([one for one in everything if matches(one.path, [machine.image])], ())
            if offer is None:
                self.warnings.append(f"the machine {machine.mac}: no image that is ready matches {machine.image}")
            else:
                found[machine.script] = boot_scripts.machine_script(self.settings, machine, offer)
        return found

    def _plan(self, scripts: t.Mapping[str, bytes]) -> None:
        for name, after in scripts.items():
            before = self._files.read(name)
            if before is not None and not is_ours(before) and not self.replace:
                raise SyncError(
                    "somebody else wrote this script",
                    path=self._files.root + "/" + name,
                    host="netboot server",
                    remedy="Move it away, or set netboot_boot_menu_replace to true.",
                )
            same = before == after and self._files.is_public(name)
            self.changes.append(Change(name, before, after, "unchanged" if same else "written"))
        for name in self._files.machine_scripts():
            before = None if name in scripts else self._files.read(name)
            if before is not None and is_ours(before):
                self.changes.append(Change(name, before, None, "removed"))

    def result(self, *, diff: bool) -> dict[str, t.Any]:
        """Return the module's result."""
        sites_of: dict[str, list[str]] = {}
        every: dict[str, Offer] = {}
        for site, offers in self.offers.items():
            for offer in offers:
                every[offer.path] = offer
                sites_of.setdefault(offer.path, []).extend([site] if site else [])
        newest, older = in_menu_order(every.values())
        changed = [change for change in self.changes if change.state != "unchanged"]
        result: dict[str, t.Any] = {
            "changed": bool(changed),
            "files": [{"path": change.name, "state": change.state} for change in self.changes],
            "images": [
                {"path": offer.path, "version": offer.version, "sites": sites_of[offer.path]}
                for offer in newest + older
            ],
            "not_offered": [
                {"path": printable(path), "reason": reason} for path, reason in sorted(self.not_offered.items())
            ],
            "summary": self._summary(len(every), changed),
        }
        result["lines"] = [
            result["summary"],
            *(f"not offered: {one['path']}: {one['reason']}" for one in result["not_offered"]),
        ]
        if diff:
            result["diff"] = [
                {
                    "before_header": change.name,
                    "after_header": change.name,
                    "before": (change.before or b"").decode("utf-8", "replace"),
                    "after": (change.after or b"").decode("ascii"),
                }
                for change in changed
            ]
        return result

    def _summary(self, images: int, changed: t.Sequence[Change]) -> str:
        what = ", ".join(f"{change.name} {change.state}" for change in changed) or "nothing changed"
        noun, sites = ("image" if images == 1 else "images"), len(self.sites)
        return f"{images} {noun} for {sites} {'site' if sites == 1 else 'sites'}; {what}"
