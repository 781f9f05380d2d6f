# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rooms of the code and the imports between them, read from the source; and a picture of them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

PLUGINS = Path("plugins")
COLLECTION = "ansible_collections.netboot.syncer.plugins."
SHARED = "module_utils"

# From the interfaces down. A room imports only from rooms below its own.
LAYERS = (
    ("action", "filter", "inventory", "doc_fragments", "modules"),
    ("plugin_utils",),
    ("results", "fleet"),
    ("run", "boot_menus"),
    ("caching_server",),
    ("transports",),
    ("ssh", "limits", "source"),
    ("planning",),
    ("assets", "reporting", "requirements", "history"),
    ("progress", "options"),
    ("errors",),
    ("states", "own_directory", "call"),
)
LAYER = {room: number for number, layer in enumerate(LAYERS) for room in layer}


def imports() -> dict[str, set[str]]:
    """Each room with the rooms that it imports from."""
    found: dict[str, set[str]] = {}
    for file in sorted(PLUGINS.rglob("*.py")):
        here = _room(file.with_suffix("").parts[1:])
        found.setdefault(here, set()).update(to for to in _targets(file) if to not in ("", here))
    return {room: to for room, to in found.items() if room}


def wrong() -> list[str]:
    """The upward imports, and the rooms without a layer."""
    found = imports()
    lines = [f"{room}: it has no layer in scripts/rooms.py" for room in found if room not in LAYER]
    return lines + [
        f"{room} imports from {to}, which is not below it"
        for room, targets in found.items()
        for to in sorted(targets)
        if room in LAYER and to in LAYER and LAYER[to] <= LAYER[room]
    ]


def picture() -> str:
    """All rooms as a Mermaid graph; imports implied by others are left out."""
    found = imports()
    lines = ["graph TD"]
    for number, layer in enumerate(LAYERS):
        rooms = [room for room in layer if room in found]
        if rooms:
            lines.append(f"  subgraph L{number}[ ]")
            lines += [f"    {room}[{room}]" for room in rooms]
            lines.append("  end")
    for room in sorted(found, key=lambda one: (LAYER[one], one)):
        lines += [f"  {room} --> {to}" for to in sorted(found[room]) if not _follows(found, room, to)]
    return "\n".join(lines)


def _follows(found: dict[str, set[str]], room: str, to: str) -> bool:
    """Whether an import is also one through a third room."""
    waiting = [other for other in found[room] if other != to]
    seen: set[str] = set()
    while waiting:
        other = waiting.pop()
        if other == to:
            return True
        if other not in seen:
            seen.add(other)
            waiting += found.get(other, ())
    return False


def _room(parts: tuple[str, ...]) -> str:
    if parts[0] != SHARED:
        return parts[0]
    return parts[1] if len(parts) > 1 and parts[1] != "__init__" else ""


def _targets(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.ImportFrom):
            continue
        if node.level:
            above = file.parent.parts[1 : len(file.parent.parts) - (node.level - 1)]
            base = (*above, *(node.module.split(".") if node.module else ()))
        elif (node.module or "").startswith(COLLECTION):
            base = tuple((node.module or "").removeprefix(COLLECTION).split("."))
        else:
            continue
        if base == (SHARED,) or not base:
            yield from (_room((*base, alias.name)) for alias in node.names)
        else:
            yield _room(base)
