# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventory plugin caching_servers: the netboot stack's own list of caching servers."""

from __future__ import annotations

DOCUMENTATION = r"""
name: caching_servers
short_description: The netboot stack's list of caching servers as an inventory
version_added: 1.0.0
description:
  - Reads the list of caching servers that the netboot stack keeps, from a file or by HTTP. It is a JSON object with a
    list C(cachingServers), each entry of which has C(cachingServerIP), C(site), C(macAddress) and C(gatewayIP).
  - Each caching server becomes a host of O(group), named after its site, with C(ansible_host),
    C(netboot_site), C(netboot_mac_address), and C(netboot_boot_menu_gateways), by which the boot menu recognises the
    site's clients. If a site has more than one, the name of each host includes its address.
  - If the list cannot be fetched, or is broken or empty, the last good answer is used, with a warning that says how old
    it is. One that is too old is refused.
  - The file name of its configuration ends in C(caching_servers.yml) or C(caching_servers.yaml).
author:
  - Netboot Syncer contributors (@netboot-syncer)
extends_documentation_fragment:
  - constructed
  - inventory_cache
options:
  plugin:
    description: The name of this plugin.
    type: str
    required: true
    choices: [netboot.syncer.caching_servers]
  source:
    description:
      - Where the list is, a path or a URL that begins with C(http://) or C(https://). A relative path is relative to
        the directory of the configuration.
    type: str
    required: true
  group:
    description: The group of all caching servers.
    type: str
    default: caching_servers
  site_group_prefix:
    description: The prefix of each site's group name. If it is empty, there are no such groups.
    type: str
    default: site_
  timeout:
    description: Maximum number of seconds for the whole answer.
    type: int
    default: 10
  headers:
    description: Headers of the request, such as one with a token.
    type: dict
    default: {}
  validate_certs:
    description: Whether the certificate of the server is checked.
    type: bool
    default: true
  last_good:
    description:
      - The file for the last good answer. V(false) keeps none.
      - By default it is below C(netboot-syncer) in Ansible's home directory, one for each O(source).
    type: raw
  last_good_max_age:
    description: The maximum age of the last good answer, in seconds. The default is a week.
    type: int
    default: 604800
"""

EXAMPLES = r"""
# caching_servers.yml
plugin: netboot.syncer.caching_servers
source: https://netboot.example.org/caching-servers.json
cache: true
cache_plugin: ansible.builtin.jsonfile
cache_connection: ~/.ansible/inventory-cache
cache_timeout: 300
compose:
  ansible_user: "'netboot'"
groups:
  slow_lines: netboot_site in ['Chur', 'Sion']
"""

import hashlib
import os
import pathlib
import tempfile
import time
import typing as t

from ansible import constants
from ansible.errors import AnsibleParserError
from ansible.module_utils.urls import open_url
from ansible.plugins.inventory import BaseInventoryPlugin, Cacheable, Constructable
from ansible_collections.netboot.syncer.plugins.plugin_utils.caching_server_list import (
    MAX_SIZE,
    Listed,
    Server,
    age_in_words,
    parse,
)


