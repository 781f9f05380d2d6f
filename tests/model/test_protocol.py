# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two runs, uploaders, a client, crashes and power cuts, in every order that Hypothesis finds, for small trees.

The steps are those of the real code, since that is what runs: ``SyncRun`` and the planner, over a caching server that
stops before everything it does. The client checks after every single step.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

import pytest
from ansible_collections.netboot.syncer.plugins.module_utils.assets.entries import is_hidden
from ansible_collections.netboot.syncer.plugins.module_utils.assets.inventory import Rules
from ansible_collections.netboot.syncer.plugins.module_utils.assets.patterns import Selection
from ansible_collections.netboot.syncer.plugins.module_utils.run.target import Options
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from .server import Site
from .stepped_run import SteppedRun
from .uploader import KERNEL_FILES, NetbootServer, closure_of, marker_of

IMAGES = ("prod/21-04-09-gnome-master-f1d734e.squashfs", "prod/21-04-10-gnome-master-9c41d0b.squashfs")
ALIAS = "prod/cur.squashfs"  # a symlink to one of them, with a marker of its own
DEV = "dev/21-04-11-gnome-master-0a1b2c3.squashfs"  # not every run has chosen it, but it shares the kernels
VERSIONS = ("5.8", "5.9")
RUNS = ("one", "two")
MOST_STEPS = 500  # of one run; a small tree takes less than a hundred

images = st.sampled_from([*IMAGES, DEV])
versions = st.sampled_from(VERSIONS)


