# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The code that runs on a netboot server, on the oldest supported Python, if this machine has it.

The linter checks the syntax; this finds what only shows when the code runs. A bare interpreter is enough.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.lab.fleet import CHECKOUT

COLLECTION = "ansible_collections.netboot.syncer.plugins"
MODULE_UTILS = CHECKOUT / "plugins" / "module_utils"


def oldest_python() -> str | None:
    """Return the path of a Python 3.9: on the PATH, or one of pyenv's."""
    installed = sorted(Path.home().glob(".pyenv/versions/3.9.*/bin/python3.9"))
    for program in filter(None, [shutil.which("python3.9"), *map(str, installed)]):
        # pyenv has a shim for each installed version, but only those of the selected versions work.
        if subprocess.run([program, "-c", ""], capture_output=True, check=False).returncode == 0:
            return program
    return None


PYTHON = oldest_python()
pytestmark = pytest.mark.skipif(PYTHON is None, reason="needs a Python 3.9")


def run(script: str) -> str:
    """Return what a script prints under that Python."""
    assert PYTHON is not None
    # Isolated, without site-packages, and without leaving bytecode next to the code.
    start = f"import sys; sys.dont_write_bytecode = True; sys.path.insert(0, {str(CHECKOUT / '.collections')!r})\n"
    done = subprocess.run([PYTHON, "-I", "-S", "-c", start + script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_all_of_it_can_be_imported() -> None:
    files = [path for path in MODULE_UTILS.rglob("*.py") if path.name != "__init__.py"]
    names = [".".join(path.relative_to(MODULE_UTILS).with_suffix("").parts) for path in files]
    assert names
    run("\n".join(f"import {COLLECTION}.module_utils.{name}" for name in sorted(names)))


def test_the_modules_compile() -> None:
    for path in sorted((CHECKOUT / "plugins" / "modules").glob("*.py")):
        run(f"compile(open({str(path)!r}, encoding='utf-8').read(), {str(path)!r}, 'exec')")


def test_silence_is_told_from_a_refusal() -> None:
    """In that version, a socket timeout is an OSError without an errno, just as a refusal over SFTP is."""
    script = f"""
import errno, socket
from {COLLECTION}.module_utils.ssh import sftp_client

def fail(error):
    raise error

for error in (socket.timeout("timed out"), OSError("Failure")):
    try:
        sftp_client.translate(fail, error)
    except OSError as found:
        print(type(found) is type(error), found.errno == errno.EIO)
"""
    assert run(script).splitlines() == ["True False", "True True"]
