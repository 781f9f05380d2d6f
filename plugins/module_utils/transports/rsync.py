# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Transfers by rsync over OpenSSH: whole, as the difference to a basis, or as the rest of an interrupted transfer.

If there is no basis, and the caching server can take a stream, the file is streamed instead.

rsync reads the basis and writes a file of its own; it never gets the chance to update one in place. The basis is given
by ``--compare-dest`` under the new file's hidden name: hard-linked into ``--partial-dir`` instead, it would be
overwritten (rsync 3.2 and later update a partial file in place). After an interruption, a partial file alone would lose
the predecessor as a basis, so the basis is then the partial file followed by the predecessor.
"""

from __future__ import annotations

import os
import re
import subprocess
import threading
import typing as t

from .. import progress as phases
from ..assets.entries import FILE, Entry
from ..errors import ConnectionTrouble, SourceChanged, SourceUnreadable, SyncError, printable
from ..limits.relay import die_with_parent
from ..limits.throttle import Relayed, Throttle
from ..options import called
from ..progress import Progress
from ..source.tree import SourceTree
from ..ssh import rsync_version
from ..ssh.base import BaseSession
from ..ssh.remote_commands import Abilities, join_files
from ..ssh.sftp import Sftp
from .protocol import DiskFull, Sent
from .stream import Stream
from .work_area import BASIS, PREDECESSOR, WorkArea

MAX_OUTPUT = 32 * 1024 * 1024  # bytes; a day-long transfer prints 10 MB of progress
_KEPT = 65536  # bytes
# Bytes. rsync's own choice grows with the file (17 KiB for 300 MB), and costs a weekly delta some 5 % more: 4 to 16 KiB
# is the flat optimum of what differs, which comes down, and the checksums of all blocks, which go up.
BLOCK_SIZE = 8192
# The sender keeps some 40 bytes of each block: above 1 GiB blocks grow with the file, so that this is 5 MB at most.
MOST_BLOCKS = 128 * 1024
_LARGEST_BLOCK = 128 * 1024  # bytes; rsync refuses larger ones
_NUMBER = re.compile(r"^Total bytes (?:sent|received): ([0-9][0-9,]{0,24})$", re.MULTILINE)
_PLAIN = re.compile(r"[A-Za-z0-9_./+=@%~-]+\Z")
# What the sending rsync prints about a file that it could open, but not read to its end
_READ_FAILED = re.compile(r"read errors mapping .*: ([^:\n]+) \([0-9]+\)")
# Exit codes of rsync(1) for a lost connection or a dead other end
_LINE_BROKE = {10, 12, 20, 30, 35, 255}


def why_not(there: Abilities, here: tuple[int, ...]) -> str:
    """Return why rsync cannot be used between this host and a caching server, with the remedy, or an empty string."""
    if not there.has_shell and there.complains:
        return (
            f"no rsync on the caching server. There is no shell for that user: {there.complains.rstrip('.')}."
            f" Give it one, or set {called('transport')} to sftp."
        )
    trouble = rsync_version.trouble(here, "the netboot server")
    trouble = trouble or rsync_version.trouble(there.rsync, "the caching server")
    if not trouble and there.prints:
        return (
            f"the login of that user prints text ({there.prints[:80]}), which rsync cannot take."
            f" Let its .bashrc print nothing where there is no terminal, or set {called('transport')} to sftp."
        )
    return trouble


def block_size(size: int) -> int:
    """Return the size of the blocks that are compared, in bytes, for a file of ``size`` bytes."""
    wanted = BLOCK_SIZE
    while wanted < _LARGEST_BLOCK and size > wanted * MOST_BLOCKS:
        wanted *= 2
    return wanted


class RsyncTransport:
    """A :class:`~.protocol.Transport` with rsync's own protocol, over the connection for bulk."""

    name = "rsync"

    def __init__(
        self,
        session: BaseSession,
        sftp: Sftp,
        area: WorkArea,
        source: SourceTree,
        *,
        dest: str,
        can_join: bool,
        stream: Stream | None = None,
        ciphers: t.Sequence[str] = (),
        throttle: Throttle,
        progress: Progress,
    ) -> None:
        self._session = session
        self._sftp = sftp
        self._stream = stream
        self._area = area
        self._source = source
        self._dest = dest
        self._can_join = can_join
        self._ciphers = ciphers
        self._throttle = throttle
        self._progress = progress
        self.sent = 0  # bytes of the last unfinished transfer

    def send(self, entry: Entry, basis: str | None, room: int | None) -> Sent:
        """Send a file to its hidden name; the bytes of both directions count."""
        self._area.make(entry.path)
        predecessor = self._sftp.look(f"{self._dest}/{basis}") if basis else None
        if predecessor is not None and predecessor.kind != FILE:
            predecessor = None
        partial_size, kept = self._area.gather(entry.path, keep_basis=predecessor is None)
        if predecessor is None:
            # An earlier run may have removed it after it had been interrupted here.
            predecessor, basis = kept, None
        if predecessor is None and self._stream is not None:
            self._source.confirm(entry)
            start = self._stream.start(entry, partial_size)
            if start is not None:
                return self._send_stream(self._stream, entry, start)
        used = self._prepare(entry, partial_size, predecessor, room)
        self._source.confirm(entry)
        return Sent(self._run(entry, bool(partial_size or used)), basis if used else None)

    def _send_stream(self, stream: Stream, entry: Entry, start: int) -> Sent:
        try:
            return Sent(stream.send(entry, start))
        except BaseException:
            self.sent = stream.sent
            raise

    def _prepare(self, entry: Entry, partial_size: int, predecessor: Entry | None, room: int | None) -> bool:
        """Put the basis where rsync looks for it. Returns whether the predecessor is in it."""
        partial = self._area.partial(entry.path)
        if not partial_size and predecessor is None:
            return False
        self._area.make_basis_directory(entry.path)
        into = self._area.basis(entry.path)
        if predecessor is None:
            self._sftp.hard_link(partial, into)
            return False
        linked = f"{self._area.directory(entry.path)}/{BASIS}/{PREDECESSOR}"
        try:
            self._sftp.hard_link(predecessor.path, linked)
        except OSError:
            # No hard links on this file system, or not to another user's files (fs.protected_hardlinks).
            if partial_size:
                self._sftp.hard_link(partial, into)
            return False
        fits = room is None or partial_size + predecessor.size <= room
        size = partial_size + predecessor.size
        joined = partial_size and self._can_join and fits and join_files(self._session, partial, linked, into, size)
        if joined:
            self._sftp.remove(linked)
        elif partial_size > predecessor.size:
            self._sftp.hard_link(partial, into)
            return False
        else:
            self._sftp.rename(linked, into)
        return True

    def command(self, entry: Entry, has_basis: bool, shell: str) -> list[str]:
        """Return rsync's arguments. Only names that we chose reach the caching server's command line."""
        address = self._session.address
        incoming = self._area.incoming(entry.path)
        arguments = ["rsync", "--ignore-times", "--partial", "--stats", "--no-human-readable"]
        arguments += [f"--timeout={self._throttle.patience(address.stall_timeout)}", f"--rsh={shell}"]
        if has_basis:
            arguments += ["--no-whole-file", f"--compare-dest={BASIS}", f"--block-size={block_size(entry.size)}"]
        else:
            arguments.append("--whole-file")
        if self._progress.wanted:
            arguments.append("--info=progress2")
        if not _PLAIN.match(incoming):
            arguments.append("--protect-args")
        host = f"[{address.host}]" if ":" in address.host else address.host
        return arguments + ["--", self._source.absolute(entry.path), f"{host}:{incoming}"]

    def _run(self, entry: Entry, has_basis: bool) -> int:
        self._throttle.require(entry.path)
        with self._throttle.relayed(self._session.bulk(self._ciphers).remote_shell) as relayed:
            return self._run_relayed(entry, has_basis, relayed)

    def _run_relayed(self, entry: Entry, has_basis: bool, relayed: Relayed) -> int:
        environment = dict(os.environ, LC_ALL="C")
        environment.pop("RSYNC_RSH", None)
        # Not run_command: progress is read while it runs.
        # pylint: disable-next=ansible-bad-function
        process = subprocess.Popen(
            self.command(entry, has_basis, relayed.shell),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            pass_fds=relayed.descriptors,
            # By SIGKILL: on SIGTERM, rsync would flush what it has, which takes time on a slow line.
            preexec_fn=die_with_parent,
        )
        meter = _Meter(process.pid)
        # A whole file crosses the line completely; a difference, as far as rsync has written it.

        def crossed() -> int:
            # What rsync writes fills the pipes to the relay first, and includes the terminal's lines.
            passed = relayed.passed
            return max(meter.look() - output.count, 0) if passed is None else passed

        output = _Output(
            process, process.stdout, lambda position: self._progress.at(position, crossed() if has_basis else position)
        )
        complaints = _Output(process, process.stderr, lambda _position: None)
        try:
            relayed.begin()
            process.wait()
        except BaseException:
            process.kill()
            process.wait()
            raise
        finally:
            meter.stop()
            if process.returncode != 0:
                # What ssh has accepted must not reach the line any more; and its session has the other end of the
                # outputs, too.
                self._session.drop_bulk()
            said, errors = output.stop(), complaints.stop(beginning=True)
        if output.endless or complaints.endless:
            self.sent = crossed()
            start = printable((errors or said)[:60].decode("utf-8", "replace"))
            raise SyncError(
                f"rsync, or the login on the caching server, prints text without end ({start})",
                path=entry.path,
                remedy=f"Look at its .bashrc and its rsync, or set {called('transport')} to sftp.",
            )
        if process.returncode == 0:
            return transferred(said)
        trouble = relayed.trouble(entry.path)
        self.sent = crossed()
        raise trouble or self._explain(process.returncode, errors.decode("utf-8", "replace"), entry)

    def _explain(self, status: int, errors: str, entry: Entry) -> SyncError:
        lines = [printable(line.strip()) for line in errors.splitlines() if line.strip()]
        words = lines[0] if lines else f"exit status {status}"
        if "Disk quota exceeded" in errors:
            return DiskFull("the quota is used up", path=entry.path)
        if "is your shell clean" in errors:
            return SyncError(
                "the login of that user prints text, which rsync cannot take",
                path=entry.path,
                remedy="Let its .bashrc print nothing where there is no terminal,"
                f" or set {called('transport')} to sftp.",
            )
        if "No space left on device" in errors:
            return DiskFull("the disk of the caching server is full", path=entry.path)
        if "vanished" in errors or self._source.look(entry.path) is None:
            return SourceChanged("it vanished on the netboot server while it was sent", path=entry.path)
        if status < 0:
            return SyncError(f"rsync was ended by signal {-status}", path=entry.path, remedy="Run the sync again.")
        if status in _LINE_BROKE or "Stale file handle" in errors:
            return ConnectionTrouble(
                f"the transfer broke ({words})",
                path=entry.path,
                remedy="What arrived is kept; the next run goes on from there.",
            )
        # A read error of its own is a possible reason, and not one of the caching server.
        self._source.require_readable(entry)
        failed = _READ_FAILED.search(errors)
        if failed:
            trouble = OSError(0, printable(failed.group(1)))
            return SourceUnreadable("read", trouble, self._source.absolute(entry.path))
        return SyncError(
            f"rsync failed ({words})", path=entry.path, remedy="Look at the disk and the log of the caching server."
        )


