# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names that a shell, a terminal or an encoding could trip over."""

from __future__ import annotations

import os
import random
import shutil

import pytest

from tests.lab.fleet import Fleet, SiteSpec
from tests.lab.runs import IMAGE, SITE, add_large_image, is_delivered, sync
from tests.lab.tree import flip_byte

NAMES = [
    "-rf",
    "--delete",
    "a b",
    " begins and ends ",
    "it's",
    'say "x"',
    "new\nline",
    "ümlaut 😀",
    "$(touch pwned)",
    "`touch pwned`; touch pwned",
    "back\\slash*?[x]",
    "host:path",
    os.fsdecode(b"not-utf-8-\xff\xe4"),
]

# rsync sends these, if it can; each is also the name of a directory.
LARGE_NAMES = ["--delete", "a b", "new\nline", "host:path", NAMES[-1]]


@pytest.mark.parametrize(
    "spec", [SiteSpec(SITE), SiteSpec(SITE, sftp_only=True)], indirect=True, ids=["rsync", "sftp-only"]
)
def test_every_name_arrives_is_repaired_and_goes(fleet: Fleet) -> None:
    images = [fleet.tree.add_image(f"prod/{name}", content="tiny") for name in NAMES]
    large = [add_large_image(fleet.tree, f"{name}/{name}", size=300_000) for name in LARGE_NAMES]
    sync(fleet)
    assert [image.name for image in images + large if not is_delivered(fleet, image)] == []
    assets = fleet.sites[SITE].assets
    for image in images:
        flip_byte(assets / image.path)
    run = sync(fleet, verify=True)
    assert [image.name for image in images if run.images[image.path].state != "repaired"] == []
    assert [image.name for image in images if not is_delivered(fleet, image)] == []
    for image in images:
        fleet.tree.remove_image(image.name)
    for image in large:
        shutil.rmtree(image.squashfs.parent)
    sync(fleet, delete=True, max_delete=100)
    assert [path.name for path in assets.iterdir() if path.name in NAMES] == []
    assert sorted((assets / "prod").iterdir()) == [assets / f"{IMAGE}-kernel.json", assets / f"{IMAGE}.squashfs"]
    assert not list(fleet.directory.rglob("pwned"))


def hostile_names(count: int) -> list[str]:
    """Return file names from all bytes that a file system accepts; they are the same each time."""
    chance = random.Random(20260101)
    tricky = [
        b"$",
        b"`",
        b";",
        b"|",
        b"&",
        b" ",
        b"\n",
        b"\r",
        b"\t",
        b"\x1b[2J",
        b"'",
        b'"',
        b"\\",
        b"*",
        b"-",
        b"\xff",
        b"~",
        b"%s",
    ]
    names: dict[bytes, None] = {}
    while len(names) < count:
        parts = [chance.choice(tricky) if chance.random() < 0.5 else chance.randbytes(2) for _unused in range(8)]
        name = b"".join(parts).replace(b"/", b"").replace(b"\0", b"").lstrip(b".")
        if name:
            names[name] = None
    return [os.fsdecode(name) for name in names]


@pytest.mark.timeout(300)
def test_thousands_of_hostile_names_arrive(fleet: Fleet) -> None:
    names = hostile_names(2000)
    directory = fleet.tree.root / "plain"
    directory.mkdir()
    for number, name in enumerate(names):
        (directory / name).write_bytes(b"%d" % number)
    run = sync(fleet)
    there = fleet.sites[SITE].assets / "plain"
    assert sorted(path.name for path in there.iterdir()) == sorted(names)
    assert all((there / name).read_bytes() == b"%d" % number for number, name in enumerate(names))
    assert run.failures == []
    assert not sync(fleet).changed