class Protocol(RuleBasedStateMachine):
    """What may happen, and what must hold after each event."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp(prefix="netboot-model-"))
        self.netboot = NetbootServer(self.directory)
        self.site = Site()
        self.runs: dict[str, SteppedRun] = {}
        self.count = 0
        self.lost: set[str] = set()  # visible markers of which somebody removed the squashfs on the caching server
        self.withdrawn: set[str] = set()  # images that were withdrawn by name
        self.cut_off = False  # whether a run was killed since the last one that finished
        self.left_out: dict[str, bytes] = {}  # the visible markers that no run had chosen at the last check

    def teardown(self) -> None:
        for run in self.runs.values():
            run.kill()
        shutil.rmtree(self.directory)

    def options(
        self, *, verify: bool = False, delete: bool = False, dev: bool = True, withdraw: tuple[str, ...] = ()
    ) -> Options:
        rules = Rules(selection=Selection(exclude=[] if dev else ["dev/**"]))
        return Options(
            src=str(self.directory),
            dest="/assets",
            rules=rules,
            verify=verify,
            delete=delete,
            max_delete=99,
            grace=0,
            withdraw=withdraw,
            retries=0,
        )

    @initialize()
    def first_tree(self) -> None:
        self.netboot.kernel(VERSIONS[0], KERNEL_FILES)
        for image in (IMAGES[0], DEV):
            self.netboot.upload(image)
            self.netboot.mark(image, VERSIONS[0], stamp=False)
        self.alias(IMAGES[0], VERSIONS[0], stamp=False)

    # The uploaders

    @rule(image=images, cut=st.sampled_from([0, 0, 0, 30]))
    def upload(self, image: str, cut: int) -> None:
        self.netboot.upload(image, cut=cut)

    @rule(image=images, version=versions, stamp=st.booleans())
    def mark(self, image: str, version: str, stamp: bool) -> None:
        self.netboot.mark(image, version, stamp=stamp)

    @rule(image=images | st.just(ALIAS))
    def unmark(self, image: str) -> None:
        self.netboot.remove(marker_of(image))

    @rule(image=images | st.just(ALIAS))
    def remove(self, image: str) -> None:
        self.netboot.remove(image)

    @rule(image=st.sampled_from(IMAGES), version=versions, stamp=st.booleans())
    def alias(self, image: str, version: str, stamp: bool) -> None:
        self.netboot.remove(marker_of(ALIAS))
        self.netboot.link(ALIAS, image.removeprefix("prod/"))
        self.netboot.mark(ALIAS, version, stamp=stamp)

    @rule(version=versions, names=st.sampled_from([KERNEL_FILES, KERNEL_FILES[:1], KERNEL_FILES[1:]]))
    def build_kernel(self, version: str, names: tuple[str, ...]) -> None:
        self.netboot.kernel(version, names)

    @rule(version=versions)
    def drop_kernel(self, version: str) -> None:
        for name in KERNEL_FILES:
            self.netboot.remove(f"kernels/{version}/{name}")

    @rule(image=images, version=versions)
    def release(self, image: str, version: str) -> None:
        """Another build under the same name, uploaded with care: no marker while the squashfs is incomplete."""
        self.netboot.remove(marker_of(image))
        self.netboot.upload(image)
        self.netboot.mark(image, version, stamp=True)

    @rule(version=versions, to=st.sampled_from(IMAGES), dev=st.booleans())
    def release_kernel(self, version: str, to: str, dev: bool) -> None:
        """Another kernel under the same version, and the images released again with it."""
        released = [*IMAGES, DEV] if dev else [*IMAGES]
        for image in [*released, ALIAS]:
            self.netboot.remove(marker_of(image))
        self.netboot.kernel(version, KERNEL_FILES)
        for image in released:
            self.release(image, version)
        self.alias(to, version, stamp=True)

    @rule(version=versions, to=st.sampled_from(IMAGES), dev=st.booleans())
    def move_on(self, version: str, to: str, dev: bool) -> None:
        """Everything is released with a kernel of another version, and the previous one is dropped."""
        self.release_kernel(version, to, dev)
        self.drop_kernel(VERSIONS[1 - VERSIONS.index(version)])

    @rule(image=images, purge=st.booleans())
    def withdraw(self, image: str, purge: bool) -> None:
        """By name: the marker is set aside, and then taken from the caching server, whoever holds its lock."""
        self.netboot.withdraw(image, purge=purge)
        self.withdrawn.add(image)
        self.count += 1
        run = self.runs["withdrawal"] = SteppedRun(
            self.site, f"withdrawal{self.count}", self.options(withdraw=(image,))
        )
        run.begin()
        while run.alive:
            run.step()
            self.look()
        assert run.failures == [] or self.site.stuck
        assert marker_of(image) not in self.site.disk.names or self.site.stuck

    @rule(image=images)
    def put_back(self, image: str) -> None:
        self.netboot.put_back(image)
        self.withdrawn.discard(image)

    # The runs

    @rule(
        name=st.sampled_from(RUNS), verify=st.booleans(), delete=st.booleans(), hashes=st.booleans(), dev=st.booleans()
    )
    def begin(self, name: str, verify: bool, delete: bool, hashes: bool, dev: bool) -> None:
        if name in self.runs and self.runs[name].alive:
            return
        self.count += 1
        options = self.options(verify=verify, delete=delete, dev=dev)
        self.runs[name] = SteppedRun(self.site, f"{name}{self.count}", options, hashes=hashes)
        self.runs[name].begin()
        self.look()

    @rule(name=st.sampled_from(RUNS), steps=st.integers(1, 60))
    def go_on(self, name: str, steps: int) -> None:
        for _unused in range(steps):
            if name not in self.runs or not self.runs[name].alive:
                return
            self.runs[name].step()
            self.look()

    @rule(
        after=st.none() | st.integers(0, 5),
        change=st.none() | st.integers(1, 40),
        image=images,
        version=versions,
        data=st.data(),
    )
    def go_through(self, after: int | None, change: int | None, image: str, version: str, data: st.DataObject) -> None:
        """A run to its end; a file may arrive damaged or be unchangeable, and another build may come meanwhile."""
        self.recover(delete=False)
        match data.draw(st.sampled_from(["kernel", "kernels", "build", "lost", "gone"])):
            case "kernel":
                self.release_kernel(version, data.draw(st.sampled_from(IMAGES)), data.draw(st.booleans()))
            case "kernels":
                self.move_on(version, data.draw(st.sampled_from(IMAGES)), data.draw(st.booleans()))
            case "build":
                self.release(image, version)
            case "lost":
                self.lose(image)
                self.release(image, version)
            case "gone":
                self.remove(image)
                self.unmark(image)
        if data.draw(st.booleans()):
            self.stick(data)
        withdrawn = data.draw(st.booleans())
        self.site.corrupts_after = after
        self.begin("one", verify=False, delete=data.draw(st.booleans()), hashes=True, dev=data.draw(st.booleans()))
        for step in range(1, MOST_STEPS):
            if not self.runs["one"].alive:
                break
            if step == change and withdrawn:
                self.withdraw(image, purge=False)
            elif step == change:
                self.release(image, version)
            self.runs["one"].step()
            self.look()
        self.site.corrupts_after = None

    @rule(data=st.data())
    def stick(self, data: st.DataObject) -> None:
        """A name that cannot be changed, like an immutable file or somebody else's directory."""
        self.site.stuck.add(data.draw(st.sampled_from(sorted(self.netboot.contents))))

    @rule(image=images)
    def lose(self, image: str) -> None:
        """Somebody removes a squashfs on the caching server; its markers stay behind until the next run about them."""
        if self.site.disk.names.pop(image, None) is not None:
            self.lost.update(marker_of(one) for one in (image, ALIAS))

    @rule(name=st.sampled_from(RUNS))
    def crash(self, name: str) -> None:
        if name in self.runs and self.runs[name].alive:
            self.runs[name].kill()
            self.cut_off = True

    @precondition(lambda self: self.site.disk.names)
    @rule(data=st.data())
    def lose_power(self, data: st.DataObject) -> None:
        for run in self.runs.values():
            run.kill()
        self.cut_off = True
        self.left_out = {}  # some were not flushed yet
        self.site.disk.lose_power(lambda most: data.draw(st.integers(0, most)))

    @rule(delete=st.booleans())
    def recover(self, delete: bool) -> None:
        """Whatever happened, one plain run brings the caching server up to date and leaves nothing behind."""
        for run in self.runs.values():
            run.kill()
        self.cut_off = True
        self.left_out = {}
        self.site.stuck.clear()
        self.count += 1
        run = SteppedRun(self.site, f"recovery{self.count}", self.options(delete=delete))
        run.begin()
        run.finish()
        assert run.failures == []
        ready = run.ready()
        self.cut_off = False
        self.look()
        assert {
            path for path, one in run.images.items() if one.state in ("published", "unchanged", "repaired")
        } >= ready
        for path in [one for image in ready for one in (image, marker_of(image))]:
            assert self.site.disk.content(path) == (self.directory / path).read_bytes(), f"{path} did not come"
        left = {path.split("/", 1)[1].rsplit("/", 1)[0] for path in self.site.disk.names if is_hidden(path)}
        assert left <= run.lacking(), "pieces are left that no later run will use"

    # The client

    @invariant()
    def look(self) -> None:
        """Every visible marker's closure is there, and is what the netboot server held for that marker."""
        found = {path: self.site.disk.content(path) for path in self.site.disk.names if not is_hidden(path)}
        seen = {path: content for path, content in found.items() if content is not None}
        self.lost &= seen.keys()
        for path, content in seen.items():
            if path != ALIAS:  # it may lead to new content while its marker is not visible
                assert content in self.netboot.contents[path], f"{path} is not what the netboot server ever held"
            if path.endswith(".json"):
                closure = closure_of(path, seen)
                # A JSON file with a plain name is not a marker while there is no squashfs next to it.
                if closure is None and (path in self.lost or (path == marker_of(DEV) and DEV not in seen)):
                    continue
                assert closure is not None, f"{path} is visible, but what it promises is not there"
                held = self.netboot.held.get((path, content), set())
                assert closure in held, (
                    f"{path} promises what the netboot server never held together: {json.dumps(str(closure))}"
                )
        # One that was published at that very moment is withdrawn as soon as its run checks the netboot server again.
        if not (self.cut_off or self.site.stuck or any(run.alive for run in self.runs.values())):
            shown = {image for image in self.withdrawn if marker_of(image) in seen}
            assert not shown, f"{shown} were withdrawn by name, and clients find them"
        for path, content in self.left_out.items():
            if DEV in self.withdrawn:  # by name, whatever a run has chosen
                continue
            assert seen.get(path) == content, f"{path} was touched by runs that are not about it"
        about = any(run.alive and run.about(DEV) for run in self.runs.values())
        self.left_out = {} if about else {path: seen[path] for path in seen if path == marker_of(DEV)}


@pytest.mark.timeout(600)
def test_no_order_of_steps_shows_a_partial_image() -> None:
    run_state_machine_as_test(
        Protocol,
        settings=settings(
            max_examples=220,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            derandomize=True,
        ),
    )
