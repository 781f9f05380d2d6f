# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What happens to the machines, step by step, and what must be so after each."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from . import clients
from .fleet import NETBOOT, Fleet, Run, expect
from .packages import Base
from .said import differences, said
from .thief import attempts

BARE, FILLED, SMALL = "cache-berlin", "cache-hamburg", "cache-munich"
OLDER = "prod/21-04-09-gnome-master-f1d734e"
NEWEST = "prod/21-04-10-gnome-master-9c41d0b"
NEW = "prod/21-04-11-gnome-master-2b5a7e0"
TOLD = ["netboot_sync_user", "netboot_sync_private_key_file", "netboot_sync_known_hosts_file"]
ROLE = "netboot.syncer.netboot_caching_server : "
SYNC = "netboot.syncer.netboot_sync : Bring the caching server in line"
# In check mode, on a machine that has to be prepared first: a sync cannot be tried, and the key that would be made is
# unknown, as is the content of a package that is not installed.
UNTRIED = (SYNC,)
UNKNOWN = tuple(
    ROLE + task
    for task in (
        "Accept the keys of the sync, for the forced command alone",
        "Remove the package's own site",
        "Make the destination",
    )
)
EVERY_10_SECONDS = (
    '{"netboot_server_triggers": ["timer"], "netboot_server_triggers_quiet": 1,'
    ' "netboot_server_triggers_calendar": "*:*:0/10"}'
)
RANDOM_BYTES = 4_000_000  # of each image; they cannot be compressed


