# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One caching server over one session: all that a run ever does to it, one call each.

It is assembled here, depending on what the caching server offers; the calls are implemented in the neighbouring files.
"""

from __future__ import annotations

import posixpath
import typing as t
import uuid

from ..assets.entries import Entry, Tree
from ..errors import SyncError
from ..limits import site_time
from ..limits.bandwidth import NO_LIMIT, Limit
from ..limits.throttle import Throttle
from ..limits.uplink import Uplink
from ..options import called
from ..planning.basis import SMALLEST
from ..progress import Progress
from ..source.tree import SourceTree
from ..ssh import remote_commands, rsync_version
from ..ssh.base import BaseSession
from ..ssh.settings import has_aes
from ..ssh.sftp import Sftp
from ..transports import rsync as rsync_transport
from ..transports.archive import Archive
from ..transports.mounts import Mounts
from ..transports.protocol import Sent
from ..transports.rsync import RsyncTransport
from ..transports.sftp import SftpTransport
from ..transports.stream import Stream, can_receive
from ..transports.work_area import WorkArea
from .attributes import Attributes
from .opening import Opening
from .publishing import Publishing
from .reading import Reading
from .sending import Sending
from .together import Together
from .trial import Trial

_ONLY_SFTP = "every file is sent whole, by SFTP"
_ELSEWHERE = "its shell does not see the files that SFTP shows, as on a NAS whose SFTP has a root of its own"


class SshCachingServer:
    """A caching server during one run; see :class:`~.protocol.CachingServer`.

    Raises :class:`SyncError`; the OS errors of SFTP are translated here.

    :param look: whether nobody will send anything: then it is not asked what it offers for that.
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
        look: bool = False,
    ) -> None:
        self._session = session
        self._only_looks = look
        self._source = source
        self.dest = posixpath.normpath(dest)
        # The answer to the first question arrives while SFTP is opened.
        asked = remote_commands.begin_probe(session, self.dest, tools=not look)
        try:
            self._sftp: Sftp = session.sftp()
        except BaseException:
            asked.close()
            raise
        self.abilities = remote_commands.probed(session, asked)
        self.warnings: list[str] = []
        self._area = self._make_area(uuid.uuid4().hex[:12])
        self._trial = Trial(session, self._sftp, self._area, self.dest, has_shell=self.abilities.has_shell)
        self._wanted: set[str] = set()  # the files that this run is to send
        self._expects = False  # whether it will send any
        self._attributes = Attributes(session, self._sftp, self._warn)
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
        self._together = Together(
            session, self._sftp, self._area, self._trial, self._attributes, archive, dest=self.dest
        )
        self._opening = Opening(
            session,
            self._sftp,
            self.dest,
            root=source.root,
            abilities=self.abilities,
            area=self._area,
            trial=self._trial,
            attributes=self._attributes,
            lock_timeout=lock_timeout,
            elsewhere=self._use_sftp_alone,
        )
        self._reading = Reading(
            session,
            self._sftp,
            self.dest,
            area=self._area,
            trial=self._trial,
            attributes=self._attributes,
            hashes=self.abilities.hashes,
            warn=self._warn,
        )
        self._publishing = Publishing(
            session,
            self._sftp,
            self.dest,
            area=self._area,
            reading=self._reading,
            attributes=self._attributes,
            together=self._together,
            require=self._opening.require,
        )

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
        if wanted == "sftp" or self._only_looks:
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
        """How large files are sent: ``rsync`` or ``sftp``; empty for a look."""
        return "" if self._only_looks else self._sending.large.name

    @property
    def offers(self) -> dict[str, t.Any]:
        """What the caching server offers besides SFTP, in the form of the module's documentation; empty for a look."""
        return {} if self._only_looks else self.abilities.described()

    def _warn(self, text: str) -> None:
        if text not in self.warnings:
            self.warnings.append(text)

    def _use_sftp_alone(self) -> None:
        """Treat the shell as that of another place: what it says about files does not apply to those that SFTP
        shows."""
        if self._wanted_transport == "rsync":
            raise SyncError(_ELSEWHERE, remedy=f"Set {called('transport')} to sftp.")
        self.warnings = [one for one in self.warnings if not one.startswith(_ONLY_SFTP)]
        self._warn(f"{_ONLY_SFTP}: {_ELSEWHERE}")
        self.abilities = self.abilities.without_files()
        self._sending.large = self._sending.small
        self._area.mounts = Mounts(self._sftp, self.dest)
        self._trial.has_shell = self._reading.hashes = False

    def find_destination(self) -> None:
        """See :meth:`~.protocol.CachingServer.find_destination`."""
        self._opening.find()

    def open_for_writing(self, likely: t.Sequence[Entry] = ()) -> list[Entry]:
        """See :meth:`~.protocol.CachingServer.open_for_writing`."""
        return self._opening.open(likely)

    def close(self) -> None:
        """See :meth:`~.protocol.CachingServer.close`."""
        self._opening.close()

    def tree(self, wanted: Tree | None = None) -> Tree:
        """See :meth:`~.protocol.CachingServer.tree`."""
        found = self._reading.tree(wanted)
        if self._expects:
            self._trial.begin_asking()
        return found

    @property
    def clashes(self) -> dict[str, str]:
        """Names that clash with another one there, according to the last listing."""
        return self._reading.clashes

    def look(self, path: str) -> Entry | None:
        """See :meth:`~.protocol.CachingServer.look`."""
        return self._reading.look(path)

    def shows(self, entry: Entry, found: Entry | None) -> bool:
        """See :meth:`~.protocol.CachingServer.shows`."""
        return self._attributes.shows(entry, found)

    def suspects(self, entries: t.Sequence[Entry], tree: Tree) -> list[Entry]:
        """See :meth:`~.protocol.CachingServer.suspects`."""
        return self._reading.suspects(entries, tree, can_write=self._opening.written is not None)

    @property
    def rounded(self) -> t.Collection[str]:
        """See :attr:`Attributes.rounded`."""
        return self._attributes.rounded

    def fresh(self, seconds: int) -> frozenset[str]:
        """See :meth:`~.protocol.CachingServer.fresh`."""
        return self._reading.fresh(seconds, self._opening.written)

    def read_marker(self, entry: Entry) -> bytes:
        """See :meth:`~.protocol.CachingServer.read_marker`."""
        return self._reading.read_marker(entry)

    @property
    def hashes(self) -> bool:
        """Return whether the caching server can hash what it holds."""
        return self._reading.hashes

    def digests(self, entries: t.Sequence[Entry]) -> dict[str, str]:
        """See :meth:`~.protocol.CachingServer.digests`."""
        return self._reading.digests(entries)

    def would_open(self, entries: t.Sequence[Entry]) -> None:
        """See :meth:`~.protocol.CachingServer.would_open`."""
        self._wanted = {entry.path for entry in entries}
        self._opening.would_open()

    def would_send(self, entry: Entry) -> None:
        """Say for check mode what prevents sending a file: its directory, a mount, or the room.

        The room includes what was asked for before, as the run itself would use it.
        """
        self._trial.require_target(entry.path)
        self._trial.require_room(entry, self._wanted, small=entry.size < SMALLEST)

    def in_words(self, error: Exception, path: str) -> SyncError | None:
        """See :meth:`BaseSession.in_words`."""
        return self._session.in_words(error, path)

    def expect_sending(self, entries: t.Sequence[Entry]) -> None:
        """See :meth:`~.protocol.CachingServer.expect_sending`."""
        self._expects = True
        self._expect_bulk(entries, together=len(entries) > 1)

    def begin_sending(self, entries: t.Sequence[Entry], *, together: bool) -> None:
        """See :meth:`~.protocol.CachingServer.begin_sending`.

        On a long line both a login and the questions before the first file take a while: they run in parallel.
        """
        self._wanted = {entry.path for entry in entries}
        self._expect_bulk(entries, together=together)
        if entries:
            self._trial.begin_asking()

    def _expect_bulk(self, entries: t.Sequence[Entry], *, together: bool) -> None:
        large = self._sending.large is not self._sending.small and any(entry.size >= SMALLEST for entry in entries)
        if (large or (together and self.takes_many)) and not self.throttle.why_not():
            self._session.expect_bulk(self._fast_ciphers())

    def send(self, entry: Entry, basis: str | None) -> Sent:
        """Send a file to its hidden name, with its final permissions and time."""
        self._sending.prepare(entry)
        if self.hashes and entry.size >= SMALLEST:
            self._source.begin_digest(entry)  # the check needs it, and a line is seldom as fast as this
        sent = self._sending.send(entry, basis, self._wanted)
        with self._sending.in_words(entry):
            self._attributes.finish(self._area.incoming(entry.path), entry)
        return sent

    @property
    def unfinished_bytes(self) -> int:
        """How many bytes the last transfer sent, if it did not finish."""
        return self._sending.unfinished_bytes

    def check(self, entry: Entry, *, read_back: bool) -> bool:
        """Compare what is under the hidden name with the source. Returns whether the content was compared."""
        incoming = self._area.incoming(entry.path)
        self._source.confirm(entry)
        found = self._sftp.look(incoming)
        if found is None or found.size != entry.size:
            self._area.drop(entry.path)
            raise SyncError("it did not arrive whole", path=entry.path, remedy="Run the sync again.")
        if not self.hashes and not read_back:
            return False
        if self._reading.digests_of([(incoming, entry.size)]) != [self._source.digest(entry)]:
            self._area.drop(entry.path)
            raise SyncError(
                "what arrived is not what was sent",
                path=entry.path,
                remedy="Run the sync again; test the disk and memory.",
            )
        return True

    def flush(self, entry: Entry) -> None:
        """Flush the file under the hidden name to disk."""
        remedy = f"Look at the permissions below {self.dest} on the caching server."
        with self._session.told_as(entry.path, "cannot be flushed to disk", remedy):
            self._sftp.flush(self._area.incoming(entry.path))

    @property
    def takes_many(self) -> bool:
        """Return whether small files can be sent and published together."""
        return self.abilities.unpacks and self._sending.large is not self._sending.small

    def send_together(self, entries: t.Sequence[Entry]) -> dict[str, int]:
        """See :meth:`~.protocol.CachingServer.send_together`."""
        with self._sending.in_words(entries[0]):
            return self._together.send(entries)

    def publish(self, entry: Entry) -> None:
        """See :meth:`~.protocol.CachingServer.publish`."""
        self._publishing.publish(entry)

    def publish_together(self, entries: t.Sequence[Entry]) -> set[str]:
        """See :meth:`~.protocol.CachingServer.publish_together`."""
        return self._publishing.publish_together(entries)

    def adopt(self, entry: Entry) -> bool:
        """See :meth:`~.protocol.CachingServer.adopt`."""
        return self._publishing.adopt(entry)

    def permit(self, entry: Entry) -> None:
        """See :meth:`~.protocol.CachingServer.permit`."""
        self._publishing.permit(entry)

    def link(self, entry: Entry) -> None:
        """See :meth:`~.protocol.CachingServer.link`."""
        self._publishing.link(entry)

    def remove(self, path: str) -> None:
        """See :meth:`~.protocol.CachingServer.remove`."""
        self._publishing.remove(path)

    def remove_directory(self, path: str) -> None:
        """See :meth:`~.protocol.CachingServer.remove_directory`."""
        self._publishing.remove_directory(path)

    def has_leftovers(self, unfinished: t.Iterable[str]) -> bool:
        """Return whether an interrupted run left anything to clean up, except partial files of these."""
        return self._area.has_leftovers(unfinished)

    def clean(self, unfinished: t.Iterable[str]) -> None:
        """Remove from the work area whatever no later run will use."""
        self._area.clean(unfinished)
