# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A double of AWX's API, since AWX itself needs a cluster of containers. The modules that talk to it are real.

It stores what it is sent: collections of objects with names and ids, lists of associated objects, surveys. It checks
much less than AWX: references must exist, names must be unique, and a schedule's rule must have the parts that AWX
requires. AWX may refuse what the double accepts.
"""

from __future__ import annotations

import http.server
import json
import re
import threading
import urllib.parse
from types import TracebackType
from typing import Any

from tests.lab.sshd import next_address

NAMED = "name"
TYPES = {"inventories": "inventory", "credentials": "credential"}  # other collections end in a plain s
# Fields that refer to an object, and the collections that it may be in.
REFERENCES = {
    "organization": ("organizations",),
    "inventory": ("inventories",),
    "project": ("projects",),
    "source_project": ("projects",),
    "execution_environment": ("execution_environments",),
    "credential_type": ("credential_types",),
    "credential": ("credentials",),
    "webhook_credential": ("credentials",),
    "workflow_job_template": ("workflow_job_templates",),
    "unified_job_template": ("job_templates", "workflow_job_templates"),
}
# AWX numbers everything that can be launched in one sequence.
UNIFIED = ("job_templates", "workflow_job_templates", "projects", "inventory_sources")


class AwxDouble:
    """Serves inside its ``with`` block.

    :ivar objects: collection to id to object, as it was sent, with ``associated`` (list to ids) and ``survey``.
    :ivar refused: the errors that it has answered with.
    """

    def __init__(self) -> None:
        self.objects: dict[str, dict[int, dict[str, Any]]] = {}
        self.refused: list[str] = []
        self._next = 100
        self._server = http.server.ThreadingHTTPServer((next_address(), 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, name="AWX double", daemon=True)
        for collection, name in (
            ("organizations", "Default"),
            ("credential_types", "Machine"),
            ("credentials", "Ansible Galaxy"),
        ):
            self.create(collection, {"name": name})

    @property
    def url(self) -> str:
        """Its address."""
        address, port = self._server.server_address[:2]
        return f"http://{address!s}:{port}"

    def __enter__(self) -> AwxDouble:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def named(self, collection: str, name: str) -> dict[str, Any]:
        """The only object with this name."""
        (found,) = [one for one in self.objects.get(collection, {}).values() if one.get("name") == name]
        return found

    def names(self, collection: str, ids: list[int]) -> list[str]:
        """The names of objects with these ids."""
        return [self.objects[collection][one].get("name") or self.objects[collection][one]["identifier"] for one in ids]

    def create(self, collection: str, data: dict[str, Any]) -> tuple[int, Any]:
        """Create an object. Returns status and JSON."""
        trouble = self._trouble(collection, data)
        if trouble:
            self.refused.append(trouble)
            return 400, {"detail": trouble}
        self._next += 1
        found = {**data, "id": self._next, "associated": {}, "survey": {}}
        self.objects.setdefault(collection, {})[self._next] = found
        return 201, self.shown(collection, found)

    def _trouble(self, collection: str, data: dict[str, Any]) -> str:
        known = self.objects.get(collection, {}).values()
        if any("name" in data and one.get("name") == data["name"] for one in known):
            return f"{collection}: there is a {data['name']!r} already"
        for field, collections in REFERENCES.items():
            if data.get(field) and not any(int(data[field]) in self.objects.get(one, {}) for one in collections):
                return f"{collection}: {field} {data[field]!r} does not exist"
        return _rule_trouble(data["rrule"]) if "rrule" in data else ""

    def shown(self, collection: str, found: dict[str, Any]) -> dict[str, Any]:
        """An object as the API shows it."""
        at = f"/api/v2/{collection}/{found['id']}/"
        lists = (
            "survey_spec", "credentials", "labels", "instance_groups", "galaxy_credentials", "workflow_nodes",
            "success_nodes", "failure_nodes", "always_nodes",
            *(f"notification_templates_{one}" for one in ("started", "success", "error")),
        )  # fmt: skip
        shown = {key: value for key, value in found.items() if key not in ("associated", "survey")}
        if "inputs" in shown:
            secret = ("ssh_key_data",)
            shown["inputs"] = {key: "$encrypted$" if key in secret else one for key, one in shown["inputs"].items()}
        return {
            **shown,
            "type": TYPES.get(collection, collection[:-1]),
            "url": at,
            "status": "successful",
            "scm_revision": "0" * 40,
            "related": {"self": at, **{name: f"{at}{name}/" for name in lists}},
            "summary_fields": {},
        }

    def answer(self, method: str, path: str, query: dict[str, str], data: Any) -> tuple[int, Any]:
        """Answer a request. Returns status and JSON."""
        parts = [part for part in path.split("/") if part][2:]
        if parts in ([], ["ping"], ["config"]):
            return 200, {"version": "24.6.1", "count": 0, "results": []}
        collection, *rest = parts
        if not rest:
            return self.create(collection, data) if method == "POST" else (200, self._list(collection, query))
        found = self.objects.get(collection, {}).get(int(rest[0]))
        if found is None:
            return 404, {"detail": "Not found."}
        if len(rest) == 2:
            return self._related(method, found, rest[1], data)
        if method == "PATCH":
            found.update(data)
        return 200, self.shown(collection, found)

    def _list(self, collection: str, query: dict[str, str]) -> dict[str, Any]:
        collections = UNIFIED if collection == "unified_job_templates" else (collection,)
        wanted = {key: value for key, value in query.items() if not key.startswith(("page", "order"))}
        results = [
            self.shown(one, found)
            for one in collections
            for found in self.objects.get(one, {}).values()
            if _fits(found, wanted, TYPES.get(one, one[:-1]))
        ]
        return {"count": len(results), "next": None, "previous": None, "results": results}

    def _related(self, method: str, found: dict[str, Any], name: str, data: Any) -> tuple[int, Any]:
        if name == "survey_spec":
            if method == "POST":
                found["survey"] = data
            return 200, found["survey"]
        if name == "workflow_nodes":
            if method == "POST":
                return self.create("workflow_job_template_nodes", {**data, "workflow_job_template": found["id"]})
            return 200, self._list("workflow_job_template_nodes", {"workflow_job_template": str(found["id"])})
        target = (
            "workflow_job_template_nodes"
            if name.endswith("_nodes")
            else "notification_templates"
            if name.startswith("notification")
            else "credentials"
            if name.endswith("credentials")
            else name
        )
        ids = found["associated"].get(name, [])
        if method == "POST":
            ids = found["associated"].setdefault(name, [])
            if data.get("disassociate"):
                ids.remove(data["id"])
            elif data["id"] not in ids:
                ids.append(data["id"])
            return 204, None
        results = [self.shown(target, self.objects[target][one]) for one in ids]
        return 200, {"count": len(results), "next": None, "previous": None, "results": results}


def _fits(found: dict[str, Any], wanted: dict[str, str], type_: str) -> bool:
    for key, value in wanted.items():
        if key.startswith("or__"):
            continue
        ours = found.get(key.partition("__")[0])
        if key == "type":
            if value != type_:
                return False
        elif "__" not in key and str(ours) != value:
            return False
    either = {key[4:]: value for key, value in wanted.items() if key.startswith("or__")}
    return not either or any(str(found.get(key)) == value for key, value in either.items())


def _rule_trouble(rule: str) -> str:
    """What AWX's schedule serializer would object to in a rule; empty if nothing."""
    if not re.match(r"DTSTART(;TZID=[A-Za-z_/+-]+)?:\d{8}T\d{6}Z? ", rule):
        return f"rrule: a valid DTSTART is required: {rule}"
    if len(re.findall(r"RRULE:", rule)) != 1:
        return f"rrule: one RRULE is required: {rule}"
    if "INTERVAL=" not in rule:
        return f"rrule: INTERVAL is required: {rule}"
    return "rrule: SECONDLY is not supported" if "FREQ=SECONDLY" in rule else ""


def _handler(double: AwxDouble) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _do(self) -> None:
            at = urllib.parse.urlsplit(self.path)
            length = int(self.headers.get("Content-Length") or 0)
            text = self.rfile.read(length)
            data = json.loads(text) if text else {}
            status, found = double.answer(self.command, at.path, dict(urllib.parse.parse_qsl(at.query)), data)
            body = b"" if found is None else json.dumps(found).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("X-API-Product-Name", "AWX")
            self.send_header("X-API-Product-Version", "24.6.1")
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PATCH = do_DELETE = _do  # noqa: N815  # http.server's names

        def log_message(self, *_unused: object) -> None:
            """Log nothing."""

    return Handler