class Story:
    """Three machines in the short form, four in the full one; anything that is not as it should be raises LabError.

    :arg package: with the collection's package alone on the workstation, and an inventory of ten lines.
    :arg tell: gets a line for each step that went well.
    """

    def __init__(
        self, base: Base, directory: Path, *, short: bool, package: bool = False, tell: Callable[[str], object]
    ) -> None:
        sites = {BARE: 0, FILLED: 0}
        if not short:
            # Room for the newest image and the reserve, but not for both images.
            sites[SMALL] = 64 * 1024 * 1024 + 3 * RANDOM_BYTES // 2
        self.short = short
        self.fleet = Fleet(base, directory, sites, package=package)
        self.lines: list[str] = []  # every line that was reported
        self._show = tell

    def all(self) -> None:
        """Play all steps in order."""
        self.bare_machines()
        self.look_first()
        self.onboard()
        self.what_clients_see()
        self.nothing_to_do_any_more()
        self.something_new()
        self.clients_find_their_site()
        self.withdrawn()
        if self.fleet.package:
            self.by_itself()
        self.stolen_key()
        if not self.short:
            self.small_disk()
            self.marker_required()
            self.refused()
            self.reinstalled()
        self.removed()

    def _tell(self, line: str) -> None:
        self.lines.append(line)
        self._show(line)

    def end(self) -> None:
        """Switch everything off."""
        self.fleet.down()

    def bare_machines(self) -> None:
        """The netboot server holds images; one site has them too, copied there by other means."""
        started = time.monotonic()
        self.fleet.up()
        tree = self.fleet.tree
        tree.add_kernel()
        for name in (OLDER, NEWEST):
            with tree.add_image(name).squashfs.open("ab") as file:
                file.write(os.urandom(RANDOM_BYTES))
        for path in (tree.image(OLDER).squashfs, tree.image(OLDER).marker):
            os.utime(path, (1_600_000_000, 1_600_000_000))
        there = self.fleet.assets(FILLED)
        shutil.copytree(tree.root, there, copy_function=shutil.copyfile)  # without keeping the times
        for path in there.rglob("*"):
            os.chown(path, 1234, 1234)
        # With Python there, Ansible's modules can examine it, so that check mode has more to say about it.
        self.fleet.machines[FILLED].bring_python()
        for name in (NETBOOT, BARE):
            expect(self.fleet.machines[name].run("which", "python3", check=False).returncode != 0, f"{name} has Python")
        names = ", ".join(self.fleet.machines)
        self._tell(f"{time.monotonic() - started:4.0f} s  bare machines: {names}")

    def look_first(self) -> None:
        """Check mode says what would be done, on machines without Python, and does nothing."""
        before = {name: machine.written() for name, machine in self.fleet.machines.items()}
        if self.fleet.package:
            # If the inventory names no user, Ansible does not know that it is root already, and uses sudo.
            (self.fleet.inventory / "hosts.yml").write_text(self.fleet.hosts(user=""), "utf-8")
            run = self._play("nobody says who logs in", "onboard.yml", "--check", status=2)
            said = "needs root there (bash: line 1: sudo: command not found). Log in as root"
            expect(said in _folded(run), "not told why", run)
            (self.fleet.inventory / "hosts.yml").write_text(self.fleet.hosts(), "utf-8")
        run = self._play("check mode first", "onboard.yml", "--check", "--diff")
        for name in (NETBOOT, BARE):
            expect(f"{name}: has no Python for Ansible. Would install it" in _folded(run), f"{name}: not told", run)
        for words in ("would install bubblewrap, nginx, rsync", "would give all in /srv/netboot/assets to netboot"):
            expect(f"{FILLED}: {words}" in _folded(run), f"not told: {words}", run)
        if not self.short:
            self.fleet.machines[NETBOOT].bring_python()
            before[NETBOOT] = self.fleet.netboot.written()
            run = self._play("check mode, with Python there", "onboard.yml", "--check", "--diff")
            expect(f"{NETBOOT}: would install nginx, python3-paramiko, rsync" in _folded(run), "not told", run)
        for name, machine in self.fleet.machines.items():
            expect(machine.written() == before[name], f"check mode wrote on {name}", run)

    def onboard(self) -> None:
        """One command, and every site with enough room serves all images; what a site had already was not sent."""
        looked = self.fleet.runs[-1]
        run = self._play("onboard", "onboard.yml", "--diff", status=0 if self.short else 2)
        with_python = {FILLED} if self.short else {FILLED, NETBOOT}
        foretold, done = (said(one.changes).of(with_python).without(UNTRIED) for one in (looked, run))
        expect(bool(foretold.changes and foretold.diffs), "check mode foretold nothing", looked)
        lines = differences(foretold, done, diffs_of=UNKNOWN)
        expect(not lines, "\n".join(["check mode said something else of machines with Python than was done", *lines]))
        expect(f"{BARE}: clients can boot {OLDER}.squashfs, {NEWEST}.squashfs" in _folded(run), "not told", run)
        expect("did not have to be sent" in _line(run, f"{FILLED}: clients can boot"), "not told what was spared", run)
        for site in (BARE, FILLED):
            self._serves(site)
        # Only the times differed there.
        ours, theirs = (root / f"{NEWEST}.squashfs" for root in (self.fleet.tree.root, self.fleet.assets(FILLED)))
        expect(int(ours.stat().st_mtime) == int(theirs.stat().st_mtime), "the tree that was there was not adopted", run)
        self._tell(f"        one command, {run.seconds / 60:.1f} minutes from bare machines to images at all sites")

    def what_clients_see(self) -> None:
        """Types, caching and ranges are right; no hidden names, no files of others by a link, no directory listings."""
        clients.see_what_is_theirs(self.fleet, BARE, NEWEST)
        self._tell("        clients get uncached markers and ranges, but no hidden names and nothing outside the tree")

    def clients_find_their_site(self) -> None:
        """boot_menu.yml writes the scripts that lead them there, and each sync that changes something renews them."""
        clients.say_which_is_theirs(self.fleet, [BARE, FILLED])
        (self._play if self.short else self._foretold)("boot menu", "boot_menu.yml")
        clients.find_the_site(self.fleet, {BARE, FILLED}, [NETBOOT])
        self._play("caching servers serve it, too", "sync.yml", "--limit", f"{BARE},{FILLED}")
        clients.find_the_site(self.fleet, {BARE, FILLED}, [NETBOOT, BARE, FILLED])

    def withdrawn(self) -> None:
        """An image is withdrawn and put back; the account that syncs only reads the tree, and still knows of it."""
        sites = ["--limit", f"{BARE},{FILLED}"]
        named = ["-e", f"netboot_withdraw={OLDER}*"]
        self._play("withdrawn", "withdraw.yml", *sites, *named)
        self._play("it stays away", "sync.yml", *sites)
        found = {self.fleet.get(site, f"/{OLDER}-kernel.json")[0] for site in (BARE, FILLED)}
        expect(found == {404}, f"sites still offer what was withdrawn: {found}")
        self._play("put back", "withdraw.yml", *sites, *named, "-e", "netboot_withdraw_undo=true")
        self._serves(BARE)
        self._serves(FILLED)
        if not self.short:
            self._play("nothing to prune", "prune.yml", *sites, "-e", "netboot_prune_keep_last=9")

    def nothing_to_do_any_more(self) -> None:
        """Running the same again changes nothing; and in the full form, check mode has nothing to say."""
        sites = [] if self.short else ["--limit", f"{BARE},{FILLED}"]
        again = [("onboard.yml",), ("onboard.yml", "--check", "--diff"), ("sync.yml",)]
        for playbook, *words in again[:1] if self.short else again:
            run = self._play("again", playbook, *sites, *words)
            expect(set(run.counted("changed").values()) == {0}, f"it changed something: {run.recap}", run)

    def something_new(self) -> None:
        """A new image arrives, and sync.yml delivers it; before that, onboarding's lines go into the inventory."""
        if self.fleet.package:
            run = self.fleet.runs[-1]
            said = _line(run, f"{BARE}: for sync.yml, put into group_vars/caching_servers.yml of the inventory: ")
            lines = said.partition("of the inventory: ")[2].partition('"')[0].strip().split(", ")
            expect([line.partition(":")[0] for line in lines] == TOLD, f"told to write {lines}", run)
            (self.fleet.inventory / "group_vars").mkdir()
            (self.fleet.inventory / "group_vars" / "caching_servers.yml").write_text("\n".join(lines) + "\n", "utf-8")
        image = self.fleet.tree.add_image(NEW)
        run = self._play("something new", "sync.yml", "--limit", f"{BARE},{FILLED}")
        for site in (BARE, FILLED):
            status, _headers, body = self.fleet.get(site, f"/{NEW}.squashfs")
            expect(status == 200 and body == image.squashfs.read_bytes(), f"{site} does not serve it", run)
        image.marker.unlink()
        image.squashfs.unlink()
        self._play("and is removed", "sync.yml", "--limit", f"{BARE},{FILLED}", "-e", "netboot_sync_delete=true")

    def by_itself(self) -> None:
        """The netboot server syncs, by systemd, whenever something arrives, however it is uploaded."""
        fleet = self.fleet
        if not fleet.bring_ansible():
            self._tell("        the netboot server's Python is too old for this ansible-core: no triggers")
            return
        path = '{"netboot_server_triggers": ["path"], "netboot_server_triggers_quiet": 2}'
        if self.short:
            self._play("triggers", "onboard.yml", "--limit", BARE, "-e", path)
        else:
            self._foretold("triggers", "onboard.yml", "--limit", BARE, "-e", path)
            run = self._play("triggers, again", "onboard.yml", "--limit", BARE, "-e", path)
            expect(set(run.counted("changed").values()) == {0}, f"it changed something: {run.recap}", run)
        clients.find_the_site(fleet, {BARE, FILLED}, [NETBOOT])  # onboarding one leaves the others in the boot menu
        for number, upload in enumerate((fleet.upload_by_rename, fleet.upload_by_scp, fleet.upload_by_rsync)):
            self._arrives(upload, [f"prod/by-itself-{number}"])
        self._arrives(fleet.upload_by_rsync, ["kiosk/first"])  # in a new directory
        self._arrives(fleet.upload_by_rename, ["kiosk/second"])  # which must be watched by now
        self._arrives(fleet.upload_by_rename, [f"prod/burst-{number}" for number in range(5)])
        runs = clients.wait_for_deliveries(fleet, {BARE, FILLED}, "prod/burst-")
        expect(runs <= 2, f"a burst of five images took {runs} runs")
        if self.short:
            for unit in ("netboot-sync.path", "netboot-sync", "netboot-sync-menu"):  # the end of one starts the next
                fleet.netboot.run("systemctl", "stop", unit)
        else:
            self._by_timer()
        said = fleet.netboot.run("journalctl", "--no-pager", "-o", "cat", "-u", "netboot-sync*").stdout
        lines = [line for line in said.splitlines() if "cannot be written" in line or "Permission denied" in line]
        expect(not lines, f"not all went well: {lines}")
        self._tell("        by itself: a rename, scp, rsync, a new directory, a burst as one run")

    def _by_timer(self) -> None:
        """On a timer alone, too; and no longer without any trigger."""
        self._play("a timer alone", "onboard.yml", "--limit", BARE, "-e", EVERY_10_SECONDS)
        self.fleet.sites[FILLED].off()
        self._arrives(self.fleet.upload_by_rename, ["prod/while-away"], [BARE])
        self.fleet.sites[FILLED].boot()
        clients.wait_for_image(self.fleet, FILLED, "prod/while-away")
        self._play("no trigger", "onboard.yml", "--limit", BARE, "-e", '{"netboot_server_triggers": []}')
        timer = self.fleet.netboot.run("systemctl", "is-active", "netboot-sync.timer", check=False)
        expect(timer.returncode != 0, f"the timer is {timer.stdout}")
        self._tell("        by itself, by a timer: a site that was away")

    def _arrives(self, upload: Callable[[str], object], names: list[str], sites: list[str] | None = None) -> None:
        for name in names:
            upload(name)
        for site in sites or [BARE, FILLED]:
            for name in names:
                clients.wait_for_image(self.fleet, site, name)

    def stolen_key(self) -> None:
        """Try what the gate must refuse, with the netboot server's key for the site."""
        for what, words, refused in attempts(self.fleet, BARE):
            done = self.fleet.netboot.run(*words, check=False)
            expect(refused(done), f"the sync's key is good for this: {what}: {done.stdout[:200]}{done.stderr[:200]}")
        self._serves(BARE)
        self._tell("        the sync's key, in the wrong hands, gives access to images alone")

    def small_disk(self) -> None:
        """A site without enough room has the newest image, and the run says what is missing."""
        run = next(run for run in self.fleet.runs if "--check" not in run.words)
        expect(f"failed: {SMALL}" in run.output and "not enough space" in _folded(run), "not told", run)
        status, _headers, _body = self.fleet.get(SMALL, f"/{NEWEST}-kernel.json")
        expect(status == 200, f"{SMALL} has not even the newest image", run)
        self._tell(f"        {SMALL}, whose disk is small, serves the newest image, and the run said what to free")

    def marker_required(self) -> None:
        """With the option, a squashfs without its marker is not served, unless it needs none."""
        fleet, root = self.fleet, self.fleet.assets(BARE)
        alone = "caching-server/netboot-caching-server.squashfs"
        for path in ("prod/alone.squashfs", alone, "prod/alone.img"):
            (root / path).parent.mkdir(exist_ok=True)
            (root / path).write_bytes(b"hsqs")
        words = ["--limit", BARE, "-e", "netboot_caching_server_web_marker_required=true"]
        self._foretold("a squashfs requires its marker", "onboard.yml", *words)
        expect(fleet.get(BARE, "/prod/alone.squashfs")[0] == 404, "a squashfs without its marker was served")
        for path in (f"{NEWEST}.squashfs", alone, "prod/alone.img", "kernels/latest-kernel-version.json"):
            expect(fleet.get(BARE, f"/{path}")[0] == 200, f"{path} was refused")
        self._play("no longer required", "onboard.yml", "--limit", BARE)
        expect(fleet.get(BARE, "/prod/alone.squashfs")[0] == 200, "the option stays after it is gone")

    def refused(self) -> None:
        """Settings that would harm a machine are refused before anything is written there, also in check mode."""
        site = self.fleet.sites[BARE]
        site.run("useradd", "--create-home", "joe")
        for setting, line in (
            ("netboot_sync_dest=/home/joe", "is the home directory of joe, or holds it"),
            ("netboot_sync_dest=/var/www", "no directory of the system"),
            ("netboot_sync_dest=/etc/netboot/assets", "no directory of the system"),
            ("netboot_sync_dest=/etc/hostname", "no directory of the system"),
            ("netboot_caching_server_user=joe netboot_sync_user=joe", "there is an account joe already"),
            ("netboot_caching_server_web_port=22", "port 22 is taken by sshd"),
        ):
            for check in (["--check"], []):
                run = self.fleet.play("onboard.yml", "--limit", BARE, "-e", setting, *check)
                expect(run.status == 2 and line in _folded(run), f"{setting} was not refused", run)
        self._tell("        refused: homes, directories of the system, accounts of others, ports of others")

    def reinstalled(self) -> None:
        """A site with a new host key is refused until the administrator trusts it again, and then works as before."""
        fleet, site = self.fleet, self.fleet.sites[BARE]
        old = site.known_hosts().split()[2]
        site.off()
        site.uninstall()
        site.install(fleet.key.public)
        site.boot()
        run = self._play("reinstalled, not yet trusted", "onboard.yml", "--limit", BARE, status=2)
        expect(f"{BARE}: Ansible cannot log in there: its host key is not the one" in _folded(run), "not told why", run)
        known = fleet.netboot.root / "etc" / "netboot" / "known_hosts"
        expect(
            old in known.read_text("ascii"), "a host key was replaced though Ansible itself refused the new one", run
        )
        fleet.trust([site])
        run = self._play("reinstalled", "onboard.yml", "--limit", BARE)
        text = known.read_text("ascii")
        expect(old not in text and all(line in text for line in site.known_hosts().splitlines()), "host keys", run)
        self._serves(BARE)

    def removed(self) -> None:
        """A site is removed: first its clients are led away, then everything that onboarding made there is undone."""
        fleet, site = self.fleet, self.fleet.sites[FILLED]
        words = ["--limit", FILLED, "-e", "netboot_offboard_grace=1"]
        if not self.short:
            run = self._play("all sites, by mistake", "offboard.yml", status=2)
            expect("--limit" in run.output, "not told how to name one", run)
        before = {name: machine.written() for name, machine in fleet.machines.items()}

        def looked(run: Run) -> None:
            expect("would be given to root, and stay" in _folded(run), "not told", run)
            for name, machine in fleet.machines.items():
                expect(machine.written() == before[name], f"check mode wrote on {name}", run)
            self._serves(FILLED)

        run = self._foretold("removed", "offboard.yml", *words, looked=looked)
        expect(not list(fleet.assets(FILLED).rglob("*.json")), "markers are left", run)
        expect((fleet.assets(FILLED) / f"{NEWEST}.squashfs").exists(), "the tree went, too", run)
        expect(not site.answers(80), "its web server still serves", run)
        clients.find_the_site(fleet, {BARE}, [NETBOOT])
        expect(site.run("getent", "passwd", "netboot", check=False).returncode == 2, "the account is left", run)
        known = (fleet.netboot.root / "etc" / "netboot" / "known_hosts").read_text("ascii")
        expect(site.address not in known and fleet.sites[BARE].address in known, "known hosts are left", run)
        if self.short:
            return
        run = self._play("removed, again", "offboard.yml", *words)
        expect(run.counted("changed")[FILLED] == 0, "it changed something", run)
        run = self._foretold("removed, and emptied", "offboard.yml", *words, "-e", "netboot_offboard_purge=true")
        expect(not list(fleet.assets(FILLED).iterdir()), "the tree is left", run)

    def _play(self, what: str, playbook: str, *words: str, status: int = 0) -> Run:
        run = self.fleet.play(playbook, *words)
        expect(run.status == status, f"{playbook} ended with {run.status}, not {status}", run)
        self._tell(f"{run.seconds:4.0f} s  {what}: {playbook} {' '.join(words)}".rstrip())
        return run

    def _foretold(
        self, what: str, playbook: str, *words: str, looked: Callable[[Run], object] = lambda _run: None
    ) -> Run:
        """Check that check mode says what the run then does, and afterwards that nothing is left. Returns the run."""
        foretold = self._play(f"{what}, check mode first", playbook, *words, "--check", "--diff")
        looked(foretold)
        run = self._play(what, playbook, *words, "--diff")
        lines = differences(said(foretold.changes), said(run.changes))
        expect(bool(run.changes), "nothing was changed", run)
        expect(not lines, "\n".join([f"{what}: check mode said something else than was done", *lines]))
        after = self._play(f"{what}, check mode again", playbook, *words, "--check", "--diff")
        expect(set(after.counted("changed").values()) == {0}, f"something is left to do: {after.recap}", after)
        return run

    def _serves(self, site: str) -> None:
        """Check that a site's web server serves both images as they are in the netboot server's tree."""
        for name in (OLDER, NEWEST):
            image = self.fleet.tree.image(name)
            for path in (image.marker, image.squashfs):
                status, _headers, body = self.fleet.get(site, f"/{path.relative_to(self.fleet.tree.root)}")
                expect(status == 200 and body == path.read_bytes(), f"{site} answers {status} for {path.name}")


def _folded(run: Run) -> str:
    """The output without the line breaks that fit it to the terminal's width."""
    return " ".join(run.output.replace("''", "'").split())


def _line(run: Run, start: str) -> str:
    text = _folded(run)
    return text[text.index(start) :].partition(" ok: [")[0].partition(" PLAY")[0] if start in text else ""
