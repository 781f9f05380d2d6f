# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A bare system to boot machines from, and a repository of packages for them, made once and kept.

This is the only step that needs an outside network, and this machine's apt does it, with its own configuration: the
machines themselves have only the lab's network, and find their packages in a directory.
"""

from __future__ import annotations

import fcntl
import gzip
import hashlib
import os
import shutil
import subprocess
import time
from pathlib import Path

from tests.lab.process import LabError, find_program

# Enough for Ansible to log in, and nothing that onboarding is meant to install.
BARE = ("openssh-server", "systemd-sysv", "dbus", "iproute2")
# What the repository offers to the machines.
OFFERED = ("python3", "python3-apt", "python3-paramiko", "rsync", "bubblewrap", "nginx", "openssh-client", "curl")
KEEP = 7 * 24 * 3600  # seconds after which both are made again, to get newer packages
PATIENCE = 900.0


class Base:
    """The bare system (:attr:`system`) and the repository (:attr:`packages`) below *directory*."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory.absolute()
        self.system = self.directory / "system"
        self.packages = self.directory / "packages"

    def make(self) -> None:
        """Make both, if they are missing or too old. Of two callers at the same time, one waits for the other."""
        self.directory.mkdir(parents=True, exist_ok=True)
        with (self.directory / "lock").open("w", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            done = self.directory / "done"
            wanted = " ".join((*BARE, "/", *OFFERED))
            if done.exists() and time.time() - done.stat().st_mtime < KEEP and done.read_text("ascii") == wanted:
                return
            for path in (self.system, self.packages):
                shutil.rmtree(path, ignore_errors=True)
            done.unlink(missing_ok=True)
            self._bootstrap()
            self._download()
            done.write_text(wanted, "ascii")

    def _bootstrap(self) -> None:
        release = _run("sh", "-c", '. /etc/os-release; echo "$VERSION_CODENAME"').strip()
        sources = _run("apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE)", "Created-By: Packages")
        mirror = next((line.split()[0] for line in sources.splitlines() if line.split()[1:] == [release]), None)
        if mirror is None:
            raise LabError(f"apt on this machine knows no packages of {release}: is it Debian or Ubuntu?")
        cache = self.directory / "debootstrap"
        cache.mkdir(exist_ok=True)
        program = find_program("debootstrap", "debootstrap")
        options = ["--variant=minbase", f"--cache-dir={cache}", f"--include={','.join(BARE)}"]
        _run(program, *options, release, str(self.system), mirror)
        # Each machine gets its own host keys and machine id, and none has the network that these apt files point to.
        for path in (self.system / "etc" / "ssh").glob("ssh_host_*"):
            path.unlink()
        (self.system / "etc" / "machine-id").unlink(missing_ok=True)
        (self.system / "etc" / "apt" / "sources.list").write_text("deb [trusted=yes] file:/srv/packages ./\n")
        (self.system / "etc" / "systemd" / "system" / "console-getty.service").symlink_to("/dev/null")
        for path in (self.system / "var" / "lib" / "apt" / "lists").glob("*Packages*"):
            path.unlink()

    def _download(self) -> None:
        """Have apt fetch the offered packages, with everything that they need on the bare system."""
        (self.packages / "partial").mkdir(parents=True)
        options = {
            "Dir::State::status": self.system / "var" / "lib" / "dpkg" / "status",
            "Dir::Cache::archives": self.packages,
            "Debug::NoLocking": "1",
            "APT::Install-Recommends": "0",
            "APT::Sandbox::User": "root",
        }
        settings = [f"-o{name}={value}" for name, value in options.items()]
        _run("apt-get", "-q", *settings, "--yes", "--download-only", "install", *OFFERED)
        (self.packages / "partial").rmdir()
        entries = []
        for path in sorted(self.packages.glob("*.deb")):
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            control = _run("dpkg-deb", "--field", str(path)).strip()
            entries.append(f"{control}\nFilename: ./{path.name}\nSize: {path.stat().st_size}\nSHA256: {digest}\n")
        index = "\n".join(entries).encode()
        (self.packages / "Packages").write_bytes(index)
        (self.packages / "Packages.gz").write_bytes(gzip.compress(index, mtime=0))


def _run(*command: str) -> str:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False, env=environment)
    if done.returncode != 0:
        raise LabError(f"{' '.join(command[:3])} ... failed: {(done.stderr or done.stdout)[-2000:]}")
    return done.stdout
