# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The variables of a caching server: how its source reaches it, and the options of the modules.

Pure. The variables have to be the caching server's own: inside a delegated task, ``ansible_host``, ``ansible_port`` and
``ansible_user`` are those of the delegate, and a value that was computed there leads to the wrong machine. See
:mod:`sites` for how to get them.

``-u`` and ``remote_user`` are not variables: they are Ansible's login on the machine that it connects to, which is the
source. AWX always passes ``-u``.
"""

from __future__ import annotations

import collections
import shlex
import typing as t

from ansible_collections.netboot.syncer.plugins.module_utils.options import ARGUMENTS, BY_NAME, PREFIX

Variables = t.Mapping[str, t.Any]

# The legacy names come first, since Ansible's own ssh connection prefers them as well.
_CONNECTION = {
    "host": ("ansible_ssh_host", "ansible_host"),
    "port": ("ansible_ssh_port", "ansible_port"),
    "user": ("ansible_ssh_user", "ansible_user"),
}
CONNECTION_NAMES = frozenset(name for names in _CONNECTION.values() for name in names)


def is_unset(value: t.Any) -> bool:
    """Return whether a value means "not set": an AWX survey answers an empty string if nothing was filled in."""
    return value is None or value == ""


def variable_names(prefix: str) -> dict[str, str]:
    """Return the name of the variable of each option."""
    found = {option: BY_NAME[option].variable_name for option in ARGUMENTS}
    return {option: prefix + name.removeprefix(PREFIX) for option, name in found.items() if name}


def connection(variables: Variables) -> dict[str, t.Any]:
    """Return ``host``, ``port`` and ``user`` as Ansible itself would connect to the host, without those that are not
    set.

    :param variables: all of one host, evaluated, with its ``inventory_hostname``.
    """
    found = {}
    for option, names in _CONNECTION.items():
        for name in names:
            if not is_unset(variables.get(name)):
                found[option] = variables[name]
                break
    return {"host": variables["inventory_hostname"], **found}


def options(variables: Variables, prefix: str) -> dict[str, t.Any]:
    """Return the options of sync_assets from the variables of a host, without those that are not set."""
    found = {"name": variables["inventory_hostname"], **connection(variables)}
    for option, variable in variable_names(prefix).items():
        value = variables.get(variable)
        spec = ARGUMENTS[option]
        # An empty text is a value for an option that has a default, such as dest, and for a limit: those refuse it.
        if value is None or (value == "" and "default" not in spec and spec["type"] != "raw"):
            continue
        # YAML reads true as a boolean, and a command line as a text.
        found[option] = str(value).lower() if option == "host_key_checking" else value
    return found


def source_names(prefix: str) -> tuple[str, ...]:
    """Return the names of the variables that define a host's source."""
    return tuple(f"{prefix}{name}" for name in ("source", "source_address", "source_port", "source_user"))


def newcomer(variables: Variables, prefix: str) -> dict[str, t.Any]:
    """Return what add_host needs for a netboot server that the inventory lacks: name, port, user; empty if not set.

    Only for a host without another source: the variables are about the netboot server, not about a hub.
    """
    _source, address, *others = source_names(prefix)
    if is_unset(variables.get(address)):
        return {}
    found = {"name": variables[address]}
    for option, name in zip(("port", "user"), others, strict=True):
        if not is_unset(variables.get(name)):
            found[option] = variables[name]
    return found


def source_trouble(source: t.Any, *, known: bool, prefix: str) -> str:
    """Return why nothing can be sent from a source, with the remedy; nothing if it can.

    :param known: whether the inventory has a host of this name.
    """
    if is_unset(source):
        return (
            f"nobody says where to send from: the group netboot_server has no host in this inventory. Put the netboot"
            f" server into it, or set {prefix}source_address where it has only some hosts, as in a slice of an AWX job."
            f" To send from the machine that ansible-playbook runs on, set {prefix}source to localhost."
        )
    if not known:
        return (
            f"{prefix}source is {source!r}, and the inventory has no host of this name. Put it in, or mend the name. In"
            f" a slice of an AWX job, a netboot server is known by {prefix}source_address; with hubs, have one slice."
        )
    return ""


