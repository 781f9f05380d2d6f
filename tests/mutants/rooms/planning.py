# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults in the plan: the order of the steps, what is withdrawn first, what is removed."""

from __future__ import annotations

from ..mutant import Mutant

UNIT = "tests/unit/plugins/module_utils/planning"
MODEL = "tests/model/test_protocol.py::test_no_order_of_steps_shows_a_partial_image"

MUTANTS = (
    Mutant(
        "the marker goes before its squashfs",
        old="draft.add(kind, image.path, steps, image.entries + image.requires)",
        new="""
        late = [s for s in steps if s.puts_up and s.entry == image.squashfs]
        steps = [s for s in steps if s not in late and not isinstance(s, Confirm)] + late
        draft.add(kind, image.path, steps, image.entries + image.requires)
        """,
        test=MODEL,
    ),
    Mutant(
        "content is not flushed to disk",
        old="return [send, Check(entry), Flush(entry)]",
        new="return [send, Check(entry)]",
        test=MODEL,
    ),
    Mutant(
        "what arrived is not compared",
        old="return [send, Check(entry), Flush(entry)]",
        new="return [send, Flush(entry)]",
        test=MODEL,
    ),
    Mutant(
        "the marker of a replaced squashfs is not withdrawn",
        old="steps += draft.hide(image.path) + draft.show(image.squashfs)",
        new="steps += draft.show(image.squashfs)",
        test=MODEL,
    ),
    Mutant(
        "an image is hidden before its successor has arrived",
        old="steps += draft.stage(image.squashfs)",
        new="steps += draft.hide(image.path) + draft.stage(image.squashfs)",
        test="tests/integration/test_changing_source.py"
        "::test_published_image_stays_while_its_successor_under_the_same_name_changes",
    ),
    Mutant(
        "the markers of a replaced kernel are not withdrawn",
        old="if promise.chosen and not swap:",
        new="if False:",
        test=f"{UNIT}/test_kernel_units.py::test_kernel_that_changes_hides_its_images_only_for_the_swap",
    ),
    Mutant(
        "kernel and initrd are swapped one after the other under a visible marker",
        old="swap = times[promise.marker] == 1 and promise.marker not in draft.withdrawn and draft.is_held(promise)",
        new="swap = promise.marker not in draft.withdrawn and draft.is_held(promise)",
        test=f"{UNIT}/test_kernel_units.py::test_kernel_that_changes_hides_its_images_only_for_the_swap",
    ),
    Mutant(
        "a marker whose squashfs is lost stays visible",
        old="withdrawals.broken(draft)",
        new="pass",
        test=f"{UNIT}/test_withdrawals.py::test_marker_without_its_closure_is_withdrawn_first",
    ),
    Mutant(
        "the look before the marker leaves out the initrd",
        old="return ((image.squashfs,) if image.squashfs else ()) + draft.led_to(image) + image.requires",
        new="""
        needs = tuple(entry for entry in image.requires if not entry.path.endswith("/initrd"))
        return ((image.squashfs,) if image.squashfs else ()) + draft.led_to(image) + needs
        """,
        test=f"{UNIT}/test_image_units.py::test_confirmed_is_all_that_the_marker_promises",
    ),
    Mutant(
        "a file that no client can read counts as published",
        old="return there is not None and there.closed and self.fits(entry)",
        new="return False",
        test=f"{UNIT}/test_draft.py::test_file_that_only_its_owner_can_read_is_opened",
    ),
    Mutant(
        "a sync writes through a symlink that it finds",
        old="""
        for above in parents(path):
            entry = self.there.tree.get(above)
        """,
        new="""
        for above in ():
            entry = self.there.tree.get(above)
        """,
        test=f"{UNIT}/test_draft.py::test_obstacle",
    ),
    Mutant(
        "files are removed although the marker that promises them stays",
        old="if not staying:",
        new="if True:",
        test=f"{UNIT}/test_removals.py::test_kernel_that_a_marker_there_names_stays",
    ),
    Mutant(
        "what lies outside the selection is removed, too",
        old="""
        and draft.is_chosen(path)
        and path not in ours
        """,
        new="and path not in ours",
        test=f"{UNIT}/test_removals.py::test_nothing_outside_the_selection_is_removed",
    ),
    Mutant(
        "what lies where the netboot server cannot look is removed",
        old="and not draft.inventory.may_hold(path)",
        new="",
        test="tests/unit/plugins/module_utils/source/test_tree.py::test_nothing_is_removed_where_nobody_could_look",
    ),
    Mutant(
        "more is removed than max_delete allows",
        old="if len(going) > max_delete:",
        new="if False:",
        test=f"{UNIT}/test_removals.py::test_max_delete",
    ),
    Mutant(
        "an empty source empties every site",
        old="if all(entry.kind == DIRECTORY for entry in draft.source.values()):",
        new="if False:",
        test=f"{UNIT}/test_removals.py::test_nothing_is_removed_for_an_empty_source",
    ),
    Mutant(
        "a marker is withdrawn that the run is not about",
        old="chosen=all(self._rules.selection.has(image) for image in images),",
        new="chosen=True,",
        test=f"{UNIT}/test_withdrawals.py::test_marker_outside_the_selection_is_not_withdrawn",
    ),
    Mutant(
        "a marker promises no kernel",
        old="paths = (*images, *kernel)",
        new="paths = images",
        test=f"{UNIT}/test_withdrawals.py::test_marker_without_its_closure_is_withdrawn_first",
        within="promises",
    ),
    Mutant(
        "a pointer moves on before the kernel that it names",
        old='draft.single("pointer", entry, tuple(wanted))',
        new='draft.single("pointer", entry)',
        test=f"{UNIT}/test_pointer_units.py::test_json_pointer_confirms_its_kernel",
    ),
)
