# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine with its own systemd, booted from the bare system, on the lab's network and on no other."""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from tests.lab.namespaces import NAMES, command
from tests.lab.process import LabError, Supervised, find_program

from .packages import Base

BRIDGE = "machines"
ENVIRONMENT = {
    "HOME": "/root",
    "LC_ALL": "C.UTF-8",
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "TERM": "dumb",
}
BOOT_PATIENCE = 60.0


def make_network(address: str) -> None:
    """Make the bridge that connects all machines, in the lab's own network, with an address for the workstation."""
    command("ip", "link", "add", BRIDGE, "type", "bridge")
    command("ip", "address", "add", f"{address}/24", "dev", BRIDGE)
    command("ip", "link", "set", BRIDGE, "up")


class Machine:
    """A machine; it runs from :meth:`boot` to :meth:`off`.

    :arg directory: everything that it writes is kept in here, and nothing in *base*.
    :arg disk: bytes of a data disk at ``/srv/netboot``; 0 for none.
    """

    def __init__(self, base: Base, directory: Path, name: str, address: str, *, disk: int = 0) -> None:
        self.name = name
        self.address = address
        self.root = directory / name / "root"
        self._base = base
        self._directory = directory / name
        self._disk = disk
        self._running: Supervised | None = None

    def install(self, administrator: str) -> None:
        """Install a fresh system on it, with its own host keys, and a root login for the key *administrator*."""
        for kept in ("upper", "work", "root"):
            (self._directory / kept).mkdir(parents=True)
        layers = f"lowerdir={self._base.system},upperdir={self._directory}/upper,workdir={self._directory}/work"
        command("mount", "-t", "overlay", "-o", layers, self.name, str(self.root))
        (self.root / "etc" / "hostname").write_text(f"{self.name}\n", "ascii")
        (self.root / "etc" / "hosts").write_text(f"127.0.0.1 localhost\n{self.address} {self.name}\n", "ascii")
        login = self.root / "root" / ".ssh"
        login.mkdir(mode=0o700, exist_ok=True)
        (login / "authorized_keys").write_text(f"{administrator}\n", "ascii")
        command(find_program("ssh-keygen", "openssh-client"), "-A", "-f", str(self.root))

    def uninstall(self) -> None:
        """Remove its system; a data disk stays."""
        command("umount", str(self.root))
        command("rm", "-rf", *(str(self._directory / kept) for kept in ("upper", "work", "root")))

    def boot(self) -> None:
        """Switch it on, and wait until its SSH server answers."""
        self._plug_in()
        words = [find_program("systemd-nspawn", "systemd-container"), "--quiet", f"--directory={self.root}", "--boot"]
        words += ["--register=no", "--keep-unit", "--resolv-conf=off", "--link-journal=no", f"--machine={self.name}"]
        words += [f"--network-namespace-path={NAMES / self.name}"]
        words += [f"--bind-ro={self._base.packages}:/srv/packages"]
        if self._disk:
            disk = self._directory / "disk"
            if not disk.exists():
                disk.mkdir()
                command("mount", "-t", "tmpfs", "-o", f"size={self._disk},mode=755", "disk", str(disk))
            words.append(f"--bind={disk}:/srv/netboot")
        console = self._directory / "console"
        with console.open("wb") as output:
            # Otherwise the forced command's sandbox gets no /proc: the kernel refuses a mount that shows more than the
            # outer one.
            environment = {**os.environ, "SYSTEMD_NSPAWN_API_VFS_WRITABLE": "yes"}
            self._running = Supervised(words, stdout=output, stderr=output, env=environment)
        deadline = time.monotonic() + BOOT_PATIENCE
        while not self.answers():
            if time.monotonic() > deadline or not self._running.running:
                self.off()
                raise LabError(f"{self.name} does not boot: {console.read_text(errors='replace')[-2000:]}")
            time.sleep(0.1)

    def off(self) -> None:
        """Switch it off, as in a power cut."""
        if self._running is not None:
            self._running.stop()
            self._running = None
        with contextlib.suppress(LabError):
            command("ip", "netns", "delete", self.name)

    def _plug_in(self) -> None:
        cable = f"port-{self.address.rpartition('.')[2]}"  # at most 15 characters
        command("ip", "netns", "add", self.name)
        command("ip", "link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", self.name)
        command("ip", "link", "set", cable, "master", BRIDGE, "up")
        command("ip", "-n", self.name, "link", "set", "lo", "up")
        command("ip", "-n", self.name, "address", "add", f"{self.address}/24", "dev", "eth0")
        command("ip", "-n", self.name, "link", "set", "eth0", "up")

    def answers(self, port: int = 22) -> bool:
        """Whether a server answers at this port."""
        with contextlib.suppress(OSError), socket.create_connection((self.address, port), timeout=2):
            return True
        return False

    def known_hosts(self) -> str:
        """Its host keys as the administrator reads them on its console, as lines of a known hosts file."""
        keys = sorted((self.root / "etc" / "ssh").glob("ssh_host_*_key.pub"))
        return "".join(f"{self.address} {' '.join(key.read_text('ascii').split()[:2])}\n" for key in keys)

    def run(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command on its console, as root. Raises LabError if it fails, unless *check* is false."""
        if self._running is None:
            raise LabError(f"{self.name} is off")
        first = next(self._first_processes(), None)
        if first is None:
            raise LabError(f"{self.name} has no first process any more")
        enter = [
            find_program("nsenter", "util-linux"),
            f"--target={first}",
            "--mount",
            "--pid",
            "--uts",
            "--ipc",
            "--net",
        ]
        enter.append("--wd=/")
        done = subprocess.run(
            [*enter, *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            env=ENVIRONMENT,
        )
        if check and done.returncode != 0:
            raise LabError(f"{self.name}: {' '.join(words)}: {done.stderr.strip() or done.stdout.strip()}")
        return done

    def written(self) -> dict[str, tuple[int | str, ...]]:
        """The state of the places that onboarding writes to: kind and mode, owner, size, and a hash of small files."""
        places = ("etc", "srv", "usr/bin", "usr/local", "var/lib/netboot", "var/lib/netboot-sync", "home")
        found: dict[str, tuple[int | str, ...]] = {}
        for path in [path for place in places for path in (self.root / place).rglob("*")]:
            seen = path.lstat()
            text = path.read_bytes() if stat.S_ISREG(seen.st_mode) and seen.st_size < 1_000_000 else b""
            size = seen.st_size if stat.S_ISREG(seen.st_mode) else 0
            found[str(path)] = (seen.st_mode, seen.st_uid, seen.st_gid, size, hashlib.sha256(text).hexdigest())
        return found

    def bring_python(self) -> None:
        """Install what Ansible's modules need, as the administrator would."""
        self.run("apt-get", "-q", "update")
        self.run("apt-get", "-q", "install", "--yes", "--no-install-recommends", "python3", "python3-apt")

    def _first_processes(self) -> Iterator[int]:
        """Yield the systemd of the machine: the process of ours that is number 1 in a nested process namespace."""
        running = self._running
        for pid in running.pids() if running else ():
            with contextlib.suppress(OSError):
                status = Path("/proc", str(pid), "status").read_text("ascii")
                numbers = status.partition("NSpid:")[2].partition("\n")[0].split()
                if (
                    len(numbers) > 1
                    and numbers[-1] == "1"
                    and Path("/proc", str(pid), "comm").read_text() == "systemd\n"
                ):
                    yield pid
