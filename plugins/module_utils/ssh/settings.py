# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the netboot server reaches one caching server.

OpenSSH is asked (``ssh -G``) what it would do for this host, including the user's ``ssh_config``: messages name what it
uses, and a check without OpenSSH uses the same address, key and known hosts, or is not made.
"""

from __future__ import annotations

import dataclasses
import os
import shlex
import shutil
import typing as t

from ..errors import SyncError
from .bounds import run_bounded

HOST_KEY_CHECKING = {"true": "yes", "accept-new": "accept-new", "false": "no"}


@dataclasses.dataclass(frozen=True)
class Address:
    """A user's settings for a caching server. Times are in seconds."""

    host: str
    port: int | None = None
    user: str | None = None
    private_key_file: str | None = None
    known_hosts_file: str | None = None
    host_key_checking: str = "true"
    connect_timeout: int = 15
    stall_timeout: int = 60

    def ssh_options(self) -> list[str]:
        """Return OpenSSH's options for this address, without the host."""
        options = [
            "-oBatchMode=yes",
            f"-oConnectTimeout={self.connect_timeout}",
            f"-oStrictHostKeyChecking={HOST_KEY_CHECKING[self.host_key_checking]}",
            "-oServerAliveInterval=5",
            f"-oServerAliveCountMax={max(self.stall_timeout // 5, 1)}",
            "-oCompression=no",  # a squashfs is compressed already
            "-oClearAllForwardings=yes",
            "-oForwardAgent=no",
            "-oForwardX11=no",
            "-oRequestTTY=no",
            "-oRemoteCommand=none",
            "-oHashKnownHosts=no",  # Debian turns it on; a person has to find the line that a message names
            "-oUpdateHostKeys=no",  # a run writes nothing into known_hosts but what accept-new accepts
            "-oIgnoreUnknown=ForkAfterAuthentication",  # before OpenSSH 8.7
            "-oForkAfterAuthentication=no",
            "-oLogLevel=INFO",  # the lowest level at which a server's own words on a refused login are passed on
        ]
        if self.host_key_checking == "false":
            options += ["-oUserKnownHostsFile=/dev/null", "-oGlobalKnownHostsFile=/dev/null"]
        elif self.known_hosts_file:
            options += [f"-oUserKnownHostsFile={_quoted(self.known_hosts_file)}", "-oGlobalKnownHostsFile=/dev/null"]
        if self.private_key_file:
            options += [
                f"-oIdentityFile={_quoted(self.private_key_file)}",
                "-oIdentitiesOnly=yes",  # only this one of an agent's keys, which may have a passphrase
            ]
        if self.port:
            options.append(f"-oPort={self.port}")
        if self.user:
            options.append(f"-oUser={self.user}")
        return options


def known_hosts_option(files: t.Sequence[str]) -> str:
    """Return OpenSSH's option for these known hosts files and no others."""
    return f"-oUserKnownHostsFile={' '.join(_quoted(name) for name in files)}"


def _quoted(path: str) -> str:
    """Quote a path for ssh_config, which splits a list of known hosts files at blanks."""
    expanded = os.path.expanduser(path)
    return f'"{expanded}"' if " " in expanded else expanded


@dataclasses.dataclass(frozen=True)
class Effective:
    """The result of an address combined with the user's own configuration, by OpenSSH."""

    hostname: str
    port: int
    user: str | None
    identity_files: tuple[str, ...] = ()
    known_hosts_files: tuple[str, ...] = ()
    host_key_alias: str = ""
    proxy_command: str = ""
    bind_address: str = ""
    ciphers: tuple[str, ...] = ()
    said: tuple[tuple[str, str], ...] = ()  # all that OpenSSH said

    @property
    def where(self) -> str:
        """The address in words."""
        return f"{self.user or 'its user'}@{self.hostname} port {self.port}"

    def fast_ciphers(self) -> tuple[str, ...]:
        """Return the ciphers that OpenSSH would offer, AES-GCM first; for two ends with AES in hardware.

        OpenSSH prefers ChaCha20, which is faster without; with it, AES-GCM carries half as much again.
        """
        fast = [name for name in self.ciphers if name.startswith("aes") and "-gcm@" in name]
        return (*fast, *(name for name in self.ciphers if name not in fast)) if fast else ()


def no_client() -> SyncError:
    """Return the error for a host without OpenSSH's client."""
    return SyncError(
        "there is no OpenSSH client, which every connection needs",
        host="netboot server",
        remedy="Install the package openssh-client (openssh-clients on Fedora and RHEL) on the netboot server.",
    )


def resolve(address: Address) -> Effective:
    """Ask OpenSSH what it would do. Raises :class:`SyncError`."""
    ssh = shutil.which("ssh")
    if ssh is None:
        raise no_client()
    command = [ssh, "-G"] + address.ssh_options() + ["--", address.host]
    status, output, errors = run_bounded(command)
    if status is None:
        raise SyncError(
            "ssh -G does not finish",
            host="netboot server",
            remedy="Look at the Match exec lines in the ssh_config of the user that the module runs as.",
        )
    if status != 0:
        raise SyncError(
            f"OpenSSH rejects these settings: {errors.decode('utf-8', 'replace').strip()[-500:]}",
            remedy="Fix host, port, user and keys, or the ssh_config of the user on the netboot server.",
        )
    return _read(os.fsdecode(output), address)


def keywords(output: str) -> tuple[tuple[str, str], ...]:
    """Return what ``ssh -G`` printed: a keyword and its value on each line, some keywords more than once."""
    pairs = (line.partition(" ") for line in output.splitlines())
    return tuple((keyword.lower(), value) for keyword, _blank, value in pairs)


def _read(output: str, address: Address) -> Effective:
    values: dict[str, list[str]] = {}
    for keyword, value in keywords(output):
        values.setdefault(keyword, []).append(value)

    def one(keyword: str) -> str:
        value = values.get(keyword, [""])[-1]
        return "" if value == "none" else value

    known_hosts = [
        os.path.expanduser(name)
        for keyword in ("userknownhostsfile", "globalknownhostsfile")
        for name in shlex.split(one(keyword))
        if name != "/dev/null"
    ]
    if address.known_hosts_file and address.host_key_checking != "false":
        known_hosts = [os.path.expanduser(address.known_hosts_file)]
    # OpenSSH names its defaults whether they exist or not; a key that the user named must exist.
    identities = [name for name in map(os.path.expanduser, values.get("identityfile", [])) if os.path.exists(name)]
    if address.private_key_file:
        identities = [os.path.expanduser(address.private_key_file)]
    proxy = one("proxycommand")
    if not proxy and one("proxyjump"):
        proxy = f"ProxyJump {one('proxyjump')}"
    hostname, port = one("hostname") or address.host, int(one("port") or 22)
    return Effective(
        hostname=hostname,
        port=port,
        user=one("user") or address.user,
        identity_files=tuple(identities),
        known_hosts_files=tuple(known_hosts),
        host_key_alias=one("hostkeyalias"),
        proxy_command=proxy,
        bind_address=one("bindaddress"),
        ciphers=tuple(name for name in one("ciphers").split(",") if name),
        said=keywords(output),
    )


def has_aes() -> bool:
    """Return whether this host's processor has instructions for AES."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            return any("aes" in line.split() for line in file)
    except OSError:
        return False
