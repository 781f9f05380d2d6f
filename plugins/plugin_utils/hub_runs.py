# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The state of the runs for the caching servers of a play, for those that are fed by one of them.

Each worker process keeps a small file in the directory for temporary files that all processes of one ansible-playbook
share. It is locked (``flock``) as long as its run is active, so it is right even for a worker that was killed: it gets
its name once it is locked, and its result, a line, at its end.

Nobody waits more than a moment for a run that has not begun: so runs with a fork always end, and however few forks
there are, hubs and those behind them never deadlock.
"""

from __future__ import annotations

import contextlib
import enum
import fcntl
import hashlib
import json
import os
import tempfile
import typing as t

STARTING = 30.0  # seconds to wait for a run that has not begun
_NO_RESULT = "it ended without a result"


class Stage(enum.Enum):
    """The state of a run."""

    UNKNOWN = "nothing is known of it"
    AT_WORK = "it is at work"
    OVER = "it has ended"


class Seen(t.NamedTuple):
    """What is known about a run: ``trouble`` is why it did not send everything, in one line."""

    stage: Stage
    trouble: str = ""


def is_followed(seen: Seen, *, expected: bool, waited: float) -> bool:
    """Return whether those that a hub feeds keep looking for what it gets. Pure.

    :param expected: whether a run for it belongs to this play.
    :param waited: for how many seconds they have.
    """
    return seen.stage is Stage.AT_WORK or (seen.stage is Stage.UNKNOWN and expected and waited < STARTING)


class HubRuns:
    """The runs of one play.

    :param directory: what all processes of this ansible-playbook share.
    :param play: tells this play from the others in it.
    """

    def __init__(self, directory: str, play: str) -> None:
        self._directory = directory
        self._play = play

    def _path(self, host: str) -> str:
        name = hashlib.sha256(f"{self._play} {host}".encode()).hexdigest()[:32]
        return os.path.join(self._directory, f"netboot-syncer-{name}")

    @contextlib.contextmanager
    def begun(self, host: str) -> t.Iterator[t.Callable[[str], None]]:
        """Announce that the run for a host is active during the block; the yielded object takes its result.

        If nothing can be written, nobody learns of it, and the run continues.
        """
        told = [_NO_RESULT]
        with contextlib.ExitStack() as stack:
            with contextlib.suppress(OSError):
                descriptor, unnamed = tempfile.mkstemp(prefix="netboot-syncer-", dir=self._directory)
                stack.callback(os.close, descriptor)
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                os.rename(unnamed, self._path(host))
                stack.callback(lambda: _tell(descriptor, told[0]))
            yield lambda trouble: told.__setitem__(0, trouble)

    def look(self, host: str) -> Seen:
        """Return the state of the run for a host."""
        try:
            with open(self._path(host), encoding="ascii") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    return Seen(Stage.AT_WORK)
                said = file.read()
        except OSError:
            return Seen(Stage.UNKNOWN)
        return Seen(Stage.OVER, json.loads(said) if said.endswith("\n") else _NO_RESULT)


def _tell(descriptor: int, trouble: str) -> None:
    with contextlib.suppress(OSError):
        os.write(descriptor, f"{json.dumps(trouble)}\n".encode("ascii"))
