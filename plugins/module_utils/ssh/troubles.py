# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why ssh could not log in, in one line with the remedy, and whether a retry may help.

ssh's own words are on its standard error, in English whatever the locale; a banner of the server may be among them.
"""

from __future__ import annotations

import os
import re
import stat
import typing as t

from ..errors import AccessRefused, ConnectionTrouble, SyncError
from ..options import called
from .bounds import run_bounded
from .settings import Address, Effective

_HERE = "netboot server"
_KEY_LOADING = re.compile(r'Load key "([^"\n]+)": ([^\n]+)')
_NO_KEY = re.compile(r"no such identity: ([^\n]+): ([^:\n]+)")
_DENIED = re.compile(r"Permission denied \(|Permission denied, please try again")
_NOT_SSH = re.compile(
    r"kex_exchange_identification|ssh_exchange_identification|banner exchange|banner line too long|Bad packet length"
    r"|Protocol major versions differ|Corrupted MAC|message authentication code incorrect|invalid format"
)
_SYSTEM = re.compile(r"connect to host [^\n]*: ([^\n]+)")
_FOR_PEOPLE = re.compile(r"^(@+$|@ |\*\* |Warning: |Pseudo-terminal|debug\d: )")
_SSH_SAYS = re.compile(
    r"Permission denied|Load key|no such identity|Received disconnect|Disconnected from|Connection (closed|reset)"
    r"|Authenticated|Connection to |Host key|Permissions |It is required|This private key|Authorized|Access denied"
)


def silence(said: str, address: Address, settings: Effective) -> SyncError:
    """Return the error for a login that does not finish."""
    words = _last(said)
    return ConnectionTrouble(
        f"{settings.where} did not answer within {address.connect_timeout} s{f' ({words})' if words else ''}",
        remedy="Is it switched on, and is the line up?",
    )


def refusal(said: str, address: Address, settings: Effective) -> SyncError:
    """Return the error for a login that ssh gave up, from its output."""
    for explain in (_host_key, _settings, _key, _line):
        trouble = explain(said, address, settings)
        if trouble is not None:
            return trouble
    words = _last(said) or "ssh ended without a word"
    return ConnectionTrouble(f"no SSH session with {settings.where} ({words})", remedy="Look at the log of its sshd.")


def _last(said: str) -> str:
    """Return the last meaningful line of ssh's output."""
    lines = [line.strip() for line in said.splitlines()]
    lines = [line for line in lines if line and not _FOR_PEOPLE.match(line)]
    return lines[-1][:300] if lines else ""


def _host_key(said: str, _address: Address, settings: Effective) -> SyncError | None:
    files = " or ".join(settings.known_hosts_files) or "the known hosts"
    where = settings.where
    if "REVOKED HOST KEY DETECTED" in said or "is marked as revoked" in said or "revoked by file" in said:
        return AccessRefused(
            f"the host key of {where} is revoked in {files}",
            remedy="Whoever has it may be somebody else: give that machine another key.",
        )
    if "IDENTIFICATION HAS CHANGED" in said:
        return AccessRefused(
            f"the host key of {where} has changed: the machine was reinstalled, or this is a man in the middle",
            remedy=f"Check with its admin before replacing the line in {files}.",
        )
    if "host key is known for" in said or "Host key verification failed" in said:
        why = next((line.strip() for line in said.splitlines() if "ertificate" in line), "")
        return AccessRefused(
            f"the host key of {where} is not known{f' ({why[:200]})' if why else ''}",
            remedy=f"Put its line into {files}, or set {called('host_key_checking')} to accept-new.",
        )
    return None


def _settings(said: str, _address: Address, settings: Effective) -> SyncError | None:
    if "Bad owner or permissions on" in said or "Bad configuration option" in said or "bad configuration opt" in said:
        return AccessRefused(f"OpenSSH rejects its configuration: {_last(said)}", host=_HERE, remedy="Fix that file.")
    if "Unable to negotiate" in said or "no matching" in said:
        return AccessRefused(
            f"{settings.where} and this host have no method in common ({_last(said)})",
            remedy="Upgrade the older of the two, or allow the method in ssh_config.",
        )
    return None


