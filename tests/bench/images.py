# Copyright: (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The images that are measured: four builds of one root file system, kept in ``.cache/bench`` from run to run.

The large set is a Debian made with debootstrap from the mirror that this machine's own apt uses. Its upgrades are real:
the first build has the packages of the release alone, and what the release's security and update archives have in
newer versions is installed over it. The next day's build gets the two smallest of these and some configuration; the
next week's the day's, a dozen of the larger ones, and a new initrd. The complete rebuild is the first build made again
from nothing: another order of installation, so other user ids; new times on every file; new machine id and host keys.
The initrd is built with a fixed SOURCE_DATE_EPOCH, as anybody who sends deltas should do.

The small set is made of this machine's own programs in some seconds, and needs no network. Its builds imitate the
same: see :func:`_machine_set`.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.lab import images
from tests.lab.process import STANDARD_PATH, LabError, find_program

BUILDS = ("base", "day", "week", "rebuild")
RECIPE = 4  # raise it when the builds below are made in another way
COMPRESSORS = {
    "zstd": ("-comp", "zstd", "-Xcompression-level", "9"),
    "gzip": ("-comp", "gzip", "-Xcompression-level", "6"),
}
STEP_TIMEOUT = 1800.0  # seconds, for one step of making a set
MOST_OF_A_PACKAGE = 5_000_000  # bytes of a .deb; a kernel is no dozen-of-packages upgrade
LEAST_OF_A_PACKAGE = 20_000
SMALL = 400_000  # bytes of a .deb with all that it wants upgraded with it
DOZEN = 12
EPOCH = "1700000000"  # SOURCE_DATE_EPOCH of the initrd
# Installed in this order for the first build, in the reverse one for the rebuild.
PACKAGES = (
    ("openssh-server", "python3", "perl", "ca-certificates", "openssl", "systemd-sysv", "udev", "locales", "tzdata"),
    ("linux-image-cloud-amd64", "initramfs-tools", "zstd"),
    ("xserver-xorg-core", "xterm", "fonts-dejavu", "dbus", "avahi-daemon", "cups-client"),
    ("gstreamer1.0-plugins-good", "gstreamer1.0-plugins-base", "poppler-utils", "ghostscript"),
)
LEFT_OUT = ("proc/*", "sys/*", "dev/*", "run/*", "tmp/*", "var/cache/apt/*", "var/lib/apt/lists/*", "var/log/*")


class NoDebian(Exception):
    """A Debian root file system cannot be made here; the text says why."""


@dataclass(frozen=True)
class ImageSet:
    """Four builds of one image, compressed alike."""

    compression: str
    directory: Path
    origin: str  # what it was made of, in a sentence

    def path(self, build: str) -> Path:
        """The file of a build: one of :data:`BUILDS`."""
        return self.directory / f"{build}.squashfs"

    def size(self, build: str) -> int:
        """Bytes of a build."""
        return self.path(build).stat().st_size


def large_sets(cache: Path, say: Callable[[str], None]) -> list[ImageSet]:
    """The Debian sets, zstd and gzip; or, with the reason said aloud, one of this machine's own files."""
    try:
        return _cached(cache / "debian", tuple(COMPRESSORS), lambda into: _debian_sets(into, say))
    except NoDebian as reason:
        say(f"no Debian images: {reason}. Taken instead: this machine's own programs, with imitated upgrades.")
        return [machine_set(cache, size=150_000_000, say=say)]


def machine_set(cache: Path, *, size: int, say: Callable[[str], None]) -> ImageSet:
    """A set of about *size* bytes an image, of this machine's own files."""
    name = images.compressor_options()[1]

    def make(into: Path) -> dict[str, Any]:
        say(f"making images of {size // 1_000_000} MB from this machine's own files")
        return _machine_set(into / name, size=size)

    return _cached(cache / f"machine-{size // 1_000_000}", (name,), make)[0]


def _cached(directory: Path, names: Sequence[str], make: Callable[[Path], dict[str, Any]]) -> list[ImageSet]:
    """What *directory* holds, made first if it is not there or was made by another recipe."""
    manifest = directory / "manifest.json"
    known: dict[str, Any] = {}
    with contextlib.suppress(OSError, ValueError):
        known = json.loads(manifest.read_text(encoding="utf-8"))
    whole = all((directory / name / f"{build}.squashfs").exists() for name in names for build in BUILDS)
    if known.get("recipe") != RECIPE or not whole:
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        known = {"recipe": RECIPE, **make(directory)}
        manifest.write_text(json.dumps(known, indent=2) + "\n", encoding="utf-8")
    return [ImageSet(name, directory / name, str(known["origin"])) for name in names]


# -- Debian -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Archive:
    """One archive of a distribution, as apt on this machine knows it."""

    uri: str
    suite: str


def _archives() -> tuple[_Archive, list[_Archive]]:
    """The release's own archive and those with updates to it, from this machine's apt. Raises NoDebian."""
    if shutil.which("apt-get") is None:
        raise NoDebian("this machine has no apt")
    try:
        return _known_archives()
    except NoDebian:
        # Lists that were never fetched, or only in part, as in the images of some containers.
        subprocess.run(["apt-get", "-q", "update"], stdin=subprocess.DEVNULL, capture_output=True, check=False)
        return _known_archives()


