# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One run of the module, of a playbook, or of ansible-runner, that can be killed."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.lab.namespaces import (
    NAMES,
    Host,
)
from tests.lab.process import STANDARD_PATH, LabError
from tests.lab.supervise import descendants

from .places import CODE

# ansible-runner as a program of its own; AWX calls the same function.
RUNNER = """
import os, sys
import ansible_runner
data, playbook, inventory = sys.argv[1:]
job = ansible_runner.run(
    private_data_dir=data,
    playbook=f"netboot.syncer.{playbook}",
    inventory=inventory,
    settings={"pexpect_timeout": 1},
    cancel_callback=lambda: os.path.exists(f"{data}/cancel"),
)
print(job.status)
sys.exit(0 if job.status == "successful" else 3)
"""


@dataclass(frozen=True)
class Ended:
    """How a run ended: ``status`` is negative for a signal, ``result`` is what the module returned, if anything."""

    status: int
    result: Mapping[str, Any]
    output: str

    @property
    def good(self) -> bool:
        """Whether the run reports success."""
        return self.status == 0 and not self.result.get("failures") and not self.result.get("failed")

    @property
    def words(self) -> str:
        """What the run reports, in one line."""
        if self.good:
            return "ok"
        if self.result.get("msg"):
            return str(self.result["msg"])
        if self.status < 0 or self.status > 128:
            return f"ended by signal {-self.status if self.status < 0 else self.status - 128}"
        return (self.output.strip().splitlines() or [f"status {self.status}"])[-1]


class Run:
    """A started run of the module or of a playbook; it is killed when the ``with`` block ends."""

    def __init__(self, host: Host, words: list[str], log: Path, *, results: Path | None = None) -> None:
        self._results = results
        self._log = log
        into = ["nsenter", f"--net={NAMES / host.network}", "chroot", str(host.root)]
        environment = {
            "PATH": f"{Path(sys.executable).parent}:{STANDARD_PATH}",
            "HOME": "/root",
            "LC_ALL": "C.UTF-8",
            "PYTHONPATH": CODE,
            "PYTHONDONTWRITEBYTECODE": "1",
            "ANSIBLE_CONFIG": f"{CODE}/ansible.cfg",
            "ANSIBLE_LOCALHOST_WARNING": "False",
        }
        if results is not None:
            results.unlink(missing_ok=True)
            environment |= {
                "ANSIBLE_CALLBACK_PLUGINS": f"{CODE}/callback_plugins",
                "ANSIBLE_CALLBACKS_ENABLED": "lab_results",
                "NETBOOT_LAB_RESULTS": "/" + str(results.relative_to(host.root)),
            }
        with log.open("wb") as output:
            # nsenter and chroot replace themselves (exec): the process is that of the module, or of the controller
            self.process = subprocess.Popen(
                [*into, *words],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environment,
                cwd="/",
                start_new_session=True,
            )

    @property
    def running(self) -> bool:
        """Whether it is still at work."""
        return self.process.poll() is None

    def kill(self, *, whole_tree: bool = False) -> None:
        """Kill its first process with SIGKILL; with *whole_tree*, all its descendants at the same time."""
        below = descendants(self.process.pid) if whole_tree else []
        for pid in [self.process.pid, *below]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def wait(self, timeout: float) -> Ended:
        """Wait for its end. Raises LabError if it takes longer than *timeout* seconds."""
        try:
            status = self.process.wait(timeout)
        except subprocess.TimeoutExpired as exc:
            doing = "; ".join(_doing(pid) for pid in [self.process.pid, *descendants(self.process.pid)])
            self.process.send_signal(signal.SIGABRT)  # Python then prints a traceback of each thread
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(2.0)
            self.kill(whole_tree=True)
            self.process.wait()
            last = " | ".join(self._text()[-3000:].splitlines())
            raise LabError(f"the run {self._log.stem} did not end in {timeout:.0f} s: {doing}: {last}") from exc
        text = self._text()
        return Ended(status, self._result(text), text)

    def _text(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")

    def _result(self, text: str) -> dict[str, Any]:
        if self._results is not None:
            if not self._results.exists() or not self._results.stat().st_size:
                return {}
            found = json.loads(self._results.read_text(encoding="utf-8"))
            return dict(next(iter(found.values()), {}))
        for line in reversed(text.splitlines()):
            if line.startswith("{"):
                with contextlib.suppress(ValueError):
                    return dict(json.loads(line))
        return {}

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *_unused: object) -> None:
        self.kill(whole_tree=True)
        self.process.wait()


def _doing(pid: int) -> str:
    """Describe a process of a run that does not end: its command, and where in the kernel each of its threads waits."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        waits = [task.joinpath("wchan").read_text(encoding="ascii") for task in Path(f"/proc/{pid}/task").iterdir()]
    except OSError:
        return f"{pid} has ended"
    return f"{words[:100]} waits in {', '.join(waits)}"
