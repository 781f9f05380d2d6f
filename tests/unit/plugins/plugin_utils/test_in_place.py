# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The process that a module becomes in a fork: what is seen of it from outside, however it ends.

The action plugin is a stand-in with what is asked of it; tests/playbooks/test_in_place.py has real ones.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.netboot.syncer.plugins.module_utils import requirements
from ansible_collections.netboot.syncer.plugins.module_utils.call import Call, Failed
from ansible_collections.netboot.syncer.plugins.module_utils.run.lifeline import Lifeline
from ansible_collections.netboot.syncer.plugins.plugin_utils import ended, guardian, in_place

SPEC = {"argument_spec": {"text": {"type": "str", "required": True}, "many": {"type": "list", "elements": "str"}}}


class Lazy(list):  # type: ignore[type-arg]
    """A list as those of ansible-core: its items are evaluated when they are taken, and C code passes that by."""

    def __iter__(self) -> Any:
        return iter(["evaluated"] * len(self))


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Callable[[], dict[str, Any]]]:
    """Start a function as a module on the control node."""
    monkeypatch.setattr(in_place, "_has_this_python", lambda _action, _variables: True)

    def begin(perform: Callable[[Call], dict[str, Any]], **arguments: Any) -> Callable[[], dict[str, Any]]:
        monkeypatch.setattr(in_place, "_module", lambda _name: SimpleNamespace(SPEC=SPEC, perform=perform))
        action = SimpleNamespace(
            _task=SimpleNamespace(async_val=0, environment=[{}], check_mode=True, diff=False),
            _connection=SimpleNamespace(transport="local", become=None),
            _loader=SimpleNamespace(get_basedir=lambda: str(tmp_path)),
            _execute_module=lambda **given: {"by": "Ansible", **given},
        )
        return in_place.start(action, "sync_assets", {"text": "t", **arguments}, {})

    return begin


def test_what_a_module_gets_and_returns(start: Any, tmp_path: Path) -> None:
    def perform(call: Call) -> dict[str, Any]:
        call.warnings.append("beware")
        with open("/proc/self/comm", encoding="ascii") as file:
            name = file.read().strip()
        reads = os.readlink("/proc/self/fd/0")
        return {**call.params, "check": call.check_mode, "name": name, "in": reads, "directory": os.getcwd()}

    assert start(perform, many=Lazy("{{ a }}"))() == {
        "text": "t",
        "many": ["evaluated"] * 7,
        "check": True,
        "name": "sync_assets",
        "in": "/dev/null",
        "directory": str(tmp_path),
        "warnings": ["beware"],
    }


def test_a_failed_module(start: Any) -> None:
    def perform(call: Call) -> dict[str, Any]:
        call.warnings.append("beware")
        raise Failed("no good", host="here")

    assert start(perform)() == {"failed": True, "msg": "no good", "host": "here", "warnings": ["beware"]}


def test_a_module_with_a_fault_is_told_in_one_line(start: Any) -> None:
    def perform(_call: Call) -> dict[str, Any]:
        raise KeyError("a\nb")

    found = start(perform)()
    assert found["failed"] is True
    assert found["msg"] == "the module failed: KeyError: 'a\\nb'"
    assert "Traceback" in found["exception"]  # which Ansible shows with -vvv


def test_a_killed_module(start: Any) -> None:
    found = start(lambda _call: os.kill(os.getpid(), signal.SIGKILL))()
    said = ended.told_in_words(found, host="a", machine="netboot")["msg"]
    assert said.startswith("a: the module ended without a result: killed (SIGKILL)?")


def test_a_result_that_fills_the_pipe_again_and_again(start: Any) -> None:
    text = "\udcff\u20ac" * 1_000_000
    assert start(lambda _call: {"text": text})() == {"text": text}


def test_a_module_ends_when_nobody_waits(start: Any) -> None:
    def perform(_call: Call) -> dict[str, Any]:
        with Lifeline():
            time.sleep(20)
        return {}

    waits = start(perform)
    pid, reading = waits.args
    os.close(reading)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) != 0


def test_the_log_of_ansible_is_left_alone(start: Any, tmp_path: Path) -> None:
    def perform(_call: Call) -> dict[str, Any]:
        logging.getLogger("paramiko").error("that connection")
        return {}

    handler = logging.FileHandler(tmp_path / "log")
    logging.getLogger().addHandler(handler)
    try:
        start(perform)()
    finally:
        logging.getLogger().removeHandler(handler)
        handler.close()
    assert (tmp_path / "log").read_text() == ""


def test_arguments_that_are_wrong_are_left_to_ansible(start: Any) -> None:
    for wrong in ({"unknown": 1}, {"many": {"a": 1}}, {"text": object()}):
        assert start(lambda _call: {}, **wrong)()["by"] == "Ansible"


@pytest.mark.parametrize(
    ("chosen", "usable", "ours"),
    [
        (sys.executable, False, True),  # it was named: the module says what is missing
        ("auto", True, True),
        ("auto_silent", True, True),
        ("auto", False, False),
        ("/usr/bin/python3.99", True, False),
    ],
)
def test_which_python(monkeypatch: pytest.MonkeyPatch, chosen: str, usable: bool, ours: bool) -> None:
    class Sites:
        def __init__(self, *_unused: Any) -> None: ...

        def evaluate(self, host: str, _names: Any) -> dict[str, Any]:
            assert host == "netboot"
            return {"ansible_python_interpreter": chosen}

    monkeypatch.setattr(in_place, "Sites", Sites)
    monkeypatch.setattr(requirements, "paramiko_trouble", lambda: "" if usable else "none")
    action = SimpleNamespace(_task=SimpleNamespace(delegate_to="netboot"), _loader=None)
    assert in_place._has_this_python(action, {"inventory_hostname": "a"}) is ours


def test_a_worker_imports_nothing_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    """And without what is expected of ansible-core, nobody does."""
    imported: list[str] = []
    monkeypatch.setattr(in_place, "_module", imported.append)
    local = SimpleNamespace(get_vars=lambda host: {"ansible_connection": host})
    group = SimpleNamespace(get_hosts=lambda: ["local"])
    strategy = SimpleNamespace(
        _inventory=SimpleNamespace(groups={"netboot_server": group}, localhost=None), _variable_manager=local
    )
    for main, its, expected in (
        (False, strategy, 0),
        (True, None, 0),
        (True, SimpleNamespace(), 0),
        (True, strategy, len(in_place._WARM)),
    ):
        imported.clear()
        monkeypatch.setattr(guardian, "is_main_process", lambda main=main: main)
        monkeypatch.setattr(guardian, "current_strategy", lambda its=its: its)
        in_place.warm_up()
        assert len(imported) == expected
