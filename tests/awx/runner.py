# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The process of one job: calls ansible-runner as AWX does, and stores what AWX would get from it.

usage: python -m tests.awx.runner DIRECTORY, which holds ``parameters.json``. It writes ``events.jsonl`` and, at the
end, ``end.json`` there; creating a file ``cancel`` there does what AWX's Cancel button does.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import ansible_runner


def main(directory: Path) -> None:
    """Run the job to its end."""
    parameters = json.loads((directory / "parameters.json").read_text(encoding="utf-8"))
    with (directory / "events.jsonl").open("a", encoding="utf-8", buffering=1) as events:

        def keep(event: dict[str, Any]) -> bool:
            events.write(json.dumps(event) + "\n")
            return False  # as in AWX, which has the event now: ansible-runner keeps no file of it

        job = ansible_runner.interface.run(
            event_handler=keep,
            cancel_callback=(directory / "cancel").exists,
            quiet=True,
            **parameters,
        )
    end = directory / "end.new"
    end.write_text(json.dumps({"status": job.status, "rc": job.rc}), encoding="utf-8")
    end.rename(directory / "end.json")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
