# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The entry points of the role netboot_sync, as its argument specs describe them."""

from __future__ import annotations

from typing import Any, NamedTuple


class EntryPoint(NamedTuple):
    """One file of tasks that plays may name.

    :ivar shared: the options of options.py that it takes, by name; None: all of them.
    :ivar own: the options that nothing else has, as Ansible wants them.
    """

    short_description: str
    description: list[str]
    shared: tuple[str, ...] | None
    own: dict[str, Any]


_WHICH = ("src", "source", "source_address", "source_port", "source_user", "marker_names", "pointers")
_WITHDRAW = {
    "netboot_withdraw": {
        "description": ["The images, as a pattern relative to the tree or a list of them, such as V(prod/x*)."],
        "type": "raw",
        "required": True,
    },
    "netboot_withdraw_purge": {
        "description": ["Whether the squashfs goes from caching servers as well, in the first sync after the grace."],
        "type": "bool",
        "default": False,
    },
}
_UNDO = {
    "netboot_withdraw_undo": {
        "description": ["Whether the images are put back instead."],
        "type": "bool",
        "default": False,
    },
}
_PRUNE = {
    "netboot_prune_keep_last": {
        "description": ["How many images stay for each directory and flavour, the newest ones."],
        "type": "int",
    },
    "netboot_prune_max_age": {
        "description": ["The age beyond which an image goes, such as V(30d); the newest stays whatever its age."],
        "type": "str",
    },
    "netboot_prune_max_size": {
        "description": ["What the images of a directory and flavour may take together, such as V(20GB)."],
        "type": "str",
    },
    "netboot_prune_keep": {
        "description": ["Patterns of images that stay in any case."],
        "type": "list",
        "elements": "str",
    },
}

ENTRY_POINTS = {
    "main": EntryPoint(
        "Bring one caching server in line with the netboot server",
        [
            "Runs M(netboot.syncer.sync_assets) on the netboot server, for the caching server that the play is about.",
            "Its result is left in the variable C(netboot_sync_result).",
            "A caching server that fails does so with one line that names the host, the path and the remedy.",
        ],
        None,
        {},
    ),
    "preflight": EntryPoint(
        "See from where each caching server is synced, and whether that host can send",
        [
            "For a play of its own, before that of C(main), and with C(run_once): it is about all hosts of the play.",
            "It ends the play where no source can send, or where Ansible has fewer forks than caching servers.",
            "What it found is left in C(netboot_sync_preflight) and C(netboot_sync_sources).",
        ],
        ("src", "source", "fallback_source", "source_address", "source_port", "source_user", "transport")
        + ("allow_few_forks",),
        {},
    ),
    "survey": EntryPoint(
        "Find out which caching servers have nothing to do",
        [
            "Looks at all hosts of the play in one process, after C(preflight); it takes the variables of C(main).",
            "Their names are left in C(netboot_sync_survey.in_line). Where it fails, nobody is in there.",
        ],
        (),
        {},
    ),
    "withdraw": EntryPoint(
        "Set markers aside on the netboot server, or put them back",
        [
            "Every later sync takes these images from clients, for as long as the record is there.",
            "To take them from clients at once, C(main) has to follow, as in the playbook C(withdraw.yml).",
        ],
        _WHICH,
        {**_WITHDRAW, **_UNDO},
    ),
    "withdrawn_elsewhere": EntryPoint(
        "Record on the netboot server what only caching servers had",
        ["The end of C(withdraw.yml), after C(withdraw) and C(main), for the caching servers that were away."],
        ("marker_names", "pointers"),
        _WITHDRAW,
    ),
    "prune": EntryPoint(
        "Apply retention on the netboot server",
        [
            "At least one of the limits has to be set.",
            "What is to go from the caching servers as well is left in C(netboot_sync_pruning).",
        ],
        (*_WHICH, "grace"),
        _PRUNE,
    ),
}
