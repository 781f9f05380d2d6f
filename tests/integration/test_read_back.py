# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading back over SFTP returns the file up to the stated size, plus one byte that shows if it is longer."""

from __future__ import annotations

import os

import pytest
from ansible_collections.netboot.syncer.plugins.module_utils.ssh.open_file import BLOCK_SIZE, WINDOW
from ansible_collections.netboot.syncer.plugins.module_utils.ssh.session import Session

from tests.lab.fleet import Fleet
from tests.lab.runs import SITE, address_of


def test_every_size_is_read_as_far_as_was_said(fleet: Fleet) -> None:
    file = fleet.sites[SITE].assets / "file"
    sizes = [0, 1, BLOCK_SIZE - 1, BLOCK_SIZE, BLOCK_SIZE + 1, 3 * BLOCK_SIZE, (WINDOW + 1) * BLOCK_SIZE + 7]
    with Session(address_of(fleet)) as session:
        sftp = session.sftp()
        for size in sizes:
            content = os.urandom(size)
            file.write_bytes(content)
            for said in (size, 0, max(size - 1, 0), size // 2, size + 1, 2 * size + 5 * BLOCK_SIZE):
                assert sftp.read(str(file), said) == content[: said + 1], (size, said)
                assert sftp.look(str(file)) is not None  # no answer was left over for the next request


def test_file_that_grows_or_is_cut_meanwhile(fleet: Fleet) -> None:
    file = fleet.sites[SITE].assets / "file"
    size = 2 * WINDOW * BLOCK_SIZE
    with Session(address_of(fleet)) as session:
        sftp = session.sftp()
        for then in (b"more", None):
            file.write_bytes(bytes(size))
            blocks = sftp.blocks(str(file), size)
            first = next(blocks)
            if then is None:
                os.truncate(file, size // 2 + 7)
            else:
                with file.open("ab") as end:
                    end.write(then)
            found = len(first) + sum(len(block) for block in blocks)
            # requests sent ahead may have been answered before
            assert found == size + 4 if then else size // 2 < found < size
            assert sftp.look(str(file)) is not None


def test_what_is_no_file_is_an_error(fleet: Fleet) -> None:
    assets = fleet.sites[SITE].assets
    with Session(address_of(fleet)) as session:
        with pytest.raises(FileNotFoundError):
            session.sftp().read(f"{assets}/nothing", 1)
        with pytest.raises(OSError, match="Failure"):
            session.sftp().read(str(assets), 1)
