# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a thief of the netboot server's key might try on a caching server."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator

from .fleet import Fleet

Done = subprocess.CompletedProcess[str]
ASSETS = "/srv/netboot/assets"


def _failed(done: Done) -> bool:
    return done.returncode != 0


def attempts(fleet: Fleet, site: str) -> Iterator[tuple[str, list[str], Callable[[Done], bool]]]:
    """Yield what is tried, the command for the netboot server's console, and a check that it was refused."""
    machine = fleet.sites[site]
    ssh = ["ssh", "-F", "none", "-i", "/etc/netboot/caching-server.pem", "-o", "BatchMode=yes"]
    ssh += ["-o", "UserKnownHostsFile=/etc/netboot/known_hosts"]
    login = f"netboot@{machine.address}"

    def is_there(path: str) -> bool:
        return machine.run("test", "-e", path, check=False).returncode == 0

    # This one must work, so that the others fail for the right reason.
    yield "an image can be written", [*ssh, login, f"test -w {ASSETS}"], lambda done: done.returncode == 0
    yield "a shell", [*ssh, login], _failed
    yield "the accounts", [*ssh, login, "cat /etc/shadow || cat /etc/ssh/sshd_config"], _failed
    yield "its own keys", [*ssh, login, "cat /var/lib/netboot-sync/.ssh/authorized_keys"], _failed
    keys = machine.root / "var/lib/netboot-sync/.ssh/authorized_keys"
    before = keys.read_text("ascii")
    own = "echo >>/var/lib/netboot-sync/.ssh/authorized_keys; echo >/var/lib/netboot-sync/.ssh/rc; false"
    yield "another key", [*ssh, login, own], lambda _: keys.read_text("ascii") == before
    yield "a file elsewhere", [*ssh, login, "echo >/tmp/left; echo >/var/tmp/left"], lambda _: not is_there("/tmp/left")
    link = f"ln -s /var/tmp {ASSETS}/out; echo >{ASSETS}/out/left; rm {ASSETS}/out"
    yield "a file elsewhere by a link", [*ssh, login, link], lambda _: not is_there("/var/tmp/left")
    yield "another account", [*ssh, login, "su -c true || sudo -n true"], _failed
    yield "the network", [*ssh, login, f"bash -c 'echo >/dev/tcp/{fleet.netboot.address}/22'"], _failed
    yield "a tunnel", [*ssh, "-W", f"{fleet.netboot.address}:22", login], _failed
    yield "root", [*ssh, f"root@{machine.address}", "true"], _failed
