# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why Ansible could not log in to a machine, in one line with the remedy: from the connection's output."""

from __future__ import annotations

# OpenSSH's words, and the remedy. {address} and {forget} are filled in; the first match counts.
_REMEDIES = (
    (
        "REMOTE HOST IDENTIFICATION HAS CHANGED",
        "its host key is not the one that is known: it was reinstalled, or somebody intercepts the connection. "
        "Compare the new key with what its console shows (ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub there); "
        "then here: ssh-keygen -R '{forget}', and log in once with ssh",
    ),
    (
        "Host key verification failed",
        "its host key is not known yet. Log in once with ssh, and compare the key that it shows with what its console "
        "shows (ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub there)",
    ),
    (
        "Permission denied",
        "it does not accept that login. Set ansible_user, and ansible_ssh_private_key_file where it is not your usual "
        "key, to what you log in with by hand: ssh {user}{address}",
    ),
    ("Could not resolve hostname", "nobody knows that name. Set ansible_host to its address, or mend the name there"),
    (
        "Connection refused",
        "no SSH server listens at {address} port {port}. Start one there, or set ansible_host and ansible_port to "
        "where it listens",
    ),
    (
        "timed out",
        "nothing answers at {address} port {port}. Is it switched on, is ansible_host right, does a firewall let SSH "
        "in?",
    ),
    ("No route to host", "nothing answers at {address}. Is it switched on, and is ansible_host right?"),
    (
        "Network is unreachable",
        "no network here leads to {address}. Is ansible_host right, and is this machine connected?",
    ),
    ("Invalid/incorrect password", "it does not accept the password (ansible_password, or --ask-pass)"),
    ("sshpass", "for a password (ansible_password, --ask-pass) Ansible needs sshpass here. Install it, or use a key"),
)
_OTHERWISE = "Try it by hand, until it works: ssh {user}{address}"


def advice(said: str, *, address: str, port: int | str = 22, user: str = "") -> str:
    """Return one line: the connection's words, if they say more, and the remedy.

    :arg said: the message of an unreachable result, which may include a long banner.
    """
    known = {
        "address": address,
        "port": port,
        "user": f"{user}@" if user else "",
        # as known hosts files name it
        "forget": address if str(port) == "22" else f"[{address}]:{port}",
    }
    for sign, remedy in _REMEDIES:
        if sign in said:
            return _sentence(remedy.format(**known))
    lines = [line.strip() for line in said.split("via ssh: ", 1)[-1].splitlines() if line.strip()]
    return _sentence(f"{(lines or ['it does not answer'])[-1].rstrip('.')}. {_OTHERWISE.format(**known)}")


def _sentence(text: str) -> str:
    return text if text.endswith("?") else f"{text}."
