# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m tests.demo``: real images reach real caching servers in two phases, while a booting machine watches."""

from __future__ import annotations

import argparse
import contextlib
import os
import shlex
import shutil
import signal
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.filesize import decimal as size

from tests.lab.client import BootClient, Event
from tests.lab.fleet import CHECKOUT, Fleet
from tests.lab.process import LabError
from tests.lab.tree import CACHING_SERVER_IMAGE

from . import keeper, results, stage

DEFAULT_DIRECTORY = CHECKOUT / ".cache" / "demo"
SPACE = 2_500_000_000  # bytes: three copies of two large images, and the files that they are built from
RUN_TIMEOUT = 300.0  # seconds


def console() -> Console:
    """Standard output; as wide as the terminal, or wide enough for the tables if it is not a terminal."""
    return Console(width=None if sys.stdout.isatty() else 150, highlight=False)


class Demo:
    """One demo in *directory*."""

    def __init__(self, directory: Path) -> None:
        self.out = console()
        self.directory = directory
        self.work = directory / "work"
        self.runs: list[results.Run] = []
        self.fleet = stage.build_fleet(directory)

    def play(self) -> int:
        """Run the whole demo. Returns the exit status: 0 if everything was as expected."""
        self.say("Building squashfs images from files of this machine ...")
        stage.fill(self.fleet, self.work)
        with self.fleet:
            self.introduce()
            with self.fleet.client(on_event=self.bootable) as client:
                self.sync("first sync")
                self.say(f"A second build of the large image arrives: {stage.SECOND_BUILD}")
                stage.add_second_build(self.fleet, self.work)
                self.sync("second build")
                self.sync("nothing new")
            client.check_now()
            return self.conclude(client)

    def say(self, text: str) -> None:
        """Print a headline of the demo itself."""
        self.out.print(f"\n[bold]== {text}[/bold]", soft_wrap=True)

    def introduce(self) -> None:
        """Show the images and the caching servers."""
        tree = self.fleet.tree
        self.say("The netboot server's images")
        for path in sorted(tree.root.rglob("*.squashfs")):
            name = str(path.relative_to(tree.root)).removesuffix(".squashfs")
            remark = {
                stage.UPLOADING: "still being uploaded: no JSON yet",
                stage.TRUNCATED: "a truncated upload, with its JSON",
                CACHING_SERVER_IMAGE: "an image that has no JSON",
                stage.DEV_IMAGE: "untested: for the development server only",
            }.get(name, "with its JSON")
            self.out.print(f"  {name:<42} {size(path.stat().st_size):>9}  {remark}", soft_wrap=True)
        self.say("The caching servers: OpenSSH and HTTP on this machine's loopback")
        for site in self.fleet.sites.values():
            speed = f"a line of {site.spec.rate / 1e6:.0f} Mbit/s" if site.spec.rate else "a fast line"
            self.out.print(f"  {site.name:<14} ssh {site.ssh.address}:{site.ssh.port}  {site.web.url}  {speed}")

    def bootable(self, event: Event) -> None:
        """Print at once what the booting machine sees."""
        seconds = f" after {event.at - self.started:.1f} s" if event.what == "bootable" else ""
        style = "green" if event.what == "bootable" else "yellow"
        self.out.print(f"[{style}]>> {event.site}: {event.image} is {event.what}{seconds}[/{style}]", soft_wrap=True)

    def sync(self, title: str) -> None:
        """Run sync.yml, and show its output as it comes."""
        self.say(f"{title}: ansible-playbook playbooks/sync.yml -i {shown(self.fleet.inventory)}")
        environment = {"PYTHONUNBUFFERED": "1", **({"ANSIBLE_NOCOLOR": "1"} if "NO_COLOR" in os.environ else {})}
        sys.stdout.flush()
        self.started = time.monotonic()
        playbook = self.fleet.start_playbook("sync.yml", env=environment)
        try:
            status = playbook.wait(RUN_TIMEOUT)
        finally:
            playbook.stop()
        seconds = time.monotonic() - self.started
        time.sleep(0.5)  # let the client see the last of it
        self.runs.append(results.Run(title, status, self.fleet.results(), self.started, seconds))

    def conclude(self, client: BootClient) -> int:
        """Show the results. Returns the exit status."""
        self.out.print()
        for table in (
            results.held_back_table(self.fleet, self.runs[1]),
            results.site_table(self.fleet, self.runs, client),
        ):
            self.out.print(table)
        self.out.print(
            f"The booting machine asked {client.polls} times, fetched and hashed {client.checks} times all that a "
            f"marker promises, and saw {len(client.violations)} violations.",
            soft_wrap=True,
        )
        wrong = results.problems(self.fleet, self.runs, client)
        for problem in wrong:
            self.out.print(f"[bold red]NOT AS EXPECTED:[/bold red] {problem}", soft_wrap=True)
        if not wrong:
            self.out.print("[bold green]All as expected.[/bold green]")
        return 1 if wrong else 0


