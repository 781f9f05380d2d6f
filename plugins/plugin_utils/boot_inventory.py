# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sites of the inventory and their clients, in the form of the module boot_menu."""

from __future__ import annotations

import typing as t

Variables = t.Mapping[str, t.Any]


def web_address(host: str, variables: Variables, port_variable: str) -> str:
    """Return the ``http://`` address of a host: the sync's address for it, with the port of its web server."""
    address = str(variables.get("netboot_sync_address") or variables.get("ansible_host") or host)
    if ":" in address and not address.startswith("["):
        address = f"[{address}]"
    port = str(variables.get(port_variable) or 80)
    return f"http://{address}" if port == "80" else f"http://{address}:{port}"


def server_url(host: str, variables: Variables) -> str:
    """Return the address of the netboot server for clients; empty if only the machine itself could reach it."""
    address = str(variables.get("ansible_host") or host)
    if address == "localhost" or address.startswith("127.") or address == "::1":
        return ""
    return web_address(host, {**_port(variables), "ansible_host": address}, "netboot_server_web_port")


def _port(variables: Variables) -> dict[str, t.Any]:
    return {"netboot_server_web_port": variables.get("netboot_server_web_port")}


def site(host: str, variables: Variables) -> dict[str, t.Any]:
    """Return a caching server as a site of the boot menu."""
    return {
        "name": host,
        "cache_url": variables.get("netboot_boot_menu_cache_url")
        or web_address(host, variables, "netboot_caching_server_web_port"),
        "gateways": _listed(variables.get("netboot_boot_menu_gateways")),
        "arguments": _listed(variables.get("netboot_boot_menu_site_arguments")),
        "include": _listed(variables.get("netboot_sync_include")),
        "exclude": _listed(variables.get("netboot_sync_exclude")),
    }


def machine(variables: Variables) -> dict[str, t.Any] | None:
    """Return a caching server that itself boots over the network, only from the netboot server; None for others."""
    mac = variables.get("netboot_boot_menu_mac")
    if not mac:
        return None
    return {
        "mac": str(mac),
        "image": str(variables.get("netboot_boot_menu_image") or "caching-server/**"),
        "server_only": True,
    }


def _listed(value: t.Any) -> list[str]:
    if value is None or value == "":
        return []
    return [value] if isinstance(value, str) else [str(one) for one in value]
