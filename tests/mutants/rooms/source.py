# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults in how the netboot server's own tree is read."""

from __future__ import annotations

from ..mutant import Mutant

SHARED = "tests/unit/plugins/module_utils/source/test_shared_digest.py"
SOURCE = "tests/unit/plugins/module_utils/source/test_tree.py"
CHANGING = "tests/integration/test_changing_source.py"

MUTANTS = (
    Mutant(
        "a file that changes while it is sent is not noticed",
        old="if not same:",
        new="if False:",
        test=f"{CHANGING}::test_squashfs_while_it_is_sent",
        within="source/tree",
    ),
    Mutant(
        "a file overwritten in place, with its time restored, is the same",
        old=", found.st_mtime_ns, found.st_ctime_ns)",
        new=", found.st_mtime_ns)",
        test=f"{SOURCE}::test_an_overwrite_with_its_time_restored_is_a_change",
    ),
    Mutant(
        "what was overwritten without a trace while it was sent is not hashed",
        old="if self._reading.digests_of([(incoming, entry.size)]) != [self._source.digest(entry)]:",
        new="if False:",
        test=f"{CHANGING}::test_overwrite_without_a_trace_is_never_published_as_a_mixture",
    ),
    Mutant(
        "a name that became a symlink is followed",
        old="return os.open(full, flags | os.O_NOFOLLOW | os.O_NONBLOCK)",
        new="return os.open(full, flags | os.O_NONBLOCK)",
        test=f"{SOURCE}::test_a_symlink_that_comes_after_the_look_is_not_followed",
    ),
    Mutant(
        "an empty tree is a tree",
        old="if all(entry.kind == DIRECTORY for entry in self.tree.values()):",
        new="if False:",
        test=f"{SOURCE}::test_an_empty_tree_is_no_tree",
    ),
    Mutant(
        "the hash of a file from an ended run is believed",
        old="if not _locked(file, fcntl.LOCK_EX):",
        new="if not _locked(file, fcntl.LOCK_EX) or os.fstat(file).st_size:",
        test=f"{SHARED}::test_a_later_run_hashes_anew",
    ),
)