def shown(path: Path) -> str:
    """A path as it is written in a command that is run from the checkout."""
    return shlex.quote(str(path.relative_to(CHECKOUT) if path.is_relative_to(CHECKOUT) else path))


def explain(directory: Path) -> None:
    """Print how to play with the fleet that stays up."""
    fleet = Fleet.load(directory)
    playbook = shown(Path(sys.executable).with_name("ansible-playbook"))
    inventory = shown(fleet.inventory)
    prod = shown(fleet.tree.root / "prod")
    squashfs = f"{shown(fleet.sites[stage.SLOW].assets)}/{stage.SECOND_BUILD}.squashfs"
    new = "21-04-20-gnome-master-1234567"
    old = Path(stage.SECOND_BUILD).name
    here = "" if directory == DEFAULT_DIRECTORY else f" --dir {shown(directory)}"
    web = fleet.sites[stage.FAST].web
    flip = f"printf X | dd of={squashfs} bs=1 seek=50000000 conv=notrunc status=none"
    keep_time = f'time=$(stat -c %y {squashfs}) && {flip} && touch -d "$time" {squashfs}'
    commands = [
        ("sync again, all or one", f"{playbook} playbooks/sync.yml -i {inventory}"),
        ("", f"{playbook} playbooks/sync.yml -i {inventory} --limit {stage.FAST}"),
        ("a new image: first the squashfs, then its JSON", f"cp {prod}/{old}.squashfs {prod}/{new}.squashfs"),
        ("", f"cp {prod}/{old}-kernel.json {prod}/{new}-kernel.json"),
        ("see what would be done", f"{playbook} playbooks/sync.yml -i {inventory} --check --diff"),
        ("damage a copy, its size and time as before; then compare every byte and repair", keep_time),
        ("", f"{playbook} playbooks/resync.yml -i {inventory} --limit {stage.SLOW}"),
        ("what a booting machine sees", f"curl {web.url}/{stage.FIRST_BUILD}-kernel.json"),
        ("stop it and remove its files", f"./dev demo --stop{here}"),
    ]
    out = console()
    hours = keeper.LONGEST // 3600
    out.print(f"\n[bold]== The fleet stays up, for {hours} hours at most. In {CHECKOUT}:[/bold]", soft_wrap=True)
    for comment, command in commands:
        if comment:
            out.print(f"\n  # {comment}", style="cyan", soft_wrap=True)
        out.print(f"  {command}", markup=False, soft_wrap=True)


def perform(directory: Path, *, keep: bool) -> int:
    """The whole demo, from an empty directory to the exit status."""
    if keeper.end_kept(directory):
        print("Ended the fleet of an earlier demo.")
    with keeper.turn(directory, role="demo"):
        keeper.clear(directory)
        if (free := shutil.disk_usage(directory).free) < SPACE:
            raise LabError(f"{directory} has {size(free)} free, the demo needs {size(SPACE)}: name another --dir")
        status = 1
        try:
            status = Demo(directory).play()
        finally:
            if not keep or status:
                keeper.clear(directory)
                keeper.remove(directory)
    if keep and status == 0:
        keeper.keep(directory)
        explain(directory)
    return status


def main() -> int:
    """Read the command line and act. Returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="./dev demo", description="A small, real fleet on this machine, and syncs to it."
    )
    parser.add_argument("--keep", action="store_true", help="leave the fleet up and say how to play with it")
    parser.add_argument("--stop", action="store_true", help="end a fleet that was left up, and remove its files")
    parser.add_argument("--dir", type=Path, default=DEFAULT_DIRECTORY, help="where the fleet lives (%(default)s)")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    directory = options.dir.absolute()
    # closing the terminal or killing ./dev ends the demo as Ctrl-C does: nothing is left behind
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    try:
        if options.serve:
            keeper.serve(directory)
            return 0
        if options.stop:
            return stop(directory)
        return perform(directory, keep=options.keep)
    except LabError as exc:
        print(f"demo: {exc}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ndemo: interrupted; all that it started is ended", file=sys.stderr)
        return 130


def stop(directory: Path) -> int:
    """End a kept fleet and remove its files."""
    if not directory.is_dir():
        print(f"There is no demo in {directory}.")
        return 0
    was_up = keeper.end_kept(directory)
    with keeper.turn(directory, role="demo"):
        keeper.clear(directory)
        keeper.remove(directory)
    print("The fleet is down and its files are removed." if was_up else "No fleet was up; its files are removed.")
    return 0


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):
        sys.exit(main())
