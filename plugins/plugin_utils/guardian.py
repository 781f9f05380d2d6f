# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes a run end when one of its processes on the control node is killed.

ansible-core runs each task of each host in a worker process, and leaves two cases unhandled:

- A worker is killed, for example by the kernel when out of memory. ``linear`` notices and ends the whole run; ``free``
  waits for the result forever. What the worker started keeps running.
- The main process is killed, or cancelled by something that kills its process group: workers have their own session and
  keep running, for nobody.

So a thread of the main process checks the workers twice a second, and whenever one has begun. If one has ended without
a result, it ends what that worker started, and then submits a failed result in its place: the play goes on, and that
host has failed. And each worker asks the kernel for a SIGTERM when the main process ends; Ansible's own handler then
ends its process group.

It starts when one of our action plugins is loaded, which the strategy does in the main process before it starts the
first worker for it, and covers all tasks from then on, whatever their action. Everything that ansible-core does not
guarantee is in this file. If a part of it is missing, the run continues and only loses the guard.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import multiprocessing
import os
import signal
import threading
import time
import typing as t

from ansible.utils.display import Display

LOOK = 0.5  # seconds between two checks
SOON = 0.02  # seconds after which Ansible knows the process of a worker that has just begun
LATE = 1.0  # seconds for a result to get from a worker that has just ended to the main process
PATIENCE = 6.0  # seconds for a worker's children to end by themselves; a module needs up to 5 to release its lock
_PR_SET_PDEATHSIG = 1

_Key = tuple[str, str]  # host, and unique id of the task
_started = False


def is_main_process() -> bool:
    """Return whether this is the main process of a run, and no worker."""
    return multiprocessing.parent_process() is None


def current_strategy() -> t.Any:
    """Return the strategy of the current play, in the main process; None between two plays."""
    return _current_strategy(_results_handler())


def begin() -> None:
    """Guard this process, if it is the main process of a run; only once, however often this is called."""
    global _started
    if _started or not is_main_process():
        return
    with contextlib.suppress(Exception):  # without the guard, the run is plain ansible-core
        watch = _Watch()
        os.register_at_fork(
            before=watch.note_strategy, after_in_parent=watch.begun.set, after_in_child=_EndWith(os.getpid())
        )
        atexit.register(watch.close)
        threading.Thread(target=watch.run, name="netboot.syncer guardian", daemon=True).start()
        _started = True


class _EndWith:
    """Makes each process that the main process forks end when the main process does."""

    def __init__(self, main: int) -> None:
        self._main = main
        self._prctl = ctypes.CDLL(None).prctl  # looked up here: a new process must not load anything

    def __call__(self) -> None:
        if os.getppid() == self._main:  # and nothing that they fork in turn
            # Until the worker sets its own handler, it has that of the main process, which raises here; and what is
            # raised at a fork is only printed. Nothing was started yet, so it may simply end.
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            self._prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
            if os.getppid() != self._main:  # it was killed just before
                os.kill(os.getpid(), signal.SIGTERM)


class _Worker:
    """A worker process, with its task. It keeps what Ansible drops when it forgets a worker."""

    def __init__(self, process: t.Any) -> None:
        self.process = process
        self.host, self.task, self.variables = process._host, process._task, process._task_vars
        self._popen = process._popen
        self.pid: int = self._popen.pid  # of its process group as well
        self.dead_since: float | None = None

    def ended_badly(self) -> bool:
        """Return whether it has ended abnormally."""
        return self._popen.poll() not in (None, 0)

    def was_killed(self) -> bool:
        """Return whether it ended by a signal that is not Ansible's own way to end a worker."""
        status = self._popen.poll()
        return status is not None and status < 0 and -status not in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

    def end_what_it_started(self, number: int) -> None:
        """Send a signal to what is left of its process group."""
        # Processes that are gone need none. Those of another user cannot get one, and notice by their standard output.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    def words(self) -> str:
        """Return in one line how it ended."""
        status = self._popen.poll()
        try:
            how = f"was killed ({signal.Signals(-status).name})"
        except (TypeError, ValueError):
            how = f"ended without a result (status {status})"
        return (
            f'{self.host.name}: its Ansible worker {how} in the task "{self.task.get_name()}". Is the control node '
            "out of memory? Look at its kernel's log, then run it again."
        )


