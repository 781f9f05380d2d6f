# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults of the source: something happens to the image on the netboot server while it is being sent."""

from __future__ import annotations

import os
import time

from .fault import Fault, Scene
from .uploads import KERNELS


class SourceFault(Fault):
    """Something happens to the image on the netboot server while it is being sent. Half of the time it is repaired."""

    resend = False  # the content to be sent is different now

    def __init__(self) -> None:
        self._changed = False

    def strike(self, scene: Scene) -> bool:
        if not scene.at_work or not scene.job.image.squashfs.exists() or not scene.job.image.marker.exists():
            return False
        self._changed = True
        self.change(scene)
        scene.lane.ledger.snapshot()
        return scene.at_work

    def change(self, scene: Scene) -> None:
        raise NotImplementedError

    def lifts_after(self, scene: Scene) -> float | None:
        return scene.numbers.choice([scene.numbers.uniform(0.0, 1.0), None])

    def lift(self, scene: Scene) -> None:
        if self._changed and scene.numbers.random() < 0.5:
            image = scene.job.image
            scene.uploader.place(scene.uploader.built(scene.numbers, image), image.squashfs)
            scene.lane.ledger.snapshot()
            if not image.marker.exists():
                scene.uploader.write_marker(scene.numbers, image, KERNELS[0])
                scene.lane.ledger.snapshot()


class ReplaceImage(SourceFault):
    """Another image is renamed over it in one step, under the existing marker."""

    name = "source-replaced"
    about = "the image is replaced on the netboot server by a rename"

    def change(self, scene: Scene) -> None:
        image = scene.job.image
        scene.uploader.place(scene.uploader.built(scene.numbers, image), image.squashfs)


class OverwriteImage(SourceFault):
    """Another image is copied over it in place, piece by piece."""

    name = "source-overwritten"
    about = "the image is overwritten in place on the netboot server"

    def change(self, scene: Scene) -> None:
        path = scene.job.image.squashfs
        before = int(path.stat().st_mtime)
        built = scene.uploader.built(scene.numbers, scene.job.image, share=0.8)
        content = built.read_bytes()
        built.unlink()
        with path.open("r+b", buffering=0) as file:
            for start in range(0, len(content), 256 * 1024):
                file.write(content[start : start + 256 * 1024])
                time.sleep(scene.numbers.uniform(0.0, 0.05))
            file.truncate(len(content))
        if int(path.stat().st_mtime) <= before:
            os.utime(path, (before + 1, before + 1))


class TruncateImage(SourceFault):
    """Its end is cut off."""

    name = "source-truncated"
    about = "the image is truncated on the netboot server"

    def change(self, scene: Scene) -> None:
        path = scene.job.image.squashfs
        os.truncate(path, int(path.stat().st_size * scene.numbers.uniform(0.0, 0.95)))


class DeleteImage(SourceFault):
    """The squashfs alone is deleted, or the marker and then the squashfs, as a tidy uploader would."""

    name = "source-deleted"
    about = "the image is deleted on the netboot server"

    def change(self, scene: Scene) -> None:
        if scene.numbers.random() < 0.5:
            scene.job.image.marker.unlink()
        scene.job.image.squashfs.unlink()


class DeleteMarker(SourceFault):
    """The marker is deleted, and so the image is withdrawn."""

    name = "marker-deleted"
    about = "the marker is deleted on the netboot server"

    def change(self, scene: Scene) -> None:
        scene.job.image.marker.unlink()


class RewriteMarker(SourceFault):
    """The marker gets other content, in place or by a rename; sometimes it names another kernel or is not JSON."""

    name = "marker-rewritten"
    about = "the marker is rewritten on the netboot server"

    def change(self, scene: Scene) -> None:
        marker = scene.job.image.marker
        before = int(marker.stat().st_mtime)
        versions = sorted(path.name for path in (scene.lane.tree.root / "kernels").iterdir() if path.is_dir())
        note = "x" * scene.numbers.randrange(1, 80)
        text = f'{{"version": "{scene.numbers.choice(versions)}", "note": "{note}"}}\n'
        if scene.numbers.random() < 0.2:
            text = text[: len(text) // 2]  # an interrupted upload
        if scene.numbers.random() < 0.5:
            marker.write_text(text, encoding="utf-8")
            os.utime(marker, (before + 1, before + 1))
        else:
            new = scene.lane.workshop / "marker"
            new.write_text(text, encoding="utf-8")
            scene.uploader.place(new, marker)


class ReplaceKernel(SourceFault):
    """The kernel or initrd that the image needs is replaced under the same version."""

    name = "kernel-replaced"
    about = "the image's initrd is replaced on the netboot server"

    def change(self, scene: Scene) -> None:
        kernel = scene.uploader.kernel_of(scene.job.image)
        scene.uploader.new_kernel_files(scene.numbers, kernel)

    def lift(self, scene: Scene) -> None:
        pass


class RenameInCase(SourceFault):
    """Its name changes in case only: two names on most caching servers, one and the same where names are folded."""

    name = "renamed-in-case"
    about = "the image is renamed on the netboot server, in case only"

    def change(self, scene: Scene) -> None:
        scene.uploader.rename_in_case(scene.job.image)

    def lift(self, scene: Scene) -> None:
        pass
