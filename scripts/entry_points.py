# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The entry points of the role netboot_sync, for its argument specs."""

from __future__ import annotations

from typing import Any, NamedTuple


class EntryPoint(NamedTuple):
    """One task file that plays may name.

    :ivar shared: the options of options.py that it takes, by name; None for all.
    :ivar own: its own options, in Ansible's format.
    """

    short_description: str
    description: list[str]
    shared: tuple[str, ...] | None
    own: dict[str, Any]


_WHICH = ("src", "source", "source_address", "source_port", "source_user", "marker_names", "pointers")
_WITHDRAW = {
    "netboot_withdraw": {
        "description": ["The images, as a pattern relative to the tree or a list of patterns, such as V(prod/x*)."],
        "type": "raw",
        "required": True,
    },
    "netboot_withdraw_purge": {
        "description": [
            "Whether to remove the squashfs from caching servers as well, in the first sync after the grace."
        ],
        "type": "bool",
        "default": False,
    },
}
_UNDO = {
    "netboot_withdraw_undo": {
        "description": ["Whether to put the images back instead."],
        "type": "bool",
        "default": False,
    },
}
_PRUNE = {
    "netboot_prune_keep_last": {
        "description": ["How many images to keep for each directory and flavour, the newest ones."],
        "type": "int",
    },
    "netboot_prune_max_age": {
        "description": ["The age beyond which an image is removed, such as V(30d); the newest stays whatever its age."],
        "type": "str",
    },
    "netboot_prune_max_size": {
        "description": ["The maximum total size of the images of a directory and flavour, such as V(20GB)."],
        "type": "str",
    },
    "netboot_prune_keep": {
        "description": ["Patterns of images that are always kept."],
        "type": "list",
        "elements": "str",
    },
}

ENTRY_POINTS = {
    "main": EntryPoint(
        "Bring one caching server in line with the netboot server",
        [
            "Runs M(netboot.syncer.sync_assets) on the netboot server, for the caching server of the play.",
            "Its result is in the variable C(netboot_sync_result).",
            "A caching server fails with one line that names the host, the path and the remedy.",
        ],
        None,
        {},
    ),
    "preflight": EntryPoint(
        "Find the source of each caching server, and check whether it can send",
        [
            "Run it in its own play, before that of C(main), with C(run_once): it handles all hosts of the play.",
            "It ends the play if no source can send, or if Ansible has fewer forks than caching servers.",
            "Its results are in C(netboot_sync_preflight) and C(netboot_sync_sources).",
        ],
        ("src", "source", "fallback_source", "source_address", "source_port", "source_user", "transport")
        + ("allow_few_forks",),
        {},
    ),
    "survey": EntryPoint(
        "Find out which caching servers have nothing to do",
        [
            "Checks all hosts of the play in one process, after C(preflight); it takes the variables of C(main).",
            "Their names are in C(netboot_sync_survey.in_line), which is empty if the survey fails.",
        ],
        (),
        {},
    ),
    "withdraw": EntryPoint(
        "Set markers aside on the netboot server, or put them back",
        [
            "Every later sync takes these images from clients, as long as the record exists.",
            "To take them from clients at once, C(main) has to follow, as in the playbook C(withdraw.yml).",
        ],
        _WHICH,
        {**_WITHDRAW, **_UNDO},
    ),
    "withdrawn_elsewhere": EntryPoint(
        "Record on the netboot server what only caching servers had",
        ["The end of C(withdraw.yml), after C(withdraw) and C(main), for the caching servers that were down."],
        ("marker_names", "pointers"),
        _WITHDRAW,
    ),
    "prune": EntryPoint(
        "Apply retention on the netboot server",
        [
            "At least one of the limits has to be set.",
            "C(netboot_sync_pruning) then lists what to remove from the caching servers as well.",
        ],
        (*_WHICH, "grace"),
        _PRUNE,
    ),
}
