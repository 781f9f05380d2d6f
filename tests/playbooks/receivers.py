# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A mail server and a web server on loopback that keep what is sent to them.

Both speak the real protocols to real clients. The mail server is hand-written: the tests need only a login and a
message, in some forty lines; Python's own smtpd is gone, and aiosmtpd would be a dependency just for this.
"""

from __future__ import annotations

import base64
import contextlib
import email
import email.message
import email.policy
import http.server
import json
import socketserver
import threading
from collections.abc import Iterator
from typing import Any


class Mail:
    """What an SMTP server received.

    :ivar messages: the mails; ``to`` has the envelope addresses of each.
    :ivar refused: addresses that it refuses.
    """

    def __init__(self) -> None:
        self.messages: list[email.message.EmailMessage] = []
        self.to: list[list[str]] = []
        self.logins: list[tuple[str, str]] = []
        self.refused: set[str] = set()
        self.port = 0


class _Smtp(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        mail: Mail = self.server.mail  # type: ignore[attr-defined]
        to: list[str] = []
        self._say("220 double")
        while line := self.rfile.readline().decode().strip():
            verb, _space, rest = line.partition(" ")
            if verb.upper() == "EHLO":
                self._say("250-double\r\n250 AUTH PLAIN")
            elif verb.upper() == "AUTH":
                _none, user, password = base64.b64decode(rest.split()[1]).decode().split("\0")
                mail.logins.append((user, password))
                self._say("235 in")
            elif verb.upper() == "RCPT":
                address = rest.partition("<")[2].partition(">")[0]
                if address in mail.refused:
                    self._say("550 nobody of that name")
                else:
                    to.append(address)
                    self._say("250 ok")
            elif verb.upper() == "DATA":
                self._say("354 go on")
                mail.messages.append(email.message_from_bytes(self._data(), policy=email.policy.default))
                mail.to.append(to)
                self._say("250 taken")
            elif verb.upper() == "QUIT":
                self._say("221 bye")
                return
            else:
                self._say("250 ok")

    def _data(self) -> bytes:
        lines = []
        while (line := self.rfile.readline()) not in (b".\r\n", b""):
            lines.append(line.removeprefix(b"."))
        return b"".join(lines)

    def _say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())


class Hook:
    """What a web server received.

    :ivar posts: the path and the body of each POST.
    :ivar status: the status that it answers with.
    """

    def __init__(self) -> None:
        self.posts: list[tuple[str, Any]] = []
        self.status = 200
        self.port = 0


class _Http(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        hook: Hook = self.server.hook  # type: ignore[attr-defined]
        body = self.rfile.read(int(self.headers["Content-Length"]))
        hook.posts.append((self.path, json.loads(body)))
        self.send_response(hook.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # its name there
        """Log nothing."""


@contextlib.contextmanager
def mail_server() -> Iterator[Mail]:
    """An SMTP server that keeps all mail."""
    found = Mail()
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Smtp) as server:
        server.daemon_threads = True
        server.mail = found  # type: ignore[attr-defined]
        found.port = server.server_address[1]
        with _serving(server):
            yield found


@contextlib.contextmanager
def web_hook() -> Iterator[Hook]:
    """A web server that keeps what is posted to it."""
    found = Hook()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Http) as server:
        server.daemon_threads = True
        server.hook = found  # type: ignore[attr-defined]
        found.port = server.server_address[1]
        with _serving(server):
            yield found


@contextlib.contextmanager
def _serving(server: socketserver.BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
