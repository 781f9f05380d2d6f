# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A job as AWX 24 makes it: private data directory, inventory script, arguments and environment.

AWX's own code is in its ``awx/main/tasks/jobs.py`` (``RunJob``) and ``awx/main/models/inventory.py``
(``get_script_data``); this imitates the parts that matter to a sync. There is no container around it: the job has its
own home directory and environment, but sees the machine's files and processes.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import stat
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import yaml

from tests.lab.fleet import CHECKOUT
from tests.lab.process import STANDARD_PATH, LabError, Supervised

Inventory = Mapping[str, Mapping[str, Any]]  # group to its vars and hosts, as below all.children of a YAML inventory


@dataclass(frozen=True)
class Launch:
    """The settings of a job, from its template and its launch.

    :ivar slice: the number of the slice, and how many slices there are.
    :ivar survey: answers to a survey and other variables of the launch; AWX passes them as ``!unsafe``.
    """

    playbook: str = "playbooks/sync.yml"
    limit: str = ""
    check: bool = False
    diff: bool = False
    forks: int = 20
    timeout: int = 0
    verbosity: int = 0
    user: str = ""
    slice: tuple[int, int] = (1, 1)
    survey: Mapping[str, Any] = field(default_factory=dict)


def script(groups: Inventory, number: int = 1, count: int = 1) -> str:
    """The inventory script as AWX writes it. A slice has every n-th host, whatever its group; all groups stay."""
    hosts = sorted({name for group in groups.values() for name in group.get("hosts", {})})
    kept = hosts[number - 1 :: count]
    data: dict[str, Any] = {"all": {"hosts": [], "children": list(groups)}}
    variables: dict[str, Any] = {}
    for name, group in groups.items():
        ours = [host for host in kept if host in group.get("hosts", {})]
        found = {"hosts": ours, "vars": dict(group.get("vars", {}))}
        data[name] = {key: value for key, value in found.items() if value}
        variables.update((host, {**(group["hosts"][host] or {}), **variables.get(host, {})}) for host in ours)
    for number_, host in enumerate(hosts, 1):
        if host in variables:
            variables[host] |= {"remote_tower_enabled": "true", "remote_tower_id": number_}
    data["_meta"] = {"hostvars": variables}
    return f"#! /usr/bin/env python3\n# -*- coding: utf-8 -*-\nprint({json.dumps(data)!r})\n"


class _Unsafe(yaml.SafeDumper):
    def represent_data(self, data: Any) -> yaml.Node:
        if isinstance(data, str):
            return self.represent_scalar("!unsafe", data)
        return super().represent_data(data)


