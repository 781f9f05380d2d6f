# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A get-pip for ansible-test, from what ships with Python.

For some of its checks ansible-test makes virtual environments without pip, and downloads a bootstrap script for pip
from a server of its own. That cannot be reached from everywhere, so this script takes its place: it does the same with
the pip that lies inside Python (ensurepip).

`python get_pip.py --place` puts a copy where ansible-test looks before it downloads, unless one is there already.
Run by ansible-test, with the packages to install as arguments, it installs those.
"""

from __future__ import annotations

import ensurepip
import os
import shutil
import subprocess
import sys
from pathlib import Path


def place() -> None:
    """Copy this file to ansible-test's cache, under the name for the pip version that the installed ansible-test
    wants."""
    # This is internal to ansible-test, and the only place that says which version it wants.
    from ansible_test._internal.host_configs import VirtualPythonConfig
    from ansible_test._internal.python_requirements import get_venv_packages

    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    pip_version = get_venv_packages(VirtualPythonConfig(version=version))["pip"]
    target = Path.home() / ".ansible" / "test" / "cache" / f"get_pip_{pip_version.replace('.', '_')}.py"
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f"{target.name}.{os.getpid()}")
        shutil.copyfile(__file__, part)
        part.replace(target)


def install(packages: list[str]) -> int:
    """Install *packages* (pip's own options among them) into the running virtual environment; pip's exit status."""
    # ensurepip turns off the user's settings of pip, the package index among them, by changing the environment.
    environment = dict(os.environ)
    ensurepip.bootstrap()
    options_of_get_pip = {"--no-setuptools", "--no-wheel"}
    arguments = [item for item in packages if item not in options_of_get_pip]
    return subprocess.call([sys.executable, "-m", "pip", "install", "--quiet", *arguments], env=environment)


if __name__ == "__main__":
    if sys.argv[1:] == ["--place"]:
        place()
    else:
        sys.exit(install(sys.argv[1:]))
