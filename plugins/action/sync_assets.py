# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the module of the same name as Ansible does, and shows its progress meanwhile.

A module cannot print anything before its end, and a worker process has no standard output since ansible-core 2.19. So
the module maintains a small file, this plugin reads it, and Display carries the line to the main process: to the
terminal, the log, and the events of ansible-runner and AWX.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import secrets
import shlex
import typing as t

from ansible import constants
from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.netboot.syncer.plugins.module_utils import options
from ansible_collections.netboot.syncer.plugins.plugin_utils import ended, guardian, in_place, outcomes, site, starter
from ansible_collections.netboot.syncer.plugins.plugin_utils.hub_runs import HubRuns, Seen, Stage
from ansible_collections.netboot.syncer.plugins.plugin_utils.hub_signal import HubSignal
from ansible_collections.netboot.syncer.plugins.plugin_utils.progress_lines import ProgressLines
from ansible_collections.netboot.syncer.plugins.plugin_utils.sites import Sites, UnknownSite

guardian.begin()  # the main process of a run loads this as well, before its first worker does
in_place.warm_up()

display = Display()

SURVEYED = "netboot_sync_preflight"  # what the tasks of the preflight found
INTERVAL = 10  # seconds, as the module's documentation says


def _way(source: str, arguments: t.Mapping[str, t.Any]) -> str:
    """Return in words how a source reaches a caching server."""
    user = f"{arguments['user']}@" if arguments.get("user") else ""
    port = f" port {arguments['port']}" if arguments.get("port") else ""
    trees = [arguments.get(name) or options.default(name) for name in ("src", "dest")]
    return f"from {trees[0]} on {source} to {trees[1]} at {user}{arguments.get('host')}{port}"


def _offers(found: t.Mapping[str, t.Any]) -> str:
    """Return in words what a caching server offers, and what the run used of it."""
    there = found["server"]
    parts = [f"rsync {there['rsync']}" if there["rsync"] else "no rsync"]
    parts += [
        words if there[name] else f"no {words}"
        for name, words in (("shell", "shell"), ("hashes", "sha256sum"), ("locks", "flock"), ("archives", "tar"))
    ]
    return f"it offers {', '.join(parts)}; large files went by {found['transport']}"


def _runless(hub: str, task_vars: t.Mapping[str, t.Any]) -> str:
    """Return why the preflight found that no run for a hub of the play can begin; empty if one can."""
    return outcomes.trouble_of(task_vars.get("netboot_sync_sources", {})).get(hub, "")


