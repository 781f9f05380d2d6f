# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All that the control node can check before a run: who is synced, from where, and whether the settings are valid."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleActionFail
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.netboot.syncer.plugins.module_utils import options
from ansible_collections.netboot.syncer.plugins.plugin_utils import site
from ansible_collections.netboot.syncer.plugins.plugin_utils.hubs import CircularSources
from ansible_collections.netboot.syncer.plugins.plugin_utils.sites import PREFIX, Site, Sites, UnknownSite, split

display = Display()


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible-core carries no types
    """Runs only on the control node, once for all hosts of the play."""

    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Return the sources, each with the trees and the caching servers that are synced from it."""
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        variables = task_vars or {}
        try:
            given, _unused = split(self._task.args, frozenset(("variables",)))
        except ValueError as error:
            raise AnsibleActionFail(f"sync_preflight: {error}") from error
        sites = Sites(self._task, variables, self._loader, str(given.get("variables") or PREFIX))
        hosts = list(variables["ansible_play_hosts_all"])
        trouble = self._forks(sites, variables, len(hosts))
        if trouble:
            return {**result, "failed": True, "msg": trouble}
        found: list[Site] = []
        circles: dict[str, None] = {}
        netboot_servers: dict[tuple[str, str], None] = {}
        hubs: dict[str, int] = {}  # of this play, and how many hubs are before each
        troubles: dict[str, None] = {}
        for host in hosts:
            try:
                one = sites.look(host)
                way = sites.way_to(host)
                first = one if len(way) < 3 else sites.look(way[1])
                hubs.update((name, before) for before, name in enumerate(way[1:-1]) if name in hosts)
            except UnknownSite:
                continue  # reported when the host is synced, so that the others are not held up
            except CircularSources as error:
                circles[str(error)] = None
                continue
            trouble = "" if one.newcomer else sites.source_trouble(one.source)
            if not trouble and one.fallback:
                trouble = sites.source_trouble(one.fallback.source)
            if trouble:
                troubles[trouble] = None
            else:
                found.append(one)
                if first.newcomer or not sites.source_trouble(first.source):
                    netboot_servers[(first.source, str(first.options.get("src") or options.default("src")))] = None
        if circles:  # nothing is sent anywhere: a person has to resolve who is in the circle, and who is behind it
            return {**result, "failed": True, "msg": " ".join(circles)}
        if troubles and not found:
            return {**result, "failed": True, "msg": " ".join(troubles)}
        newcomers = _newcomers(found)
        if len(newcomers) > 1:
            return {**result, "failed": True, "msg": _one_newcomer(newcomers, found, sites.prefix)}
        for line in site.warnings({one.name: one.ignored for one in found}, sites.prefix):
            display.warning(line)
        roots = [{"source": source, "src": src} for source, src in netboot_servers]
        fed = sites.fleet.intersection(hosts)
        ways = {"sources": _by_source(found, netboot_servers, fed), "netboot_servers": roots, "newcomers": newcomers}
        return {**result, "changed": False, **ways, "hubs": sorted(hubs, key=lambda name: (hubs[name], name))}

    def _forks(self, sites: Sites, variables: dict[str, t.Any], hosts: int) -> str:
        """Return what to set if caching servers would wait for each other.

        Whatever the strategy, one without a fork waits until another one has finished, and nothing in a playbook can
        raise the number of forks.
        """
        forks = int(variables["ansible_forks"])
        name = f"{sites.prefix}allow_few_forks"
        try:
            allowed = sites.evaluate(str(variables["inventory_hostname"]), [name]).get(name)
        except UnknownSite as error:
            return str(error)
        if forks >= hosts or boolean(allowed or False, strict=False):
            return ""
        return (
            f"{forks} forks are fewer than the {hosts} caching servers, so slow ones would hold up others. Set forks to"
            f" {hosts} or more: --forks on the command line, ANSIBLE_FORKS, forks in ansible.cfg, or Forks in the AWX"
            f" job template. To let them wait all the same, set {name} to true."
        )


def _newcomers(sites: t.Iterable[Site]) -> list[dict[str, t.Any]]:
    found: list[dict[str, t.Any]] = []
    for one in sites:
        if one.newcomer and one.newcomer not in found:
            found.append(one.newcomer)
    return found


def _one_newcomer(newcomers: list[dict[str, t.Any]], found: list[Site], prefix: str) -> str:
    """Return that one run can know one netboot server by variables: it is the first host of its group for all."""
    first, second = newcomers[:2]
    names = [next(site.name for site in found if site.newcomer == one) for one in (first, second)]
    return (
        f"{prefix}source_address, _port and _user say {_login(first)} for {names[0]} and {_login(second)} for"
        f" {names[1]}: by these, a run knows one netboot server alone. Put the netboot servers into the inventory, and"
        f" set {prefix}source for each caching server."
    )


def _login(newcomer: dict[str, t.Any]) -> str:
    user = f"{newcomer['user']}@" if "user" in newcomer else ""
    return f"{user}{newcomer['name']}" + (f":{newcomer['port']}" if "port" in newcomer else "")


def _by_source(
    sites: t.Iterable[Site], roots: t.Iterable[tuple[str, str]], fed: t.Container[str]
) -> list[dict[str, t.Any]]:
    sources: dict[str, dict[str, t.Any]] = {}
    for one in sites:
        found = sources.setdefault(one.source, _source(one.source))
        _add_tree(found, one.options.get("src"))
        # One with a fallback is not lost with its source.
        found["with_fallback" if one.fallback else "sites"].append(one.name)
        found["rsync"] = found["rsync"] or one.options.get("transport") == "rsync"
    for one in sites:
        if one.fallback:
            _add_tree(sources.setdefault(one.fallback.source, _source(one.fallback.source)), one.fallback.src)
    # Even if all are fed by hubs, the withdrawals by name on the netboot server are still needed.
    for source, src in roots:
        _add_tree(sources.setdefault(source, _source(source)), src)
    return [{**found, "filled": name in fed} for name, found in sources.items()]


def _source(name: str) -> dict[str, t.Any]:
    return {"source": name, "src": [], "sites": [], "with_fallback": [], "rsync": False}


def _add_tree(found: dict[str, t.Any], src: str | None) -> None:
    if src and src not in found["src"]:
        found["src"].append(src)
