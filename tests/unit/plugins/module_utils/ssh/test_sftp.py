# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the errors of paramiko's SFTP client become."""

from __future__ import annotations

import errno
import socket

import pytest
from ansible_collections.netboot.syncer.plugins.module_utils.errors import SyncError
from ansible_collections.netboot.syncer.plugins.module_utils.ssh.sftp_client import translate
from ansible_collections.netboot.syncer.plugins.module_utils.ssh.sftp_names import Budget
from paramiko.ssh_exception import SSHException


class OldTimeout(OSError):
    """What ``socket.timeout`` is before Python 3.10: not a TimeoutError."""


def fail(error: Exception) -> None:
    """Take the place of a call to the server."""
    raise error


@pytest.mark.parametrize("kind", [TimeoutError, OldTimeout])
def test_silence_stays_silence(kind: type[OSError], monkeypatch: pytest.MonkeyPatch) -> None:
    """Taken for a refusal, it would count as damage, and a good marker would be withdrawn."""
    if kind is OldTimeout:
        # the tests may run on a newer Python, where the two are one class
        monkeypatch.setattr(socket, "timeout", OldTimeout)
    with pytest.raises(kind):
        translate(fail, kind())


def test_refusal_without_a_number_gets_one() -> None:
    with pytest.raises(OSError, match="Bad message") as caught:
        translate(fail, OSError("Bad message"))
    assert caught.value.errno == errno.EIO


def test_closed_channel_is_nothing_that_the_server_said() -> None:
    with pytest.raises(SSHException, match="the channel is closed"):
        translate(fail, OSError("Socket is closed"))


@pytest.mark.parametrize("budget", [Budget(entries=3), Budget(names=30)], ids=["entries", "names"])
def test_a_listing_has_a_bound(budget: Budget) -> None:
    for _unused in range(3):
        budget.take("/srv", 10)
    with pytest.raises(SyncError, match="there is no end to its listing"):
        budget.take("/srv", 10)
