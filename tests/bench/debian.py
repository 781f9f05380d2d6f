# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Debian images as an administrator builds them: a base, the next day, the next week, a complete rebuild."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.lab.process import STANDARD_PATH, find_program

from .squash import STEP_TIMEOUT, compress_all, touch_all

MOST_OF_A_PACKAGE = 5_000_000  # bytes of a .deb; leaves out kernels, which are no part of an ordinary upgrade
LEAST_OF_A_PACKAGE = 20_000
SMALL = 400_000  # bytes of a .deb, together with those that have to be upgraded with it
DOZEN = 12
EPOCH = "1700000000"  # SOURCE_DATE_EPOCH of the initrd
# Installed in this order for the first build, in reverse order for the rebuild.
PACKAGES = (
    ("openssh-server", "python3", "perl", "ca-certificates", "openssl", "systemd-sysv", "udev", "locales", "tzdata"),
    ("linux-image-cloud-amd64", "initramfs-tools", "zstd"),
    ("xserver-xorg-core", "xterm", "fonts-dejavu", "dbus", "avahi-daemon", "cups-client"),
    ("gstreamer1.0-plugins-good", "gstreamer1.0-plugins-base", "poppler-utils", "ghostscript"),
)


class NoDebian(Exception):
    """A Debian root file system cannot be made here; the message says why."""


@dataclass(frozen=True)
class Archive:
    """One archive of the distribution, as this machine's apt knows it."""

    uri: str
    suite: str


def archives() -> tuple[Archive, list[Archive]]:
    """The release's main archive, and the archives with updates to it, from this machine's apt. Raises NoDebian."""
    if shutil.which("apt-get") is None:
        raise NoDebian("this machine has no apt")
    try:
        return _known_archives()
    except NoDebian:
        # The lists were never fetched, or only in part, as in some container images.
        subprocess.run(["apt-get", "-q", "update"], stdin=subprocess.DEVNULL, capture_output=True, check=False)
        return _known_archives()