def _key(said: str, address: Address, settings: Effective) -> SyncError | None:
    """Explain a denied login: by what ssh says about the key, or else by the server's own words."""
    where = settings.where
    key = address.private_key_file or "the agent's keys"
    if "Too many authentication failures" in said:
        return AccessRefused(
            f"{where} ended the login: too many authentication failures. The agent offers more keys than it takes",
            remedy=f"Set {called('private_key_file')} to the one that counts, or IdentitiesOnly in ssh_config.",
        )
    if not _DENIED.search(said):
        return None
    if "UNPROTECTED PRIVATE KEY FILE" in said:
        return AccessRefused(
            f"ssh does not use the private key, since others may read it{_mode(key)}",
            path=key,
            host=_HERE,
            remedy="Set its mode to 0600.",
        )
    found = _NO_KEY.search(said)
    if found is None and address.private_key_file and not os.path.exists(os.path.expanduser(key)):
        found = re.match(r"(.*)\n(.*)", f"{key}\nNo such file or directory")
    loading = _KEY_LOADING.search(said)
    if found or (loading and "Permission denied" in loading.group(2)):
        path, why = (found or t.cast("re.Match[str]", loading)).groups()
        return AccessRefused(
            f"the private key cannot be read ({why})",
            path=path,
            host=_HERE,
            remedy=f"Set {called('private_key_file')} to a key that the user of the module may read.",
        )
    if (loading and "passphrase" in loading.group(2)) or _has_passphrase(address):
        return AccessRefused(
            "the private key has a passphrase, and no agent holds it",
            path=key,
            remedy="Use an agent, or a key without.",
        )
    if loading:
        return AccessRefused(
            f"the private key cannot be used ({loading.group(2)})",
            path=loading.group(1),
            host=_HERE,
            remedy=f"Is it cut short, or written as on Windows? Set {called('private_key_file')} to a good one.",
        )
    banner = _banner(said)
    if banner:  # a notice for everybody, or why this account may not log in: a person has to read it
        return AccessRefused(
            f"{where} does not accept {key}, and says: {banner}",
            remedy="If it says nothing of the account, put the public key into its authorized_keys.",
        )
    return AccessRefused(
        f"{where} does not accept {key}", remedy="Put its public key into the authorized_keys of that user."
    )


def _mode(path: str) -> str:
    try:
        return f" (mode {stat.S_IMODE(os.stat(os.path.expanduser(path)).st_mode):04o})"
    except OSError:
        return ""


def _has_passphrase(address: Address) -> bool:
    """Return whether the key that a user named has a passphrase; ssh does not say so if it may not prompt."""
    if not address.private_key_file:
        return False
    command = ["ssh-keygen", "-y", "-P", "", "-f", os.path.expanduser(address.private_key_file)]
    try:
        _status, _output, errors = run_bounded(command, timeout=10)
    except OSError:
        return False
    return b"incorrect passphrase" in errors


def _banner(said: str) -> str:
    """Return the end of the server's output before the login was over, on one line."""
    lines = [line for line in said.splitlines() if not _FOR_PEOPLE.match(line) and not _SSH_SAYS.search(line)]
    words = " ".join(" ".join(lines).split())
    return words if len(words) <= 300 else "... " + words[-300:]


def _line(said: str, address: Address, settings: Effective) -> SyncError | None:
    where = settings.where
    if "Could not resolve hostname" in said:
        name = settings.hostname
        if any(not part or len(part) > 63 for part in name.rstrip(".").split(".")):
            return SyncError(
                f"{name} cannot be the name of a host: a part of it is empty, too long or not allowed",
                remedy=f"Set {called('host')} or ansible_host.",
            )
        return ConnectionTrouble(f"the name {name} is not known", remedy=f"Set {called('host')} or ansible_host.")
    if "timed out" in said and "during banner exchange" not in said:
        return ConnectionTrouble(
            f"{where} did not answer within {address.connect_timeout} s",
            remedy="Is it switched on, and is the line up?",
        )
    found = _SYSTEM.search(said)
    if found and "Connection refused" in found.group(1):
        return ConnectionTrouble(f"{where} refused the connection", remedy="Is sshd running, is the port right?")
    if found:
        return ConnectionTrouble(
            f"{where} cannot be reached ({found.group(1)})", remedy="Is it switched on, is the line up?"
        )
    if settings.proxy_command and _NOT_SSH.search(said):
        words = _last(
            "\n".join(
                line
                for line in said.splitlines()
                if not _NOT_SSH.search(line) and "Connection closed by UNKNOWN" not in line
            )
        )
        return ConnectionTrouble(
            f"the connection to {where} through the ProxyCommand or ProxyJump of ssh_config failed"
            f" ({words or settings.proxy_command})",
            remedy="Try ssh there by hand, as the user that the module runs as.",
        )
    if _NOT_SSH.search(said):
        return ConnectionTrouble(
            f"{where} took the connection, but did not answer as an SSH server",
            remedy="Is the line up, is its sshd overloaded (MaxStartups), is it the right port?",
        )
    return None
