# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bad parameters of the module end in one line that names them, before anything else is done."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.lab.fleet import CHECKOUT
from tests.lab.runs import MODULE


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        pytest.param({"unmarked_images": ["[z-a]*"]}, "not a pattern: '[z-a]*' (bad character range", id="range"),
        pytest.param({"pointers": ["[z-a]*"]}, "not a pattern: '[z-a]*' (bad character range", id="pointers"),
        pytest.param({"include": ["/"]}, "not a pattern: '/' (it names nothing in the tree", id="slash"),
        pytest.param({"exclude": ["../dev"]}, "not a pattern: '../dev' (it leads above the tree", id="above"),
        pytest.param({"marker_names": ["json/{stem}.json"]}, "marker_names: 'json/{stem}.json' has a /", id="marker"),
        pytest.param({"uplink_limit": "0Mbit"}, "uplink_limit: nothing could be sent at '0Mbit'", id="rate"),
        pytest.param({"dest": "assets"}, "dest: 'assets' is not the absolute path", id="relative"),
        pytest.param({"dest": "/"}, "dest: '/' is not the absolute path of a directory below /", id="root"),
        pytest.param({"retries": -1}, "retries: -1 makes no sense; it must be a number from 0 on", id="number"),
    ],
)
def test_bad_parameter_is_one_line(tmp_path: Path, parameters: dict[str, Any], message: str) -> None:
    arguments = tmp_path / "arguments.json"
    given = {"host": "127.0.0.1", "src": str(tmp_path / "nothing"), **parameters}
    arguments.write_text(json.dumps({"ANSIBLE_MODULE_ARGS": given}), encoding="utf-8")
    run = subprocess.run(
        [sys.executable, "-m", MODULE, str(arguments)],
        env={**os.environ, "PYTHONPATH": str(CHECKOUT / ".collections")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    found = json.loads(run.stdout)
    assert found["failed"] is True
    assert found["msg"].startswith(message)
    assert len(found["msg"].splitlines()) == 1
    assert "Traceback" not in run.stdout + run.stderr