def _known_archives() -> tuple[_Archive, list[_Archive]]:
    """The same, of those whose lists apt has. Raises NoDebian."""
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
    newer = [_Archive(uri, name) for name, uri in found.items() if name.startswith(f"{base}-")]
    if not newer:
        raise NoDebian("apt on this machine knows no archive of updates, so there is no real upgrade to install")
    return _Archive(found[base], base), newer


def _debian_sets(into: Path, say: Callable[[str], None]) -> dict[str, Any]:
    base, newer = _archives()
    if shutil.which("debootstrap", path=f"{os.environ.get('PATH', '')}:{STANDARD_PATH}") is None:
        raise NoDebian("debootstrap is not installed")
    work = into / "work"
    try:
        debian = _Debian(work, base, newer)
        say("making Debian images: this takes some minutes, once")
        root = debian.install("first", PACKAGES, say)
        _compress_all(into, root, "base", say)
        chosen = debian.upgrade(root, say)
        _compress_all(into, root, "day", say)
        say(f"  next week: {' '.join(chosen['week'])}")
        debian.install_newer(root, chosen["week"])
        _compress_all(into, root, "week", say)
        versions = {name: debian.changed(root, name) for name in ("day", "week")}
        shutil.rmtree(root)
        root = debian.install("again", tuple(tuple(reversed(group)) for group in reversed(PACKAGES)), say)
        _touch_all(root)
        _compress_all(into, root, "rebuild", say)
        files = sum(len(names) for _directory, _folders, names in os.walk(root))
    finally:
        shutil.rmtree(work, ignore_errors=True)
    origin = (
        f"Debian {base.suite} made with debootstrap, {files:,} files; next day: {len(versions['day'])} packages from"
        f" the updates of the release; next week: {len(versions['week'])} packages, and their initrd"
    )
    return {"origin": origin, "suite": base.suite, "asked": chosen, "upgraded": versions}


class _Debian:
    """Makes root file systems below *work*."""

    def __init__(self, work: Path, base: _Archive, newer: Sequence[_Archive]) -> None:
        self.work = work
        self.base = base
        self.newer = newer
        self.packages = work / "packages"  # what was fetched for the first build serves the second
        self.log = work.parent / "making.log"
        self._changed: dict[str, list[str]] = {}
        (self.packages / "partial").mkdir(parents=True)

    def install(self, name: str, groups: Sequence[Sequence[str]], say: Callable[[str], None]) -> Path:
        """Make a root file system of the release as it came out."""
        root = self.work / name
        say(f"  debootstrap {self.base.suite}")
        program = find_program("debootstrap", "debootstrap")
        options = ["--variant=minbase", f"--cache-dir={self.packages.absolute()}", "--include=ca-certificates"]
        # what it mounts is to go with it, however it ends: this directory is removed later
        alone = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
        if self._run([*alone, program, *options, self.base.suite, str(root), self.base.uri]) != 0:
            raise NoDebian(f"debootstrap failed: {self._last_words()}")
        self._prepare(root, [self.base])
        for group in groups:
            say(f"  installing {' '.join(group)}")
            self._apt(root, "install", "-y", "--no-install-recommends", *group)
        return root

    def upgrade(self, root: Path, say: Callable[[str], None]) -> dict[str, list[str]]:
        """Choose what the next day's and the next week's build upgrade, and make the day's."""
        before = _installed(root)
        self._prepare(root, [self.base, *self.newer])
        sizes = self._upgradable(root)
        by_size = sorted(
            (size, name) for name, size in sizes.items() if LEAST_OF_A_PACKAGE <= size <= MOST_OF_A_PACKAGE
        )
        names = [name for _size, name in by_size]
        # a small package may want a large library with it
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
        """Upgrade packages, and make the initrd anew."""
        self._apt(root, "install", "-y", "--no-install-recommends", "--only-upgrade", *names)
        self._chroot(root, "update-initramfs", "-u", "-k", "all")
        self._changed["week"] = sorted(_installed(root) - self._before)

    def changed(self, _root: Path, build: str) -> list[str]:
        """The packages, with their versions, that a build has and the first one has not."""
        return self._changed[build]

    def _upgradable(self, root: Path) -> dict[str, int]:
        """Packages of which a newer version is to be had, with the size of its file in bytes."""
        names = re.findall(r"^Inst (\S+) \[", self._chroot(root, "apt-get", "-s", "-q", "upgrade"), re.MULTILINE)
        if not names:
            raise NoDebian("the archives of updates have nothing newer than the release")
        text = self._chroot(root, "apt-cache", "show", "--no-all-versions", *names)
        found = re.findall(r"^Package: (\S+)$.*?^Size: (\d+)$", text, re.MULTILINE | re.DOTALL)
        return {name: int(size) for name, size in found}

    def _comes_with(self, root: Path, name: str) -> list[str]:
        """The packages that are upgraded together with one, itself included."""
        said = self._chroot(root, "apt-get", "-s", "-q", "install", "--only-upgrade", name)
        return re.findall(r"^Inst (\S+) ", said, re.MULTILINE)

    def _prepare(self, root: Path, archives: Sequence[_Archive]) -> None:
        """Let apt work in there: these archives, this machine's way to them, and no daemon is started."""
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
        """Run a command in the root file system, in namespaces of its own; returns what it printed."""
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
    """Packages and versions."""
    text = (root / "var" / "lib" / "dpkg" / "status").read_text(encoding="utf-8")
    return {
        f"{name} {version}" for name, version in re.findall(r"^Package: (\S+)\n.*?^Version: (\S+)$", text, re.M | re.S)
    }


