# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the netboot server held at any time: the reference for what caching servers may show."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

MARKER_SUFFIXES = ("-kernel.json", ".squashfs.json", ".json")
PIECE = 1024 * 1024  # bytes


class MarkerError(ValueError):
    """A marker that does not state anything bootable."""


def visible_files(root: Path) -> Iterator[tuple[str, os.stat_result]]:
    """All files and symlinks below *root* without a hidden name in their path: relative path and lstat."""
    for directory, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        linked = [name for name in folders if os.path.islink(os.path.join(directory, name))]
        for name in sorted(names) + linked:
            path = os.path.join(directory, name)
            try:
                found = os.lstat(path)
            except FileNotFoundError:
                continue
            if not name.startswith(".") and not stat.S_ISDIR(found.st_mode):
                yield os.path.relpath(path, root), found


def fingerprint(path: Path) -> str | None:
    """SHA-256 of a file as of opening it, or of a symlink's target. None if it is not there."""
    try:
        if path.is_symlink():
            return f"symlink to {os.readlink(path)}"
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return None


def closure_of(marker: bytes, squashfs: str) -> list[str]:
    """The paths that a client fetches for a marker's content. Raises MarkerError."""
    try:
        fields = json.loads(marker)
    except ValueError as exc:
        raise MarkerError("is not JSON") from exc
    if not isinstance(fields, dict):
        raise MarkerError("is not a JSON object")
    version = fields.get("version")
    if version is None:
        return [squashfs]
    if not isinstance(version, str) or "/" in version or version in ("", ".", ".."):
        raise MarkerError(f"names no kernel by its version: {version!r}")
    return [squashfs, f"kernels/{version}/vmlinuz", f"kernels/{version}/initrd"]


class Ledger:
    """Remembers every content that the tree *root* of the netboot server held when :meth:`snapshot` was called.

    Call it after each change of the tree and before the change can be seen elsewhere.

    :arg name: how the caching server sees a name. One that folds names answers to every spelling that an image ever
        had, with what its current spelling promises.
    """

    def __init__(self, root: Path, *, name: Callable[[str], str] = str) -> None:
        self.root = root
        self._name = name
        self._lock = threading.Lock()
        self._digests: dict[tuple[str, int, int, int, int], str] = {}  # of files that did not change since
        self._sizes: dict[str, int] = {}
        self._held: dict[str, set[str]] = {}
        self._closures: dict[tuple[str, str], list[dict[str, str]]] = {}
        self._squashfs: dict[str, str] = {}
        self._present: dict[str, tuple[str, int, int, int, int]] = {}  # what the last snapshot found
        self._changed: dict[str, float] = {}  # when a snapshot found a path new, changed or gone

    def snapshot(self) -> None:
        """Add what the tree holds now."""
        with self._lock:
            now: dict[str, str] = {}
            present: dict[str, tuple[str, int, int, int, int]] = {}
            for path, found in visible_files(self.root):
                identity = (path, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
                digest = self._digests.get(identity) or fingerprint(self.root / path)
                if digest is None:
                    continue
                self._digests[identity] = now[path] = digest
                present[path] = identity
                self._sizes[digest] = found.st_size
                self._held.setdefault(self._name(path), set()).add(digest)
            at = time.monotonic()
            self._changed.update((path, at) for path, _identity in self._present.items() ^ present.items())
            self._present = present
            for path, digest in now.items():
                squashfs = self._image_of(path)
                if squashfs is None:
                    continue
                self._squashfs[path] = squashfs
                try:
                    closure = closure_of((self.root / path).read_bytes(), squashfs)
                except (MarkerError, OSError):
                    continue  # nothing was promised by it
                if all(part in now for part in closure):
                    promised = {self._name(part): now[part] for part in closure}
                    promises = self._closures.setdefault((self._name(path), digest), [])
                    if promised not in promises:
                        promises.append(promised)

    def _image_of(self, marker: str) -> str | None:
        """The squashfs that a file is the marker of; None if it is no marker."""
        for suffix in MARKER_SUFFIXES:
            squashfs = marker.removesuffix(suffix) + ".squashfs"
            # a marker that arrived before its squashfs is recognised only by its name
            if marker.endswith(suffix) and (self._name(squashfs) in self._held or suffix == "-kernel.json"):
                return squashfs
        return None

    def markers(self) -> dict[str, str]:
        """All markers ever held, with the squashfs of each."""
        with self._lock:
            return dict(self._squashfs)

    def held(self, path: str, digest: str) -> bool:
        """Whether the netboot server ever held this content under this path."""
        with self._lock:
            return digest in self._held.get(self._name(path), ())

    def promised(self, marker: str, digest: str, parts: Mapping[str, str]) -> bool:
        """Whether the netboot server ever held these *parts* (path to digest) together with this marker."""
        with self._lock:
            named = {self._name(part): held for part, held in parts.items()}
            return named in self._closures.get((self._name(marker), digest), [])

    def unchanged_since(self, paths: Iterable[str], at: float) -> bool:
        """Whether the netboot server held all these paths, and held them unchanged, from *at* (monotonic) on."""
        with self._lock:
            return all(path in self._present and self._changed[path] <= at for path in paths)

    def present(self) -> dict[str, str]:
        """What the last snapshot found: path to digest."""
        with self._lock:
            return {path: self._digests[identity] for path, identity in self._present.items()}

    def smallest(self, path: str) -> int:
        """Size in bytes of the shortest content ever held under this path; 0 if there was none."""
        with self._lock:
            return min((self._sizes[digest] for digest in self._held.get(self._name(path), ())), default=0)