class ActionModule(ActionBase):  # type: ignore[misc]  # Ansible has no types
    """The action plugin of sync_assets."""

    _supports_check_mode = True
    _supports_async = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Run the module, and show its progress if possible."""
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        task_vars = task_vars or {}
        in_background = bool(self._task.async_val) and not self._connection.has_native_async
        host = str(task_vars.get("inventory_hostname", ""))
        runs = HubRuns(constants.DEFAULT_LOCAL_TMP, str(self._task.play._uuid))
        try:
            arguments, hub = self._arguments(task_vars)
        except UnknownSite as error:
            with runs.begun(host) as ended_with:
                ended_with(str(error))  # or those that it feeds would wait for it to begin
            return {**result, "failed": True, "msg": str(error)}
        source = str(self._task.delegate_to or host)
        display.vv(f"{host}: {_way(source, arguments)}", host=host)
        arguments.setdefault("started_by", starter.started_by(task_vars, source))
        lines = signal = None
        if not in_background:
            lines = self._progress_lines(arguments, task_vars)
            signal = self._signal(runs, hub, arguments, task_vars) if hub else None
        with runs.begun(host) as ended_with:
            wait = in_place.start(self, "sync_assets", arguments, task_vars, wrap_async=in_background)
            with lines or contextlib.nullcontext(), signal or contextlib.nullcontext():
                found = self._found(wait, arguments)
            behind = self._behind(runs.look(hub), hub, task_vars) if hub and "msg" not in found else ""
            ended_with(str(found.get("msg") or behind))
        if signal and self._is_become_unprivileged():  # it is among all users' temporary files
            remove = self._connection._shell.remove(arguments["follow"])
            with contextlib.suppress(AnsibleError):
                self._beside()._low_level_execute_command(remove, sudoable=False)
        if behind:
            found["behind"] = behind
            display.warning(f"{host}: {behind}")
        for line in found.get("retried") or ():
            display.vv(f"{host}: tried again: {line}", host=host)
        if found.get("server"):
            display.vvv(f"{host}: {_offers(found)}", host=host)
        result.update(ended.told_in_words(found, host=host, machine=str(self._task.delegate_to or host)))
        if not in_background:
            self._remove_tmp_path(self._connection._shell.tmpdir)
        return result

    def _found(self, wait: t.Callable[[], dict[str, t.Any]], arguments: dict[str, t.Any]) -> dict[str, t.Any]:
        try:
            return wait()
        except AnsibleConnectionFailure as error:
            if self._task.delegate_to is None:
                raise
            # "Unreachable" would refer to the caching server, to which Ansible never connects.
            return {"failed": True, "msg": f"{arguments.get('name')}: {self._unreachable(error)}"}

    def _arguments(self, task_vars: dict[str, t.Any]) -> tuple[dict[str, t.Any], str]:
        """Return the module's arguments, and the hub that feeds the caching server, if one does.

        Address, port and user are those of the task's host.

        Raises :class:`UnknownSite`.
        """
        arguments = dict(self._task.args)
        prefix = str(arguments.pop("variables", None) or "")
        host = str(task_vars["inventory_hostname"])
        sites = Sites(self._task, task_vars, self._loader, prefix)
        if not prefix:
            return (arguments if arguments.get("host") else {**sites.connection(host), **arguments}), ""
        found = sites.look(host)
        trouble = sites.source_trouble(found.source)
        if trouble:
            raise UnknownSite(f"{host}: {trouble}")
        if found.source != (self._task.delegate_to or host):
            raise UnknownSite(
                f"{host}: the task runs on {self._task.delegate_to or host}, but {prefix}source is {found.source}."
                f" Set its delegate_to to that variable."
            )
        if SURVEYED not in task_vars:  # or it was said before, for all hosts at once
            for line in site.warnings({host: found.ignored}, prefix):
                display.warning(line)
        if found.unheard:
            display.warning(
                f"{host}: what was withdrawn by name on the netboot server is not known, since {found.unheard}; what"
                f" {found.source} has published is sent"
            )
        if found.lost:
            display.warning(f"{host}: it is synced from {found.source}, since {found.lost} cannot be used")
        arguments = {**arguments, **found.options, "variables": prefix}  # the module names them in remedies
        looks = task_vars.get("netboot_sync_sources", {}).get("results", ())
        whole = any(look.get("whole_files") and look["item"]["source"] == found.source for look in looks)
        if whole and arguments.get("transport", "auto") == "auto":
            arguments["transport"] = "sftp"  # why, the preflight has said for all caching servers
        return arguments, found.source if found.hub else ""

    def _signal(
        self, runs: HubRuns, hub: str, arguments: dict[str, t.Any], task_vars: dict[str, t.Any]
    ) -> HubSignal | None:
        """Return what tells the module how long the hub's own run is active; None if nobody waits for that."""
        seen = runs.look(hub)
        expected = self._has_a_run(hub, task_vars) and not _runless(hub, task_vars)
        followed = seen.stage is Stage.AT_WORK or (seen.stage is Stage.UNKNOWN and expected)
        if not followed or self._task.check_mode or self._connection.transport not in ("local", "ssh"):
            return None
        try:
            arguments["follow"] = path = self._new_path()
        except (AnsibleError, LookupError):
            return None
        return HubSignal(functools.partial(runs.look, hub), self._writer(path), expected=expected)

    @staticmethod
    def _has_a_run(hub: str, task_vars: dict[str, t.Any], *, failed_too: bool = False) -> bool:
        """Tell whether this play has a run for a hub: the survey leaves out one that is in line.

        With *failed_too*, one that has failed before counts.
        """
        in_line = task_vars.get("netboot_sync_survey", {}).get("in_line", ())
        hosts = task_vars.get("ansible_play_hosts_all" if failed_too else "ansible_play_batch", ())
        return hub in hosts and hub not in in_line

    def _behind(self, seen: Seen, hub: str, task_vars: dict[str, t.Any]) -> str:
        """Return in one line why a caching server may lack what its hub should have; empty if it does not."""
        why = seen.trouble or _runless(hub, task_vars)
        if not why and seen.stage is Stage.UNKNOWN and self._has_a_run(hub, task_vars, failed_too=True):
            why = "its own run had not begun"
        if not why:
            return ""
        return (
            f"its hub {hub} could not be brought in line ({why.rstrip('.')}): it has what {hub} has published, and the"
            " rest follows in a later run"
        )

    def _unreachable(self, error: AnsibleError) -> str:
        where = self._task.delegate_to
        return (
            f"Ansible cannot reach {where}, from which it is synced ({' '.join(str(error).split())})."
            f' Does "ansible -m ping {where}" work?'
        )

    def _progress_lines(self, arguments: dict[str, t.Any], task_vars: dict[str, t.Any]) -> ProgressLines | None:
        """Return what shows the progress, with ``progress_file`` set for the module; None to show none."""
        try:
            interval = int(arguments.get("progress") or 0) if "progress" in arguments else INTERVAL
        except (TypeError, ValueError):
            return None  # the module says what is wrong
        if interval <= 0 or self._task.no_log or self._connection.transport not in ("local", "ssh"):
            return None
        try:
            path = str(arguments.get("progress_file") or self._new_path())
        except (AnsibleError, LookupError):
            return None
        arguments["progress_file"] = path
        return ProgressLines(
            self._reader(path),
            display.display,
            host=str(arguments.get("name") or arguments.get("host") or task_vars.get("inventory_hostname", "")),
            interval=interval,
            hosts=len(task_vars.get("ansible_play_hosts") or ()),
        )

    def _new_path(self) -> str:
        """Return a path that the module can write and this can read, on the host where the module runs."""
        shell = self._connection._shell
        if self._is_become_unprivileged():
            # Neither user can write to the other's directories, so a shared one it is; nobody can guess this name.
            directory = shell.get_option("system_tmpdirs")[0]
        elif self._connection.transport == "local":
            directory = constants.DEFAULT_LOCAL_TMP  # there already, and removed at the end of the run
        else:
            directory = shell.tmpdir or self._make_tmp_path()
        return str(shell.join_path(directory, f"netboot-sync-{secrets.token_hex(16)}.json"))

    def _writer(self, path: str) -> t.Callable[[str], None]:
        """Return a function that writes a line to a file on the host where the module runs."""
        if self._connection.transport == "local":

            def write(text: str) -> None:
                with open(path, "w", encoding="ascii") as file:
                    file.write(f"{text}\n")

            return write
        beside = self._beside()

        def write_there(text: str) -> None:
            command = f"umask 022; echo {shlex.quote(text)} > {shlex.quote(path)}"
            if beside._low_level_execute_command(command, sudoable=False)["rc"] != 0:
                raise AnsibleError(path)

        return write_there

    def _reader(self, path: str) -> t.Callable[[], str]:
        if self._connection.transport == "local":

            def read() -> str:
                with open(path, encoding="ascii") as file:
                    return file.read()

            return read
        beside = self._beside()
        command = f"cat {shlex.quote(path)}"
        return lambda: str(beside._low_level_execute_command(command, sudoable=False)["stdout"])

    def _beside(self) -> ActionModule:
        """Return the same with a second connection of the same kind, for calls while the module runs.

        The two share only their settings, and with ControlPersist not even a new login is needed. It runs as the login
        user.
        """
        beside = copy.copy(self)
        beside._connection = copy.copy(self._connection)
        beside._connection.set_become_plugin(None)
        return beside
