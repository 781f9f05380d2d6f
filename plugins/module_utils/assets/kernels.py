# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a kernel directory must hold, and what belongs to it."""

from __future__ import annotations

import posixpath
import typing as t

from .. import options
from . import uploads
from .entries import DIRECTORY, SYMLINK, Entry, Tree, follow, kernel_directory, kernel_version_of, parents
from .evidence import Files

KernelFiles = tuple[tuple[str, ...], ...]
_VERSION = "{version}"

# The names that distributions give to these two. Any of them is accepted where only the usual name is asked for.
COMMON_NAMES = {
    "vmlinuz": ("vmlinuz", f"vmlinuz-{_VERSION}", "vmlinuz.efi", "linux", "bzImage", "kernel"),
    "initrd": (
        "initrd",
        "initrd.img",
        f"initrd-{_VERSION}",
        f"initrd-{_VERSION}.img",
        f"initrd.img-{_VERSION}",
        "initrd.gz",
        "initrd.lz",
        "initrd.xz",
        "initrd.zst",
        "initramfs",
        "initramfs.img",
        f"initramfs-{_VERSION}",
        f"initramfs-{_VERSION}.img",
    ),
}
DEFAULT_KERNEL_FILES = options.default("kernel_files")
_MOST_SHOWN = 5


def read_kernel_files(given: t.Any) -> KernelFiles:
    """Return, for each file that a kernel directory must hold, the alternative names.

    Raises :class:`ValueError` for anything that cannot be a file name in it.
    """
    if not isinstance(given, (list, tuple)) or not given:
        raise ValueError(f"kernel_files: {given!r} is not a list of names, such as [vmlinuz, initrd]")
    found: list[tuple[str, ...]] = []
    for entry in given:
        names = COMMON_NAMES.get(entry, (entry,)) if isinstance(entry, str) else entry
        if not isinstance(names, (list, tuple)) or not names:
            raise ValueError(f"kernel_files: {entry!r} is neither a name nor a list of names of which one is enough")
        for name in names:
            _check_name(name)
            if any(name in others for others in found):
                raise ValueError(f"kernel_files: {name!r} is in two entries, so one file would count as both")
        found.append(tuple(dict.fromkeys(names)))
    return tuple(found)


def _check_name(name: t.Any) -> None:
    if not isinstance(name, str) or not name.strip():
        raise ValueError(f"kernel_files: {name!r} is not a file name")
    if "/" in name or "\0" in name:
        raise ValueError(f"kernel_files: {name!r} is a path, but the files lie in the kernel directory itself")
    if name.startswith("."):
        raise ValueError(f"kernel_files: {name!r} is hidden, and hidden files are never sent")
    if any(brace in name.replace(_VERSION, "") for brace in "{}"):
        raise ValueError(f"kernel_files: {name!r}: only {_VERSION} stands for something, the name of the directory")


def kernel_paths(version: str, tree: Tree, kernel_files: KernelFiles) -> list[str]:
    """Return the paths of a kernel that must be there: all names of an entry that exist in the tree, or else its first.

    It is unknown which of several names a client asks for, so all of them have to be complete.
    """
    return [path for names in kernel_files for path in _present(version, tree, names)]


def _present(version: str, tree: Tree, names: t.Sequence[str]) -> list[str]:
    paths = _paths(version, names)
    there = [path for path in paths if path in tree]
    return [path for path in there if tree[path].kind != DIRECTORY] or there or paths[:1]


def _paths(version: str, names: t.Iterable[str]) -> list[str]:
    directory = kernel_directory(version)
    return [f"{directory}/{name.replace(_VERSION, version)}" for name in names]


def kernel_part(path: str, images: t.Container[str], pairs: t.Container[str]) -> str:
    """Return the version of the kernel that a path belongs to, or an empty string.

    An image in the directory of a kernel, or its marker, is not part of the kernel.
    """
    return "" if path in images or path in pairs else kernel_version_of(path)


class Kernels:
    """The kernels of a tree. Many images require the same one, so each is checked once."""

    def __init__(
        self, files: Files, kernel_files: KernelFiles, images: t.Container[str], pairs: t.Container[str]
    ) -> None:
        self._files = files
        self._kernel_files = kernel_files
        self._parts: dict[str, list[Entry]] = {}
        self._seen: dict[str, tuple[list[Entry], str]] = {}
        for path, entry in sorted(files.tree.items()):
            version = kernel_part(path, images, pairs)
            # The temporary file of an upload is not part of it, nor is a hidden file.
            if version and entry.kind != DIRECTORY and not uploads.is_temporary(path):
                self._parts.setdefault(version, []).append(entry)

    def held(self) -> dict[str, KernelFiles]:
        """Return, for each kernel of the tree, the entries for which its directory has a file."""
        return {
            version: tuple(
                names
                for names in self._kernel_files
                if any(path in self._files.tree for path in _paths(version, names))
            )
            for version in self._parts
        }

    def look(self, version: str) -> tuple[list[Entry], str]:
        """Return all that belongs to a kernel, and why it is not complete: in words that begin with the path."""
        if version not in self._seen:
            reason = self._trouble(version)
            self._seen[version] = ([] if reason else self._parts.get(version, []), reason)
        return self._seen[version]

    def _trouble(self, version: str) -> str:
        files = self._files
        directory = kernel_directory(version)
        above = files.tree.get(directory)
        if above is not None and above.kind == SYMLINK:
            return f"{directory}, which is a symlink and not the kernel's own directory"
        for place in (*parents(directory), directory):
            if place in files.evidence.unreadable:
                return f"{place}: {files.evidence.unreadable[place]}"
        for path in kernel_paths(version, files.tree, self._kernel_files):
            target = files.resolve(path)
            if isinstance(target, str):
                return f"{path}, which {target}{self._other_names(version) if path not in files.tree else ''}"
            if target.size == 0:
                return f"{path}, which is empty"
        for entry in self._parts.get(version, []):
            reason = files.trouble(entry) or files.short_squashfs(entry)
            if reason:
                return f"{entry.path}: {reason}"
            if any(kernel_version_of(name) != version for name in follow(entry.path, files.tree).names):
                return f"{entry.path}, a symlink that leaves its kernel directory"
        return ""

    def _other_names(self, version: str) -> str:
        """Return a hint if files of a kernel directory have unknown names."""
        known = {name.replace(_VERSION, version) for names in self._kernel_files for name in names}
        directory = kernel_directory(version)
        names = [
            posixpath.basename(e.path) for e in self._parts.get(version, []) if posixpath.dirname(e.path) == directory
        ]
        unknown = [name for name in names if name not in known]
        if not unknown:
            return ""
        shown = ", ".join(unknown[:_MOST_SHOWN]) + (", ..." if len(unknown) > _MOST_SHOWN else "")
        return f" (but {shown}; kernel_files says what it may be called)"


USUAL_FILES = read_kernel_files(DEFAULT_KERNEL_FILES)