def _known_archives() -> tuple[Archive, list[Archive]]:
    """The same, but only those whose lists apt already has. Raises NoDebian."""
    answer = subprocess.run(
        [
            "apt-get",
            "indextargets",
            "--format",
            "$(REPO_URI) $(CODENAME) $(COMPONENT) $(ORIGIN)",
            "Created-By: Packages",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    found: dict[str, str] = {}
    for row in answer.stdout.splitlines():
        uri, codename, component, origin = (row.split(" ", 3) + ["", "", ""])[:4]
        if component == "main" and origin == "Debian":
            found.setdefault(codename, uri)
    bases = [name for name in found if "-" not in name]
    if not bases:
        raise NoDebian("apt on this machine knows no Debian archive")
    base = bases[0]
    newer = [Archive(uri, name) for name, uri in found.items() if name.startswith(f"{base}-")]
    if not newer:
        raise NoDebian("apt on this machine knows no archive of updates, so there is no real upgrade to install")
    return Archive(found[base], base), newer


def debian_sets(into: Path, say: Callable[[str], None]) -> dict[str, Any]:
    base, newer = archives()
    if shutil.which("debootstrap", path=f"{os.environ.get('PATH', '')}:{STANDARD_PATH}") is None:
        raise NoDebian("debootstrap is not installed")
    work = into / "work"
    try:
        debian = Debian(work, base, newer)
        say("making Debian images: this takes some minutes, once")
        root = debian.install("first", PACKAGES, say)
        compress_all(into, root, "base", say)
        chosen = debian.upgrade(root, say)
        compress_all(into, root, "day", say)
        say(f"  next week: {' '.join(chosen['week'])}")
        debian.install_newer(root, chosen["week"])
        compress_all(into, root, "week", say)
        versions = {name: debian.changed(root, name) for name in ("day", "week")}
        shutil.rmtree(root)
        root = debian.install("again", tuple(tuple(reversed(group)) for group in reversed(PACKAGES)), say)
        touch_all(root)
        compress_all(into, root, "rebuild", say)
        files = sum(len(names) for _directory, _folders, names in os.walk(root))
    finally:
        shutil.rmtree(work, ignore_errors=True)
    origin = (
        f"Debian {base.suite} made with debootstrap, {files:,} files; next day: {len(versions['day'])} packages from"
        f" the updates of the release; next week: {len(versions['week'])} packages, and their initrd"
    )
    return {"origin": origin, "suite": base.suite, "asked": chosen, "upgraded": versions}


class Debian:
    """Makes root file systems below *work*."""

    def __init__(self, work: Path, base: Archive, newer: Sequence[Archive]) -> None:
        self.work = work
        self.base = base
        self.newer = newer
        self.packages = work / "packages"  # fetched for the first build, used again for the second
        self.log = work.parent / "making.log"
        self._changed: dict[str, list[str]] = {}
        (self.packages / "partial").mkdir(parents=True)

    def install(self, name: str, groups: Sequence[Sequence[str]], say: Callable[[str], None]) -> Path:
        """Make a root file system of the release as it was first published."""
        root = self.work / name
        say(f"  debootstrap {self.base.suite}")
        program = find_program("debootstrap", "debootstrap")
        options = ["--variant=minbase", f"--cache-dir={self.packages.absolute()}", "--include=ca-certificates"]
        # its mounts must disappear with it, however it ends: this directory is removed later
        alone = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
        if self._run([*alone, program, *options, self.base.suite, str(root), self.base.uri]) != 0:
            raise NoDebian(f"debootstrap failed: {self._last_words()}")
        self._prepare(root, [self.base])
        for group in groups:
            say(f"  installing {' '.join(group)}")
            self._apt(root, "install", "-y", "--no-install-recommends", *group)
        return root

    def upgrade(self, root: Path, say: Callable[[str], None]) -> dict[str, list[str]]:
        """Choose which packages the next-day and the next-week build upgrade, and apply the next-day changes."""
        before = _installed(root)
        self._prepare(root, [self.base, *self.newer])
        sizes = self._upgradable(root)
        by_size = sorted(
            (size, name) for name, size in sizes.items() if LEAST_OF_A_PACKAGE <= size <= MOST_OF_A_PACKAGE
        )
        names = [name for _size, name in by_size]
        # upgrading a small package may pull in a large library
        small = [name for name in names if sum(sizes.get(one, 0) for one in self._comes_with(root, name)) <= SMALL]
        week = [name for name in names if name not in small[:2]]
        chosen = {"day": small[:2], "week": week[-DOZEN:]}
        say(f"  next day: {' '.join(chosen['day'])}")
        self._apt(root, "install", "-y", "--no-install-recommends", "--only-upgrade", *chosen["day"])
        for number in range(5):
            text = "".join(f"option_{line} = {line * 7}\n" for line in range(60))
            (root / "etc" / f"site-{number}.conf").write_text(f"# as of the next day\n{text}", encoding="utf-8")
        (root / "etc" / "motd").write_text("The build of the next day.\n", encoding="utf-8")
        self._changed["day"] = sorted(_installed(root) - before)
        self._before = before
        return chosen

    def install_newer(self, root: Path, names: Sequence[str]) -> None:
        """Upgrade packages, and rebuild the initrd."""
        self._apt(root, "install", "-y", "--no-install-recommends", "--only-upgrade", *names)
        self._chroot(root, "update-initramfs", "-u", "-k", "all")
        self._changed["week"] = sorted(_installed(root) - self._before)

    def changed(self, _root: Path, build: str) -> list[str]:
        """The packages, with their versions, that a build has and the first build lacks."""
        return self._changed[build]

    def _upgradable(self, root: Path) -> dict[str, int]:
        """Packages that can be upgraded, with the size of the newer version's file in bytes."""
        names = re.findall(r"^Inst (\S+) \[", self._chroot(root, "apt-get", "-s", "-q", "upgrade"), re.MULTILINE)
        if not names:
            raise NoDebian("the archives of updates have nothing newer than the release")
        text = self._chroot(root, "apt-cache", "show", "--no-all-versions", *names)
        found = re.findall(r"^Package: (\S+)$.*?^Size: (\d+)$", text, re.MULTILINE | re.DOTALL)
        return {name: int(size) for name, size in found}

    def _comes_with(self, root: Path, name: str) -> list[str]:
        """The packages that are upgraded together with one, including itself."""
        said = self._chroot(root, "apt-get", "-s", "-q", "install", "--only-upgrade", name)
        return re.findall(r"^Inst (\S+) ", said, re.MULTILINE)

    def _prepare(self, root: Path, archives: Sequence[Archive]) -> None:
        """Configure apt in there: these archives, this machine's settings for reaching them, and no daemon starts."""
        etc = root / "etc"
        lines = [f"deb {one.uri} {one.suite} main\n" for one in archives]
        (etc / "apt" / "sources.list").write_text("".join(lines), encoding="utf-8")
        dump = subprocess.run(["apt-config", "dump"], capture_output=True, text=True, check=True).stdout
        ours = [line for line in dump.splitlines() if re.match(r"Acquire::(https?|ftp|Retries)\b.* \".+\";", line)]
        ours += ['APT::Install-Recommends "false";', 'Dpkg::Options:: "--force-unsafe-io";']
        (etc / "apt" / "apt.conf.d" / "99bench").write_text("\n".join(ours) + "\n", encoding="utf-8")
        for name in ("resolv.conf", "hosts"):
            with contextlib.suppress(OSError):
                shutil.copyfile(f"/etc/{name}", etc / name)
        certificates = Path("etc/ssl/certs/ca-certificates.crt")
        if ("/" / certificates).exists():
            (root / certificates).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile("/" / certificates, root / certificates)
        (root / "usr" / "sbin" / "policy-rc.d").write_text("#!/bin/sh\nexit 101\n", encoding="ascii")
        (root / "usr" / "sbin" / "policy-rc.d").chmod(0o755)
        (etc / "initramfs-tools" / "conf.d").mkdir(parents=True, exist_ok=True)
        (etc / "initramfs-tools" / "conf.d" / "bench").write_text("MODULES=netboot\nCOMPRESS=zstd\n", encoding="ascii")
        for name in ("partial", ""):
            (root / "var" / "cache" / "apt" / "archives" / name).mkdir(parents=True, exist_ok=True)
        self._apt(root, "update")

    def _apt(self, root: Path, *words: str) -> None:
        self._chroot(root, "apt-get", "-q", *words)

    def _chroot(self, root: Path, *words: str) -> str:
        """Run a command in the root file system, in its own namespaces; returns what it printed."""
        archives = root / "var" / "cache" / "apt" / "archives"
        script = 'mount --bind "$1" "$2" && mount -t proc proc "$3/proc" && shift 2 && exec chroot "$@"'
        unshare = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", script, "sh"]
        status = self._run([*unshare, str(self.packages), str(archives), str(root), *words], keep=True)
        if status != 0:
            raise NoDebian(f"{' '.join(words[:3])} failed: {self._last_words()}")
        return self._output

    def _run(self, words: Sequence[str], *, keep: bool = False) -> int:
        environment = {
            "PATH": STANDARD_PATH,
            "LC_ALL": "C.UTF-8",
            "DEBIAN_FRONTEND": "noninteractive",
            "SOURCE_DATE_EPOCH": EPOCH,
        }
        try:
            done = subprocess.run(
                words,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=environment,
                text=True,
                errors="replace",
                timeout=STEP_TIMEOUT,
                check=False,
            )
        except subprocess.TimeoutExpired as exc:
            raise NoDebian(f"{words[0]} took more than {STEP_TIMEOUT:.0f} s") from exc
        self._output = done.stdout if keep else ""
        with self.log.open("a", encoding="utf-8") as log:
            log.write(done.stdout)
        return done.returncode

    def _last_words(self) -> str:
        lines = [line for line in self.log.read_text(encoding="utf-8").splitlines() if line.strip()]
        return lines[-1] if lines else "it said nothing"


def _installed(root: Path) -> set[str]:
    """The installed packages with their versions."""
    text = (root / "var" / "lib" / "dpkg" / "status").read_text(encoding="utf-8")
    return {
        f"{name} {version}" for name, version in re.findall(r"^Package: (\S+)\n.*?^Version: (\S+)$", text, re.M | re.S)
    }
