# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs of ansible-playbook with a killed process: what runs for them, on the controller and on each server.

A process is recognised by its environment: what the controller starts is marked, and what an OpenSSH server starts has
the address and port of the connection.
"""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Collection, Mapping
from pathlib import Path

from .fleet import CHECKOUT, Fleet
from .process import Supervised
from .sshd import CachingServer
from .supervise import descendants

_MARK = "NETBOOT_LAB_RUN"
# Runs the command, and outlives it, or else the lab would end what it leaves behind.
_OUTLIVE = '"$@"; echo "ended: $?"; exec sleep 600'


class Run:
    """A run of ansible-playbook with a fleet's inventory, in its own session, that may leave something behind.

    :arg servers: further OpenSSH servers that take part, such as a netboot server elsewhere.
    """

    def __init__(
        self,
        fleet: Fleet,
        *arguments: str,
        playbook: str = "playbooks/sync.yml",
        servers: Collection[CachingServer] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._marks = [f"{_MARK}={uuid.uuid4().hex}"]
        name, value = self._marks[0].split("=")
        for server in [*(site.server for site in fleet.sites.values()), *servers]:
            self._marks.append(f" {server.address} {server.port}\0")
        self._log = fleet.directory / f"log-{value}"
        program = str(Path(sys.executable).with_name("ansible-playbook"))
        ours = {"ANSIBLE_CONFIG": str(CHECKOUT / "ansible.cfg"), "PYTHONUNBUFFERED": "1", name: value}
        with self._log.open("wb") as output:
            self._shell = Supervised(
                ["sh", "-c", _OUTLIVE, "sh", program, playbook, "-i", str(fleet.inventory), *arguments],
                stdout=output,
                stderr=output,
                cwd=CHECKOUT,
                env={**os.environ, **ours, **(environment or {})},
            )

    @property
    def output(self) -> str:
        """Its output so far."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    @property
    def main(self) -> int:
        """The process id of ansible-playbook itself; 0 if it is not running."""
        shells = [pid for pid in self._shell.pids() if _OUTLIVE in _words(pid)]
        # a child of the shell looks like the shell until it has become another program
        shell = next((pid for pid in shells if _parent(pid) not in shells), 0)
        return next((pid for pid in descendants(shell) if _parent(pid) == shell and "playbook" in _words(pid)), 0)

    def workers(self, command: str = "") -> list[int]:
        """The process ids of Ansible's workers that have started something, or that *command*."""
        main = self.main
        ours = [pid for pid in descendants(main) if _parent(pid) == main] if main else []
        return [pid for pid in ours if any(command in _words(one) for one in descendants(pid))]

    @property
    def status(self) -> int | None:
        """The exit status of ansible-playbook; None while it runs."""
        _unused, ended, status = self.output.rpartition("\nended: ")
        return int(status) if ended and status.strip() else None

    def at_work(self) -> list[str]:
        """The command lines of everything that runs for it, except the servers and shared connections."""
        found = []
        for name in os.listdir("/proc"):
            try:
                environment = Path(f"/proc/{name}/environ").read_bytes() if name.isdigit() else b""
            except OSError:
                continue
            words = _words(int(name)) if environment else ""
            ours = any(os.fsencode(mark) in environment for mark in self._marks)
            if ours and not any(word in words for word in ("[mux]", _OUTLIVE, "supervise", "sleep 600")):
                found.append(f"{name}: {words}")
        return found

    def modules(self) -> list[int]:
        """The process ids of the modules, on whatever machine.

        Each is a Python that is not part of Ansible itself, or a fork of a worker that has taken the module's name.
        """
        found = [(int(pid), words) for pid, _colon, words in (one.partition(":") for one in self.at_work())]
        return [pid for pid, words in found if _is_module(words) or _name(pid) == "sync_assets"]

    def stop(self) -> None:
        """End it, with all its descendants."""
        self._shell.stop()

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *_unused: object) -> None:
        self.stop()


def _words(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _is_module(words: str) -> bool:
    program = Path(words.split()[0]).name if words.split() else ""
    return program.startswith("python") and "ansible-playbook" not in words and "-I -S" not in words


def _parent(pid: int) -> int:
    try:
        return int(
            Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[1]
        )
    except OSError:
        return 0
