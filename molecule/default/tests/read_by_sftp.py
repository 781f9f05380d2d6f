# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prints as JSON everything below a directory of a caching server, as SFTP shows it: for servers without a shell.

It runs on the netboot server: ``read_by_sftp.py ADDRESS PORT USER KEY KNOWN_HOSTS DIRECTORY``. Each item of the list
is a path relative to the directory, its type and mode as ls shows them, and the SHA-256 of a file or the target of
a symlink. (The program sftp leaves symlinks out.)
"""

from __future__ import annotations

import hashlib
import json
import stat
import sys
from collections.abc import Iterator

import paramiko


def read(sftp: paramiko.SFTPClient, directory: str, below: str = "") -> Iterator[tuple[str, str, str]]:
    """Everything below a directory: path, mode and content."""
    for found in sftp.listdir_attr(f"{directory}/{below}"):
        path, mode, content = f"{below}{found.filename}", found.st_mode or 0, ""
        if stat.S_ISLNK(mode):
            content = sftp.readlink(f"{directory}/{path}") or ""
        elif stat.S_ISREG(mode):
            with sftp.open(f"{directory}/{path}") as file:
                content = hashlib.sha256(file.read()).hexdigest()
        yield path, stat.filemode(mode), content
        if stat.S_ISDIR(mode):
            yield from read(sftp, directory, f"{path}/")


def main(address: str, port: str, user: str, key: str, known_hosts: str, directory: str) -> None:
    """Log in, read, print."""
    with paramiko.SSHClient() as client:
        client.load_host_keys(known_hosts)
        client.connect(address, int(port), user, key_filename=key, allow_agent=False, look_for_keys=False)
        with client.open_sftp() as sftp:
            json.dump(list(read(sftp, directory)), sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
