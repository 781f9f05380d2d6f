# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The code of the netboot server on the oldest Python that it may have, where this machine has that one as well.

The linter knows its syntax; what only shows when the code runs is here. A bare interpreter is enough.
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
    """Where a Python 3.9 is: on the PATH, or one of pyenv's."""
    installed = sorted(Path.home().glob(".pyenv/versions/3.9.*/bin/python3.9"))
    for program in filter(None, [shutil.which("python3.9"), *map(str, installed)]):
        # One of pyenv's shims is there for each version, but works only for the chosen ones.
        if subprocess.run([program, "-c", ""], capture_output=True, check=False).returncode == 0:
            return program
    return None


PYTHON = oldest_python()
pytestmark = pytest.mark.skipif(PYTHON is None, reason="needs a Python 3.9")


def run(script: str) -> str:
    """What a script prints there."""
    assert PYTHON is not None
    # Isolated and without site-packages, and nothing is left beside the code.
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
    """There, a timeout of a socket is an OSError without a number, as a refusal of SFTP is."""
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