def _touch_all(root: Path) -> None:
    """Give every file a time of this hour, as a build has that copies its files from somewhere."""
    numbers = random.Random(1)
    for directory, folders, names in os.walk(root):
        for name in [*folders, *names]:
            when = 1_760_000_000 + numbers.randrange(3600)
            with contextlib.suppress(OSError):
                os.utime(os.path.join(directory, name), (when, when), follow_symlinks=False)


def _compress_all(into: Path, root: Path, build: str, say: Callable[[str], None]) -> None:
    for name, options in COMPRESSORS.items():
        say(f"  mksquashfs {name} {build}")
        (into / name).mkdir(exist_ok=True)
        target = into / name / f"{build}.squashfs"
        _mksquashfs(root, target, [*options, "-wildcards", "-e", *LEFT_OUT])


def _mksquashfs(root: Path, target: Path, options: Sequence[str]) -> None:
    program = find_program("mksquashfs", "squashfs-tools")
    words = [program, str(root), str(target), "-noappend", "-no-progress", "-quiet", "-no-xattrs", *options]
    done = subprocess.run(words, capture_output=True, text=True, timeout=STEP_TIMEOUT, check=False)
    if done.returncode != 0:
        raise LabError(f"mksquashfs could not make {target}: {done.stderr.strip()}")


# -- this machine's own files -----------------------------------------------------------------------------------------


def _machine_set(into: Path, *, size: int) -> dict[str, Any]:
    """Four builds of this machine's own programs.

    Next day: some configuration and one small package. Next week: groups of programs "rebuilt", each file of them with
    a new build id at its start and with bytes moved and changed in many places, as a compiler does after a change in a
    header; and one new file that does not compress, as an initrd. Rebuild: the same content with new times, a new
    machine id, and another owner for a part of it.
    """
    root = into / "root"
    into.mkdir(parents=True)
    images.build_machine_image(into / "measure.squashfs", root, at_least=size)
    (into / "measure.squashfs").unlink()
    (root / "etc" / "machine-id").write_text("0" * 32 + "\n", encoding="ascii")
    (root / "boot").mkdir()
    (root / "boot" / "initrd").write_bytes(random.Random(1).randbytes(size // 100))
    options = ["-all-root", *images.compressor_options()]
    _mksquashfs(root, into / "base.squashfs", options)
    (root / "etc" / "machine-id").write_text("1" * 32 + "\n", encoding="ascii")
    later = root.with_name("later")
    shutil.copytree(root, later, symlinks=True)
    _touch_all(later)
    moved = sorted(path for path in later.rglob("*") if path.is_file())[::50]
    for path in moved:
        os.chown(path, 1000, 1000)
    _mksquashfs(later, into / "rebuild.squashfs", list(images.compressor_options()))
    shutil.rmtree(later)
    images.upgrade_rootfs(root, build=2)
    _mksquashfs(root, into / "day.squashfs", options)
    _rebuild_programs(root, share=0.06)
    (root / "boot" / "initrd").write_bytes(random.Random(2).randbytes(size // 100))
    _mksquashfs(root, into / "week.squashfs", options)
    shutil.rmtree(root)
    return {"origin": f"programs of this machine ({size // 1_000_000} MB), with imitated upgrades"}


def _rebuild_programs(root: Path, *, share: float) -> None:
    """Change files that make up this share of all bytes: neighbours, as the files of a package are."""
    numbers = random.Random(7)
    files = sorted(path for path in root.rglob("*") if path.is_file() and not path.is_symlink())
    left = sum(path.stat().st_size for path in files) * share
    groups = [files[start : start + 20] for start in range(0, len(files), 20)]
    numbers.shuffle(groups)
    for path in _flat(groups):
        length = path.stat().st_size
        if left <= 0:
            return
        left -= length
        content = bytearray(path.read_bytes())
        content[:0] = hashlib.sha1(bytes(content), usedforsecurity=False).digest()
        for _change in range(max(1, length // 20_000)):
            place = numbers.randrange(len(content))
            content[place : place + numbers.randrange(8)] = numbers.randbytes(numbers.randrange(8))
        path.write_bytes(content)


def _flat(groups: Sequence[Sequence[Path]]) -> Iterator[Path]:
    for group in groups:
        yield from group