class InventoryModule(BaseInventoryPlugin, Constructable, Cacheable):  # type: ignore[misc]  # ansible carries no types
    """Reads the list, and turns it into hosts."""

    NAME = "netboot.syncer.caching_servers"

    def verify_file(self, path: str) -> bool:
        """Return whether a file is a configuration of this plugin."""
        return bool(super().verify_file(path)) and path.endswith(("caching_servers.yml", "caching_servers.yaml"))

    def parse(self, inventory: t.Any, loader: t.Any, path: str, cache: bool = True) -> None:
        """Fill the inventory."""
        super().parse(inventory, loader, path, cache)
        self._read_config_data(path)
        self.load_cache_plugin()
        key = self.get_cache_key(path)
        cached = self.get_option("cache")
        text: str | None = None
        if cached and cache:
            text = self._cache.get(key)
        listed = None
        if text is not None:
            try:
                listed = parse(text)
            except ValueError:
                text = None  # the content of a cache may be from another version, or not from us
        if listed is None:
            text, listed = self._look(path)
        if cached:
            self._cache[key] = text
        self._fill(listed)

    # Reading

    def _look(self, path: str) -> tuple[str, Listed]:
        """Return the list as it is now, or the last good answer."""
        source = str(self.get_option("source"))
        try:
            text = _fetch(source, self) if _is_url(source) else _read_file(_beside(path, source))
            listed = parse(text)
            if not listed.servers:
                raise ValueError("it is empty")
        except (OSError, ValueError) as error:
            return self._last_good(source, _one_line(error))
        for trouble in listed.troubles:
            self.display.warning(f"{source}: {trouble}")
        self._remember(source, text)
        return text, listed

    def _last_good(self, source: str, why: str) -> tuple[str, Listed]:
        kept = self._kept(source)
        trouble = f"the list of caching servers cannot be read: {source}: {why}."
        try:
            if kept is None:
                raise FileNotFoundError
            age = time.time() - os.stat(kept).st_mtime
            text = _read_file(kept)
            listed = parse(text)
        except FileNotFoundError:
            raise AnsibleParserError(f"{trouble} There is no earlier answer. See that the list is there.") from None
        except (OSError, ValueError) as error:
            raise AnsibleParserError(f"{trouble} Nor can the last good answer, {kept}: {_one_line(error)}.") from error
        limit = int(self.get_option("last_good_max_age"))
        if age > limit:
            raise AnsibleParserError(
                f"{trouble} The last good answer is {age_in_words(age)} old, and last_good_max_age allows"
                f" {age_in_words(limit)}. See that the list is there, or allow more."
            )
        self.display.warning(f"{trouble} The last good answer is used, which is {age_in_words(age)} old ({kept}).")
        return text, listed

    def _kept(self, source: str) -> str | None:
        chosen = self.get_option("last_good")
        if chosen is None or chosen is True:
            name = hashlib.sha256(source.encode()).hexdigest()[:16]
            return os.path.join(
                str(constants.config.get_config_value("ANSIBLE_HOME")), "netboot-syncer", f"{name}.json"
            )
        if not chosen or str(chosen).lower() in ("false", "no"):
            return None
        return os.path.expanduser(str(chosen))

    def _remember(self, source: str, text: str) -> None:
        """Save an answer for later; this run continues even if that fails."""
        kept = self._kept(source)
        if kept is None:
            return
        directory = os.path.dirname(os.path.abspath(kept))
        try:
            os.makedirs(directory, mode=0o700, exist_ok=True)
            descriptor, temporary = tempfile.mkstemp(dir=directory, prefix=".netboot-")
            try:
                with open(descriptor, "w", encoding="utf-8") as file:
                    file.write(text)
                os.replace(temporary, kept)
            except BaseException:
                os.unlink(temporary)
                raise
        except OSError as error:
            self.display.warning(f"the list of caching servers cannot be kept for later in {kept}: {_one_line(error)}")

    # Filling

    def _fill(self, listed: Listed) -> None:
        group = self.inventory.add_group(self._sanitize_group_name(str(self.get_option("group"))))
        prefix = str(self.get_option("site_group_prefix") or "")
        strict = self.get_option("strict")
        for server in listed.servers:
            self.inventory.add_host(server.name, group=group)
            if prefix and server.site:
                site_group = self.inventory.add_group(self._sanitize_group_name(prefix + server.site))
                self.inventory.add_child(site_group, server.name)
            for name, value in _variables(server).items():
                self.inventory.set_variable(server.name, name, value)
            found = self.inventory.get_host(server.name).get_vars()
            self._set_composite_vars(self.get_option("compose"), found, server.name, strict=strict)
            self._add_host_to_composed_groups(self.get_option("groups"), found, server.name, strict=strict)
            self._add_host_to_keyed_groups(self.get_option("keyed_groups"), found, server.name, strict=strict)


def _variables(server: Server) -> dict[str, t.Any]:
    found: dict[str, t.Any] = {"ansible_host": server.address}
    if server.site:
        found["netboot_site"] = server.site
    if server.mac_address:
        found["netboot_mac_address"] = server.mac_address
    if server.gateway:
        found["netboot_boot_menu_gateways"] = [server.gateway]
    return found


def _is_url(source: str) -> bool:
    return source.lower().startswith(("http://", "https://"))


def _beside(configuration: str, source: str) -> str:
    return os.path.join(os.path.dirname(os.path.abspath(configuration)), os.path.expanduser(source))


def _read_file(path: str) -> str:
    with pathlib.Path(path).open("rb") as file:
        return _text(file.read(MAX_SIZE + 1))


def _fetch(url: str, plugin: InventoryModule) -> str:
    """Return an answer that arrived completely and in time. Raises :class:`OSError` and :class:`ValueError`."""
    seconds = int(plugin.get_option("timeout"))
    end = time.monotonic() + seconds
    headers = {str(name): str(value) for name, value in (plugin.get_option("headers") or {}).items()}
    answer = open_url(
        url, timeout=seconds, headers=headers, validate_certs=plugin.get_option("validate_certs"), http_agent="netboot"
    )
    parts: list[bytes] = []
    with answer:
        while sum(map(len, parts)) <= MAX_SIZE:
            part = answer.read1(65536)
            if not part:
                break
            parts.append(part)
            if time.monotonic() > end:
                raise TimeoutError(f"the answer took longer than {seconds} seconds")
    return _text(b"".join(parts))


def _text(content: bytes) -> str:
    if len(content) > MAX_SIZE:
        raise ValueError(f"it is larger than {MAX_SIZE} bytes")
    return content.decode("utf-8-sig")


def _one_line(error: Exception) -> str:
    text = (error.strerror if isinstance(error, OSError) and error.strerror else "") or str(error)
    return " ".join(text.split()).rstrip(".")
