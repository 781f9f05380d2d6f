# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The DHCP servers for which the role has examples, as real programs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.lab.fleet import CHECKOUT
from tests.lab.process import STANDARD_PATH

EXAMPLES = CHECKOUT / "roles" / "netboot_boot_menu" / "files" / "dhcp"
UNPACKED = CHECKOUT / ".cache" / "dhcp"  # unpacked packages, see prepare_dhcp of ./dev
WITHIN = Path("/opt/dhcp")  # where they are on a host of the lab
DNSMASQ = ("--keep-in-foreground", "--port=0", "--user=root", "--log-facility=-")


@dataclass(frozen=True)
class Dhcp:
    """A DHCP server.

    :ivar program: its name; it is either installed or in an unpacked package.
    :ivar example: the name of the role's example for it.
    :ivar tests: the arguments that make it only check a configuration file, whose name comes last.
    :ivar serves: returns the arguments that make it serve the network device ``lan`` with a configuration file.
    :ivar adapt: makes the changes to the example that an administrator has to make.
    """

    program: str
    example: str
    tests: tuple[str, ...]
    serves: Callable[[str], tuple[str, ...]]
    adapt: Callable[[str], str] = str

    def where(self) -> Path | None:
        """The path of the program on this machine; None if it is missing."""
        found = shutil.which(self.program, path=f"{os.environ['PATH']}:{STANDARD_PATH}:{UNPACKED / 'usr' / 'sbin'}")
        return Path(found) if found else None


def environment(root: Path = UNPACKED) -> dict[str, str]:
    """The environment with which a program of an unpacked package finds its libraries and writes only where it may."""
    libraries = sorted({str(root / path.parent.relative_to(UNPACKED)) for path in UNPACKED.glob("usr/lib/*/lib*.so*")})
    return {"LD_LIBRARY_PATH": ":".join(libraries), "KEA_PIDFILE_DIR": "/run", "KEA_LOCKFILE_DIR": "none"}


SERVERS: Mapping[str, Dhcp] = {
    one.program: one
    for one in (
        Dhcp(
            "dnsmasq",
            "dnsmasq.conf",
            ("--test", "-C"),
            lambda file: (
                *("--conf-file=" + file, "--interface=lan", "--bind-interfaces", "--no-ping", "--dhcp-authoritative"),
                *("--log-dhcp", "--dhcp-leasefile=/run/leases", *DNSMASQ),
            ),
        ),
        Dhcp(
            "dhcpd",
            "dhcpd.conf",
            ("-t", "-cf"),
            lambda file: ("-4", "-f", "-d", "-cf", file, "-lf", "/run/dhcpd.leases", "--no-pid", "lan"),
        ),
        Dhcp(
            "kea-dhcp4",
            "kea-dhcp4.json",
            ("-t",),
            lambda file: ("-c", file),
            lambda text: text.replace('"interfaces": []', '"interfaces": ["lan"]'),
        ),
    )
}
