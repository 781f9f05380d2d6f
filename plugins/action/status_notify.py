# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sends a message through existing modules: by mail, to a webhook, to a chat; without a secret in any output."""

from __future__ import annotations

import collections.abc
import json
import typing as t
import urllib.parse

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.module_utils.common.parameters import remove_values
from ansible.plugins.action import ActionBase
from ansible.plugins.loader import module_loader
from ansible_collections.netboot.syncer.plugins.plugin_utils import fleet_summary
from ansible_collections.netboot.syncer.plugins.plugin_utils.sites import split

_NEEDED = {"subject", "text", "troubles", "when"}
_ARGUMENTS = frozenset((*_NEEDED, "told"))
_PREFIX = "netboot_status_summary_"
# Options of a channel that may be printed; everything else may be a secret, and is removed from a module's output.
_NO_SECRETS = {"to", "cc", "bcc", "from", "sender", "subject", "host", "port", "channel", "method", "body_format"}
_LONGEST = 300  # characters of a module's output; some print all that they were told to send
_LEAST_SECRET = 4  # characters; anything shorter would remove ordinary words, and is not a secret


class Way(t.NamedTuple):
    """A channel for messages.

    :ivar module: the module that sends it.
    :ivar given: its default options, which its variable may override.
    """

    module: str
    given: t.Callable[[str, str], dict[str, t.Any]]


WAYS = {
    "mail": Way(
        "community.general.mail",
        lambda subject, text: {
            "subject": f"netboot: {subject}",
            "body": text,
            "headers": ["Auto-Submitted=auto-generated"],  # or holiday notices come back
        },
    ),
    "webhook": Way(
        "ansible.builtin.uri",
        lambda _subject, text: {
            "method": "POST",
            "body_format": "json",
            "body": {"text": text},
            "status_code": [200, 201, 202, 204],
        },
    ),
    "mattermost": Way("community.general.mattermost", lambda _subject, text: {"text": text}),
    "slack": Way("community.general.slack", lambda _subject, text: {"msg": text}),
}


def secrets(options: t.Mapping[str, t.Any]) -> set[str]:
    """Return the options of a channel that may be secrets, including the parts of a URL."""
    found: set[str] = set()
    for name, value in options.items():
        if name not in _NO_SECRETS:
            found.update(_strings(value))
    for one in list(found):
        address = urllib.parse.urlsplit(one) if "://" in one else None
        if address is not None:
            found.update((address.path, address.query, address.netloc if "@" in address.netloc else ""))
            found.update(address.path.split("/"))
            found.update(value for _name, value in urllib.parse.parse_qsl(address.query))
    return {one for one in found if len(one) >= _LEAST_SECRET}


def _strings(value: t.Any) -> t.Iterator[str]:
    if isinstance(value, str):
        yield str(value)
    elif isinstance(value, collections.abc.Mapping):
        for one in value.values():
            yield from _strings(one)
    elif isinstance(value, collections.abc.Sequence):
        for one in value:
            yield from _strings(one)


def filled_in(value: t.Any, words: t.Mapping[str, str]) -> t.Any:
    """Return a value with all placeholders replaced by their text."""
    if isinstance(value, str):
        for name, text in words.items():
            value = value.replace(name, text)
        return value
    if isinstance(value, collections.abc.Mapping):
        return {name: filled_in(one, words) for name, one in value.items()}
    if isinstance(value, collections.abc.Sequence):
        return [filled_in(one, words) for one in value]
    return value


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible-core carries no types
    """Reads the channels from variables, so that no secret is a task argument, which callbacks may show."""

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Send it through all configured channels, if it is due."""
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        variables = dict(task_vars or {})
        try:
            given, _unused = split(self._task.args, _ARGUMENTS)
        except ValueError as error:
            raise AnsibleActionFail(f"status_notify: {error}") from error
        if _NEEDED - given.keys() or given["when"] not in fleet_summary.WHEN:
            raise AnsibleActionFail(
                f"status_notify: it wants {', '.join(sorted(_NEEDED))}; when is {', '.join(fleet_summary.WHEN)}"
            )
        ways = self._ways(variables, str(self._task.args.get("variables") or _PREFIX))
        for variable, (way, _options) in ways.items():
            if module_loader.find_plugin(way.module) is None:
                collection = way.module.rpartition(".")[0]
                raise AnsibleActionFail(
                    f"{variable}: the collection {collection}, which has {way.module}, is not installed where Ansible"
                    f" runs. Install it: ansible-galaxy collection install {collection}"
                )
        told = _read(given.get("told"))
        if not fleet_summary.due(given["when"], given["troubles"], told):
            return {**result, "changed": False, "sent": []}
        if self._task.check_mode:
            return {**result, "changed": bool(ways), "sent": []}
        sent: list[str] = []
        failures: list[str] = []
        for variable, (way, options) in ways.items():
            message = filled_in(options, {"@SUBJECT@": given["subject"], "@SUMMARY@": given["text"]})
            try:
                self._send(way, {**way.given(given["subject"], given["text"]), **message}, variables)
            except AnsibleError as error:
                said = " ".join(str(remove_values(error.message, secrets(options))).split())[:_LONGEST].rstrip(".")
                failures.append(_not_sent(variable, self._host(variables), said).message)
            else:
                sent.append(variable)
        result.update(changed=bool(sent), sent=sent)
        if failures:
            result.update(failed=True, msg=" ".join(failures))
        return result

    def _ways(self, variables: dict[str, t.Any], prefix: str) -> dict[str, tuple[Way, dict[str, t.Any]]]:
        """Return the configured channels, by the names of their variables."""
        found: dict[str, tuple[Way, dict[str, t.Any]]] = {}
        for name, way in WAYS.items():
            variable = f"{prefix}{name}"
            options = self._templar.template(variables.get(variable))
            if not options:
                continue
            if not isinstance(options, collections.abc.Mapping):
                raise AnsibleActionFail(f"{variable}: it is to be a dictionary of options of {way.module}")
            found[variable] = way, dict(options)
        return found

    def _send(self, way: Way, options: dict[str, t.Any], variables: dict[str, t.Any]) -> None:
        """Run the module. Raises AnsibleError with its error message."""
        # A module writes its options to the system's log, including URLs with secrets.
        quiet = {**variables, "ansible_no_target_syslog": True}
        found: dict[str, t.Any] = self._execute_module(module_name=way.module, module_args=options, task_vars=quiet)
        # For mail, the refused recipients; the module does not fail for some of them.
        refused = found.get("result")
        if found.get("failed") or refused:
            names = ", ".join(sorted(map(str, refused))) if isinstance(refused, collections.abc.Mapping) else ""
            parts = [str(one) for one in (found.get("msg"), names or found.get("error")) if one]
            raise AnsibleError(": ".join(parts) or f"{way.module} gives no reason")

    def _host(self, variables: t.Mapping[str, t.Any]) -> str:
        return str(self._task.delegate_to or variables.get("inventory_hostname"))


def _not_sent(variable: str, host: str, said: str) -> AnsibleActionFail:
    return AnsibleActionFail(
        f"{variable}: {host} could not send the summary ({said}). See to what it names, or unset the variable."
    )


def _read(told: t.Any) -> list[str]:
    """Return the previously reported troubles, by their keys; none if the value is invalid."""
    try:
        found = json.loads(str(told or "[]"))
    except ValueError:
        return []
    return [str(one) for one in found] if isinstance(found, list) else []
