# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Caching servers that feed others: the path of an image from the netboot server over any number of hubs. Pure."""

from __future__ import annotations

import typing as t


class CircularSources(Exception):
    """A caching server could never get anything from a netboot server; the text is one line."""


def way_to(host: str, source_of: t.Callable[[str], str], fleet: t.Collection[str], variable: str) -> list[str]:
    """Return the hosts from a netboot server to a caching server, both included.

    :param source_of: returns the source of a host, empty if it has none.
    :param fleet: all caching servers. A source that is not one of them is a netboot server.
    :param variable: what names a source, for the message.

    Raises :class:`CircularSources`.
    """
    found = [host]
    while found[0] in fleet:
        source = source_of(found[0])
        if source in found:
            if source == found[0]:
                raise CircularSources(
                    f"{source}: it is its own source. Set {variable} of it to the netboot server, or to another hub."
                )
            circle = [*found[: found.index(source)], source]
            first = circle.index(min(circle))  # whichever host it was found from, it is reported once
            circle = [*circle[first:], *circle[:first]]
            raise CircularSources(
                f"{' -> '.join([*circle, circle[0]])}: these caching servers feed each other in a circle, so nothing"
                f" reaches them from the netboot server. Set {variable} of one of them to it."
            )
        if not source:
            break
        found.insert(0, source)
    return found