_KEY = "private_key_file, a path on the source"
_SSH_CONFIG = "ssh_config on the source"
_PASSWORD = "a key: private_key_file, or an agent on the source"  # noqa: S105  # no password
IGNORED = {
    "ansible_private_key_file": _KEY,
    "ansible_ssh_private_key_file": _KEY,
    "ansible_password": _PASSWORD,
    "ansible_ssh_pass": _PASSWORD,
    "ansible_ssh_password": _PASSWORD,
    "ansible_ssh_private_key": _KEY,
    "ansible_host_key_checking": "host_key_checking",
    "ansible_ssh_host_key_checking": "host_key_checking",
    "ansible_ssh_args": _SSH_CONFIG,
    "ansible_ssh_common_args": _SSH_CONFIG,
    "ansible_ssh_extra_args": _SSH_CONFIG,
    "ansible_sftp_extra_args": _SSH_CONFIG,
    "ansible_ssh_executable": _SSH_CONFIG,
}
# What applies instead, if set: then no warning is needed.
_INSTEAD = {_KEY: "private_key_file", _PASSWORD: "private_key_file", "host_key_checking": "host_key_checking"}
# Options of ssh that do not decide which machine is reached, or as whom.
_HARMLESS = {
    "batchmode",
    "compression",
    "connectionattempts",
    "connecttimeout",
    "controlmaster",
    "controlpath",
    "controlpersist",
    "identitiesonly",
    "loglevel",
    "preferredauthentications",
    "requesttty",
    "serveralivecountmax",
    "serveraliveinterval",
    "tcpkeepalive",
}
_BY_OPTION = {
    "identityfile": "private_key_file",
    "userknownhostsfile": "known_hosts_file",
    "stricthostkeychecking": "host_key_checking",
}
_FLAGS = {"i": "identityfile", "C": "compression", "q": "loglevel", "v": "loglevel", "T": "requesttty"}


def ignored(variables: Variables, given: t.Collection[str]) -> dict[str, str]:
    """Return the variables of a host that affect only Ansible's login and are ignored here, each with what applies
    instead.

    :param given: the options that are set for this host.
    """
    found = {}
    for name, counts in IGNORED.items():
        value = variables.get(name)
        if is_unset(value) or _INSTEAD.get(counts) in given:
            continue
        if name.endswith("_args") and not _ssh_options(str(value)) - {
            option for option, instead in _BY_OPTION.items() if instead in given
        }:
            continue
        found[name] = counts
    return found


def _ssh_options(text: str) -> set[str]:
    """Return the relevant options of an ssh command line, in lower case; flags without a name as they are."""
    try:
        words = collections.deque(shlex.split(text))
    except ValueError:
        return {text}
    found = set()
    while words:
        word = words.popleft()
        if not word.startswith("-"):
            continue
        flag, value = word[1:2], word[2:]
        if flag == "o":
            value = value or (words.popleft() if words else "")
            found.add(value.replace("=", " ").split(" ")[0].lower())
        elif flag:
            found.add(_FLAGS.get(flag, f"-{flag}"))
    return found - _HARMLESS


def warnings(found: t.Mapping[str, t.Mapping[str, str]], prefix: str) -> list[str]:
    """Return what :func:`ignored` found for each of many hosts as lines, one for each variable."""
    hosts: dict[tuple[str, str], list[str]] = {}
    for host, names in found.items():
        for name, counts in names.items():
            hosts.setdefault((name, counts), []).append(host)
    lines = []
    for (name, counts), where in hosts.items():
        what = counts if counts == _SSH_CONFIG else _prefixed(counts, prefix)
        lines.append(
            f"{name} of {shortened(where)} says how Ansible logs in there, and nothing about the sync, which logs in"
            f" from the source. What counts is {what}."
        )
    return lines


def _prefixed(text: str, prefix: str) -> str:
    for option in ("private_key_file", "host_key_checking"):
        text = text.replace(option, prefix + option)
    return text


def shortened(names: t.Sequence[str], most: int = 4) -> str:
    """Return a list of names, abbreviated if there are many."""
    more = len(names) - most
    return ", ".join(names) if more <= 1 else f"{', '.join(names[:most])} and {more} more"
