# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults in what is decided from the two trees: what is ready, what is chosen, the basis, the order."""

from __future__ import annotations

from ..mutant import Mutant

UNIT = "tests/unit/plugins/module_utils"

MUTANTS = (
    Mutant(
        "a squashfs that is cut short is ready",
        old="if size < bytes_used:",
        new="if size < SUPERBLOCK_SIZE:",
        test=f"{UNIT}/assets/test_squashfs.py::test_real_image_is_refused_wherever_it_is_cut",
    ),
    Mutant(
        "the sha256 that a marker states is not compared",
        old="if one.sha256 and digest and one.sha256 != digest:",
        new="if False:",
        test=f"{UNIT}/assets/test_ready.py::test_sha256_counts_only_once_it_was_computed",
    ),
    Mutant(
        "an empty initrd is a whole one",
        old="if target.size == 0:",
        new="if False:",
        test=f"{UNIT}/assets/test_held_back.py::test_held_back",
        within="kernels",
    ),
    Mutant(
        "a marker may name a kernel outside its directory",
        old=r'_VERSION = re.compile(r"[A-Za-z0-9_+~][A-Za-z0-9_.+~:-]*\Z")',
        new=r'_VERSION = re.compile(r".*\Z")',
        test=f"{UNIT}/assets/test_marker.py::test_version_that_is_no_plain_name",
    ),
    Mutant(
        "any JSON is a marker",
        old="if not isinstance(data, dict):",
        new="if isinstance(data, list):",
        test=f"{UNIT}/assets/test_marker.py::test_no_marker",
        sees=("AttributeError",),
        within="marker",
    ),
    Mutant(
        "a star of a pattern crosses directories",
        old='out, i = out + "[^/]*", i + 1',
        new='out, i = out + ".*", i + 1',
        test=f"{UNIT}/assets/test_patterns.py::test_pattern",
    ),
    Mutant(
        "hidden files are sent",
        old="return not (is_hidden(path) or self.excludes(path)) and all(",
        new="return not self.excludes(path) and all(",
        test=f"{UNIT}/assets/test_patterns.py::test_hidden_names_are_never_chosen",
    ),
    Mutant(
        "an image goes as the difference to another flavour",
        old="if not (same_build or same_family or (same_flavour and same_directory)):",
        new="if False:",
        test=f"{UNIT}/planning/test_basis.py::test_basis_of_an_image",
    ),
    Mutant(
        "the oldest image goes first",
        old="return choice, newer, -image.newest,",
        new="return choice, -newer, image.newest,",
        test=f"{UNIT}/planning/test_order.py::test_order",
    ),
    Mutant(
        "a file of the same size and another time is the same",
        old="return self.size == other.size and self.mtime == other.mtime",
        new="return self.size == other.size",
        test=f"{UNIT}/assets/test_entries.py::test_looks_like",
    ),
    Mutant(
        "a plan is used for a caching server that holds something else",
        old="if made_of == choice and tree == there), None)",
        new="if made_of == choice), None)",
        test=f"{UNIT}/planning/test_known_plans.py::test_a_plan_is_found_for_an_equal_tree_alone",
    ),
    Mutant(
        "what was withdrawn by name is a plain file once its squashfs is gone",
        old="if path in set_aside:",
        new="if False:",
        test=f"{UNIT}/assets/test_withdrawal.py::test_uploaded_again_it_stays_withdrawn",
    ),
)
