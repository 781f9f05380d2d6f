# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Imports modules of this collection as Python imports any other, which keeps their bytecode (PEP 3147).

Ansible's importer compiles the source of a collection anew in each process. For what a run of sync.yml needs, that took
a sixth of the CPU time of its main process.
"""

from __future__ import annotations

import contextlib
import sys
import typing as t
from importlib.machinery import SOURCE_SUFFIXES, FileFinder, ModuleSpec, SourceFileLoader

COLLECTION = "ansible_collections.netboot.syncer.plugins."


class Finder:
    """Finds modules and packages within the collection, below a package that Ansible has found."""

    @staticmethod
    def find_spec(name: str, path: t.Sequence[str] | None = None, _target: object = None) -> ModuleSpec | None:
        """Return what Python's own importer says of a module, or None if Ansible's is to be asked.

        That is needed for directories without an ``__init__.py``.
        """
        if path is None or not name.startswith(COLLECTION):
            return None
        for directory in path:
            found = FileFinder(directory, (SourceFileLoader, SOURCE_SUFFIXES)).find_spec(name)
            if found is not None and found.loader is not None:
                return found
        return None


@contextlib.contextmanager
def kept() -> t.Iterator[None]:
    """Keep the bytecode of what the block imports from this collection, and use what was kept.

    Where Python may not write next to the source, or is told not to (``PYTHONDONTWRITEBYTECODE``), nothing is kept.
    """
    sys.meta_path.insert(0, Finder)
    try:
        yield
    finally:
        sys.meta_path.remove(Finder)
