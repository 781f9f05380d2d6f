# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One caching server's HTTP side: serves an assets directory to booting machines."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
import threading
import urllib.parse
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from .sshd import family_of, free_port


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], root: Path) -> None:
        self.root = root
        self.open: set[socket.socket] = set()
        self.address_family = family_of(address[0])
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        # not HTTPServer's, which looks the address up in DNS
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_name, self.server_port = self.server_address[:2]  # type: ignore[assignment]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away, or stop(), ends a request; ignore it."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"  # a client keeps its connection
    disable_nagle_algorithm = True  # header and body are two writes

    def setup(self) -> None:
        super().setup()
        self.server.open.add(self.connection)

    def finish(self) -> None:
        self.server.open.discard(self.connection)
        super().finish()

    def do_HEAD(self) -> None:
        with contextlib.ExitStack() as stack:
            self._head(stack)

    def do_GET(self) -> None:
        with contextlib.ExitStack() as stack:
            file = self._head(stack)
            if file is not None and self.connection.sendfile(file) < self._promised:
                self.close_connection = True  # it got shorter meanwhile, and the client waits for the rest

    def _head(self, stack: contextlib.ExitStack) -> BinaryIO | None:
        """Answer with the status and headers. Returns the open file, if there is one."""
        parts = urllib.parse.unquote(self.path.partition("?")[0], errors="surrogateescape").strip("/").split("/")
        file: BinaryIO | None = None
        # a name that starts with a dot is in transit; ".." is one too
        if not any(part.startswith(".") or not part for part in parts):
            with contextlib.suppress(OSError):
                descriptor = os.open(self.server.root.joinpath(*parts), os.O_RDONLY | os.O_NONBLOCK)
                file = stack.enter_context(os.fdopen(descriptor, "rb", buffering=0))
        if file is None or not stat.S_ISREG((found := os.fstat(file.fileno())).st_mode):
            self.send_response(HTTPStatus.NOT_FOUND)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return None
        self.send_response(HTTPStatus.OK)
        self._promised = found.st_size
        self.send_header("Content-Length", str(self._promised))
        self.send_header("Last-Modified", self.date_time_string(found.st_mtime))
        # inode and ctime too: a damaged or replaced file of the same size and time must be noticed
        self.send_header("ETag", f'"{found.st_ino:x}-{found.st_size:x}-{found.st_mtime_ns:x}-{found.st_ctime_ns:x}"')
        self.end_headers()
        return file

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  (http.server's name)
        """No access log: there are hundreds of requests a second."""


class AssetsWeb:
    """Serves the directory *root* over HTTP on a loopback address, except hidden names, in its own thread."""

    def __init__(self, root: Path, *, address: str, port: int | None = None) -> None:
        self.root = root
        self.address = address
        self.port = port or free_port(address)
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """Where clients find it, without a slash at the end."""
        return f"http://{self.address}:{self.port}"

    def start(self) -> None:
        """Start serving. Raises OSError if the address is taken."""
        if self._server is None:
            self._server = _Server((self.address, self.port), self.root)
            self._thread = threading.Thread(
                target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, name=self.url, daemon=True
            )
            self._thread.start()

    def stop(self) -> None:
        """Stop serving and close all connections."""
        if self._server is None or self._thread is None:
            return
        self._server.shutdown()
        self._server.server_close()
        for connection in list(self._server.open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._server = self._thread = None

    def __enter__(self) -> AssetsWeb:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()
