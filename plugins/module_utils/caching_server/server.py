# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One caching server over one session: all that a run ever does to it, each as one call.

Every change that a client can see is one rename, or one removal, and is on disk before the call returns.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import posixpath
import time
import typing as t
import uuid

from ..assets.entries import DIRECTORY, FILE, Entry, Tree, parents
from ..assets.marker import MAX_SIZE
from ..errors import Kept, SyncError
from ..limits import site_time
from ..limits.bandwidth import NO_LIMIT, Limit
from ..limits.throttle import Throttle
from ..limits.uplink import Uplink
from ..options import called
from ..planning.basis import SMALLEST
from ..progress import Progress
from ..source.tree import SourceTree
from ..ssh import itself, remote_commands, rsync_version
from ..ssh.base import BaseSession
from ..ssh.pipelined import Pipelined
from ..ssh.settings import has_aes
from ..ssh.sftp import Budget, Sftp
from ..transports import rsync as rsync_transport
from ..transports.archive import Archive
from ..transports.mounts import Mounts
from ..transports.protocol import Sent
from ..transports.rsync import RsyncTransport
from ..transports.sftp import SftpTransport
from ..transports.stream import Stream, can_receive
from ..transports.work_area import WorkArea
from . import destination
from .attributes import DIRECTORY_MODE, FILE_MODE, Attributes
from .folding import Spellings, in_spelling_of
from .listing import Listing, list_tree
from .lock import Elsewhere, KernelLock, LeaseLock, Lock
from .sending import Sending
from .together import Together
from .trial import Trial

TINY = 16 * 1024  # bytes; below this, a process that hashes a file there costs more than to read it back
_ONLY_SFTP = "every file is sent whole, by SFTP"
_ELSEWHERE = "its shell does not see the files that SFTP shows, as on a NAS whose SFTP has a root of its own"