def transferred(output: bytes) -> int:
    """Return the bytes sent and received according to rsync's statistics; 0 if they say nothing."""
    numbers = _NUMBER.findall(output.decode("ascii", "replace"))
    return sum(int(number.replace(",", "")) for number in numbers)


class _Output:
    """Reads rsync's output while it runs, and reports its progress; ``count`` is the bytes of output.

    The start and the end are kept. A process that prints more than any rsync does is killed.
    """

    def __init__(
        self, process: subprocess.Popen[bytes], stream: t.IO[bytes] | None, tell: t.Callable[[int], None]
    ) -> None:
        if stream is None:
            raise ValueError("this output is not a pipe")
        self._process = process
        self._stream = stream
        self._tell = tell
        self._first = b""
        self._said = b""
        self.count = 0
        self.endless = False
        self._thread = threading.Thread(target=self._read, name="output", daemon=True)
        self._thread.start()

    def _read(self) -> None:
        while True:
            try:
                block = os.read(self._stream.fileno(), 65536)
            except (OSError, ValueError):
                return
            if not block:
                return
            self.count += len(block)
            self._first = (self._first + block)[:_KEPT] if len(self._first) < _KEPT else self._first
            self._said = (self._said + block)[-_KEPT:]  # the statistics come last
            if self.count > MAX_OUTPUT:
                self.endless = True
                self._process.kill()
                return
            position = phases.position(self._said)
            if position is not None:
                self._tell(position)

    def stop(self, *, beginning: bool = False) -> bytes:
        """Return the end of the output, or its start, once the process has ended."""
        # Its ssh has the other end, too, and ends a moment after it.
        self._thread.join(5)
        if not self._thread.is_alive():
            self._stream.close()
        return self._first if beginning else self._said


class _Meter:
    """Watches how much a process writes, for a transfer that ends without statistics."""

    def __init__(self, pid: int) -> None:
        self._path = f"/proc/{pid}/io"
        self._written = 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="meter", daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._done.wait(0.05):
            self.look()

    def look(self) -> int:
        """Return the bytes written so far; as of the last check, once the process has ended."""
        try:
            with open(self._path, encoding="ascii") as file:
                fields = dict(line.split(": ") for line in file.read().splitlines())
            self._written = max(self._written, int(fields["wchar"]))
        except (OSError, KeyError, ValueError):
            pass
        return self._written

    def stop(self) -> None:
        """Stop watching."""
        self._done.set()
        self._thread.join()
