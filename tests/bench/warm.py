# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A process that has sync_assets in memory, as Ansible's worker has it on the netboot server, and runs it in a fork.

Run as ``python -m tests.bench.warm ARGUMENTS``, with a file as Ansible gives one to a module. It says that it is ready,
and begins when it reads a line.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.netboot.syncer.plugins.module_utils.call import Call, answer
from ansible_collections.netboot.syncer.plugins.modules import sync_assets

READY = "ready"


def main(path: str) -> int:
    """Run the module once; returns its exit status."""
    given: dict[str, Any] = json.loads(Path(path).read_text("utf-8"))["ANSIBLE_MODULE_ARGS"]
    print(READY, flush=True)  # noqa: T201  # what the bench waits for
    sys.stdin.readline()
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    checked = ArgumentSpecValidator(**sync_assets.SPEC).validate(given)
    found = answer(Call(checked.validated_parameters), sync_assets.perform)
    Path(path).with_suffix(".result").write_text(json.dumps(found), "utf-8")
    os._exit(1 if found.get("failed") else 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
