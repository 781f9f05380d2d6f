# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The directory of a caching server's tree: refused if it cannot be one, or is the source's own."""

from __future__ import annotations

import posixpath

from ..errors import ConnectionTrouble, SyncError
from ..options import called
from ..ssh import itself
from ..ssh.base import BaseSession
from ..ssh.pipelined import Pipelined
from ..ssh.sftp import Sftp
from ..transports.work_area import WorkArea
from .trial import describe_space, is_full


def require(
    session: BaseSession, sftp: Sftp, dest: str, *, source: str, place: itself.Place | None, area: WorkArea
) -> bool:
    """Raise :class:`SyncError` if there is no directory to write to, nor a place to make it.

    Nor may it be the tree of the ``source`` itself; ``place`` is where ``dest`` is according to the shell. Returns
    whether it exists. The ``area`` learns whether it is there, too, without a question of its own.
    """
    if place is not None:
        what = itself.relation(itself.place(source), place)
    else:
        what = itself.SAME if itself.is_seen(sftp, dest, source) else ""
    if what:
        raise itself.refusal(session.where, dest, what)
    found, inside, hidden = Pipelined(sftp).look([dest, f"{dest}/.", area.root])
    for answer in (found, inside):
        if isinstance(answer, OSError) and not isinstance(answer, FileNotFoundError):
            raise answer
    if isinstance(found, OSError):
        # Often a file system that is not mounted; anything written below its mount point would be hidden later.
        if sftp.look(f"{posixpath.dirname(dest)}/.") is None:
            raise SyncError(
                "the destination is not there, and neither is the directory above it",
                path=dest,
                remedy=f"Mount or make it on the caching server, or set {called('dest')}.",
            )
        return False
    if isinstance(inside, OSError):
        raise SyncError(
            "the destination is not a directory",
            path=dest,
            remedy=f"Move it away on the caching server, or set {called('dest')}.",
        )
    area.note(hidden)
    return True


def unwritable(session: BaseSession, sftp: Sftp, dest: str, error: OSError) -> SyncError:
    """Return in words why nothing can be written to the destination."""
    trouble = session.in_words(error)
    if isinstance(trouble, ConnectionTrouble):
        return trouble
    words = error.strerror or str(error)
    remedy = f"Give it to {session.settings.user or 'the user of the sync'} on the caching server."
    space = sftp.space(dest)
    if space is not None and space.read_only:
        words, remedy = "its file system is read-only", "Mount it writable; if it was, look for disk errors."
    elif space is not None and is_full(space):
        words, remedy = f"its file system is full, {describe_space(space)}", "Free some space there."
    return SyncError(f"the destination cannot be written ({words})", path=dest, remedy=remedy)
