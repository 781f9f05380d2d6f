# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""If ansible-core is not as the guardian expects, a run only loses its guard. test_killed.py tests what it does."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.netboot.syncer.plugins.plugin_utils import guardian

from tests.lab.process import Supervised
from tests.lab.supervise import descendants
from tests.lab.waiting import wait_until


def environment() -> dict[str, str]:
    """That of a Python which finds what this one does."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


def guards() -> int:
    return sum("guardian" in thread.name for thread in threading.enumerate())


@pytest.fixture
def unguarded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guardian, "_started", False)


@pytest.mark.usefixtures("unguarded")
def test_part_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise ImportError("no results_thread_main in ansible.plugins.strategy")

    before = guards()
    monkeypatch.setattr(guardian, "_results_handler", missing)
    guardian.begin()
    assert guards() == before


@pytest.mark.parametrize(
    "strategy",
    [
        pytest.param(SimpleNamespace(), id="no-list-of-workers"),
        pytest.param(SimpleNamespace(_workers=[object()], _queued_task_cache={}), id="other-workers"),
    ],
)
def test_part_that_is_another(strategy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guardian, "LOOK", 0.001)
    monkeypatch.setattr(guardian, "_current_strategy", lambda _handle: strategy)
    watch = guardian._Watch()
    watch.run()  # it returns
    watch.close()


def _begin_in_a_worker() -> None:
    guardian._started = False
    guardian.begin()
    os._exit(0 if not guards() and not guardian._started else 1)


def test_a_worker_guards_nobody() -> None:
    process = multiprocessing.get_context("fork").Process(target=_begin_in_a_worker)
    process.start()
    process.join(60)
    assert process.exitcode == 0


MAIN = """
import os, subprocess, sys, time
from ansible_collections.netboot.syncer.plugins.plugin_utils import guardian
guardian.begin()
guardian.begin()
if os.fork() == 0:
    if os.fork() == 0:
        time.sleep(300)  # a worker's own child
    time.sleep(300)
print("ready", flush=True)
time.sleep(300)
"""


def test_a_worker_ends_with_the_main_process_and_nothing_else_does() -> None:
    main = Supervised(
        ["sh", "-c", '"$@"; exec sleep 300', "sh", sys.executable, "-c", MAIN],
        stdout=subprocess.PIPE,
        env=environment(),
    )
    try:
        assert main.process.stdout is not None
        assert main.process.stdout.readline() == b"ready\n"
        wait_until(lambda: len(main.pids()) == 4, "the worker, and its child")
        shell, first, worker, child = main.pids()
        assert worker in descendants(first)
        os.kill(first, signal.SIGKILL)
        wait_until(lambda: sorted(main.pids()) == sorted([shell, child]), "the worker's end")
    finally:
        main.stop()
        if main.process.stdout is not None:
            main.process.stdout.close()


def test_a_worker_ends_if_the_main_process_was_killed_while_it_began() -> None:
    """Ansible's own handler of that signal raises in a new worker, and Python only prints what is raised at a fork."""
    code = """
import os, signal
from ansible_collections.netboot.syncer.plugins.plugin_utils import guardian
def handle(_number, _frame):
    raise AssertionError("can only test a child process")
signal.signal(signal.SIGTERM, handle)
guardian.begin()
parents = iter([os.getpid(), 1])
os.getppid = lambda: next(parents)
worker = os.fork()
if worker == 0:
    os._exit(0)
print(os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1]))
"""
    words = [sys.executable, "-c", code]
    ended = subprocess.run(words, env=environment(), capture_output=True, text=True, check=True, timeout=60)
    assert int(ended.stdout) == -signal.SIGTERM
