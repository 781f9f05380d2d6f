# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a module of this collection: in a fork of the worker where that is possible, otherwise as Ansible does.

Ansible packs a module into an archive, and starts a Python that unpacks, compiles and imports it. That took as much CPU
as all the rest of a sync of 290 MB. Where the module runs on the control node, as the same user and with the same
Python, a fork of the worker has it in memory already. It remains a process of its own, in the process group of the
worker, and ends when nobody reads its standard output any more. Network modules of Ansible run in their worker for the
same reason (``import_modules`` of ansible.netcommon).
"""

from __future__ import annotations

import contextlib
import functools
import gc
import importlib
import json
import logging
import os
import signal
import sys
import traceback
import typing as t

from ansible import constants
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.utils.display import Display
from ansible_collections.netboot.syncer.plugins.module_utils import requirements
from ansible_collections.netboot.syncer.plugins.module_utils.call import Call, Failed, Perform, answer

from . import bytecode, guardian
from .sites import Sites, UnknownSite

_MODULES = "ansible_collections.netboot.syncer.plugins.modules"
_WARM = ("sync_assets", "sync_source", "sync_survey")  # what each run of sync.yml needs
_PYTHON = "ansible_python_interpreter"
_MOST = 3  # hosts that are asked for their connection
_NEWS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)

Result = dict[str, t.Any]


def warm_up() -> None:
    """Import the modules in the main process, before it forks a worker, if the netboot server is the control node."""
    with contextlib.suppress(Exception):  # without it, each fork imports them
        if guardian.is_main_process() and _sends_from_here(guardian.current_strategy()):
            with bytecode.kept():
                for name in _WARM:
                    _module(name)
            # What is there by now stays: workers need not look through it, which would copy all of its memory for each.
            gc.freeze()


def _sends_from_here(strategy: t.Any) -> bool:
    inventory, manager = strategy._inventory, strategy._variable_manager
    group = inventory.groups.get("netboot_server")
    likely = [*(group.get_hosts() if group else ()), *filter(None, (inventory.localhost,))]
    return any(manager.get_vars(host=one).get("ansible_connection") == "local" for one in likely[:_MOST])


def _module(name: str) -> t.Any:
    return importlib.import_module(f"{_MODULES}.{name}")


def start(
    action: t.Any, name: str, arguments: Result, variables: Result, *, wrap_async: bool = False
) -> t.Callable[[], Result]:
    """Start a module of this collection, and return what waits for its result.

    To be called before the caller starts a thread: a fork has only one, and the locks that the others held. Where
    Ansible itself has to run the module, that begins with the waiting.

    :param action: the action plugin; it has a connection.
    :param variables: its ``task_vars``.
    :param wrap_async: whether Ansible puts the module into the background.
    """
    call = _call(action, name, arguments, variables)
    if call is None:
        return functools.partial(
            action._execute_module,
            module_name=f"netboot.syncer.{name}",
            module_args=arguments,
            task_vars=variables,
            wrap_async=wrap_async,
        )
    host = variables.get("inventory_hostname")
    Display().vvv(f"{name} runs in a fork of this worker, with {sys.executable}", host=host)
    perform, directory = _module(name).perform, action._loader.get_basedir()
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)  # or this would count as somebody who reads
        _be(name, writing, directory, perform, call)
    os.close(writing)
    return functools.partial(_result, pid, reading)


def _call(action: t.Any, name: str, arguments: Result, variables: Result) -> Call | None:
    """Return the call if it can be made in here; None if not, or if Ansible has to say what is wrong with it."""
    task = action._task
    if action._connection.transport != "local" or action._connection.become is not None:
        return None
    if task.async_val or any(task.environment or ()) or not _has_this_python(action, variables):
        return None
    try:
        plain = json.loads(json.dumps(_plain(arguments)))
    except (TypeError, ValueError):
        return None
    spec = dict(_module(name).SPEC)
    checked = ArgumentSpecValidator(spec.pop("argument_spec"), **spec).validate(plain)
    if checked.error_messages:
        return None
    return Call(checked.validated_parameters, check_mode=bool(task.check_mode), diff=bool(task.diff))


def _plain(value: t.Any) -> t.Any:
    """Return a value with containers of Ansible's, which may evaluate what is taken from them, as plain ones."""
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    return value


def _has_this_python(action: t.Any, variables: Result) -> bool:
    """Return whether Ansible would run the module with this Python, or leaves it open with which."""
    host = str(action._task.delegate_to or variables["inventory_hostname"])
    try:
        values = Sites(action._task, variables, action._loader).evaluate(host, [_PYTHON])
        chosen = str(constants.config.get_config_value("INTERPRETER_PYTHON", variables=values))
    except (UnknownSite, AttributeError):
        return False
    return chosen == sys.executable or (chosen.startswith("auto") and not requirements.paramiko_trouble())


def _be(name: str, writing: int, directory: str, perform: Perform, call: Call) -> t.NoReturn:
    """Be the process of a module, whose signals, standard streams and directory are not those of a worker."""
    status = 1
    try:
        gc.freeze()  # what was there before stays, and need not be looked through again and again
        _take_name(name)
        logging.disable(logging.CRITICAL)  # paramiko's lines are not for Ansible's log
        for number in _NEWS:
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
        nowhere = os.open(os.devnull, os.O_RDWR)
        for old, new in ((nowhere, 0), (writing, 1), (nowhere, 2)):
            os.dup2(old, new)
        os.close(writing)
        os.chdir(directory)
        result = answer(call, perform)
        _write({**result, "warnings": call.warnings} if call.warnings else result)
        status = 0
    except Exception as error:  # noqa: BLE001  # whatever it is, the worker has to hear of it
        words = " ".join(f"{type(error).__name__}: {error}".split())
        _write(Failed(f"the module failed: {words}", exception=traceback.format_exc()).result)
    finally:
        os._exit(status)


def _take_name(name: str) -> None:
    """Be called like the module by ps and top."""
    with contextlib.suppress(OSError), open("/proc/self/comm", "w", encoding="ascii") as file:
        file.write(name)


def _write(result: Result) -> None:
    rest = memoryview(json.dumps(result).encode("ascii"))
    while rest:
        rest = rest[os.write(1, rest) :]


def _result(pid: int, reading: int) -> Result:
    """Return the result of a module's process; as Ansible has it where the process has ended without one."""
    with open(reading, "rb") as pipe:  # closed in any case: then the process ends as well
        said = pipe.read()
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    try:
        found: Result = json.loads(said)
    except ValueError:
        text = said.decode("utf-8", "replace")
        return {"failed": True, "module_stdout": text, "rc": status, "msg": "the module ended without a result"}
    return found
