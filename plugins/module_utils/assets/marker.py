# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The marker of an image: the small JSON that says that the image is complete, and what it requires."""

from __future__ import annotations

import dataclasses
import functools
import posixpath
import re
import typing as t

from .. import options
from . import strict_json
from .entries import SQUASHFS_SUFFIX

DEFAULT_NAMES: tuple[str, ...] = options.default("marker_names")
MAX_SIZE = 64 * 1024  # bytes; a marker has a few dozen, and a large file under its name is an accident

# A version becomes the name of a directory, so it must be one plain name and nothing else.
_VERSION = re.compile(r"[A-Za-z0-9_+~][A-Za-z0-9_.+~:-]*\Z")
_SHA256 = re.compile(r"[0-9a-fA-F]{64}\Z")


@dataclasses.dataclass(frozen=True)
class Marker:
    """What a marker states. ``version`` names a kernel; ``size`` (bytes) and ``sha256`` are those of the squashfs."""

    version: str = ""
    size: int | None = None
    sha256: str = ""


def check_names(names: t.Iterable[str]) -> None:
    """Raise :class:`ValueError` for a name under which a marker could never be found."""
    for name in names:
        if name.count("{stem}") != 1:
            raise ValueError(
                f"marker_names: {name!r} needs {{stem}} once; it stands for the name of the squashfs without its suffix"
            )
        if "/" in name:
            raise ValueError(f"marker_names: {name!r} has a /, but a marker lies beside its squashfs")
        if name.startswith("."):
            raise ValueError(f"marker_names: {name!r} is hidden, and hidden files are never sent")


def parse(content: bytes) -> Marker:
    """Read a marker. Raises :class:`ValueError` with the reason if it is not valid."""
    if len(content) > MAX_SIZE:
        raise ValueError(f"the marker is larger than {MAX_SIZE} bytes")
    if not content.strip():
        raise ValueError("the marker is empty")
    try:
        data = strict_json.loads(content)
    except ValueError as error:
        raise ValueError(f"the marker {error}") from error
    if not isinstance(data, dict):
        raise ValueError("the marker is not a JSON object")
    version = data.get("version", "")
    if not isinstance(version, str) or (version and not _VERSION.match(version)):
        number = isinstance(version, (int, float)) and not isinstance(version, bool)
        hint = " (it is a number: put it in quotes)" if number else ""
        raise ValueError(f"the marker's version is not the plain name of a kernel directory{hint}")
    if "version" in data and not version:
        raise ValueError("the marker's version is empty")
    size = data.get("size")
    if size is not None and (isinstance(size, bool) or not isinstance(size, int) or size < 0):
        raise ValueError("the marker's size is not a number of bytes")
    sha256 = data.get("sha256")
    sha256 = "" if sha256 is None else sha256
    if not isinstance(sha256, str) or (sha256 and not _SHA256.match(sha256)):
        raise ValueError("the marker's sha256 is not 64 hexadecimal digits")
    return Marker(version=version, size=size, sha256=sha256.lower())


def stems(image: str) -> tuple[str, ...]:
    """Return what ``{stem}`` may stand for: the name without its last suffix, or, but for a .squashfs, all of it."""
    name = posixpath.basename(image)
    if name.endswith(SQUASHFS_SUFFIX):
        return (name[: -len(SQUASHFS_SUFFIX)],)
    before = name.rpartition(".")[0]
    return (before, name) if before else (name,)


def with_stem(image: str, stem: str, names: t.Iterable[str] = DEFAULT_NAMES) -> list[str]:
    """Return the paths that a marker of an image may have where ``{stem}`` stands for this."""
    return [posixpath.join(posixpath.dirname(image), name.replace("{stem}", stem)) for name in names]


def marker_paths(image: str, names: t.Sequence[str] = DEFAULT_NAMES) -> list[str]:
    """Return the paths that a marker of this image may have, the usual one first."""
    return list(dict.fromkeys(path for stem in stems(image) for path in with_stem(image, stem, names)))


@functools.lru_cache(maxsize=100_000)  # called for each path of each tree, with the same ones for many caching servers
def squashfs_paths(path: str, names: tuple[str, ...] = DEFAULT_NAMES) -> tuple[str, ...]:
    """Return the ``.squashfs`` files that a file of this path would be a marker of, the most special name first."""
    directory, name = posixpath.split(path)
    found = []
    for pattern in names:
        before, _unused, after = pattern.partition("{stem}")
        if name.startswith(before) and name.endswith(after) and len(name) > len(before) + len(after):
            stem = name[len(before) : len(name) - len(after)]
            found.append((len(before) + len(after), posixpath.join(directory, stem + SQUASHFS_SUFFIX)))
    return tuple(squashfs for _unused, squashfs in sorted(found, key=lambda item: -item[0]))