class _Watch:
    """Watches the workers of the current play.

    :ivar begun: set when a worker has begun: with few forks, Ansible forgets a dead one once it has another task.
    """

    def __init__(self) -> None:
        self.begun = threading.Event()
        self._over = threading.Event()
        self._workers: dict[_Key, _Worker] = {}
        self._strategy: t.Any = None  # the last one seen
        self._handle = _results_handler()

    def run(self) -> None:
        """Watch until the process ends."""
        while not self._over.is_set():
            if self.begun.wait(LOOK):
                self.begun.clear()
                self._over.wait(SOON)
            try:
                self._look()
            except Exception as error:  # noqa: BLE001  # a part of ansible-core is not as it was: no guard, but a run
                Display().vv(f"netboot.syncer: dead workers are not looked for any more ({error!r})")
                return

    def close(self) -> None:
        """At the end of the run: end what dead workers left, and report them. ``linear`` did not wait for us."""
        self._over.set()
        with contextlib.suppress(Exception):
            self._note_workers()
            for worker in self._workers.values():
                if worker.was_killed():
                    worker.end_what_it_started(signal.SIGTERM)
                    Display().error(worker.words())

    def note_strategy(self) -> t.Any:
        """Note the strategy of the current play, which may be over before the next check; None between two plays."""
        strategy = _current_strategy(self._handle)
        if strategy is not None:
            self._strategy = strategy
        return strategy

    def _look(self) -> None:
        strategy = self.note_strategy()
        if strategy is None:
            return
        self._note_workers()
        for key, worker in list(self._workers.items()):
            if worker.ended_badly() and self._has_ended(worker):
                del self._workers[key]
                _hand_in(strategy, worker)

    def _note_workers(self) -> None:
        """Track each worker whose result is awaited, and drop all others."""
        if self._strategy is None:
            return
        for process in list(self._strategy._workers):
            if process is not None and process._popen is not None:
                key = (process._host.name, process._task._uuid)
                if key not in self._workers or self._workers[key].process is not process:
                    self._workers[key] = _Worker(process)
        for key in [key for key in self._workers if key not in self._strategy._queued_task_cache]:
            del self._workers[key]

    def _has_ended(self, worker: _Worker) -> bool:
        """Return whether a dead worker and everything it started are gone."""
        now = time.monotonic()
        if worker.dead_since is None:
            worker.dead_since = now
            worker.end_what_it_started(signal.SIGTERM)
        dead_for = now - worker.dead_since
        if dead_for >= PATIENCE:
            worker.end_what_it_started(signal.SIGKILL)
            return True
        return dead_for >= LATE and not _is_anything_left(worker.pid)


def _is_anything_left(group: int) -> bool:
    """Return whether a process group has a member that is still running."""
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError), open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as file:
                state, _parent, its_group = file.read().rpartition(")")[2].split()[:3]
                if its_group == str(group) and state not in "ZX":
                    return True
    return False


def _results_handler() -> t.Any:
    """Return the function of the thread that reads the workers' results. Raises if ansible-core has no such thing."""
    from ansible.plugins.strategy import results_thread_main

    return results_thread_main


def _current_strategy(handler: t.Any) -> t.Any:
    """Return the strategy whose results are currently read; None between two plays."""
    for thread in threading.enumerate():
        if getattr(thread, "_target", None) is handler:
            return thread._args[0]  # type: ignore[attr-defined]
    return None


def _hand_in(strategy: t.Any, worker: _Worker) -> None:
    """Fail the task of a dead worker, the way the worker itself would have."""
    message = worker.words()
    if worker.process in strategy._workers:  # a later linear play would end the run because of it
        strategy._workers[strategy._workers.index(worker.process)] = None
    queue = strategy._final_q
    try:
        from ansible.executor.task_result import _RawTaskResult  # up to 2.20
    except ImportError:
        _hand_in_unified(queue, worker, message)
    else:
        ignored = {"ignore_errors": worker.task.ignore_errors is True}
        failed = {"failed": True, "msg": message}
        queue.send_task_result(
            _RawTaskResult(host=worker.host, task=worker.task, return_data=failed, task_fields=ignored)
        )


def _hand_in_unified(queue: t.Any, worker: _Worker, message: str) -> None:
    """Do the same from ansible-core 2.21 on, where results are no longer dictionaries."""
    from ansible._internal import _task
    from ansible.errors import AnsibleActionFail

    task = worker.task.copy(exclude_parent=True, exclude_tasks=True)
    task._parent = worker.task._parent
    task._uuid = worker.task._uuid
    task.ignore_errors = worker.task.ignore_errors is True
    with _task.TaskContext.create(task=task, task_vars=dict(worker.variables), host_name=worker.host.name):
        result = _task.UnifiedTaskResult.create_from_action_exception(AnsibleActionFail(message))
        result.finalize_registered_values()
    queue.send_task_result(worker.host, task, result)