class Job:
    """A job that is ready to run, in *directory*.

    :arg project: a checkout of the project, copied into each job.
    :arg requirements: where the project's update has installed ``collections/requirements.yml``.
    :arg key: the private key of the machine credential.
    """

    def __init__(
        self, directory: Path, launch: Launch, groups: Inventory, *, project: Path, requirements: Path, key: Path
    ) -> None:
        self.directory = directory
        self._data = directory / "awx_1"
        self._job: Supervised | None = None
        # The path of a socket must be short; in a container it is /runner/cp.
        self._sockets = Path(tempfile.mkdtemp(prefix="awx-", dir="/tmp"))
        for name in ("inventory", "env"):
            (self._data / name).mkdir(mode=0o700, parents=True)
        (directory / "home").mkdir()
        shutil.copytree(project, self._data / "project", symlinks=True)
        shutil.copytree(requirements, self._data / "requirements_collections", symlinks=True)
        inventory = self._data / "inventory" / "hosts"
        inventory.write_text(script(groups, *launch.slice), encoding="utf-8")
        inventory.chmod(stat.S_IRWXU)
        variables = yaml.dump({**launch.survey, **_meta(launch)}, Dumper=_Unsafe)
        (self._data / "env" / "extravars").write_text(variables, encoding="utf-8")
        settings = {"job_timeout": launch.timeout, "suppress_ansible_output": True, "suppress_output_file": True}
        (self._data / "env" / "settings").write_text(json.dumps(settings), encoding="utf-8")
        (self._data / "env" / "cmdline").write_text(shlex.join(_arguments(launch)), encoding="utf-8")
        parameters = {
            "ident": 1,
            "private_data_dir": str(self._data),
            "playbook": launch.playbook,
            "inventory": str(inventory),
            "envvars": self._environment(),
            "ssh_key": key.read_text(encoding="utf-8"),
            "passwords": {r"Enter passphrase for .*:\s*?$": ""},
            "suppress_env_files": True,
            "fact_cache_type": "",
        }
        (directory / "parameters.json").write_text(json.dumps(parameters), encoding="utf-8")

    def _environment(self) -> dict[str, str]:
        """The job's environment: first what AWX's settings add; ``ANSIBLE_COLLECTIONS_PATH`` depends on the job."""
        defaults = "~/.ansible/collections:/usr/share/ansible/collections"
        return {
            "ANSIBLE_HOST_KEY_CHECKING": "False",
            "ANSIBLE_PARAMIKO_RECORD_HOST_KEYS": "False",
            "ANSIBLE_FORCE_COLOR": "True",
            "ANSIBLE_INVENTORY_UNPARSED_FAILED": "True",
            "ANSIBLE_RETRY_FILES_ENABLED": "False",
            "ANSIBLE_COLLECTIONS_PATH": f"{self._data}/requirements_collections:{defaults}",
            "ANSIBLE_SSH_CONTROL_PATH_DIR": str(self._sockets),
            "AWX_HOST": "https://awx.example.org",
            "AWX_PRIVATE_DATA_DIR": str(self._data),
            "INVENTORY_ID": "1",
            "JOB_ID": "1",
            "MAX_EVENT_RES": "700000",
            "PROJECT_REVISION": "0" * 40,
        }

    def start(self) -> None:
        """Start it, with nothing of the caller's environment, as in a container."""
        environment = {
            "HOME": str(self.directory / "home"),
            "LANG": "C.UTF-8",
            "PATH": f"{Path(sys.executable).parent}:{STANDARD_PATH}",
            "PYTHONPATH": str(CHECKOUT),
            "PYTHONWARNINGS": "ignore",
        }
        with (self.directory / "runner.log").open("wb") as log:
            command = [sys.executable, "-m", "tests.awx.runner", str(self.directory)]
            self._job = Supervised(command, stdout=log, stderr=log, cwd=self.directory, env=environment)

    def cancel(self) -> None:
        """Do what AWX's Cancel button does."""
        (self.directory / "cancel").touch()

    def wait(self, timeout: float = 100) -> Job:
        """Wait for its end. Raises LabError if it does not end, or if ansible-runner itself fails."""
        if self._job is None:
            self.start()
        assert self._job is not None
        status = self._job.wait(timeout)
        if status != 0:
            raise LabError(f"ansible-runner failed: {(self.directory / 'runner.log').read_text(encoding='utf-8')}")
        return self

    def stop(self) -> None:
        """End it, and everything that it started."""
        if self._job is not None:
            self._job.stop()
        shutil.rmtree(self._sockets, ignore_errors=True)

    def __enter__(self) -> Job:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def running(self) -> bool:
        """Whether it still runs."""
        return self._job is not None and self._job.running

    @property
    def status(self) -> str:
        """``successful``, ``failed``, ``canceled`` or ``timeout``; empty while it runs."""
        end = self.directory / "end.json"
        return str(json.loads(end.read_text(encoding="utf-8"))["status"]) if end.exists() else ""

    @property
    def events(self) -> list[dict[str, Any]]:
        """All events so far, in order."""
        file = self.directory / "events.jsonl"
        text = file.read_text(encoding="utf-8") if file.exists() else ""
        return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]

    @property
    def output(self) -> str:
        """The output as AWX's job page shows it, without the colours."""
        lines = "\n".join(event["stdout"] for event in self.events if event.get("stdout"))
        return "".join(part.partition("m")[2] if n else part for n, part in enumerate(lines.split("\x1b[")))

    @property
    def artifacts(self) -> dict[str, Any]:
        """The artifacts: the values of set_stats, taken from the last event that has them."""
        found: dict[str, Any] = {}
        for event in self.events:
            found = event.get("event_data", {}).get("artifact_data") or found
        return found

    @property
    def main(self) -> int:
        """The process id of ansible-playbook itself; 0 if it is not running."""
        for pid in self._job.pids() if self._job is not None else []:
            words = _words(pid)
            if len(words) > 1 and words[1].endswith("/ansible-playbook") and str(self._data) in " ".join(words):
                return pid
        return 0


def _arguments(launch: Launch) -> list[str]:
    found = ["--check"] if launch.check else []
    found += ["-u", launch.user or "root"]  # AWX always names a user
    found += ["--diff"] if launch.diff else []
    found += [f"--forks={launch.forks}"] if launch.forks else []
    found += ["-l", launch.limit] if launch.limit else []
    return found + (["-" + "v" * launch.verbosity] if launch.verbosity else [])


def _meta(launch: Launch) -> dict[str, Any]:
    """What AWX tells each job about itself. Slices form a workflow with the name of the job template."""
    found: dict[str, Any] = {
        "job_id": 1,
        "job_launch_type": "workflow" if launch.slice[1] > 1 else "scheduled",
        "job_template_id": 7,
        "job_template_name": "Netboot sync",
        "inventory_id": 1,
        "inventory_name": "Netboot",
        "project_revision": "0" * 40,
    }
    if launch.slice[1] > 1:
        found |= {"workflow_job_id": 2, "workflow_job_name": "Netboot sync", "workflow_job_launch_type": "scheduled"}
    return {f"{prefix}_{name}": value for prefix in ("awx", "tower") for name, value in found.items()}


def _words(pid: int) -> list[str]:
    try:
        return [os.fsdecode(word) for word in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")]
    except OSError:
        return []
