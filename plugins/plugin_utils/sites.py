# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How each host of a play is synced, from its own variables, for action plugins.

Ansible adds ``ansible_host``, ``ansible_port`` and ``ansible_user`` of the machine that a task connects to to the
variables of the task (``PlayContext.update_vars``): inside a delegated task, a host that does not set its own has the
delegate's. Here they come from the variable manager, which does not know the connection of the task.
"""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleError
from ansible.template import Templar
from ansible_collections.netboot.syncer.plugins.module_utils.options import ARGUMENTS, default

from . import site
from .hubs import CircularSources, way_to

PREFIX = "netboot_sync_"
FLEET = "netboot_fleet"
_SET_HERE = {"name", "progress_file", "follow", "withdrawn", "started_by"}  # options without a variable


class Fallback(t.NamedTuple):
    """The source of a caching server when its own cannot be used; ``src`` is None for the default tree."""

    source: str
    src: str | None


class Site(t.NamedTuple):
    """A host of the play: how it is synced.

    :ivar source: the inventory host to send from.
    :ivar options: those of sync_assets.
    :ivar ignored: the variables that affect only Ansible's login to it, each with what applies instead.
    :ivar newcomer: the source from variables if the inventory lacks it, for add_host; otherwise empty.
    :ivar fallback: the inventory host to send from if the source cannot be used, and the tree there if that is set.
    :ivar lost: the source that the preflight found unusable, if the fallback has taken its place.
    :ivar hub: whether the source is a caching server itself.
    :ivar unheard: why it is not known what was withdrawn on the netboot server that feeds the hub; empty if it is.
    """

    name: str
    source: str
    options: dict[str, t.Any]
    ignored: dict[str, str]
    newcomer: dict[str, t.Any]
    fallback: Fallback | None = None
    lost: str = ""
    hub: bool = False
    unheard: str = ""


class UnknownSite(Exception):
    """The variables of a host cannot be evaluated; the text is one line."""


class Sites:
    """The hosts of a play as caching servers.

    :param task: the current task; its own variables, and those of its role, count.
    :param variables: the ``task_vars`` of the action plugin.
    :param prefix: the prefix of the variables.
    """

    def __init__(self, task: t.Any, variables: t.Mapping[str, t.Any], loader: t.Any, prefix: str = PREFIX) -> None:
        self._task = task
        self._variables = variables
        self._hostvars = variables["hostvars"]
        self._templar = Templar(loader=loader)  # one for all: each has to look for the filters that it finds
        self._values: dict[str, dict[str, t.Any]] = {}  # of each host that was looked at
        self.prefix = prefix
        self._fleet: frozenset[str] | None = None
        names = (
            *site.CONNECTION_NAMES,
            *site.IGNORED,
            *site.variable_names(prefix).values(),
            *site.source_names(prefix),
            f"{prefix}fallback_source",
        )
        self._names = tuple(dict.fromkeys(names))

    def look(self, host: str) -> Site:
        """Return how a host is synced. Raises :class:`UnknownSite`."""
        values = self._evaluated(host)
        options = site.options(values, self.prefix)
        source = str(values.get(f"{self.prefix}source") or "")
        newcomer: dict[str, t.Any] = {}
        if not source:
            newcomer = site.newcomer(values, self.prefix)
            source = str(newcomer.get("name", ""))
            if source in self._hostvars:
                newcomer = {}
        fallback = self._fallback(str(values.get(f"{self.prefix}fallback_source") or ""), source, options.get("src"))
        lost = ""
        if fallback is not None and source in self._unusable and fallback.source not in self._unusable:
            lost, source = source, fallback.source
        src = self._src(source, options.get("src"))
        if src is not None:
            options["src"] = src
        hub, unheard = source in self.fleet, ""
        if hub:
            options["settle"] = 0  # what can be seen on a hub was published there, and is complete
            withdrawn, unheard = self._withdrawn(source)
            if withdrawn:
                options["withdrawn"] = withdrawn
        return Site(host, source, options, site.ignored(values, options.keys()), newcomer, fallback, lost, hub, unheard)

    def _withdrawn(self, hub: str) -> tuple[dict[str, bool], str]:
        """Return what was withdrawn by name on the netboot server that feeds a hub, as the preflight found.

        A hub has no record of it: with two records, what is put back in one would stay withdrawn by the other. Also
        returns why that is not known, if it is not.
        """
        try:
            root, first = self.way_to(hub)[:2]
        except (CircularSources, ValueError):
            return {}, ""  # the preflight reports it
        src = str(self.look(first).options.get("src") or default("src"))
        for look in self._variables.get("netboot_sync_sources", {}).get("results", ()):
            if look["item"]["source"] == root:
                return look.get("withdrawn", {}).get(src, {}), f"{root} cannot be used" if "msg" in look else ""
        return {}, f"no preflight of this play has asked {root}"

    def _src(self, source: str, given: str | None) -> str | None:
        """Return the tree to send from. A hub passes on what is published there, which is in one tree only."""
        return self._tree_of(source) if source in self.fleet else given

    def _fallback(self, name: str, source: str, given: str | None) -> Fallback | None:
        return Fallback(name, self._src(name, given)) if name and name != source else None

    @property
    def _unusable(self) -> set[str]:
        """The sources that the preflight found unusable, if it ran."""
        looks = self._variables.get("netboot_sync_sources", {}).get("results", ())
        return {str(look["item"]["source"]) for look in looks if "msg" in look}

    @property
    def fleet(self) -> frozenset[str]:
        """All caching servers of the inventory, whatever the play's limit."""
        if self._fleet is None:
            pattern = self.evaluate(str(self._variables["inventory_hostname"]), [FLEET]).get(FLEET) or "caching_servers"
            hosts = self._hostvars._inventory.get_hosts(pattern, ignore_limits=True, ignore_restrictions=True)
            self._fleet = frozenset(host.name for host in hosts)
        return self._fleet

    def way_to(self, host: str) -> list[str]:
        """Return the hosts from the netboot server over all hubs to a caching server, both included.

        Raises :class:`UnknownSite` and :class:`hubs.CircularSources`.
        """
        return way_to(host, self._source_of, self.fleet, f"{self.prefix}source")

    def _source_of(self, host: str) -> str:
        values = self._evaluated(host)
        return str(values.get(f"{self.prefix}source") or values.get(f"{self.prefix}source_address") or "")

    def _tree_of(self, host: str) -> str:
        dest = site.options(self._evaluated(host), self.prefix).get("dest")
        return str(dest or ARGUMENTS["dest"]["default"])

    def connection(self, host: str) -> dict[str, t.Any]:
        """Return how Ansible would connect to a host, as options. Raises :class:`UnknownSite`."""
        values = self.evaluate(host, site.CONNECTION_NAMES)
        return {"name": host, **site.connection(values)}

    def source_trouble(self, source: str) -> str:
        """Return why nothing can be sent from a source; nothing if it can."""
        # The inventory, not the play: a limit does not matter. It always has a localhost.
        return site.source_trouble(source, known=bool(source) and source in self._hostvars, prefix=self.prefix)

    def _evaluated(self, host: str) -> dict[str, t.Any]:
        """Return the values of all that is known by a variable, evaluated once: most of it is compiling templates."""
        if host not in self._values:
            self._values[host] = self.evaluate(host, self._names)
        return self._values[host]

    def evaluate(self, host: str, names: t.Iterable[str]) -> dict[str, t.Any]:
        """Return the values of variables of a host, without undefined ones. Raises :class:`UnknownSite`."""
        raw = self._raw(host)
        try:
            self._templar.available_variables = raw
            found = self._templar.template({name: raw[name] for name in names if name in raw})
        except AnsibleError as error:
            raise UnknownSite(f"{host}: its variables make no sense: {' '.join(str(error).split())}") from error
        return {**t.cast("dict[str, t.Any]", found), "inventory_hostname": host}

    def _raw(self, host: str) -> dict[str, t.Any]:
        """Return all variables of a host, not evaluated, as a task for it sees them without delegation."""
        found: dict[str, t.Any] = self._hostvars._variable_manager.get_vars(
            play=self._task.play, host=self._hostvars._inventory.get_host(host), task=self._task
        )
        if host == self._variables.get("inventory_hostname"):
            # What only this task has, such as the variable of its loop.
            lost = self._variables.keys() - found.keys() - site.CONNECTION_NAMES
            found.update((name, self._variables[name]) for name in lost)
        if site.is_unset(found.get("ansible_host")):
            # As in any task for that host: users rely on it.
            found["ansible_host"] = found.get("ansible_ssh_host") or host
        return found


def split(given: t.Mapping[str, t.Any], own: t.Collection[str]) -> tuple[dict[str, t.Any], dict[str, t.Any]]:
    """Return the arguments of a task that belong to the module, and those of sync_assets for each site.

    The latter come from, for example, ``module_defaults`` of the group ``netboot.syncer.all``. Raises
    :class:`ValueError`.
    """
    options = site.variable_names("")
    unknown = given.keys() - own - options.keys() - _SET_HERE - {"variables"}
    if unknown:
        raise ValueError(f"Unsupported parameters: {', '.join(sorted(unknown))}")
    ours = {name: value for name, value in given.items() if name in own}
    return ours, {name: value for name, value in given.items() if name in options and name not in own}
