# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The text of a known hosts file, with the keys of some hosts replaced, and everything else left as it is."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import typing as t


def host_field(address: str, port: int | str | None = None) -> str:
    """Return a server's name in known hosts files: ``[address]:port`` if the port is not 22."""
    address = address.lower()
    return address if port in (None, "") or int(port) == 22 else f"[{address}]:{int(port)}"


def replace(text: str, hosts: t.Mapping[str, t.Sequence[str]]) -> str:
    """Return *text* with exactly these keys for these hosts.

    :arg hosts: for each name as :func:`host_field` gives it, its public keys as in a ``.pub`` file; none takes the host
        away. A line that names other hosts too keeps these. Lines that revoke a key, or name an authority, stay.

    If a host already has these keys, its lines stay where they are. Raises ValueError for an invalid public key.
    """
    wanted = {name: [_key(line) for line in keys] for name, keys in hosts.items()}
    found: dict[str, set[tuple[str, str]]] = {name: set() for name in wanted}
    lines = []
    for line in text.splitlines():
        kept = _without(line, wanted, found)
        if kept is not None:
            lines.append(kept)
    for name, keys in wanted.items():
        for key in keys:
            if key not in found[name]:
                found[name].add(key)
                lines.append(" ".join((name, *key)))
    return "".join(f"{line}\n" for line in lines)


def _key(line: str) -> tuple[str, str]:
    """Return type and key of a line of a ``.pub`` file; its comment is dropped."""
    words = line.split()
    if len(words) < 2:
        raise ValueError(f"not a public key: {line!r}")
    try:
        blob = base64.b64decode(words[1], validate=True)
    except binascii.Error as error:
        raise ValueError(f"not a public key: {line!r}") from error
    # A key begins with its type, after the length of that in four bytes.
    if blob[4 : 4 + int.from_bytes(blob[:4], "big")] != words[0].encode():
        raise ValueError(f"not a public key: {line!r}")
    return words[0], words[1]


def _without(
    line: str, wanted: t.Mapping[str, t.Sequence[tuple[str, str]]], found: t.Mapping[str, set[tuple[str, str]]]
) -> str | None:
    """Return the line without the hosts that must not have its key; None if none is left."""
    words = line.split()
    if len(words) < 3 or line.lstrip().startswith(("#", "@")):
        return line
    key = words[1], words[2]
    kept = []
    for pattern in words[0].split(","):
        name = next((name for name in wanted if _names(pattern, name)), None)
        if name is not None:
            if key not in wanted[name] or key in found[name]:
                continue
            found[name].add(key)
        kept.append(pattern)
    if not kept:
        return None
    if len(kept) == len(words[0].split(",")):
        return line
    return " ".join((",".join(kept), *words[1:]))


def _names(pattern: str, name: str) -> bool:
    """Return whether one pattern of a line is exactly this host, plain or hashed."""
    if not pattern.startswith("|1|"):
        return pattern.lower() == name
    try:
        salt, digest = (base64.b64decode(part, validate=True) for part in pattern[3:].split("|"))
    except ValueError:
        return False
    # SHA-1 is what OpenSSH hashes these names with.
    return hmac.compare_digest(hmac.new(salt, name.encode(), hashlib.sha1).digest(), digest)