class SshCachingServer:
    """A caching server during one run; see :class:`~.protocol.CachingServer`.

    Raises :class:`SyncError`; the OS errors of SFTP are translated here.
    """

    def __init__(
        self,
        session: BaseSession,
        source: SourceTree,
        dest: str,
        *,
        transport: str = "auto",
        limit: Limit = NO_LIMIT,
        timezone: str | None = None,
        uplink: Uplink | None = None,
        lock_timeout: int = 60,
        progress: Progress | None = None,
    ) -> None:
        self._session = session
        self._source = source
        self.dest = posixpath.normpath(dest)
        # The answer to the first question comes while SFTP is opened.
        asked = remote_commands.begin_probe(session, self.dest)
        try:
            self._sftp: Sftp = session.sftp()
        except BaseException:
            asked.close()
            raise
        self._many = Pipelined(self._sftp)
        self._lock_timeout = lock_timeout
        self._lock: Lock | None = None
        self.abilities = remote_commands.probed(session, asked)
        self.warnings: list[str] = []
        self._area = self._make_area(uuid.uuid4().hex[:12])
        self._trial = Trial(session, self._sftp, self._area, self.dest, has_shell=self.abilities.has_shell)
        self._wanted: set[str] = set()  # the files that this run is to send
        self._is_there: bool | None = None  # the destination, where that was looked at
        self._attributes = Attributes(session, self._sftp, self._warn)
        self._put = Spellings()  # the names that were put up
        self.clashes: dict[str, str] = {}  # names that cannot stand beside the other one there
        self._listing = Listing()
        self.throttle = self._make_throttle(limit, timezone, uplink)
        self._progress = progress or Progress()
        by_sftp = SftpTransport(
            session, self._sftp, self._area, source, throttle=self.throttle, progress=self._progress
        )
        large = self._choose_rsync(transport) or by_sftp
        self._sending = Sending(session, self._area, self._trial, self.dest, small=by_sftp, large=large)
        archive = Archive(
            session, source, ciphers=self._fast_ciphers(), throttle=self.throttle, progress=self._progress
        )
        self._together = Together(session, self._sftp, self._area, self._trial, self._attributes, archive)

    def _make_area(self, run: str) -> WorkArea:
        can = self.abilities
        mounts = Mounts(self._sftp, self.dest, told=can.mounts if can.real else None, real=can.real)
        return WorkArea(self._sftp, self.dest, run, mounts=mounts, warn=self._warn)

    def _make_throttle(self, limit: Limit, timezone: str | None, uplink: Uplink | None) -> Throttle:
        zone = site_time.site_zone(timezone, self.abilities.utc_offset)
        if zone is None:
            zone = site_time.own_zone()
            if limit.windows:
                self.warnings.append(
                    "the caching server does not tell its local time, so the windows of bandwidth_limit are taken in"
                    f" that of the netboot server. Set {called('timezone')}."
                )
        return Throttle(limit, zone=zone, uplink=uplink)

    def _choose_rsync(self, wanted: str) -> RsyncTransport | None:
        self._wanted_transport = wanted
        if wanted == "sftp":
            return None
        trouble = rsync_transport.why_not(self.abilities, rsync_version.local())
        if trouble and wanted == "rsync":
            raise SyncError(trouble)
        if trouble:
            self.warnings.append(f"{_ONLY_SFTP}: {trouble}")
            return None
        ciphers = self._fast_ciphers()
        stream = Stream(
            self._session,
            self._area,
            self._source,
            ciphers=ciphers,
            throttle=self.throttle,
            progress=self._progress,
        )
        return RsyncTransport(
            self._session,
            self._sftp,
            self._area,
            self._source,
            dest=self.dest,
            can_join=self.abilities.joins,
            stream=stream if can_receive(self.abilities) else None,
            ciphers=ciphers,
            throttle=self.throttle,
            progress=self._progress,
        )

    def _fast_ciphers(self) -> t.Sequence[str]:
        return self._session.settings.fast_ciphers() if self.abilities.aes and has_aes() else ()

    @property
    def transport(self) -> str:
        """How large files travel: ``rsync`` or ``sftp``."""
        return self._sending.large.name

    @property
    def offers(self) -> dict[str, t.Any]:
        """What the caching server offers beside SFTP, as the module's documentation says."""
        return self.abilities.described()

    def _full(self, path: str) -> str:
        return f"{self.dest}/{path}"

    def _warn(self, text: str) -> None:
        if text not in self.warnings:
            self.warnings.append(text)

    # The lock

    def find_destination(self) -> None:
        """Raise :class:`SyncError` where there is no directory to write to, nor a place to make it.

        Nor may it be the tree of the source itself.
        """
        self._is_there = destination.require(
            self._session, self._sftp, self.dest, source=self._source.root, place=self.abilities.place
        )

    def open_for_writing(self) -> None:
        """Make what a run needs on the caching server, and take the lock. Raises :class:`LockHeld`."""
        try:
            if not (self._is_there or self._look(self.dest)):
                self._sftp.make_directory(self.dest)
                self._attributes.set_mode(self.dest, DIRECTORY_MODE)  # a session's umask may keep the web server out
            self._area.open_root(self._area.root)
            self._lock = self._take_lock()
        except OSError as error:
            raise destination.unwritable(self._session, self._sftp, self.dest, error) from error
        self._refuse_itself()

    def _take_lock(self) -> Lock:
        if self.abilities.locks:
            try:
                lock: Lock = KernelLock(
                    self._session, self._area.lock, timeout=self._lock_timeout, proof=self._make_proof()
                )
                lock.acquire()
                return lock
            except Elsewhere:
                self._use_sftp_alone()
        lock = LeaseLock(self._session, self._area.lock, timeout=self._lock_timeout)
        lock.acquire()
        return lock

    def _refuse_itself(self) -> None:
        """Raise :class:`SyncError` where the work area of the caching server is one of the source's own tree."""
        if self.abilities.place is None and itself.shows_work_area(self._sftp, self._area.root, self._source.root):
            raise itself.refusal(self._session.where, self.dest, itself.SAME)

    def _make_proof(self) -> str:
        """Make a directory that the shell has to find; nothing where not even that can be made."""
        proof = f"{self._area.root}/proof-{self._area.run}"
        try:
            self._sftp.make_directory(proof)
        except OSError:  # a full disk, which the run may be about to mend
            return ""
        return proof

    def _use_sftp_alone(self) -> None:
        """Take the shell for that of another place: what it says of files is not about those that SFTP shows."""
        with contextlib.suppress(OSError):
            self._sftp.remove_directory(f"{self._area.root}/proof-{self._area.run}")
        if self._wanted_transport == "rsync":
            raise SyncError(_ELSEWHERE, remedy=f"Set {called('transport')} to sftp.")
        self.warnings = [one for one in self.warnings if not one.startswith(_ONLY_SFTP)]
        self._warn(f"{_ONLY_SFTP}: {_ELSEWHERE}")
        self.abilities = self.abilities.without_files()
        self._sending.large = self._sending.small
        self._area.mounts = Mounts(self._sftp, self.dest)
        self._trial.has_shell = False

    def would_open(self, entries: t.Sequence[Entry]) -> None:
        """Say for check mode what stands against opening for writing, as far as that can be known."""
        self._wanted = {entry.path for entry in entries}
        self._trial.require_opening(there=self._look(self.dest) is not None)
        root = self._look(self._area.root)
        if root is not None:
            if root.kind != DIRECTORY:
                raise self._area.not_ours(self._area.root)
            lock = self._look(self._area.lock)
            if lock is not None and lock.kind != FILE:
                raise LeaseLock(self._session, self._area.lock, timeout=0).strange()

    def would_send(self, entry: Entry) -> None:
        """Say for check mode what stands against sending a file: its directory, a mount, or the room.

        The room counts what was asked for before, as the run itself would fill it.
        """
        self._trial.require_target(entry.path)
        self._trial.require_room(entry, self._wanted, small=entry.size < SMALLEST)

    def close(self) -> None:
        """Give the lock back."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def in_words(self, error: Exception, path: str) -> SyncError | None:
        """See :meth:`BaseSession.in_words`."""
        return self._session.in_words(error, path)

    def _still_ours(self) -> None:
        if self._lock is not None:
            self._lock.require()

    # Looking

    def tree(self, wanted: Tree | None = None) -> Tree:
        """List the tree without its hidden names; empty where there is none yet.

        What the file system there takes for the same name as one of ``wanted`` is listed in that spelling.
        """
        self._listing = list_tree(self.dest, self._entries, self._warn)
        above = self._look(f"{self.dest}/.")
        self._listing.times[""] = above.mtime if above is not None else 0
        self._trial.note(self._listing)
        found = self._listing.tree
        if wanted:
            found, self.clashes = in_spelling_of(wanted, found, self.look)
        return found

    def fresh(self, seconds: int) -> frozenset[str]:
        """Return the directories of the listed tree in which a name changed in the last ``seconds``."""
        if not seconds:
            return frozenset()
        now = self._now_there()
        return frozenset(path for path, changed in self._listing.times.items() if changed > now - seconds)

    def _now_there(self) -> float:
        """Return the time by the caching server's own clock, where it has written something just now."""
        written = self._look(self._lock.told) if self._lock is not None else None
        return written.mtime if written is not None else time.time()

    def suspects(self, entries: t.Sequence[Entry], tree: Tree) -> list[Entry]:
        """Return which of the netboot server's files may be there unchanged, although their time is another one.

        In ``tree``, what the file system there cannot keep is put right.
        """
        found = [entry for entry in entries if _may_be_same(entry, tree.get(entry.path))]
        probe = f"{self._area.root}/probe-{self._area.run}" if self._lock else None
        return self._attributes.read(tree, found, hashes=self.hashes, probe=probe)

    @property
    def rounded(self) -> t.Collection[str]:
        """See :attr:`Attributes.rounded`."""
        return self._attributes.rounded

    def shows(self, entry: Entry, found: Entry | None) -> bool:
        """Tell whether what was found there is this file of the netboot server, as far as its looks can tell."""
        return self._attributes.shows(entry, found)

    def _entries(self, directories: t.Sequence[str], budget: Budget) -> list[list[Entry]]:
        remedy = "Let the user of the sync read it on the caching server."
        with self._translated(self.dest, "cannot be listed", remedy):
            answers = self._many.listings(directories, budget)
        found: list[list[Entry]] = []
        for full, answer in zip(directories, answers):
            if isinstance(answer, OSError) and not isinstance(answer, FileNotFoundError):
                with self._translated(full, "cannot be listed", remedy):
                    raise answer
            found.append([] if isinstance(answer, OSError) else answer)
        return found

    def _look(self, full: str) -> Entry | None:
        """Return what a path is, or None; an error is never taken for absence."""
        return self._sftp.look(full)

    def look(self, path: str) -> Entry | None:
        """Return what a path of the tree is just now, or None where it is not there."""
        entry = self._look(self._full(path))
        return entry and dataclasses.replace(entry, path=path)

    def read_marker(self, entry: Entry) -> bytes:
        """Return the content of a marker; nothing where it is too large to be one."""
        content = self._sftp.read(self._full(entry.path), entry.size) if entry.size <= MAX_SIZE else b""
        return content if len(content) == entry.size else b""  # it grows just now

    @property
    def hashes(self) -> bool:
        """Tell whether the caching server can hash what it holds."""
        return self.abilities.hashes

    def digests(self, entries: t.Sequence[Entry]) -> dict[str, str]:
        """Return the SHA-256 of files of the tree: hashed there, or read back where the server cannot."""
        return dict(zip([e.path for e in entries], self._digests([(self._full(e.path), e.size) for e in entries])))

    def _digests(self, files: t.Sequence[tuple[str, int]]) -> list[str]:
        large = [(path, size) for path, size in files if size > TINY] if self.hashes else []
        found = remote_commands.hash_files(self._session, large) if large else []
        hashed = dict(zip([path for path, _size in large], found))
        return [hashed[path] if path in hashed else self._read_back(path, size) for path, size in files]

    def _read_back(self, path: str, size: int) -> str:
        total = hashlib.sha256()
        try:
            for block in self._sftp.blocks(path, size):
                total.update(block)
        except OSError as error:
            self._session.require_line(error)  # no answer is no difference
            return ""
        return total.hexdigest()

    # Doing: one call for each step of the protocol

    def begin_sending(self, entries: t.Sequence[Entry], *, together: bool) -> None:
        """See :meth:`~.protocol.CachingServer.begin_sending`: a login takes a long line a while, and what is asked
        before the first file goes another.
        """
        self._wanted = {entry.path for entry in entries}
        large = self._sending.large is not self._sending.small and any(entry.size >= SMALLEST for entry in entries)
        if (large or (together and self.takes_many)) and not self.throttle.why_not():
            self._session.expect_bulk(self._fast_ciphers())

    def send(self, entry: Entry, basis: str | None) -> Sent:
        """Bring a file to its hidden name, with its final permissions and time."""
        self._sending.prepare(entry)
        if self.hashes and entry.size >= SMALLEST:
            self._source.begin_digest(entry)  # the check wants it, and a line is seldom as fast as this
        sent = self._sending.send(entry, basis, self._wanted)
        with self._sending.in_words(entry):
            self._attributes.finish(self._area.incoming(entry.path), entry)
        return sent

    @property
    def unfinished_bytes(self) -> int:
        """How many bytes the last transfer sent, if it did not come to its end."""
        return self._sending.unfinished_bytes

    def check(self, entry: Entry, *, read_back: bool) -> bool:
        """Compare what lies under the hidden name with the source. Returns whether the content was compared."""
        incoming = self._area.incoming(entry.path)
        self._source.confirm(entry)
        found = self._look(incoming)
        if found is None or found.size != entry.size:
            self._area.drop(entry.path)
            raise SyncError("it did not arrive whole", path=entry.path, remedy="Run the sync again.")
        if not self.hashes and not read_back:
            return False
        if self._digests([(incoming, entry.size)]) != [self._source.digest(entry)]:
            self._area.drop(entry.path)
            raise SyncError(
                "what arrived is not what was sent",
                path=entry.path,
                remedy="Run the sync again; test the disk and memory.",
            )
        return True

    def flush(self, entry: Entry) -> None:
        """Have what lies under the hidden name written to disk."""
        with self._translated(entry.path, "cannot be flushed to disk"):
            self._sftp.flush(self._area.incoming(entry.path))

    def publish(self, entry: Entry) -> None:
        """Rename the hidden file to its final name."""
        self._still_ours()
        self._refuse_clash(entry.path)
        with self._translated(
            entry.path, "cannot be renamed into place", f"Is its directory on another file system than {self.dest}?"
        ):
            self._make_parents(entry.path)
            self._sftp.rename(self._area.incoming(entry.path), self._full(entry.path))
            self._flush_directory(entry.path)
        self._put.add(entry.path)
        self._area.drop(entry.path)

    def _refuse_clash(self, path: str) -> None:
        """Raise :class:`SyncError` where another name of the netboot server has the place of this one by now."""
        other = next(iter(self._put.rivals(path)), "")
        if other and self._look(self._full(path)) is not None:
            raise SyncError(
                f"it and {other} are one name on the file system of the caching server",
                path=path,
                remedy="Rename one of them on the netboot server.",
            )

    @property
    def takes_many(self) -> bool:
        """Tell whether small files can be sent and published together."""
        return self.abilities.unpacks and self._sending.large is not self._sending.small

    def send_together(self, entries: t.Sequence[Entry]) -> dict[str, int]:
        """See :meth:`~.protocol.CachingServer.send_together`."""
        with self._sending.in_words(entries[0]):
            return self._together.send(entries)

    def publish_together(self, entries: t.Sequence[Entry]) -> set[str]:
        """See :meth:`~.protocol.CachingServer.publish_together`."""
        self._still_ours()
        names = Spellings()
        going: list[Entry] = []
        for entry in entries:
            if not list(self._put.rivals(entry.path)) and not list(names.rivals(entry.path)):
                names.add(entry.path)
                going.append(entry)
        with self._translated(entries[0].path, "cannot be flushed to disk"):
            refused = self._together.publish(going, self.dest, self._make_parents)
        put = {entry.path for entry in going if entry.path not in refused}
        for path in put:
            self._put.add(path)
        self._together.drop()
        return put

    def adopt(self, entry: Entry) -> bool:
        """Give a file that has the same content the time of the netboot server; tell whether it has it now."""
        self._still_ours()
        return self._attributes.finish(self._full(entry.path), entry)

    def permit(self, entry: Entry) -> None:
        """Let everybody read a published file that is in line but for its mode."""
        self._still_ours()
        if not self.shows(entry, self.look(entry.path)):
            raise SyncError("it changed on the caching server meanwhile", path=entry.path, remedy="Run the sync again.")
        with self._translated(
            entry.path,
            "only its owner can read it there, and its mode cannot be changed",
            f"Give it to {self._session.settings.user or 'the user of the sync'} there, or set its mode to 0644.",
        ):
            self._sftp.set_mode(self._full(entry.path), FILE_MODE)
            self._sftp.flush(self._full(entry.path))

    def link(self, entry: Entry) -> None:
        """Put a symlink in its place, over what is there."""
        self._still_ours()
        self._refuse_clash(entry.path)
        with self._translated(entry.path, "the symlink cannot be made"):
            self._area.make(entry.path)
            self._make_parents(entry.path)
            incoming = self._area.incoming(entry.path)
            self._sftp.symlink(entry.target, incoming)
            self._sftp.rename(incoming, self._full(entry.path))
            self._flush_directory(entry.path)
        self._put.add(entry.path)
        self._area.drop(entry.path)

    def remove(self, path: str) -> None:
        """Remove a file from the tree. Raises :class:`Kept` where it is one that was put up under another spelling."""
        self._still_ours()
        self._refuse_same(path)
        with self._translated(path, "cannot be removed"):
            try:
                self._sftp.remove(self._full(path))
            except FileNotFoundError:
                return
            self._flush_directory(path)

    def _refuse_same(self, path: str) -> None:
        others = self._put.rivals(path)
        if others:
            directory, name = posixpath.split(self._full(path))
            names = {entry.path for entry in self._sftp.list(directory)}
            if not names.issuperset([name, *map(posixpath.basename, others)]):
                raise Kept(f"it is {others[0]} in another spelling", path=path)

    def remove_directory(self, path: str) -> None:
        """Remove a directory of the tree if it is empty; hidden files that others keep there stay, and it with them."""
        self._still_ours()
        with self._translated(path, "cannot be removed"):
            if not self._sftp.list(self._full(path)):
                self._sftp.remove_directory(self._full(path))

    def has_leftovers(self, unfinished: t.Iterable[str]) -> bool:
        """Tell whether a run that broke off left anything to clean: all but pieces of these files."""
        return self._area.has_leftovers(unfinished)

    def clean(self, unfinished: t.Iterable[str]) -> None:
        """Remove from the work area all that no later run will use."""
        self._area.clean(unfinished)

    def _make_parents(self, path: str) -> None:
        for above in parents(path):
            found = self.look(above)
            if found is None:
                self._sftp.make_directory(self._full(above))
                self._attributes.set_mode(self._full(above), DIRECTORY_MODE)
                self._flush_directory(above)
            elif found.kind != DIRECTORY:
                raise SyncError(f"{above} is no directory on the caching server", path=path, remedy="Remove it there.")

    def _flush_directory(self, path: str) -> None:
        self._sftp.flush(posixpath.dirname(self._full(path)))

    def _translated(self, path: str, what: str, remedy: str = "") -> t.ContextManager[None]:
        remedy = remedy or f"Look at the permissions below {self.dest} on the caching server."
        return self._session.told_as(path, what, remedy)


def _may_be_same(entry: Entry, there: Entry | None) -> bool:
    """Tell whether a file there may have the same content, although it does not look the same."""
    if there is None or entry.kind != FILE or there.kind != FILE:
        return False
    return entry.size == there.size and entry.mtime != there.mtime
